//! What rules cost: how long a set takes to load, and how long one event takes to be judged, by its kind.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};

use super::{Recording, ReplayError, spine};
use crate::event::EventKind;
use crate::judge::rules::RuleSet;
use crate::rule_files::Loaded;

/// How often a set is loaded.
const LOADS: usize = 7;

/// Loads the built-in rules alone and with those of `own`, and judges each recorded event by each set.
///
/// # Errors
/// If a file cannot be read, or the recording is none.
pub fn rules(file: &Path, own: &[PathBuf]) -> Result<Value, ReplayError> {
    let recording = Recording::read(file)?;
    let clock = clock_cost();
    let sets: [(&str, &[PathBuf]); 2] = [("built-in", &[]), ("built-in and own", own)];
    let measured = sets.into_iter().filter(|(name, paths)| *name == "built-in" || !paths.is_empty());
    let figures = measured.map(|(name, paths)| {
        let mut loads = Vec::new();
        for _ in 0..LOADS {
            let begin = Instant::now();
            let loaded = Loaded::read(true, paths)?;
            loads.push(begin.elapsed().as_secs_f64() * 1e3);
            std::hint::black_box(loaded);
        }
        loads.sort_by(f64::total_cmp);
        let set = Loaded::read(true, paths)?.set;
        let count = set.rules().len();
        let kinds = judged(&recording, set, clock)?;
        Ok(json!({
            "name": name, "rules": count, "kinds": kinds,
            "load_milliseconds": {"least": loads[0], "median": loads[LOADS / 2]},
        }))
    });
    Ok(json!({ "clock_nanoseconds": clock, "sets": figures.collect::<Result<Vec<_>, ReplayError>>()? }))
}

/// Nanoseconds of judging an event, by kind. What reading the clock costs is taken off.
fn judged(recording: &Recording, set: RuleSet, clock: u64) -> Result<Vec<Value>, ReplayError> {
    let mut spine = spine(false)?;
    spine.judges.replace_rules(set);
    let mut times = EventKind::ALL.map(|kind| (kind, Vec::new()));
    for bytes in recording.iter() {
        let Ok(event) = spine.decoder.decode(bytes) else { continue };
        let attributed = spine.attributor.apply(&event);
        let begin = Instant::now();
        spine.judges.judge(&attributed, |finding| {
            std::hint::black_box(finding);
        });
        let time = (begin.elapsed().as_nanos() as u64).saturating_sub(clock);
        if let Some((_, times)) = times.iter_mut().find(|(kind, _)| *kind == event.kind()) {
            times.push(time);
        }
        spine.decoder.recycle(event);
    }
    let seen = times.into_iter().filter(|(_, times)| !times.is_empty());
    let figure = seen.map(|(kind, mut times)| {
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        json!({ "kind": kind.name(), "events": times.len(), "p50": at(50), "p99": at(99) })
    });
    Ok(figure.collect())
}

/// Nanoseconds between two readings of the clock, the least of many.
fn clock_cost() -> u64 {
    let readings = (0..10_000).map(|_| {
        let begin = Instant::now();
        begin.elapsed().as_nanos() as u64
    });
    readings.min().unwrap_or(0)
}
