//! `cargo xtask build`: the BPF object, then the sensor that carries it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use clap::Args;

use crate::cache;
use crate::command::{loud, step};
use crate::setup::{self, Group};
use crate::workspace::{Workspace, musl_target};

/// The variable from which the sensor's build takes its revision.
const REVISION: &str = "STRIDE_SENSOR_REVISION";

/// Options of `build`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Build the sensor unoptimised, for a quick try; the BPF object is always optimised.
    #[arg(long)]
    debug: bool,
}

/// Sets up what building needs and builds the sensor; prints where it is.
pub fn task(workspace: &Workspace, options: &Options) -> Result<()> {
    setup::ensure(workspace, Group::Build)?;
    let binary = sensor(workspace, options.debug)?;
    println!("{}", binary.display());
    Ok(())
}

/// Builds the BPF object and the sensor (with `debug` unoptimised); returns the sensor's path.
pub fn sensor(workspace: &Workspace, debug: bool) -> Result<PathBuf> {
    step("build: BPF object", || bpf_object(workspace))?;
    step("build: sensor", || musl(workspace, &["-p", "stride-sensor"], debug))?;
    let profile = if debug { "debug" } else { "release" };
    Ok(workspace.target(&musl_target()).join(profile).join("stride-sensor"))
}

/// Builds all released binaries that the end-to-end tests use.
pub fn test_binaries(workspace: &Workspace) -> Result<()> {
    sensor(workspace, false)?;
    step("build: end-to-end runner and attack helper", || {
        musl(workspace, &["-p", "stride-sensor-e2e", "--bins"], false)
    })
}

/// Builds the BPF object and puts it where the sensor's build script takes it, touching it only when it changed
/// so that the sensor is not built needlessly.
pub fn bpf_object(workspace: &Workspace) -> Result<()> {
    loud(bpf_cargo(workspace, "build")?.arg("--release"))?;
    let built = workspace.target("bpf-build/bpfel-unknown-none/release/sensor-ebpf");
    let object = fs::read(&built).with_context(|| format!("no BPF object at {}", built.display()))?;
    cache::write_if_changed(&workspace.target("bpf/sensor-ebpf"), &object)?;
    Ok(())
}

/// Cargo with the subcommand, target and flags that BPF code needs, in a target folder of its own: the flags
/// differ from the host's, and sharing one would build everything twice.
pub fn bpf_cargo(workspace: &Workspace, subcommand: &str) -> Result<Command> {
    let mut cargo = workspace.nightly_cargo()?;
    cargo.args([subcommand, "--quiet", "-p", "sensor-ebpf", "--bin", "sensor-ebpf"]);
    cargo.args(["-Z", "build-std=core", "--target", "bpfel-unknown-none"]);
    cargo.arg("--target-dir").arg(workspace.target("bpf-build"));
    // Fentry, LSM and tp_btf programs need BTF, which the linker makes from the debug information.
    let architecture = format!("bpf_target_arch=\"{}\"", env::consts::ARCH);
    let flags = ["-Cdebuginfo=2", "-Clink-arg=--btf", "--cfg", &architecture];
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    Ok(cargo)
}

/// The commit that `root` is at, with `-dirty` behind it if files differ from it; `None` where git cannot tell.
fn revision(root: &Path) -> Option<String> {
    let mut git = Command::new("git");
    git.arg("-C").arg(root).args(["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]);
    // Sources unpacked inside of another repository are not of its commit.
    git.env("GIT_CEILING_DIRECTORIES", root.parent()?);
    let output = git.stderr(Stdio::null()).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Builds packages for the static target.
fn musl(workspace: &Workspace, packages: &[&str], debug: bool) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--quiet", "--target", &musl_target()]).args(packages);
    cargo.arg("--target-dir").arg(workspace.target(""));
    if !debug {
        cargo.arg("--release");
    }
    // The metric `build_info` tells it; whoever builds may say it himself.
    if env::var_os(REVISION).is_none()
        && let Some(revision) = revision(workspace.root())
    {
        cargo.env(REVISION, revision);
    }
    loud(&mut cargo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revision_is_that_of_the_checkout_and_of_nothing_around_it() {
        let outer = env::temp_dir().join(format!("xtask-revision-{}", std::process::id()));
        let inner = outer.join("inner");
        fs::create_dir_all(&inner).expect("folder");
        let git = |args: &[&str]| {
            let who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"];
            let done = Command::new("git").arg("-C").arg(&outer).args(who).args(args).output();
            done.expect("git").status.success()
        };
        assert_eq!(revision(&outer), None, "no repository");
        assert!(git(&["init", "--quiet"]));
        assert_eq!(revision(&outer), None, "no commit");
        fs::write(outer.join("file"), "1").expect("write");
        assert!(git(&["add", "file"]) && git(&["commit", "--quiet", "-m", "one"]));
        let clean = revision(&outer).expect("a commit");
        assert!(clean.len() == 12 && clean.bytes().all(|byte| byte.is_ascii_hexdigit()), "{clean}");
        fs::write(outer.join("file"), "2").expect("write");
        assert_eq!(revision(&outer), Some(format!("{clean}-dirty")));
        assert_eq!(revision(&inner), None, "unpacked inside of another repository");
        fs::remove_dir_all(&outer).expect("removed");
    }
}
