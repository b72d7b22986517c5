//! A sensor that is stopped for a while must say afterwards that it did not see all.

use crate::checks::FINDINGS;
use crate::report::{Report, Subject};
use crate::scenario::Class;
use crate::sensor::{Sensor, Settings};
use anyhow::Result;
use std::time::{Duration, Instant};

/// Longer than two canaries may be missing.
const STOPPED: Duration = Duration::from_secs(16);

/// Starts a sensor of its own, stops it by SIGSTOP and lets it go on.
pub fn check(settings: &Settings<'_>, report: &Report) -> Result<()> {
    let begin = Instant::now();
    let work = settings.work.join("blinding");
    std::fs::create_dir_all(&work)?;
    let sensor = Sensor::start(&Settings { work: &work, ..*settings })?;
    let mut complaints = Vec::new();
    if !sensor.hooks.contains_key("command_change") {
        complaints.push("the hook `command_change`, which sees the canary, is not attached".to_owned());
    }
    signal(&sensor, libc::SIGSTOP);
    std::thread::sleep(STOPPED);
    let start = sensor.log.len();
    signal(&sensor, libc::SIGCONT);
    let told = sensor.log.wait_for(start, Duration::from_secs(10) * crate::host::patience(), |record| {
        record["kind"] == "finding"
            && record["finding"]["id"] == "sensor-blinding"
            && record["event"]["text"] == "canary_missing"
            && record["process"]["pid"] == sensor.pid()
    });
    if let Err(error) = told {
        complaints.push(format!("no finding says that the canary was missing: {error:#}"));
    }
    // The next canary heals it.
    let end = Instant::now() + Duration::from_secs(15) * crate::host::patience();
    while sensor.ready().is_err() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(200));
    }
    if let Err(error) = sensor.ready() {
        complaints.push(format!("not ready again: {error:#}"));
    }
    let page = sensor.metrics()?;
    let problems: f64 = page.samples("stride_sensor_self_problems_total").map(|sample| sample.value).sum();
    let findings = page.sum_by(FINDINGS, "id").get("sensor-blinding").copied().unwrap_or(0.0);
    let canaries: f64 =
        page.samples("stride_sensor_canary_latency_seconds_count").map(|sample| sample.value).sum();
    if problems < 1.0 || findings < 1.0 || canaries < 1.0 {
        complaints
            .push(format!("{problems} problems, {findings} findings and {canaries} canaries on the page"));
    }
    let subject = Subject {
        class: Class::Attack,
        title: "The sensor is stopped for a while".to_owned(),
        detections: vec!["sensor-blinding".to_owned()],
        hooked: false,
    };
    report.subject("rp-06-sensor-stopped", subject, complaints, begin.elapsed());
    Ok(())
}

fn signal(sensor: &Sensor, signal: libc::c_int) {
    // SAFETY: the call takes no memory; the process is a child of this one that was not waited for yet.
    unsafe { libc::kill(sensor.pid() as libc::pid_t, signal) };
}
