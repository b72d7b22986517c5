//! A whole run: which scenarios, how many at once, and what is done with each.

use crate::attempt::{Attempt, Missed, REPEATS};
use crate::execute::{Bench, Execution, Footprint};
use crate::host;
use crate::image::{self, Images};
use crate::queue::Queue;
use crate::report::{Report, Status};
use crate::scenario::{self, Class, Scenario};
use crate::sensor::{Sensor, Settings};
use crate::slice::slice;
use crate::{RunArguments, SetArguments, blinding, checks, hooks, refusals, reload, verdict};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Runs the scenarios under a sensor and checks what it reports.
pub fn with_sensor(arguments: &RunArguments) -> Result<ExitCode> {
    let Prepared { mut set, mut sensor } = Prepared::start(arguments)?;
    if arguments.without_benign {
        set.scenarios.retain(|scenario| scenario.class != Class::Benign);
    }
    if arguments.hooked {
        set.scenarios.retain(|scenario| scenario.class == Class::Benign || !scenario.needs.hooks.is_empty());
    }
    set.each(|scenario| observe(&set.bench, &sensor, scenario));
    if arguments.set.only.is_empty() {
        set.report.check("hooks-tested", hooks::untested(&sensor.hooks, &set.scenarios));
    }
    checks::whole_run(&mut sensor, &set.report)?;
    // The canary's way does not depend on the rung.
    if arguments.set.only.is_empty() && arguments.attach.is_none() {
        let (rules, config) = settings_of(&arguments.set);
        let settings = settings(arguments, &set.work, &rules, &config);
        blinding::check(&settings, &set.report)?;
        // The way of rules does not depend on the kernel, and a start takes its time on an emulated processor.
        if host::patience() == 1 {
            reload::check(&settings, &set.report)?;
        }
    }
    set.finish()
}

/// A set of scenarios, and a sensor that watches.
pub struct Prepared {
    /// The scenarios.
    pub set: Set,
    /// The sensor.
    pub sensor: Sensor,
}

impl Prepared {
    /// Reads the scenarios, checks what the sensor refuses, and starts it.
    pub fn start(arguments: &RunArguments) -> Result<Self> {
        let set = Set::prepare(&arguments.set)?;
        refusals::check_all(&arguments.sensor, &set.work, &set.report)?;
        let sensor = set.watch(arguments)?;
        set.report.set_hooks(&sensor.hooks);
        Ok(Self { set, sensor })
    }
}

/// Rules and settings that lie beside the scenarios.
fn settings_of(arguments: &SetArguments) -> (PathBuf, PathBuf) {
    let beside = arguments.scenarios.join("settings.rules.yaml");
    (arguments.rules.clone().unwrap_or(beside), arguments.scenarios.join("settings.yaml"))
}

fn settings<'a>(
    arguments: &'a RunArguments,
    work: &'a Path,
    rules: &'a Path,
    config: &'a Path,
) -> Settings<'a> {
    Settings {
        binary: &arguments.sensor,
        work,
        log: "events",
        output: "text",
        rules: rules.exists().then_some(rules),
        config: config.exists().then_some(config),
        attach: arguments.attach.as_deref(),
    }
}

/// Carries the scenarios out; expectations are not looked at.
pub fn without_sensor(arguments: &SetArguments) -> Result<ExitCode> {
    let set = Set::prepare(arguments)?;
    set.each(|scenario| {
        Ok(match set.bench.execute(scenario)? {
            Execution::Impossible(reason) => Attempt::skipped(reason),
            Execution::Done(_) => Attempt::skipped("no sensor; the technique works"),
        })
    });
    set.finish()
}

/// One scenario under the sensor.
pub fn observe(bench: &Bench, sensor: &Sensor, scenario: &Scenario) -> Result<Attempt> {
    if let Some(missing) = scenario.needs.hooks.iter().find(|hook| !sensor.hooks.contains_key(*hook)) {
        return Ok(Attempt::skipped(format!("the hook `{missing}` is not attached here")));
    }
    let start = sensor.log.len();
    let before = Missed::of(&sensor.metrics()?);
    let footprint = match bench.execute(scenario) {
        Ok(Execution::Impossible(reason)) => return Ok(Attempt::skipped(reason)),
        Ok(Execution::Done(footprint)) => footprint,
        Err(error) => {
            return Ok(Attempt::failed(
                format!("{error:#}"),
                Some("the technique itself did not work".into()),
            ));
        }
    };
    let skipped = || -> Result<Option<String>> { Ok(Missed::of(&sensor.metrics()?).since(&before)) };
    if let Err(error) = mark_end(sensor, &scenario.id, start) {
        return Ok(Attempt::failed(format!("{error:#}"), skipped()?));
    }
    let records = settled_records(sensor, scenario, &footprint, start);
    let failures = verdict::judge(&scenario.expect, &footprint, &records);
    if failures.is_empty() {
        return Ok(Attempt::passed());
    }
    let file = bench.work.join(&scenario.id).join("records.jsonl");
    let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
    std::fs::write(&file, lines)?;
    Ok(Attempt::failed(format!("{}\nrecords: {}", failures.join("\n"), file.display()), skipped()?))
}

/// Executes a marker and waits until it is in the log: then everything before it is there too, as lineage
/// events keep their order.
fn mark_end(sensor: &Sensor, id: &str, start: usize) -> Result<()> {
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
pub struct Set {
    /// The scenarios.
    pub scenarios: Vec<Scenario>,
    /// Where they are carried out.
    pub bench: Bench,
    /// What came of them.
    pub report: Report,
    work: PathBuf,
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

    /// Starts a sensor and checks how it came up.
    pub fn watch(&self, arguments: &RunArguments) -> Result<Sensor> {
        let (rules, config) = settings_of(&arguments.set);
        let sensor = Sensor::start(&settings(arguments, &self.work, &rules, &config))?;
        match &arguments.attach {
            Some(rung) => self.report.check("hooks-rung", hooks::off_the_rung(&sensor.hooks, rung)),
            None => {
                self.report.check("hooks-best", hooks::not_the_best(&sensor.hooks, &host::kernel_release()))
            }
        }
        self.report.check("hooks-verified", sensor.refused_programs());
        self.report.timed_check("sensor-ready", checks::readiness(&sensor), sensor.ready_after);
        Ok(sensor)
    }

    /// Calls `run` for each scenario, `--jobs` at once. An error is a failure of that scenario. Failures with an excuse are
    /// repeated at the end, alone, if they are few.
    pub fn each(&self, run: impl Fn(&Scenario) -> Result<Attempt> + Sync) {
        let queue = Queue::new(&self.scenarios);
        let excused = Mutex::new(Vec::new());
        let attempt = |scenario: &Scenario| {
            let begin = Instant::now();
            let mut attempt =
                run(scenario).unwrap_or_else(|error| Attempt::failed(format!("{error:#}"), None));
            if attempt.status == Status::Failed {
                attempt.reason = format!("{}\n{}", scenario.title, attempt.reason);
            }
            (attempt, begin.elapsed())
        };
        std::thread::scope(|scope| {
            for _ in 0..self.arguments.jobs {
                scope.spawn(|| {
                    while let Some(scenario) = queue.next() {
                        let (attempt, time) = attempt(scenario);
                        queue.done(scenario);
                        match attempt.excuse {
                            Some(_) => excused
                                .lock()
                                .unwrap_or_else(PoisonError::into_inner)
                                .push((scenario, attempt, time)),
                            None => self.report.add(scenario, attempt, None, time),
                        }
                    }
                });
            }
        });
        let excused = excused.into_inner().unwrap_or_else(PoisonError::into_inner);
        let few = excused.len() <= REPEATS;
        for (scenario, first, time) in excused {
            if few {
                let (again, time) = attempt(scenario);
                self.report.add(scenario, again, Some(first), time);
            } else {
                self.report.add(scenario, first, None, time);
            }
        }
    }

    /// Writes the report.
    pub fn finish(&self) -> Result<ExitCode> {
        let passed = self.report.finish(self.arguments.report.as_deref().map(Path::new))?;
        Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
