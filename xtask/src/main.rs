//! Everything a developer runs, as `cargo xtask TASK`: set up, build, run, test, virtual machines, benchmarks.
//!
//! One task a file; `vm/` holds what makes and boots the test guests. What is made is kept below `target/`
//! and made again only when its inputs change, so second runs are quick.

mod bench;
mod build;
mod cache;
mod command;
mod coverage;
mod end_to_end;
mod report;
mod run;
mod setup;
mod summary;
mod tables;
mod test;
mod vm;
mod workspace;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::workspace::Workspace;

/// The tasks, in the order a newcomer meets them.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Developer tasks of STRIDE Sensor")]
enum Task {
    /// Find what building and testing need, and install what is missing.
    Setup(setup::Options),
    /// Build the BPF object and the sensor that carries it.
    Build(build::Options),
    /// Set up, build, and watch this node with defaults.
    Run(run::Options),
    /// Format, lints, unit tests, end-to-end tests here and in virtual machines.
    Test(test::Options),
    /// Write the tables of what was caught, in docs and README, from the last whole test run.
    Tables,
    /// Boot one guest kernel with the built binaries.
    Vm(vm::Options),
    /// Measure what the sensor costs.
    Bench(bench::Options),
}

fn main() -> ExitCode {
    match perform(&Task::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do when standard error is closed.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(task: &Task) -> anyhow::Result<()> {
    let workspace = Workspace::locate()?;
    match task {
        Task::Setup(options) => setup::task(&workspace, options),
        Task::Build(options) => build::task(&workspace, options),
        Task::Run(options) => run::task(&workspace, options),
        Task::Test(options) => test::task(&workspace, options),
        Task::Tables => tables::task(&workspace),
        Task::Vm(options) => vm::task(&workspace, options),
        Task::Bench(options) => bench::task(&workspace, options),
    }
}
