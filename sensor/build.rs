//! Hands the BPF object that `cargo xtask build` made to the sensor, which carries it inside its own binary.
//!
//! Without one the sensor still builds (for unit tests and editors); `run` then says how to build it whole.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-env-changed=STRIDE_SENSOR_BPF_OBJECT");
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let default = manifest.join("../target/bpf/sensor-ebpf");
    let object = env::var_os("STRIDE_SENSOR_BPF_OBJECT").map_or(default, PathBuf::from);
    println!("cargo:rerun-if-changed={}", object.display());
    let copy = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("sensor-ebpf");
    let bytes = fs::read(&object).unwrap_or_default();
    fs::write(&copy, bytes).expect("OUT_DIR is writable");
    println!("cargo:rustc-env=STRIDE_SENSOR_BPF_OBJECT={}", copy.display());
}
