//! A whole run: which scenarios, how many at once, and what is done with each.

use crate::execute::{Bench, Execution, Footprint};
use crate::host;
use crate::image::{self, Images};
use crate::report::{Report, Status};
use crate::scenario::{self, Class, Scenario};
use crate::sensor::{Sensor, Settings};
use crate::slice::slice;
use crate::{RunArguments, SetArguments, checks, hooks, refusals, verdict};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::collections::VecDeque;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Runs the scenarios under a sensor and checks what it reports.
pub fn with_sensor(arguments: &RunArguments) -> Result<ExitCode> {
    let mut set = Set::prepare(&arguments.set)?;
    if arguments.hooked {
        set.scenarios.retain(|scenario| scenario.class == Class::Benign || !scenario.needs.hooks.is_empty());
    }
    refusals::check_all(&arguments.sensor, &set.work, &set.report)?;
    let rules = arguments.set.scenarios.join("settings.rules.yaml");
    let settings = Settings {
        binary: &arguments.sensor,
        work: &set.work,
        log: "events",
        output: "text",
        rules: rules.exists().then_some(&*rules),
        attach: arguments.attach.as_deref(),
    };
    let mut sensor = Sensor::start(&settings)?;
    set.report.set_hooks(&sensor.hooks);
    match &arguments.attach {
        Some(rung) => set.report.check("hooks-rung", hooks::off_the_rung(&sensor.hooks, rung)),
        None => set.report.check("hooks-best", hooks::fell_back(&sensor.hooks)),
    }
    set.report.timed_check("sensor-ready", checks::readiness(&sensor), sensor.ready_after);
    set.each(|scenario| observe(&set.bench, &sensor, scenario));
    if arguments.set.only.is_empty() {
        set.report.check("hooks-tested", hooks::untested(&sensor.hooks, &set.scenarios));
    }
    checks::whole_run(&mut sensor, &set.report)?;
    set.finish()
}

/// Carries the scenarios out; expectations are not looked at.
pub fn without_sensor(arguments: &SetArguments) -> Result<ExitCode> {
    let set = Set::prepare(arguments)?;
    set.each(|scenario| {
        Ok(match set.bench.execute(scenario)? {
            Execution::Impossible(reason) => (Status::Skipped, reason),
            Execution::Done(_) => (Status::Skipped, "no sensor; the technique works".into()),
        })
    });
    set.finish()
}

/// One scenario under the sensor.
fn observe(bench: &Bench, sensor: &Sensor, scenario: &Scenario) -> Result<(Status, String)> {
    if let Some(missing) = scenario.needs.hooks.iter().find(|hook| !sensor.hooks.contains_key(*hook)) {
        return Ok((Status::Skipped, format!("the hook `{missing}` is not attached here")));
    }
    let start = sensor.log.len();
    let footprint = match bench.execute(scenario)? {
        Execution::Impossible(reason) => return Ok((Status::Skipped, reason)),
        Execution::Done(footprint) => footprint,
    };
    mark_end(sensor, &scenario.id, start)?;
    let records = settled_records(sensor, scenario, &footprint, start);
    let failures = verdict::judge(&scenario.expect, &footprint, &records);
    if failures.is_empty() {
        return Ok((Status::Passed, String::new()));
    }
    let file = bench.work.join(&scenario.id).join("records.jsonl");
    let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
    std::fs::write(&file, lines)?;
    Ok((Status::Failed, format!("{}\nrecords: {}", failures.join("\n"), file.display())))
}

/// Executions of a marker. The kernel skips a program that still runs on the same processor, which `events_missed_total`
/// counts; a marker that met this is executed again.
const MARKERS: u32 = 3;

/// Executes a marker and waits until it is in the log: then everything before it is there too, as lineage
/// events keep their order.
fn mark_end(sensor: &Sensor, id: &str, start: usize) -> Result<()> {
    (1..MARKERS).find_map(|_| mark(sensor, id, start).ok()).map_or_else(|| mark(sensor, id, start), Ok)
}

fn mark(sensor: &Sensor, id: &str, start: usize) -> Result<()> {
    let marker = format!("end-of-{id}-{}", host::random_hex(4)?);
    Command::new("/bin/true").arg(&marker).status().context("/bin/true")?;
    let is_marker = |record: &Value| {
        let arguments = record["process"]["args"].as_array();
        record["kind"] == "exec"
            && arguments.is_some_and(|arguments| arguments.iter().any(|argument| argument == &*marker))
    };
    let limit = Duration::from_secs(5) * host::patience();
    sensor.log.wait_for(start, limit, is_marker).context("the exec that marks the scenario's end")
}

/// The scenario's records, when all that is expected is there or after a while of waiting for it.
fn settled_records(
    sensor: &Sensor,
    scenario: &Scenario,
    footprint: &Footprint,
    start: usize,
) -> Vec<Arc<Value>> {
    // Findings pass through a queue of their own and may come a moment after the marker.
    std::thread::sleep(Duration::from_millis(100) * host::patience());
    let end = Instant::now() + Duration::from_secs(2) * host::patience();
    loop {
        let records = slice(&sensor.log.since(start), footprint);
        if verdict::is_complete(&scenario.expect, footprint, &records) || Instant::now() >= end {
            return records;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The chosen scenarios and everything they need.
struct Set {
    scenarios: Vec<Scenario>,
    bench: Bench,
    report: Report,
    work: std::path::PathBuf,
    arguments: SetArguments,
}

impl Set {
    fn prepare(arguments: &SetArguments) -> Result<Self> {
        let mut scenarios = scenario::read_all(&arguments.scenarios)?;
        if !arguments.only.is_empty() {
            let chosen = |wanted: &String, scenario: &Scenario| scenario.id.starts_with(wanted.as_str());
            if let Some(unknown) = arguments
                .only
                .iter()
                .find(|wanted| !scenarios.iter().any(|scenario| chosen(wanted, scenario)))
            {
                bail!("no scenario's id begins with `{unknown}` in {}", arguments.scenarios.display());
            }
            scenarios.retain(|scenario| arguments.only.iter().any(|wanted| chosen(wanted, scenario)));
        }
        std::fs::create_dir_all(&arguments.work)?;
        // Overlay options, bundles and environment variables want absolute paths.
        let work = std::fs::canonicalize(&arguments.work)?;
        let atk = std::fs::canonicalize(&arguments.atk)
            .with_context(|| format!("--atk {}", arguments.atk.display()))?;
        image::check_work_folder(&work)?;
        let bench = Bench {
            throwaway: arguments.throwaway,
            images: Images::new(work.join("images"), atk.clone()),
            work: work.join("scenarios"),
            atk,
        };
        std::fs::create_dir_all(work.join("images"))?;
        let report = Report::new(&arguments.label);
        Ok(Self { scenarios, bench, report, work, arguments: arguments.clone() })
    }

    /// Calls `run` for each scenario, `--jobs` at once. An error is a failure of that scenario.
    fn each(&self, run: impl Fn(&Scenario) -> Result<(Status, String)> + Sync) {
        let queue: Mutex<VecDeque<&Scenario>> = Mutex::new(self.scenarios.iter().collect());
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        std::thread::scope(|scope| {
            for _ in 0..self.arguments.jobs {
                scope.spawn(|| {
                    while let Some(scenario) = next() {
                        let begin = Instant::now();
                        let (status, reason) =
                            run(scenario).unwrap_or_else(|error| (Status::Failed, format!("{error:#}")));
                        let reason = match status {
                            Status::Failed => format!("{}\n{reason}", scenario.title),
                            _ => reason,
                        };
                        self.report.add(scenario, status, reason, begin.elapsed());
                    }
                });
            }
        });
    }

    fn finish(&self) -> Result<ExitCode> {
        let passed = self.report.finish(self.arguments.report.as_deref().map(Path::new))?;
        Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
