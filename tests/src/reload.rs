//! Rules that change while a sensor runs: new ones come into force without a gap, worse ones do not.

use crate::report::Report;
use crate::sensor::{Sensor, Settings};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A rule on a program and one on a file, by which it is known which file of rules is in force.
fn rules(name: &str) -> String {
    format!(
        "- rule: Program {name}\n  id: reload-program-{name}\n  condition: evt.type = execve and proc.args contains marker-{name}-\n\
         \x20 output: ran\n  priority: WARNING\n\
         - rule: File {name}\n  id: reload-file-{name}\n  condition: evt.type = openat and proc.name = cat and fd.filename = reload-{name}.conf\n\
         \x20 output: opened\n  priority: WARNING\n"
    )
}

/// Starts a sensor of its own, and changes its rules as the kubelet changes a ConfigMap.
pub fn check(settings: &Settings<'_>, report: &Report) -> Result<()> {
    let begin = Instant::now();
    let work = settings.work.join("reload");
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    let mounted = work.join("rules");
    fs::create_dir_all(&mounted)?;
    let publish = |version: &str, text: &str| publish(&work, &mounted, version, text);
    publish("1", &rules("one"))?;
    std::os::unix::fs::symlink("..data/own.yaml", mounted.join("own.yaml"))?;
    let sensor = Sensor::start(&Settings { work: &work, rules: Some(&mounted), config: None, ..*settings })?;
    let mut complaints = told(&sensor, &work, "one", "two")?;
    publish("2", &rules("two"))?;
    complaints.extend(counted(&sensor, "applied", 1.0));
    complaints.extend(told(&sensor, &work, "two", "one")?);
    publish("3", "- rule: Program three\n  condition: proc.nam = a\n  output: o\n  priority: INFO\n")?;
    complaints.extend(counted(&sensor, "refused", 1.0));
    complaints.extend(told(&sensor, &work, "two", "three")?);
    // SAFETY: the call takes no memory; the process is a child of this one that was not waited for yet.
    unsafe { libc::kill(sensor.pid() as libc::pid_t, libc::SIGHUP) };
    complaints.extend(counted(&sensor, "refused", 2.0));
    publish("4", &rules("four"))?;
    complaints.extend(counted(&sensor, "applied", 2.0));
    complaints.extend(told(&sensor, &work, "four", "two")?);
    report.timed_check("rules-reloaded", complaints, begin.elapsed());
    Ok(())
}

/// Makes a folder with the file, and a link to it that takes the place of the one before.
fn publish(work: &Path, mounted: &Path, version: &str, text: &str) -> Result<()> {
    let folder = work.join(format!("..{version}"));
    fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
    fs::write(folder.join("own.yaml"), text)?;
    std::os::unix::fs::symlink(&folder, mounted.join("..new"))?;
    fs::rename(mounted.join("..new"), mounted.join("..data"))?;
    Ok(())
}

/// Waits until so many readings of changed files came out so.
fn counted(sensor: &Sensor, result: &str, wanted: f64) -> Option<String> {
    let end = Instant::now() + Duration::from_secs(10) * crate::host::patience();
    let mut count = 0.0;
    while Instant::now() < end {
        let page = sensor.metrics().ok();
        let sums =
            page.map(|page| page.sum_by("stride_sensor_rule_reloads_total", "result")).unwrap_or_default();
        count = sums.get(result).copied().unwrap_or(0.0);
        if count == wanted {
            // The spine takes new rules with its next look at the clock.
            std::thread::sleep(Duration::from_millis(1500));
            return None;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Some(format!("{count} readings of rules were {result}, expected {wanted}"))
}

/// Does what both rules of `name` and of `other` ask for; only the first may speak.
fn told(sensor: &Sensor, work: &Path, name: &str, other: &str) -> Result<Vec<String>> {
    let start = sensor.log.len();
    for which in [other, name] {
        Command::new("/bin/true").arg(format!("marker-{which}-")).status().context("/bin/true")?;
        let file = work.join(format!("reload-{which}.conf"));
        fs::write(&file, "x")?;
        // A process of its own each time: what one does again is folded.
        Command::new("/bin/cat").arg(&file).stdout(Stdio::null()).status().context("/bin/cat")?;
    }
    let mut complaints = Vec::new();
    for sort in ["program", "file"] {
        let id = format!("reload-{sort}-{name}");
        let limit = Duration::from_secs(5) * crate::host::patience();
        if sensor.log.wait_for(start, limit, |record| record["finding"]["id"] == id).is_err() {
            complaints.push(format!("no finding `{id}`"));
        }
        let wrong = format!("reload-{sort}-{other}");
        if sensor.log.since(start).iter().any(|record| record["finding"]["id"] == wrong) {
            complaints.push(format!("a finding `{wrong}`, whose rule is not in force"));
        }
    }
    Ok(complaints)
}
