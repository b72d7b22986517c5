//! Measures the spine with real input: records copied from the kernel's rings into a file, then sent through the stages
//! from memory, as often as wanted. `cargo xtask bench spine` uses both halves; nothing else does.

mod rules;

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sensor_ebpf::abi::ABI_VERSION;
use serde_json::{Value, json};

use crate::attribute::{AttributeOptions, Attributor, host_namespaces, host_root};
use crate::clock::Clock;
use crate::config::Scope;
use crate::decode::{DecodeError, Decoder, decode};
use crate::event::{Body, EventKind};
use crate::judge::fold::Folding;
use crate::judge::trust::Trust;
use crate::judge::{HostStanding, Judges};
use crate::pipeline::Spine;
use crate::probe::{Probe, ProbeOptions};
use crate::rule_files::Loaded;
use crate::run::RunError;
use crate::self_watch::SelfWatch;
use crate::sink::record::Origin;
use crate::sink::{BuildInfo, Health, Metrics, Outlet};

pub use rules::rules;

/// First bytes of a recording; the version of the ABI follows.
const MAGIC: &[u8; 8] = b"STRIDREC";
/// Nanoseconds of the events' own time between two regular works, as live.
const TICK: u64 = 1_000_000_000;

/// Why nothing was recorded or replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Rules or kernel side.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A file.
    #[error("recording {0}: {1}")]
    File(String, io::Error),
    /// Made by another version, or no recording.
    #[error("{0} is no recording of ABI version {ABI_VERSION}")]
    Foreign(String),
    /// A record that cannot be read.
    #[error("record {0}: {1}")]
    Decode(usize, DecodeError),
}

/// Copies raw records into `file` until standard input ends or `most` bytes are written. Says `recording` on standard
/// output once the hooks are attached.
///
/// # Errors
/// If the kernel side cannot be had or the file not be written.
pub fn record(file: &Path, most: u64) -> Result<(), ReplayError> {
    let failed = |error| ReplayError::File(file.display().to_string(), error);
    let mut probe = Probe::load(&ProbeOptions {
        host: host_namespaces(&AttributeOptions::default()),
        ..ProbeOptions::default()
    })
    .map_err(RunError::from)?;
    let mut writer = BufWriter::with_capacity(1 << 20, File::create(file).map_err(failed)?);
    writer.write_all(MAGIC).and_then(|()| writer.write_all(&ABI_VERSION.to_ne_bytes())).map_err(failed)?;

    let ended = Arc::new(AtomicBool::new(false));
    let (told, wake) = (Arc::clone(&ended), probe.wake.clone());
    std::thread::spawn(move || {
        // Whatever ends standard input ends the recording.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        told.store(true, Ordering::Release);
        wake.wake();
    });
    let _ = writeln!(io::stdout(), "recording");
    let mut left = most;
    let mut result = Ok(());
    loop {
        let last = ended.load(Ordering::Acquire);
        let records = probe.rings.drain(usize::MAX, |record| {
            let size = record.len() as u64 + 4;
            if result.is_ok() && size <= left {
                left -= size;
                result = writer
                    .write_all(&(record.len() as u32).to_ne_bytes())
                    .and_then(|()| writer.write_all(record));
            } else {
                left = 0;
            }
        });
        if result.is_err() || left == 0 || (last && records == 0) {
            break;
        }
        if !last {
            probe.rings.wait(Duration::from_millis(500));
        }
    }
    result.and_then(|()| writer.flush()).map_err(failed)
}

/// Recorded records, in memory.
struct Recording {
    bytes: Vec<u8>,
    /// Where each record begins and ends.
    records: Vec<(usize, usize)>,
}

impl Recording {
    fn read(file: &Path) -> Result<Self, ReplayError> {
        let name = || file.display().to_string();
        let mut bytes = Vec::new();
        File::open(file)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .map_err(|error| ReplayError::File(name(), error))?;
        if !bytes.starts_with(&[MAGIC.as_slice(), &ABI_VERSION.to_ne_bytes()].concat()) {
            return Err(ReplayError::Foreign(name()));
        }
        let mut records = Vec::new();
        let mut at = MAGIC.len() + 4;
        // What was cut off at the end is left out.
        while let Some(length) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
            let begin = at + 4;
            let end = begin + u32::from_ne_bytes(*length) as usize;
            if end > bytes.len() {
                break;
            }
            records.push((begin, end));
            at = end;
        }
        Ok(Self { bytes, records })
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.records.iter().map(|&(begin, end)| &self.bytes[begin..end])
    }
}

/// How far the records go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Bytes to events.
    Decode,
    /// And what is known of their processes.
    Attribute,
    /// And the rules; a finding becomes a record. This is what the spine does with `--log findings`.
    Judge,
    /// And every event becomes a record, as with `--log events`.
    Telemetry,
}

impl Stage {
    const ALL: [Self; 4] = [Self::Decode, Self::Attribute, Self::Judge, Self::Telemetry];

    fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Attribute => "attribute",
            Self::Judge => "judge",
            Self::Telemetry => "telemetry",
        }
    }
}

/// Sends a recording through each stage `rounds` times on this thread, and gives the figures.
///
/// # Errors
/// If the file is no recording, or the rules do not load.
pub fn replay(file: &Path, rounds: usize) -> Result<Value, ReplayError> {
    let recording = Recording::read(file)?;
    let content = content(&recording)?;
    let mut times = [const { Vec::new() }; Stage::ALL.len()];
    for _ in 0..rounds {
        // In turn, so that a slow moment of the machine does not hit one stage alone.
        for (stage, times) in Stage::ALL.into_iter().zip(&mut times) {
            times.push(round(&recording, stage)?.as_nanos() as u64);
        }
    }
    let events = recording.records.len() as f64;
    let stage = |(stage, times): (Stage, &mut Vec<u64>)| {
        times.sort_unstable();
        let nanoseconds = |index: usize| times.get(index).map_or(0.0, |&time| time as f64 / events);
        json!({
            "name": stage.name(),
            "nanoseconds_an_event": {
                "least": nanoseconds(0), "median": nanoseconds(times.len() / 2), "most": nanoseconds(times.len() - 1),
            },
        })
    };
    let stages: Vec<Value> = Stage::ALL.into_iter().zip(&mut times).map(stage).collect();
    Ok(json!({ "rounds": rounds, "recording": content, "stages": stages }))
}

/// One round on new tables; gives the thread's time on the processor.
fn round(recording: &Recording, stage: Stage) -> Result<Duration, ReplayError> {
    let mut spine = spine(stage == Stage::Telemetry)?;
    let mut next_tick = 0;
    let begin = thread_time();
    for bytes in recording.iter() {
        match stage {
            Stage::Decode => {
                if let Ok(event) = spine.decoder.decode(bytes) {
                    spine.decoder.recycle(std::hint::black_box(event));
                }
            }
            Stage::Attribute => {
                if let Ok(event) = spine.decoder.decode(bytes) {
                    std::hint::black_box(spine.attributor.apply(&event).attribution);
                    spine.decoder.recycle(event);
                }
            }
            Stage::Judge | Stage::Telemetry => spine.record(bytes),
        }
        let time = bytes.get(8..16).and_then(|time| time.try_into().ok()).map_or(0, u64::from_ne_bytes);
        if time >= next_tick {
            spine.attributor.tick(time);
            next_tick = time + TICK;
        }
    }
    Ok(thread_time() - begin)
}

/// A spine as `run` makes it, but for sinks: what it sends is thrown away.
fn spine(telemetry: bool) -> Result<Spine, ReplayError> {
    let options = AttributeOptions::default();
    let host = HostStanding { namespaces: host_namespaces(&options), root: host_root(&options) };
    let mut attributor = Attributor::new(options);
    attributor.seed();
    Ok(Spine {
        decoder: Decoder::default(),
        attributor,
        judges: Judges::new(Loaded::read(true, &[])?.set, Trust::new("/".into(), &[]), "bench", host),
        outlet: Outlet::discarding(telemetry),
        metrics: Arc::new(Metrics::new(BuildInfo::default())),
        health: Arc::new(Health::default()),
        scope: Scope::All,
        origin: Origin {
            node: "bench".to_owned(),
            boot_id: "00000000-0000-0000-0000-000000000000".to_owned(),
            run_id: "00000000-0000-0000-0000-000000000000".to_owned(),
        },
        clock: Clock::new(),
        sequence: 0,
        told: Default::default(),
        self_watch: SelfWatch::new(None, (false, false), 0),
        folding: Folding::new(0),
        folded: 0,
        trusted: Default::default(),
        swept: Default::default(),
        new_rules: std::sync::mpsc::channel().1,
        rule_list: Default::default(),
    })
}

/// What a recording holds, so that nobody takes a stream of host exits for a mixed one.
fn content(recording: &Recording) -> Result<Value, ReplayError> {
    let mut spine = spine(false)?;
    let mut kinds = EventKind::ALL.map(|kind| (kind, 0_u64));
    let (mut container_execs, mut pods, mut findings) = (0_u64, 0_u64, 0_u64);
    for (index, bytes) in recording.iter().enumerate() {
        let event = decode(bytes).map_err(|error| ReplayError::Decode(index, error))?;
        if let Some((_, count)) = kinds.iter_mut().find(|(kind, _)| *kind == event.kind()) {
            *count += 1;
        }
        let attributed = spine.attributor.apply(&event);
        if matches!(event.body, Body::Exec(_))
            && let Some(handle) = attributed.container
        {
            container_execs += 1;
            pods += u64::from(handle.container().is_some_and(|container| container.pod.is_some()));
        }
        spine.judges.judge(&attributed, |_| findings += 1);
    }
    let kinds: serde_json::Map<String, Value> =
        kinds.into_iter().map(|(kind, count)| (kind.name().to_owned(), count.into())).collect();
    Ok(json!({
        "records": recording.records.len(), "bytes": recording.bytes.len(), "kinds": kinds,
        "container_execs": container_execs, "container_execs_with_pod": pods, "findings": findings,
        "rules": spine.judges.rules().rules().len(),
    }))
}

/// Time of this thread on a processor: what other programs of a busy machine take does not count.
fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is ours and lives through the call; the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_cut_off_in_a_record_keeps_the_others() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("recording");
        let mut bytes = [MAGIC.as_slice(), &ABI_VERSION.to_ne_bytes()].concat();
        for record in [b"one".as_slice(), b"", b"three"] {
            bytes.extend((record.len() as u32).to_ne_bytes());
            bytes.extend(record);
        }
        std::fs::write(&file, &bytes).expect("write");
        let read = |file: &Path| {
            Recording::read(file).map(|read| read.iter().map(<[u8]>::to_vec).collect::<Vec<_>>())
        };
        assert_eq!(read(&file).expect("whole"), [b"one".to_vec(), vec![], b"three".to_vec()]);
        std::fs::write(&file, &bytes[..bytes.len() - 1]).expect("write");
        assert_eq!(read(&file).expect("cut"), [b"one".to_vec(), vec![]]);
        std::fs::write(&file, b"something else").expect("write");
        assert!(matches!(read(&file), Err(ReplayError::Foreign(_))));
    }
}
