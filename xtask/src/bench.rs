//! `cargo xtask bench NAME`: measures what the sensor costs, with released binaries on this machine.

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::build;
use crate::command::as_root;
use crate::setup::{self, Group};
use crate::workspace::Workspace;

/// Options of `bench`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// What to measure.
    #[arg(default_value = "exec")]
    name: Benchmark,
    /// Options for the benchmark itself.
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// The benchmarks, named as the end-to-end runner names them.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Benchmark {
    /// Storms of short processes without and with the sensor, then the spine.
    Exec,
    /// Storms of opens, mounts, connections and system calls that no detection can match.
    Actions,
    /// The same, opens only.
    Open,
    /// The same, mounts only.
    Mount,
    /// The same, connections to unix sockets only.
    Connect,
    /// The same, bare system calls only.
    Syscall,
    /// The way of recorded events through the sensor's stages.
    Spine,
    /// Loading rules, and judging recorded events by them; `-- --rules PATH` adds others to the built-in ones.
    Rules,
}

impl Benchmark {
    /// The runner's subcommand `e2e bench NAME`, and its operands.
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Exec => &["exec"],
            Self::Actions => &["actions"],
            Self::Open => &["actions", "open"],
            Self::Mount => &["actions", "mount"],
            Self::Connect => &["actions", "connect"],
            Self::Syscall => &["actions", "syscall"],
            Self::Spine => &["spine"],
            Self::Rules => &["rules"],
        }
    }
}

/// Builds, then becomes the end-to-end runner's benchmark as root.
pub fn task(workspace: &Workspace, options: &Options) -> Result<()> {
    // Recording needs what the end-to-end tests need: a container runtime and busybox.
    setup::ensure(workspace, Group::Native)?;
    build::test_binaries(workspace)?;
    let runner = workspace.release_binary("e2e");
    let mut command = as_root(&runner, true);
    command.current_dir(workspace.root()).arg("bench").args(options.name.words());
    command.arg("--sensor").arg(workspace.release_binary("stride-sensor"));
    command.arg("--atk").arg(workspace.release_binary("atk"));
    command.arg("--work").arg(workspace.target("bench"));
    command.args(&options.arguments);
    Err(command.exec()).with_context(|| format!("cannot start {}", runner.display()))
}
