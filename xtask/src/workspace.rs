//! Where things are: the checkout, its target folder, the toolchains and the built binaries.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// The checkout that tasks work on. All that tasks make goes below [`Workspace::target`].
#[derive(Debug, Clone)]
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Finds the checkout: `cargo run` names the folder of this crate, otherwise the nearest `Cargo.lock` upwards.
    ///
    /// # Errors
    /// When started outside a checkout.
    pub fn locate() -> Result<Self> {
        let root = match env::var_os("CARGO_MANIFEST_DIR") {
            Some(manifest) => PathBuf::from(manifest).parent().map(Path::to_owned),
            None => {
                env::current_dir()?.ancestors().find(|d| d.join("Cargo.lock").exists()).map(Path::to_owned)
            }
        };
        Ok(Self { root: root.context("start this in the project's checkout, as `cargo xtask TASK`")? })
    }

    /// The top folder of the checkout.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file or folder of the checkout.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// A file or folder below `target`; tasks always use the checkout's own, whatever `CARGO_TARGET_DIR` says,
    /// because the sensor's build script looks for the BPF object there.
    pub fn target(&self, relative: &str) -> PathBuf {
        self.root.join("target").join(relative)
    }

    /// A binary of the release build for [`musl_target`].
    pub fn release_binary(&self, name: &str) -> PathBuf {
        self.target(&musl_target()).join("release").join(name)
    }

    /// `cargo` of the default toolchain, started at the top of the checkout.
    pub fn cargo(&self) -> Command {
        let mut command = Command::new("cargo");
        command.current_dir(&self.root);
        command
    }

    /// `cargo` of the toolchain that builds the BPF object, without flags meant for the host's code.
    pub fn nightly_cargo(&self) -> Result<Command> {
        let toolchain = nightly();
        let mut command = Command::new("rustup");
        command.args(["run", &toolchain, "cargo"]).current_dir(&self.root);
        command.env_remove("RUSTFLAGS").env_remove("CARGO_TARGET_DIR");
        if !toolchain.starts_with("nightly") {
            // A stable toolchain with rust-src serves too, when it is told to take nightly's options.
            command.env("RUSTC_BOOTSTRAP", "1");
        }
        let mut path = vec![self.target("tools/bin")];
        path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
        command.env("PATH", env::join_paths(path)?);
        Ok(command)
    }
}

/// The toolchain that builds the BPF object; `STRIDE_NIGHTLY` names another one.
pub fn nightly() -> String {
    env::var("STRIDE_NIGHTLY").unwrap_or_else(|_| "nightly".to_owned())
}

/// The target of the released binaries: static, so that one file runs on every node.
pub fn musl_target() -> String {
    format!("{}-unknown-linux-musl", env::consts::ARCH)
}
