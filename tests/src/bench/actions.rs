//! Storms of work that no detection can match, without and with the sensor in turn: what the hooks on actions cost the
//! node, and whether anything of it left the kernel.

use super::ActionArguments;
use super::table::{Expect, Table};
use crate::checks::EVENTS;
use crate::sensor::{Sensor, Settings};
use anyhow::{Context as _, Result, bail};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A storm: what is done, how often, and whether the process counts as one of a container.
struct Storm {
    name: &'static str,
    kind: &'static str,
    count: u32,
    contained: bool,
}

/// About a third of a second each. A tmpfs that a container mounts would be told, so there are none of those.
const STORMS: [Storm; 7] = [
    Storm { name: "system call, host", kind: "syscall", count: 3_000_000, contained: false },
    Storm { name: "system call, container", kind: "syscall", count: 3_000_000, contained: true },
    Storm { name: "open and close, host", kind: "open", count: 300_000, contained: false },
    Storm { name: "open and close, container", kind: "open", count: 300_000, contained: true },
    Storm { name: "mount and unmount, host", kind: "mount", count: 10_000, contained: false },
    Storm { name: "unix connect, host", kind: "connect", count: 50_000, contained: false },
    Storm { name: "unix connect, container", kind: "connect", count: 50_000, contained: true },
];
/// Kinds of event on the life of processes, of which each storm leads to a few.
const LIFE: [&str; 5] = ["cgroup_create", "cgroup_remove", "exec", "exit", "fork"];
/// Kinds that a contained storm's own beginning leads to: it leaves the host's mount namespace.
const BEGINNING: &str = "namespace_switch";
/// Time for the sensor to end.
const STOP: Duration = Duration::from_secs(20);

/// Measures and fills the table.
pub fn measure(arguments: &ActionArguments, table: &mut Table) -> Result<()> {
    let folder = arguments.common.work.join("storms");
    std::fs::create_dir_all(&folder)?;
    let chosen: Vec<&Storm> = STORMS
        .iter()
        .filter(|storm| arguments.kinds.is_empty() || arguments.kinds.iter().any(|kind| kind == storm.kind))
        .collect();
    let run_all = || chosen.iter().map(|storm| run(arguments, storm, &folder)).collect::<Result<Vec<f64>>>();
    // The first round pays for cold caches and is not counted.
    run_all()?;
    let (mut without, mut with) = (vec![Vec::new(); chosen.len()], vec![Vec::new(); chosen.len()]);
    let (mut left_the_kernel, mut rungs) = (0.0, String::new());
    let add = |into: &mut Vec<Vec<f64>>, figures: Vec<f64>| {
        for (all, figure) in into.iter_mut().zip(figures) {
            all.push(figure);
        }
    };
    for round in 0..arguments.common.rounds {
        // Which of both is first changes, so that a machine that becomes slower or faster favours neither.
        if round % 2 == 0 {
            add(&mut without, run_all()?);
        }
        let mut sensor = start(arguments)?;
        let before = sent(&sensor)?;
        add(&mut with, run_all()?);
        left_the_kernel += sent(&sensor)? - before;
        rungs = rungs_of(&sensor);
        sensor.stop(STOP)?;
        if round % 2 == 1 {
            add(&mut without, run_all()?);
        }
    }
    table.section(&format!(
        "Storms that no detection can match, {} pairs without and with the sensor ({rungs}): medians of one, ratio of the \
         pairs (and their spread)",
        arguments.common.rounds
    ));
    for ((storm, without), with) in chosen.iter().zip(&without).zip(&with) {
        table.pair_in(storm.name, "ns", 0, without, with);
    }
    table.section("The kernel's filters");
    table.figure("events of actions sent", left_the_kernel, 0, "", Expect::AtMost(0.0));
    Ok(())
}

fn start(arguments: &ActionArguments) -> Result<Sensor> {
    Sensor::start(&Settings {
        binary: &arguments.common.sensor,
        work: &arguments.common.work,
        log: "findings",
        output: "none",
        rules: None,
        config: None,
        attach: arguments.attach.as_deref(),
    })
}

/// Events of actions that left the kernel until now.
fn sent(sensor: &Sensor) -> Result<f64> {
    let page = sensor.metrics()?;
    let of_an_action = |kind: &str| !LIFE.contains(&kind) && kind != BEGINNING;
    let samples = page.samples(EVENTS);
    let sent = samples.filter(|one| one.label("stage") == "sent" && of_an_action(one.label("kind")));
    Ok(sent.map(|one| one.value).sum())
}

/// How many hooks each rung holds, such as `fentry 20, tp_btf 5`.
fn rungs_of(sensor: &Sensor) -> String {
    let mut counts = std::collections::BTreeMap::new();
    for rung in sensor.hooks.values() {
        *counts.entry(rung.as_str()).or_insert(0) += 1;
    }
    counts.iter().map(|(rung, count)| format!("{rung} {count}")).collect::<Vec<_>>().join(", ")
}

/// Runs a storm; nanoseconds for one of what it does.
fn run(arguments: &ActionArguments, storm: &Storm, folder: &Path) -> Result<f64> {
    let atk = &arguments.common.atk;
    let count = (storm.count / arguments.divide).max(1).to_string();
    let mut command = Command::new(atk);
    command.args(["storm", storm.kind, &count]).arg(folder);
    if storm.contained {
        command.arg("contained");
    }
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("--atk {}", atk.display()))?;
    if !output.status.success() {
        bail!("the storm `{}` failed: {}", storm.name, crate::host::describe(output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().with_context(|| format!("the storm `{}` wrote {text:?}", storm.name))
}
