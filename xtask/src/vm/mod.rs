//! `cargo xtask vm KERNEL`: virtual machines with other kernels, under plain emulation, so that they run anywhere.
//!
//! A guest is a Debian kernel ([`kernel`]), a root file system that all guests share ([`rootfs`]) and a payload.
//! [`qemu`] boots it: the payload comes in on one disk, the results leave on another, and the exit code through
//! a debug device.

mod console;
mod debian;
mod kernel;
mod qemu;
mod rootfs;

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

pub use debian::KEYRING as DEBIAN_KEYRING;
pub use kernel::{GUESTS, Guest};
pub use qemu::{Payload, boot};

use crate::build;
use crate::setup::{self, Group};
use crate::workspace::Workspace;

/// Options of `vm`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The guest kernel: 5.10, 6.1, 6.12 or 7.2.
    #[arg(value_parser = parse_guest)]
    kernel: &'static Guest,
    /// Run this with bash in the guest and end with its exit code; without it, get a shell on the console.
    #[arg(long)]
    command: Option<String>,
    /// Copy this folder's content into /payload too; without `--command` its `run.sh`, if any, is run.
    #[arg(long)]
    payload: Option<PathBuf>,
    /// Take the binaries that were built before.
    #[arg(long)]
    no_build: bool,
    /// Seconds after which the guest is ended.
    #[arg(long, default_value_t = qemu::TIMEOUT_SECONDS)]
    timeout: u64,
}

/// Boots one guest.
pub fn task(workspace: &Workspace, options: &Options) -> Result<()> {
    setup::ensure(workspace, Group::Test)?;
    if !options.no_build {
        build::test_binaries(workspace)?;
    }
    prepare(workspace, &[options.kernel])?;
    let mut payload = match &options.command {
        Some(command) => Payload::built(command),
        None => Payload::without_command(),
    };
    payload.extra.clone_from(&options.payload);
    payload.timeout_seconds = options.timeout;
    let has_script = options.payload.as_ref().is_some_and(|folder| folder.join("run.sh").exists());
    if options.command.is_none() && !has_script {
        return qemu::interactive(workspace, options.kernel, &payload);
    }
    let outcome = boot(workspace, options.kernel, &format!("vm-{}", options.kernel.name), &payload, true)?;
    if let Some(reason) = outcome.aborted {
        bail!("{reason}; see {}", outcome.console.display());
    }
    if fs::read_dir(&outcome.results).is_ok_and(|mut files| files.next().is_some()) {
        println!("results: {}", outcome.results.display());
    }
    match outcome.exit_code {
        Some(0) => Ok(()),
        Some(code) => std::process::exit(code),
        None => bail!("the guest went down without a result; see {}", outcome.console.display()),
    }
}

/// Makes what is missing of the images for these guests.
pub fn prepare(workspace: &Workspace, guests: &[&'static Guest]) -> Result<()> {
    // Two runs of xtask may want the same image: the second one waits, then finds it made.
    let folder = workspace.target("vm");
    fs::create_dir_all(&folder)?;
    let lock = fs::File::create(folder.join("lock"))?;
    lock.lock()?;
    rootfs::ensure(workspace)?;
    for guest in guests {
        kernel::ensure(workspace, guest)?;
    }
    Ok(())
}

/// Reads a guest's name on the command line.
pub fn parse_guest(name: &str) -> Result<&'static Guest, String> {
    let known = || GUESTS.iter().map(|guest| guest.name).collect::<Vec<_>>().join(", ");
    GUESTS.iter().find(|guest| guest.name == name).ok_or_else(|| format!("known kernels: {}", known()))
}
