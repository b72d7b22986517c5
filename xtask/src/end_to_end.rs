//! The end-to-end runs: which kernels, by which rungs of the attach ladder, and how each is carried out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::thread;

use anyhow::{Context, Result, bail};

use crate::command::{as_root, is_root, logged, tail};
use crate::report::{Counts, Report};
use crate::summary::Stage;
use crate::test::{log_path, one_passed, skipped, stage};
use crate::vm::{self, Guest};
use crate::workspace::Workspace;

/// Guests that run at the same time.
const GUESTS_AT_ONCE: usize = 2;

/// Rungs that are forced in a guest, besides the run with the best ways that its kernel offers: trampolines, and kprobes on
/// 7.2. Every rung is taken once; the one that depends most on the kernel is taken on the newest too.
const FORCED: [(&str, &str); 3] = [("6.1", "lsm"), ("6.1", "tracepoint"), ("7.2", "tracepoint")];

/// Kernels on which benign workloads run.
const WITH_BENIGN: [&str; 2] = ["6.1", "7.2"];

/// What a guest's kernel says when emulated processors run into code that the kernel is patching (a static branch that
/// perf_event_open switches, for example) and miss that it is done. Real processors do not; such a run is begun again, once.
const EMULATOR_FAULT: &str = "Oops: int3";

/// One run of the scenarios in a guest.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// The kernel.
    pub guest: &'static Guest,
    /// The rung that is forced; without one the sensor takes the best ways and all scenarios are run.
    pub rung: Option<&'static str>,
}

impl Run {
    /// All runs on these kernels, those without a forced rung first.
    pub fn all(guests: &[&'static Guest]) -> Vec<Self> {
        let free = guests.iter().map(|&guest| Self { guest, rung: None });
        let forced = FORCED.iter().filter_map(|(name, rung)| {
            let guest = guests.iter().find(|guest| guest.name == *name)?;
            Some(Self { guest, rung: Some(rung) })
        });
        free.chain(forced).collect()
    }

    /// Its name in stages, logs and results.
    pub fn label(&self) -> String {
        match self.rung {
            None => format!("vm-{}", self.guest.name),
            Some(rung) => format!("vm-{}-{rung}", self.guest.name),
        }
    }

    /// What the guest executes.
    fn command(&self) -> String {
        let mut forced = self.rung.map(|rung| format!(" --attach {rung} --hooked")).unwrap_or_default();
        // Each way into the kernel has its run: trampolines on 6.1, kprobes on 7.2, system calls natively where nothing else
        // is allowed. LSM hooks enter the bodies that trampolines enter. They take a third of a guest's time.
        if self.rung.is_some() || !WITH_BENIGN.contains(&self.guest.name) {
            forced.push_str(" --without-benign");
        }
        format!(
            "exec e2e run --sensor /payload/bin/stride-sensor --atk /payload/bin/atk --scenarios /payload/scenarios \
             --work /work --throwaway --report /results/report.json --label {}{forced}",
            self.label()
        )
    }
}

/// Where the report of a run is kept.
pub fn report_path(workspace: &Workspace, label: &str) -> PathBuf {
    workspace.target("results").join(format!("{label}.json"))
}

/// The end-to-end runner on this machine's kernel, in mount, PID-less namespaces of its own making.
pub fn native(workspace: &Workspace) -> Result<Counts> {
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

/// The runs in guests, some at a time; stages come back in the order of the runs.
pub fn guests(workspace: &Workspace, runs: &[Run]) -> Vec<Stage> {
    let mut guests: Vec<&'static Guest> = Vec::new();
    for run in runs {
        if guests.iter().all(|guest| guest.name != run.guest.name) {
            guests.push(run.guest);
        }
    }
    // All guests share one image: make it once, before they start.
    let prepared = stage("guest images", || vm::prepare(workspace, &guests).map(|()| one_passed()));
    if !prepared.ok {
        return vec![prepared];
    }
    let queue = Mutex::new(runs.iter().enumerate());
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..GUESTS_AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().ok().and_then(|mut queue| queue.next());
                    let Some((index, run)) = next else { break };
                    let stage = stage(&run.label(), || in_guest(workspace, run));
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

fn in_guest(workspace: &Workspace, run: &Run) -> Result<Counts> {
    let kept = report_path(workspace, &run.label());
    let _ = fs::remove_file(&kept);
    let boot = || vm::boot(workspace, run.guest, &run.label(), &vm::Payload::built(&run.command()), false);
    let mut outcome = boot()?;
    if let Some(reason) = outcome.aborted.as_deref().filter(|reason| reason.contains(EMULATOR_FAULT)) {
        println!("{}: {reason}: a fault of the emulator, run once more", run.label());
        outcome = boot()?;
    }
    if let Some(reason) = &outcome.aborted {
        print!("{}", tail(&String::from_utf8_lossy(&fs::read(&outcome.console)?)));
        bail!("{reason}; see {}", outcome.console.display());
    }
    let report = outcome.results.join("report.json");
    if report.exists() {
        fs::create_dir_all(workspace.target("results"))?;
        fs::copy(&report, &kept).with_context(|| kept.display().to_string())?;
    }
    judge(outcome.exit_code == Some(0), &report, &outcome.console)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guest_is_run_freely_and_then_by_forced_rungs() {
        let guests: Vec<&Guest> = vm::GUESTS.iter().collect();
        let labels: Vec<String> = Run::all(&guests).iter().map(Run::label).collect();
        assert_eq!(labels[..5], ["vm-5.10", "vm-6.1", "vm-6.12", "vm-7.2", "vm-6.1-lsm"]);
        assert_eq!(
            labels.len(),
            vm::GUESTS.len() + FORCED.len(),
            "a forced rung names a guest that is not there"
        );
        let chosen: Vec<String> = Run::all(&guests[2..3]).iter().map(Run::label).collect();
        assert_eq!(chosen, ["vm-6.12"]);
    }

    #[test]
    fn a_forced_rung_is_passed_on() {
        let run = Run { guest: &vm::GUESTS[1], rung: Some("lsm") };
        assert!(run.command().ends_with("--label vm-6.1-lsm --attach lsm --hooked --without-benign"));
        assert!(Run { rung: None, ..run }.command().ends_with("--label vm-6.1"));
        let oldest = Run { guest: &vm::GUESTS[0], rung: None };
        assert!(oldest.command().ends_with("--label vm-5.10 --without-benign"));
    }
}
