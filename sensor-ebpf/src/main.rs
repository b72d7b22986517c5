//! The BPF object. For the host target it is an empty program, so that `cargo build --workspace` works.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(not(target_arch = "bpf"))]
fn main() {}
