//! The guests' root file system: Debian packages unpacked without running their scripts, our init as process 1,
//! and an ext4 image of it made without mounting anything.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::debian::{Mirror, RELEASE};
use super::kernel::system_path;
use crate::cache::{self, Key};
use crate::command::{as_root, quiet, step};
use crate::workspace::Workspace;

/// Raised when the recipe below changes in a way that its inputs do not show.
const RECIPE: &str = "root 2";
/// Size of the image; unused parts take no space.
const IMAGE_SIZE: &str = "2G";

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target("vm/root")
}

/// The image; guests write to a copy-on-write layer over it.
pub fn image(workspace: &Workspace) -> PathBuf {
    folder(workspace).join("root.ext4")
}

/// Makes the image unless that was done before from the same files.
pub fn ensure(workspace: &Workspace) -> Result<()> {
    let packages = workspace.path("tests/vm/packages.txt");
    let guest_init = workspace.path("tests/vm/guest-init");
    let qexit = workspace.path("tests/vm/qexit.c");
    let credentials = workspace.path("tests/vm/credentials.c");
    let tree = folder(workspace).join("tree");
    let mut tree_key = Key::new(RECIPE);
    tree_key.add(RELEASE).add_file(&packages)?;
    if !cache::is_fresh(&folder(workspace).join("packages"), &tree_key) {
        step("guest root: packages", || {
            cache::ensure(&folder(workspace).join("packages"), &tree_key, || {
                unpack(&fs::read_to_string(&packages)?, &tree)
            })
        })?;
    }
    let mut key = Key::new(RECIPE);
    key.add(tree_key.stamp()).add_file(&guest_init)?.add_file(&qexit)?.add_file(&credentials)?;
    if cache::is_fresh(&folder(workspace), &key) {
        return Ok(());
    }
    step("guest root: image", || {
        cache::ensure(&folder(workspace), &key, || {
            let additions = folder(workspace).join("additions");
            add(&additions, &tree, &guest_init)?;
            compile(&additions.join("guest"), &qexit, &credentials)?;
            make_image(&additions, &tree, &image(workspace))
        })
    })
}

/// Unpacks the packages of a list and those they need, and drops what no test reads.
fn unpack(list: &str, tree: &Path) -> Result<()> {
    let mirror = Mirror::of_this_machine()?;
    quiet(as_root("rm", false).arg("-rf").arg(tree))?;
    let mut mmdebstrap = as_root("mmdebstrap", false);
    mmdebstrap.args(["--quiet", "--variant=extract", "--architectures=amd64"]);
    // As on every present node: /bin is /usr/bin.
    mmdebstrap.arg("--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr");
    mmdebstrap.arg(format!("--include={}", package_names(list).join(",")));
    mmdebstrap.arg(RELEASE).arg(tree);
    for suite in [RELEASE.to_owned(), format!("{RELEASE}-security")] {
        mmdebstrap.arg(mirror.source_line(&suite));
    }
    quiet(&mut mmdebstrap)?;
    let unread = ["var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"];
    quiet(as_root("rm", false).arg("-rf").args(unread.map(|path| tree.join(path))))?;
    Ok(())
}

/// The names in a list with one package a line and `#` comments.
fn package_names(list: &str) -> Vec<&str> {
    list.lines()
        .filter_map(|line| line.split('#').next())
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect()
}

/// Puts together the files that no package brings.
fn add(additions: &Path, tree: &Path, guest_init: &Path) -> Result<()> {
    let _ = fs::remove_dir_all(additions);
    for directory in [
        "guest",
        "payload",
        "results",
        "work",
        "etc",
        "usr/bin",
        "usr/sbin",
        "usr/lib/modules",
        "usr/local/bin",
    ] {
        fs::create_dir_all(additions.join(directory))?;
    }
    fs::copy(guest_init, additions.join("guest/init"))?;
    quiet(Command::new("chmod").arg("755").arg(additions.join("guest/init")))?;
    // Scripts of packages, which did not run, would have made these.
    fs::copy(tree.join("usr/share/base-passwd/passwd.master"), additions.join("etc/passwd"))?;
    fs::copy(tree.join("usr/share/base-passwd/group.master"), additions.join("etc/group"))?;
    fs::write(additions.join("etc/hostname"), "guest\n")?;
    fs::write(additions.join("etc/hosts"), "127.0.0.1 localhost guest\n")?;
    fs::write(additions.join("etc/machine-id"), "00000000000000000000000000000001\n")?;
    for applet in ["nc", "wget", "vi"] {
        if !tree.join("usr/bin").join(applet).exists() {
            symlink("/bin/busybox", additions.join("usr/local/bin").join(applet))?;
        }
    }
    for (name, program) in [("awk", "mawk"), ("sh", "dash")] {
        if !tree.join("usr/bin").join(name).exists() {
            symlink(program, additions.join("usr/bin").join(name))?;
        }
    }
    for name in ["iptables", "iptables-restore", "iptables-save"] {
        if !tree.join("usr/sbin").join(name).exists() {
            symlink("xtables-nft-multi", additions.join("usr/sbin").join(name))?;
        }
    }
    Ok(())
}

/// Compiles what ends a guest, and the module with which scenarios stand in for a flaw of the kernel.
fn compile(guest: &Path, qexit: &Path, credentials: &Path) -> Result<()> {
    quiet(Command::new("gcc").args(["-O2", "-static", "-o"]).arg(guest.join("qexit")).arg(qexit))?;
    let mut module = Command::new("gcc");
    // As the kernel compiles its own modules, as far as a few lines need it.
    module.args(["-O2", "-c", "-ffreestanding", "-fno-pic", "-mcmodel=kernel", "-mno-red-zone"]);
    module.args(["-mgeneral-regs-only", "-fno-stack-protector", "-fcf-protection=none"]);
    module.args(["-fno-asynchronous-unwind-tables", "-o"]);
    quiet(module.arg(guest.join("credentials.o")).arg(credentials))?;
    Ok(())
}

fn make_image(additions: &Path, tree: &Path, image: &Path) -> Result<()> {
    let _ = fs::remove_file(image);
    let mut copy = as_root("cp", false);
    quiet(copy.args(["-r", "--no-dereference", "--preserve=mode,links"]).arg(additions.join(".")).arg(tree))?;
    let mut mke2fs = as_root("mke2fs", false);
    mke2fs.args(["-q", "-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=1", "-d"]);
    quiet(mke2fs.arg(tree).arg(image).arg(IMAGE_SIZE).env("PATH", system_path()))?;
    quiet(as_root("chmod", false).arg("644").arg(image))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_list_takes_comments() {
        assert_eq!(package_names("# head\nrunc\n\n crun # second runtime\n"), ["runc", "crun"]);
    }
}
