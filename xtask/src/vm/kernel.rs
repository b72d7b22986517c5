//! Guest kernels: the newest Debian package of each series, with only the modules that tests need.
//!
//! `target/vm/kernels/SERIES/` then holds `vmlinuz`, `release` (what `uname -r` says), `initramfs.gz` (busybox and
//! the modules that reach the root disk) and `modules.ext4` (all needed modules, mounted at /lib/modules).

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use regex::Regex;

use super::debian::PrivateApt;
use crate::cache::{self, Key};
use crate::command::{quiet, step};
use crate::workspace::Workspace;

/// Raised when the recipe below changes in a way that its inputs do not show.
const RECIPE: &str = "kernel 1";

/// A kernel series and where its packages are.
#[derive(Debug, PartialEq, Eq)]
pub struct Guest {
    /// The series, as tasks name it.
    pub name: &'static str,
    suite: &'static str,
    /// Matches package names; the first group is the version.
    image: &'static str,
    /// Where modules come in a package of their own, its name before the version.
    modules: Option<&'static str>,
}

/// The kernels that tests run on. They bracket those of the node images in use, from the oldest supported on.
pub const GUESTS: [Guest; 4] = [
    Guest {
        name: "5.10",
        suite: "bullseye",
        image: r"^linux-image-(5\.10\.[0-9].*-cloud-amd64)$",
        modules: None,
    },
    Guest {
        name: "6.1",
        suite: "bookworm",
        image: r"^linux-image-(6\.1\.[0-9].*-cloud-amd64)$",
        modules: None,
    },
    Guest {
        name: "6.12",
        suite: "bookworm-security",
        image: r"^linux-image-(6\.12\.[0-9].*-cloud-amd64)$",
        modules: None,
    },
    Guest {
        name: "7.2",
        suite: "sid",
        image: r"^linux-binary-(7\.2\.[0-9].*-cloud-amd64)$",
        modules: Some("linux-modules-"),
    },
];

/// Modules for the root disk and what every container runtime needs: loaded before the root is mounted.
const BOOT_MODULES: &[&str] = &["virtio_pci", "virtio_blk", "ext4", "overlay"];

/// Modules that tests may ask for with modprobe.
const MODULES: &[&str] = &[
    "virtio_net",
    "veth",
    "dummy",
    "bridge",
    "tun",
    "loop",
    "fuse",
    "af_packet",
    "nf_tables",
    "nft_compat",
    "nft_chain_nat",
    "ip_tables",
    "iptable_filter",
    "iptable_nat",
    "xt_MASQUERADE",
    "xt_nat",
    "xt_conntrack",
    "xt_comment",
    "xt_addrtype",
    "xt_tcpudp",
    "xt_REDIRECT",
    "nft_redir",
    "nft_nat",
    "nft_masq",
    "nft_counter",
    "nft_ct",
    "nf_conntrack_netlink",
    "ip_vs",
    "ip_vs_rr",
    "algif_hash",
    "algif_skcipher",
    "algif_aead",
    "vsock",
    "binfmt_misc",
    "vsock_loopback",
    "btrfs",
    "xfs",
];

/// Where a guest's files are.
pub fn folder(workspace: &Workspace, guest: &Guest) -> PathBuf {
    workspace.target("vm/kernels").join(guest.name)
}

/// Downloads and prepares a kernel unless that was done before. A newer package is taken when the folder is
/// deleted: a test run must not change its kernel by itself.
pub fn ensure(workspace: &Workspace, guest: &Guest) -> Result<()> {
    let folder = folder(workspace, guest);
    let init = workspace.path("tests/vm/initramfs-init");
    let mut key = Key::new(RECIPE);
    key.add(guest.suite).add(guest.image).add(BOOT_MODULES).add(MODULES).add_file(&init)?;
    if cache::is_fresh(&folder, &key) {
        return Ok(());
    }
    step(&format!("guest kernel {}", guest.name), || {
        cache::ensure(&folder, &key, || make(workspace, guest, &folder, &init))
    })
}

fn make(workspace: &Workspace, guest: &Guest, folder: &Path, init: &Path) -> Result<()> {
    let tree = folder.join("tree");
    let _ = fs::remove_dir_all(&tree);
    fs::create_dir_all(&tree)?;
    let apt = PrivateApt::update(workspace, guest.name, &[guest.suite])?;
    let version = newest(&apt.names(guest.image)?, guest.image)
        .with_context(|| format!("{} has no package {}", guest.suite, guest.image))?;
    let image = guest.image.trim_start_matches('^').split('(').next().unwrap_or_default();
    apt.unpack(&format!("{image}{version}"), &tree)?;
    if let Some(modules) = guest.modules {
        apt.unpack(&format!("{modules}{version}"), &tree)?;
    }
    if !tree.join("lib").exists() {
        // Newer packages have only usr/lib/modules, and depmod looks in lib/modules.
        symlink("usr/lib", tree.join("lib"))?;
    }
    let modules = tree.join("lib/modules").join(&version);
    if !modules.is_dir() {
        bail!("the package of {version} has no modules at {}", modules.display());
    }
    let vmlinuz = [tree.join("boot").join(format!("vmlinuz-{version}")), modules.join("vmlinuz")];
    let vmlinuz = vmlinuz.iter().find(|path| path.is_file()).context("the package has no vmlinuz")?;
    fs::copy(vmlinuz, folder.join("vmlinuz"))?;
    fs::write(folder.join("release"), &version)?;

    let boot = keep_modules(&tree, &version, &folder.join("kept"))?;
    modules_image(folder)?;
    initramfs(folder, &version, init, &boot)?;
    fs::remove_dir_all(&tree)?;
    fs::remove_dir_all(folder.join("kept"))?;
    Ok(())
}

/// The version in the newest of the package names.
fn newest(names: &[String], pattern: &str) -> Option<String> {
    let pattern = Regex::new(pattern).ok()?;
    let versions = names.iter().filter_map(|name| Some(pattern.captures(name)?.get(1)?.as_str().to_owned()));
    // Unsigned and debug packages have other names; release candidates sort before their release.
    versions.max_by_key(|version| version_key(version))
}

/// Orders kernel versions: numbers by value, and `~rc` before the release itself.
fn version_key(version: &str) -> (Vec<u64>, bool) {
    let numbers = version.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok());
    (numbers.collect(), !version.contains("rc"))
}

/// Copies the wanted modules and those they need, unpacked, to `kept/lib/modules/VERSION`; returns the paths of those
/// needed at boot in the order in which they load.
fn keep_modules(tree: &Path, version: &str, kept: &Path) -> Result<Vec<String>> {
    quiet(Command::new("depmod").arg("-b").arg(tree).arg(version).env("PATH", system_path()))?;
    let from = tree.join("lib/modules").join(version);
    let dependencies = Dependencies::parse(&fs::read_to_string(from.join("modules.dep"))?);
    let _ = fs::remove_dir_all(kept);
    let to = kept.join("lib/modules").join(version);
    for path in dependencies.closure(BOOT_MODULES.iter().chain(MODULES)) {
        let target = to.join(unpacked(&path));
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        if unpacked(&path) == path {
            fs::copy(from.join(&path), &target)?;
        } else {
            // busybox and old kmod load only plain files.
            let mut xz = Command::new("xz");
            let output = xz.arg("-dc").arg(from.join(&path)).output()?;
            if !output.status.success() {
                bail!("xz cannot unpack {path}");
            }
            fs::write(&target, output.stdout)?;
        }
    }
    for list in ["modules.order", "modules.builtin", "modules.builtin.modinfo"] {
        if from.join(list).exists() {
            fs::copy(from.join(list), to.join(list))?;
        }
    }
    quiet(Command::new("depmod").arg("-b").arg(kept).arg(version).env("PATH", system_path()))?;
    Ok(dependencies.closure(BOOT_MODULES).iter().map(|path| unpacked(path).to_owned()).collect())
}

/// A module's path without the end of its compression.
fn unpacked(path: &str) -> &str {
    path.strip_suffix(".xz").unwrap_or(path)
}

/// `PATH` with the folders that hold depmod and mke2fs, which ordinary users may lack.
pub fn system_path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

/// The file modules.dep: what each module needs.
#[derive(Debug)]
struct Dependencies(HashMap<String, (String, Vec<String>)>);

impl Dependencies {
    /// Lines are `path: needed-path...`, the last needed loads first (modules.dep(5)).
    fn parse(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        Self(
            lines
                .map(|(path, needs)| {
                    let needs = needs.split_whitespace().map(str::to_owned).collect();
                    (module_name(path), (path.to_owned(), needs))
                })
                .collect(),
        )
    }

    /// The paths of the named modules and all they need, in loading order. Names that the kernel has built in or
    /// lacks are left out.
    fn closure<'a>(&self, names: impl IntoIterator<Item = &'a &'a str>) -> Vec<String> {
        let mut order: Vec<String> = Vec::new();
        for name in names {
            let Some((path, needs)) = self.0.get(*name) else { continue };
            for path in needs.iter().rev().chain([path]) {
                if !order.contains(path) {
                    order.push(path.clone());
                }
            }
        }
        order
    }
}

/// `kernel/fs/overlayfs/overlay.ko.xz` is module `overlay`; dashes in file names are underscores in module names.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

/// All kept modules as a file system of their own, so that guests share one root image.
fn modules_image(folder: &Path) -> Result<()> {
    let image = folder.join("modules.ext4");
    let _ = fs::remove_file(&image);
    quiet(
        Command::new("mke2fs")
            .args(["-q", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0", "-d"])
            .arg(folder.join("kept/lib/modules"))
            .arg(&image)
            .arg("64M")
            .env("PATH", system_path()),
    )?;
    Ok(())
}

/// The first file system: busybox, the modules for the root disk, and the script that mounts it.
fn initramfs(folder: &Path, version: &str, init: &Path, boot: &[String]) -> Result<()> {
    let stage = folder.join("initramfs");
    let _ = fs::remove_dir_all(&stage);
    for directory in ["bin", "proc", "sys", "dev", "root", "modules"] {
        fs::create_dir_all(stage.join(directory))?;
    }
    fs::copy("/bin/busybox", stage.join("bin/busybox")).context("busybox-static is not installed")?;
    symlink("busybox", stage.join("bin/sh"))?;
    fs::copy(init, stage.join("init"))?;
    quiet(Command::new("chmod").arg("755").arg(stage.join("init")))?;
    let modules = folder.join("kept/lib/modules").join(version);
    let mut order = String::new();
    for path in boot {
        let file = path.rsplit('/').next().unwrap_or(path);
        fs::copy(modules.join(path), stage.join("modules").join(file))?;
        order += &format!("{file}\n");
    }
    fs::write(stage.join("modules/order"), order)?;
    let archive = folder.join("initramfs.gz");
    let pack = "find . | cpio --quiet -o -H newc -R 0:0 | gzip -1 > \"$1\"";
    let mut shell = Command::new("sh");
    quiet(shell.args(["-c", pack, "sh"]).arg(&archive).current_dir(&stage))?;
    fs::remove_dir_all(&stage)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn newest_compares_numbers_not_letters() {
        let packages = names(&[
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-38-cloud-amd64",
            "linux-image-6.1.0-40-amd64",
            "linux-image-6.1.0-41-cloud-amd64-dbg",
            "linux-image-6.1.0-41-cloud-amd64-unsigned",
            "linux-image-6.12.1-cloud-amd64",
        ]);
        assert_eq!(newest(&packages, GUESTS[1].image).as_deref(), Some("6.1.0-38-cloud-amd64"));
    }

    #[test]
    fn newest_takes_a_release_over_its_candidates() {
        let packages = names(&[
            "linux-binary-7.2.3+deb14-cloud-amd64",
            "linux-binary-7.2.10+deb14-cloud-amd64",
            "linux-binary-7.2.9+deb14-cloud-amd64",
        ]);
        assert_eq!(newest(&packages, GUESTS[3].image).as_deref(), Some("7.2.10+deb14-cloud-amd64"));
        assert_eq!(newest(&[], GUESTS[3].image), None);
    }

    #[test]
    fn modules_load_after_what_they_need() {
        let text = "kernel/fs/overlayfs/overlay.ko:\n\
            kernel/drivers/block/virtio_blk.ko.xz: kernel/drivers/virtio/virtio.ko.xz kernel/v/virtio_ring.ko.xz\n\
            kernel/drivers/virtio/virtio.ko.xz: kernel/v/virtio_ring.ko.xz\n\
            kernel/v/virtio_ring.ko.xz:\n\
            kernel/net/af-packet.ko:\n";
        let dependencies = Dependencies::parse(text);
        assert_eq!(
            dependencies.closure(&["virtio_blk", "built_in", "overlay", "af_packet"]),
            [
                "kernel/v/virtio_ring.ko.xz",
                "kernel/drivers/virtio/virtio.ko.xz",
                "kernel/drivers/block/virtio_blk.ko.xz",
                "kernel/fs/overlayfs/overlay.ko",
                "kernel/net/af-packet.ko",
            ]
        );
        assert_eq!(unpacked("kernel/v/virtio_ring.ko.xz"), "kernel/v/virtio_ring.ko");
    }
}
