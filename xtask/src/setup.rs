//! `cargo xtask setup`: finds what building and testing need and installs what is missing.
//!
//! On Debian and Ubuntu it installs by itself; elsewhere it fails with the commands that do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::command::{as_root, installed, quiet, step};
use crate::workspace::{Workspace, musl_target, nightly};

/// The linker's version; it must have been built for the LLVM of the toolchains, hence the feature below.
const BPF_LINKER_VERSION: &str = "0.13.0";
const BPF_LINKER_FEATURE: &str = "llvm-22";
/// Where Debian's packages put that LLVM.
const LLVM_PREFIX: &str = "/usr/lib/llvm-22";

/// Options of `setup`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Only say what is missing, install nothing.
    #[arg(long)]
    check: bool,
}

/// What a requirement is for. The virtual machines need more than the sensor itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// `build` and `run`.
    Build,
    /// `bench` and `test --quick`: containers on this machine; includes [`Group::Build`].
    Native,
    /// `test` and `vm`; includes [`Group::Native`].
    Test,
}

/// How a requirement is met.
#[derive(Debug)]
enum Source {
    /// Packages of Debian and Ubuntu, and of Azure Linux.
    Packages { apt: &'static [&'static str], tdnf: &'static [&'static str] },
    /// A command that needs no root.
    Command(Vec<String>),
    /// The BPF linker, built by cargo into `target/tools`.
    BpfLinker,
}

/// One thing that must be there.
#[derive(Debug)]
struct Requirement {
    name: &'static str,
    group: Group,
    present: bool,
    source: Source,
}

/// Installs everything, or only says what is missing.
pub fn task(workspace: &Workspace, options: &Options) -> Result<()> {
    if !options.check {
        ensure(workspace, Group::Test)?;
        println!("all there");
        return Ok(());
    }
    let missing = missing(workspace, Group::Test)?;
    if missing.is_empty() {
        println!("all there");
        return Ok(());
    }
    bail!("missing:\n{}", advice(&missing));
}

/// Installs what `group` needs and lacks.
///
/// # Errors
/// When something cannot be installed here: the error names the commands for each missing thing.
pub fn ensure(workspace: &Workspace, group: Group) -> Result<()> {
    let missing = missing(workspace, group)?;
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().flat_map(apt_packages).collect();
    if !packages.is_empty() {
        if !is_debian_like() {
            bail!("missing here, and this is neither Debian nor Ubuntu:\n{}", advice(&missing));
        }
        step(&format!("setup: packages {}", packages.join(" ")), || apt_install(&packages))
            .with_context(|| format!("install by hand what is missing:\n{}", advice(&missing)))?;
    }
    for requirement in &missing {
        let label = format!("setup: {}", requirement.name);
        match &requirement.source {
            Source::Packages { .. } => {}
            Source::Command(words) => step(&label, || quiet(Command::new(&words[0]).args(&words[1..])))
                .map(drop)
                .with_context(|| format!("install by hand what is missing:\n{}", advice(&missing)))?,
            Source::BpfLinker => step(&label, || install_bpf_linker(workspace))?,
        }
    }
    Ok(())
}

/// The requirements of `group` that are not met.
fn missing(workspace: &Workspace, group: Group) -> Result<Vec<Requirement>> {
    let mut all = build_requirements(workspace)?;
    all.extend(test_requirements());
    all.retain(|requirement| requirement.group <= group && !requirement.present);
    Ok(all)
}

fn build_requirements(workspace: &Workspace) -> Result<Vec<Requirement>> {
    let toolchain = nightly();
    let nightly_root = sysroot(Some(&toolchain));
    let stable_root =
        sysroot(None).context("`rustc --print sysroot` does not work: install Rust with rustup")?;
    let musl = musl_target();
    let linker = has_bpf_linker(workspace);
    let words = |words: &[&str]| Source::Command(words.iter().map(|word| (*word).to_owned()).collect());
    Ok(vec![
        Requirement {
            name: "nightly toolchain with the standard library's source",
            group: Group::Build,
            present: nightly_root
                .as_ref()
                .is_some_and(|root| root.join("lib/rustlib/src/rust/library/core").is_dir()),
            source: match nightly_root {
                Some(_) => words(&["rustup", "component", "add", "rust-src", "--toolchain", &toolchain]),
                None => words(&[
                    "rustup",
                    "toolchain",
                    "install",
                    &toolchain,
                    "--profile",
                    "minimal",
                    "--component",
                    "rust-src",
                ]),
            },
        },
        Requirement {
            name: "target for static binaries",
            group: Group::Build,
            present: stable_root.join("lib/rustlib").join(&musl).join("lib").is_dir(),
            source: words(&["rustup", "target", "add", &musl]),
        },
        Requirement {
            name: "LLVM 22 and a compiler to build the BPF linker with",
            group: Group::Build,
            // Once the linker is built and starts, only LLVM's shared library is in use, which it then has.
            present: linker || (Path::new(LLVM_PREFIX).join("bin/llvm-config").exists() && installed("c++")),
            source: Source::Packages {
                apt: &[
                    "llvm-22-dev",
                    "libpolly-22-dev",
                    "zlib1g-dev",
                    "libzstd-dev",
                    "libxml2-dev",
                    "g++",
                    "libc6-dev",
                ],
                tdnf: &["llvm-devel", "zlib-devel", "zstd-devel", "libxml2-devel", "gcc-c++", "glibc-devel"],
            },
        },
        Requirement { name: "BPF linker", group: Group::Build, present: linker, source: Source::BpfLinker },
    ])
}

fn test_requirements() -> Vec<Requirement> {
    let of = |group, name, apt, tdnf| Requirement {
        name,
        group,
        present: installed(name),
        source: Source::Packages { apt, tdnf },
    };
    let program = |name, apt, tdnf| of(Group::Test, name, apt, tdnf);
    let native = |name, apt, tdnf| of(Group::Native, name, apt, tdnf);
    vec![
        program("qemu-system-x86_64", &["qemu-system-x86"], &["qemu-kvm"]),
        program("mmdebstrap", &["mmdebstrap"], &["mmdebstrap"]),
        program("dpkg-deb", &["dpkg"], &["dpkg"]),
        Requirement {
            name: "keys of Debian's archive",
            group: Group::Test,
            present: Path::new(crate::vm::DEBIAN_KEYRING).exists(),
            source: Source::Packages { apt: &["debian-archive-keyring"], tdnf: &["debian-keyring"] },
        },
        program("mke2fs", &["e2fsprogs"], &["e2fsprogs"]),
        program("depmod", &["kmod"], &["kmod"]),
        program("cpio", &["cpio"], &["cpio"]),
        program("xz", &["xz-utils"], &["xz"]),
        native("busybox", &["busybox-static"], &["busybox"]),
        native("runc", &["runc"], &["runc"]),
        native("gcc", &["gcc", "libc6-dev"], &["gcc", "glibc-static"]),
        native("unshare", &["util-linux"], &["util-linux"]),
        native("ip", &["iproute2"], &["iproute"]),
    ]
}

/// A toolchain's folder; `None` when there is no such toolchain.
fn sysroot(toolchain: Option<&str>) -> Option<PathBuf> {
    let mut command = match toolchain {
        Some(name) => {
            let mut command = Command::new("rustup");
            command.args(["run", name, "rustc"]);
            command
        }
        None => Command::new("rustc"),
    };
    let printed = quiet(command.args(["--print", "sysroot"])).ok()?;
    Some(PathBuf::from(printed.trim()))
}

fn has_bpf_linker(workspace: &Workspace) -> bool {
    let printed = quiet(Command::new(workspace.target("tools/bin/bpf-linker")).arg("--version"));
    printed.is_ok_and(|text| text.trim().ends_with(BPF_LINKER_VERSION))
}

fn install_bpf_linker(workspace: &Workspace) -> Result<()> {
    let mut path = vec![Path::new(LLVM_PREFIX).join("bin")];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let mut cargo = workspace.cargo();
    cargo.args(["install", "bpf-linker", "--locked", "--version", BPF_LINKER_VERSION]);
    cargo.args(["--no-default-features", "--features", BPF_LINKER_FEATURE, "--force", "--root"]);
    cargo.arg(workspace.target("tools"));
    cargo.arg("--target-dir").arg(workspace.target("tools/build"));
    cargo.env("PATH", std::env::join_paths(path)?).env_remove("RUSTFLAGS");
    quiet(&mut cargo)?;
    // The linker's build leaves 200 MB that nothing uses again.
    let _ = fs::remove_dir_all(workspace.target("tools/build"));
    Ok(())
}

/// Installs packages; fetches the package lists only when the ones at hand do not do.
fn apt_install(packages: &[&str]) -> Result<()> {
    let install = || {
        let mut command = as_root("env", false);
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q"]);
        quiet(command.arg("--no-install-recommends").args(packages))
    };
    if install().is_ok() {
        return Ok(());
    }
    quiet(as_root("apt-get", false).args(["update", "-q"]))?;
    install().map(drop)
}

fn is_debian_like() -> bool {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    is_debian_release(&release) && installed("apt-get")
}

/// Whether an os-release text (<https://www.freedesktop.org/software/systemd/man/os-release.html>) names Debian
/// or a system made from it.
fn is_debian_release(release: &str) -> bool {
    let values = release.lines().filter_map(|line| line.split_once('='));
    values
        .filter(|(key, _)| matches!(*key, "ID" | "ID_LIKE"))
        .flat_map(|(_, value)| value.trim_matches(['"', '\'']).split_whitespace())
        .any(|name| matches!(name, "debian" | "ubuntu"))
}

fn apt_packages(requirement: &Requirement) -> impl Iterator<Item = &'static str> {
    let packages: &'static [&'static str] = match requirement.source {
        Source::Packages { apt, .. } => apt,
        Source::Command(_) | Source::BpfLinker => &[],
    };
    packages.iter().copied()
}

/// The missing things, each with the commands that install it.
fn advice(missing: &[Requirement]) -> String {
    let mut text = String::new();
    for requirement in missing {
        text += &format!("  {}\n", requirement.name);
        match &requirement.source {
            Source::Packages { apt, tdnf } => {
                text += &format!("    Debian, Ubuntu: sudo apt-get install {}\n", apt.join(" "));
                text += &format!("    Azure Linux:    sudo tdnf install {}\n", tdnf.join(" "));
                if apt.contains(&"llvm-22-dev") {
                    text += "    Where the system has no LLVM 22: the LLVM project's packages, \
                             see https://apt.llvm.org (`llvm.sh 22`)\n";
                }
            }
            Source::Command(words) => text += &format!("    {}\n", words.join(" ")),
            Source::BpfLinker => {
                text += &format!(
                    "    PATH={LLVM_PREFIX}/bin:$PATH cargo install bpf-linker --locked --version \
                     {BPF_LINKER_VERSION} --no-default-features --features {BPF_LINKER_FEATURE} --root target/tools\n"
                );
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_debian_like_systems() {
        assert!(is_debian_release("PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\n"));
        assert!(is_debian_release("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"));
        assert!(!is_debian_release("ID=azurelinux\nVERSION_ID=\"3.0\"\n"));
        assert!(!is_debian_release(""));
    }

    #[test]
    fn advice_names_a_command_for_both_systems() {
        let missing: Vec<Requirement> = test_requirements();
        let text = advice(&missing);
        assert!(text.contains("apt-get install qemu-system-x86\n"), "{text}");
        assert!(text.contains("tdnf install qemu-kvm\n"), "{text}");
    }

    #[test]
    fn build_needs_less_than_test() {
        assert!(Group::Build < Group::Native && Group::Native < Group::Test);
        assert!(test_requirements().iter().all(|requirement| requirement.group > Group::Build));
        let native = |name| test_requirements().iter().any(|it| it.name == name && it.group == Group::Native);
        assert!(native("runc") && native("ip") && !native("qemu-system-x86_64"));
    }
}
