//! `cargo xtask test`: all that must hold before a change lands, stage after stage.
//!
//! A stage that fails does not stop the later ones. Each stage's output is in `target/logs/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;

use crate::build;
use crate::command::{as_root, is_root, logged, quiet, tail};
use crate::report::{Counts, Report, cargo_test_counts};
use crate::setup::{self, Group};
use crate::summary::{Stage, table};
use crate::vm::{self, Guest};
use crate::workspace::{Workspace, nightly};

/// Guests that run at the same time.
const GUESTS_AT_ONCE: usize = 2;

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
        stages.push(stage("native", || native(workspace)));
    }
    if usable && !options.quick {
        stages.extend(guests(workspace, &options.kernel));
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
fn stage(name: &str, work: impl FnOnce() -> Result<Counts>) -> Stage {
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

fn one_passed() -> Counts {
    Counts { passed: 1, ..Counts::default() }
}

fn skipped(reason: &str) -> Counts {
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

fn log_path(workspace: &Workspace, name: &str) -> PathBuf {
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

/// The end-to-end runner on this machine's kernel, in mount, PID-less namespaces of its own making.
fn native(workspace: &Workspace) -> Result<Counts> {
    if !is_root() && !can_become_root() {
        return Ok(skipped("needs root, or sudo that does not ask"));
    }
    let folder = workspace.target("native");
    fs::create_dir_all(&folder)?;
    let report = folder.join("report.json");
    let _ = fs::remove_file(&report);
    let mut runner = as_root(workspace.release_binary("e2e"), false);
    runner.current_dir(workspace.root()).arg("run");
    runner.arg("--sensor").arg(workspace.release_binary("stride-sensor"));
    runner.arg("--atk").arg(workspace.release_binary("atk"));
    runner.arg("--scenarios").arg(workspace.path("tests/scenarios"));
    runner.arg("--work").arg(folder.join("work")).arg("--report").arg(&report).args(["--label", "native"]);
    let log = log_path(workspace, "native");
    let ok = logged(&mut runner, &log)?;
    judge(ok, &report, &log)
}

fn can_become_root() -> bool {
    let status = as_root("true", false).stdin(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Counts an end-to-end run: its report must be there and agree with how the runner ended.
fn judge(ok: bool, report: &Path, log: &Path) -> Result<Counts> {
    let report = match Report::read(report) {
        Ok(report) => report,
        Err(error) => {
            print!("{}", tail(&String::from_utf8_lossy(&fs::read(log)?)));
            return Err(error.context(format!("the end-to-end runner left no result; see {}", log.display())));
        }
    };
    let mut counts = report.counts();
    if report.results.is_empty() {
        bail!("the end-to-end runner ran nothing on {}", report.kernel);
    }
    if !ok && counts.failed == 0 {
        counts.failed = 1;
        counts.notes.push(format!("the end-to-end runner failed; see {}", log.display()));
    } else if counts.failed > 0 {
        counts.notes.push(format!("see {}", log.display()));
    }
    Ok(counts)
}

/// The end-to-end runner on each guest kernel, some guests at a time; stages come back in the order of the kernels.
fn guests(workspace: &Workspace, chosen: &[&'static Guest]) -> Vec<Stage> {
    let guests: Vec<&'static Guest> =
        if chosen.is_empty() { vm::GUESTS.iter().collect() } else { chosen.to_vec() };
    // All guests share one image: make it once, before they start.
    let prepared = stage("guest images", || vm::prepare(workspace, &guests).map(|()| one_passed()));
    if !prepared.ok {
        return vec![prepared];
    }
    let queue = Mutex::new(guests.iter().enumerate());
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..GUESTS_AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().ok().and_then(|mut queue| queue.next());
                    let Some((index, guest)) = next else { break };
                    let stage = stage(&format!("vm-{}", guest.name), || in_guest(workspace, guest));
                    if let Ok(mut done) = done.lock() {
                        done.push((index, stage));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(index, _)| *index);
    std::iter::once(prepared).chain(done.into_iter().map(|(_, stage)| stage)).collect()
}

fn in_guest(workspace: &Workspace, guest: &'static Guest) -> Result<Counts> {
    let run = format!(
        "exec e2e run --sensor /payload/bin/stride-sensor --atk /payload/bin/atk --scenarios /payload/scenarios \
         --work /work --report /results/report.json --label vm-{}",
        guest.name
    );
    let outcome = vm::boot(workspace, guest, &vm::Payload::built(&run), false)?;
    if let Some(reason) = &outcome.aborted {
        print!("{}", tail(&String::from_utf8_lossy(&fs::read(&outcome.console)?)));
        bail!("{reason}; see {}", outcome.console.display());
    }
    judge(outcome.exit_code == Some(0), &outcome.results.join("report.json"), &outcome.console)
}
