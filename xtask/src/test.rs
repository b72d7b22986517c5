//! `cargo xtask test`: all that must hold before a change lands, stage after stage.
//!
//! A stage that fails does not stop the later ones. Each stage's output is in `target/logs/`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;

use crate::build;
use crate::command::{logged, quiet, tail};
use crate::end_to_end;
use crate::report::{Counts, cargo_test_counts};
use crate::setup::{self, Group};
use crate::summary::{Stage, table};
use crate::tables;
use crate::vm::{self, Guest};
use crate::workspace::{Workspace, nightly};

/// Options of `test`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Leave the virtual machines out.
    #[arg(long)]
    quick: bool,
    /// Only these guest kernels.
    #[arg(long, num_args = 1.., value_name = "VERSION", value_parser = vm::parse_guest)]
    kernel: Vec<&'static Guest>,
    /// Leave the end-to-end tests on this machine's own kernel out.
    #[arg(long)]
    no_native: bool,
}

/// Runs all stages and prints the table.
///
/// # Errors
/// When a stage failed.
pub fn task(workspace: &Workspace, options: &Options) -> Result<()> {
    setup::ensure(workspace, if options.quick { Group::Native } else { Group::Test })?;
    // First, because the unit tests look at the object that the sensor carries; an old one would fail them.
    let mut stages = vec![stage("bpf-object", || build::bpf_object(workspace).map(|()| one_passed()))];
    stages.extend(code_stages(workspace));
    let built = stage("build", || build::test_binaries(workspace).map(|()| one_passed()));
    let usable = built.ok;
    stages.push(built);
    if usable && !options.no_native {
        stages.push(stage("native", || end_to_end::native(workspace)));
    }
    if usable && !options.quick {
        let chosen = match &options.kernel[..] {
            [] => vm::GUESTS.iter().collect(),
            chosen => chosen.to_vec(),
        };
        let runs = end_to_end::Run::all(&chosen);
        stages.extend(end_to_end::guests(workspace, &runs));
        stages.push(stage("tables", || tables::compare(workspace, &runs)));
    }
    print!("\n{}", table(&stages));
    let failed: Vec<&str> = stages.iter().filter(|s| !s.ok).map(|s| s.name.as_str()).collect();
    if !failed.is_empty() {
        // The table's last line must stay the last one.
        std::process::exit(1);
    }
    Ok(())
}

/// Format, lints and unit tests.
fn code_stages(workspace: &Workspace) -> Vec<Stage> {
    let cargo = |words: &[&str]| {
        let mut cargo = workspace.cargo();
        cargo.args(words);
        cargo
    };
    vec![
        stage("format", || check(workspace, "format", &mut cargo(&["fmt", "--all", "--check"]))),
        stage("clippy", || {
            let words = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
            check(workspace, "clippy", &mut cargo(&words))
        }),
        stage("clippy-bpf", || clippy_bpf(workspace)),
        stage("unit", || unit(workspace, &mut cargo(&["test", "--workspace", "--no-fail-fast"]))),
    ]
}

/// Does a stage's work and prints one line about it.
pub fn stage(name: &str, work: impl FnOnce() -> Result<Counts>) -> Stage {
    let start = Instant::now();
    let (ok, counts) = match work() {
        Ok(counts) => (counts.failed == 0, counts),
        Err(error) => {
            let notes = vec![format!("{error:#}")];
            (false, Counts { failed: 1, notes, ..Counts::default() })
        }
    };
    let seconds = start.elapsed().as_secs_f64();
    println!("test: {name:<50} {seconds:>6.1} s{}", if ok { "" } else { "  FAILED" });
    Stage { name: name.to_owned(), ok, seconds, counts }
}

/// The counts of a stage that is one test.
pub fn one_passed() -> Counts {
    Counts { passed: 1, ..Counts::default() }
}

/// The counts of a stage that could not run.
pub fn skipped(reason: &str) -> Counts {
    Counts { skipped: 1, notes: vec![format!("skipped: {reason}")], ..Counts::default() }
}

/// A stage that is one program; shows the end of its output when it fails.
fn check(workspace: &Workspace, name: &str, command: &mut Command) -> Result<Counts> {
    let log = log_path(workspace, name);
    if logged(command, &log)? {
        return Ok(one_passed());
    }
    print!("{}", tail(&fs::read_to_string(&log)?));
    bail!("see {}", log.display());
}

/// Where a stage's output goes.
pub fn log_path(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.target("logs").join(format!("{name}.log"))
}

/// Clippy on the BPF object, when the nightly toolchain has it.
fn clippy_bpf(workspace: &Workspace) -> Result<Counts> {
    let mut probe = Command::new("rustup");
    if quiet(probe.args(["run", &nightly(), "cargo", "clippy", "--version"])).is_err() {
        return Ok(skipped("the nightly toolchain has no clippy"));
    }
    let mut cargo = build::bpf_cargo(workspace, "clippy")?;
    check(workspace, "clippy-bpf", cargo.args(["--release", "--", "-D", "warnings"]))
}

fn unit(workspace: &Workspace, command: &mut Command) -> Result<Counts> {
    let log = log_path(workspace, "unit");
    let ok = logged(command, &log)?;
    let output = fs::read_to_string(&log)?;
    let mut counts = cargo_test_counts(&output);
    if !ok {
        print!("{}", tail(&output));
        if counts.failed == 0 {
            bail!("the tests did not run to their end; see {}", log.display());
        }
        counts.notes.push(format!("see {}", log.display()));
    }
    Ok(counts)
}
