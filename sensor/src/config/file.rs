//! Reads the config file. Keys have the names of the flags; every error names file, line, column and key.

use std::fs::File;
use std::io::Read;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_saphyr::{Error, Location, MessageFormatter, Spanned, UserMessageFormatter};

use super::trusted;
use super::values::{parse_duration, parse_name, parse_size, unknown};
use super::{ConfigError, Layer, Problem};
use crate::judge::trust::TrustEntry;

/// A longer file is a mistake or an attack.
const MAX_BYTES: u64 = 1024 * 1024;

/// The file as written: values that have a notation of their own are still text.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    rules: Option<Vec<PathBuf>>,
    builtin_rules: Option<bool>,
    strict_rules: Option<bool>,
    scope: Option<Spanned<String>>,
    output: Option<Spanned<String>>,
    log_dir: Option<PathBuf>,
    log: Option<Spanned<String>>,
    metrics: Option<Spanned<String>>,
    attach: Option<Spanned<String>>,
    duration: Option<Spanned<String>>,
    node: Option<String>,
    log_rotation: LogRotation,
    queues: Queues,
    process_table: ProcessTable,
    containers: Containers,
    contract: Contract,
    host_root: Option<PathBuf>,
    runtime_paths: Option<Vec<PathBuf>>,
    trusted: Option<Vec<Spanned<trusted::Entry>>>,
    folding_window: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LogRotation {
    file_bytes: Option<Spanned<String>>,
    total_bytes: Option<Spanned<String>>,
    sync_interval: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Queues {
    findings: Option<Spanned<usize>>,
    telemetry: Option<Spanned<usize>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ProcessTable {
    entries: Option<Spanned<usize>>,
    exited_grace: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Containers {
    entries: Option<Spanned<usize>>,
    state_directories: Option<Vec<PathBuf>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Contract {
    sweep_interval: Option<Spanned<String>>,
}

/// Reads a config file.
pub(super) fn read(path: &Path) -> Result<Layer, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes)).map_err(failed)?;
    let invalid = |message: &str| ConfigError::Invalid(vec![problem(path, None, "", message.to_owned())]);
    if bytes.len() as u64 > MAX_BYTES {
        return Err(invalid("the file is longer than 1 MiB"));
    }
    let text = str::from_utf8(&bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count() + 1;
        invalid(&format!("line {line} is not valid UTF-8"))
    })?;
    parse(path, text)
}

/// Reads the text of a config file; the path is for messages.
pub(super) fn parse(path: &Path, text: &str) -> Result<Layer, ConfigError> {
    let document = serde_saphyr::from_str::<Option<Document>>(text);
    let document =
        document.map_err(|error| ConfigError::Invalid(vec![syntax(path, text, &error)]))?.unwrap_or_default();
    let mut reader = Reader { path, problems: Vec::new() };
    let layer = reader.layer(document);
    if reader.problems.is_empty() { Ok(layer) } else { Err(ConfigError::Invalid(reader.problems)) }
}

/// What the YAML library says, in our words where a key is not known or has a value of the wrong form.
fn syntax(path: &Path, text: &str, error: &Error) -> Problem {
    let location = error.location();
    if let Error::SerdeUnknownField { field, expected, .. } = error.without_snippet() {
        return problem(path, location, field, unknown("key", field, expected));
    }
    let message = UserMessageFormatter.format_message(error.without_snippet());
    let message = match &*message {
        "expected sequence start" => "must be a list, such as [a, b]".to_owned(),
        "expected mapping start" => "must be keys with values, such as `key: value`".to_owned(),
        "invalid boolean" => "must be true or false".to_owned(),
        "invalid u64" => "must be a whole number, not below zero".to_owned(),
        other => other.chars().flat_map(escape_control).collect(),
    };
    let key = location.map(|at| key_before(text, &at)).unwrap_or_default();
    problem(path, location, key, message)
}

/// The key that stands last before a place, on its line; empty if there is none.
fn key_before<'a>(text: &'a str, at: &Location) -> &'a str {
    let line = usize::try_from(at.line()).ok().and_then(|line| text.lines().nth(line.checked_sub(1)?));
    let line = line.unwrap_or_default();
    let end = line.char_indices().nth(usize::try_from(at.column()).unwrap_or(usize::MAX).saturating_sub(1));
    let before = &line[..end.map_or(line.len(), |(end, _)| end)];
    let Some((before, _)) = before.rsplit_once(':') else { return "" };
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
    before.rsplit(|character| !is_part(character)).next().unwrap_or_default()
}

fn escape_control(character: char) -> Vec<char> {
    if character.is_control() { character.escape_default().collect() } else { vec![character] }
}

fn problem(path: &Path, location: Option<Location>, field: &str, message: String) -> Problem {
    let path = path.display();
    let position = match location {
        Some(at) => format!("{path}:{}:{}", at.line(), at.column()),
        None => path.to_string(),
    };
    Problem { position: Some(position), field: field.escape_debug().to_string(), message }
}

/// Reads values and gathers what is wrong with them.
struct Reader<'a> {
    path: &'a Path,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn layer(&mut self, document: Document) -> Layer {
        let Document { log_rotation, queues, process_table, containers, contract, .. } = document;
        let (sizes, interval) =
            ((64 << 10)..=(1 << 40), Duration::from_millis(10)..=Duration::from_secs(3600));
        Layer {
            rules: document.rules,
            builtin_rules: document.builtin_rules,
            strict_rules: document.strict_rules,
            scope: self.read("scope", document.scope, parse_name),
            output: self.read("output", document.output, parse_name),
            log_dir: document.log_dir,
            log: self.read("log", document.log, parse_name),
            metrics: self.read("metrics", document.metrics, str::parse),
            attach: self.read("attach", document.attach, parse_name),
            duration: self.read("duration", document.duration, parse_duration),
            node: document.node,
            log_file_bytes: self.read("log_rotation.file_bytes", log_rotation.file_bytes, |text| {
                within(parse_size(text)?, &sizes, "from 64KiB to 1TiB")
            }),
            log_total_bytes: self.read("log_rotation.total_bytes", log_rotation.total_bytes, |text| {
                within(parse_size(text)?, &sizes, "from 64KiB to 1TiB")
            }),
            log_sync_interval: self.read("log_rotation.sync_interval", log_rotation.sync_interval, |text| {
                within(parse_duration(text)?, &interval, "from 10ms to 1h")
            }),
            queue_findings: self.count("queues.findings", queues.findings, 16..=1_048_576),
            queue_telemetry: self.count("queues.telemetry", queues.telemetry, 16..=1_048_576),
            process_entries: self.count("process_table.entries", process_table.entries, 1024..=4_194_304),
            process_exited_grace: self.read(
                "process_table.exited_grace",
                process_table.exited_grace,
                |text| within(parse_duration(text)?, &interval, "from 10ms to 1h"),
            ),
            container_entries: self.count("containers.entries", containers.entries, 16..=65_536),
            container_state_directories: containers.state_directories,
            sweep_interval: self.read("contract.sweep_interval", contract.sweep_interval, |text| {
                let bounds = Duration::from_secs(1)..=Duration::from_secs(86_400);
                match text {
                    "off" => Ok(Duration::ZERO),
                    time => within(parse_duration(time)?, &bounds, "off, or from 1s to 24h"),
                }
            }),
            host_root: document.host_root,
            runtime_paths: document.runtime_paths,
            folding_window: self.read("folding_window", document.folding_window, |text| {
                let bounds = Duration::from_secs(1)..=Duration::from_secs(3600);
                match text {
                    "off" => Ok(Duration::ZERO),
                    time => within(parse_duration(time)?, &bounds, "off, or from 1s to 1h"),
                }
            }),
            trusted: document.trusted.map(|entries| self.trusted(entries)),
        }
    }

    fn trusted(&mut self, entries: Vec<Spanned<trusted::Entry>>) -> Vec<TrustEntry> {
        if let Some(first) = entries.get(trusted::ENTRIES_MAX) {
            self.wrong(
                "trusted",
                first.referenced,
                format!("has more than {} entries", trusted::ENTRIES_MAX),
            );
            return Vec::new();
        }
        let read = |entry: Spanned<trusted::Entry>| {
            let location = entry.referenced;
            entry
                .value
                .read()
                .map_err(|(key, message)| self.wrong(&format!("trusted.{key}"), location, message))
                .ok()
        };
        entries.into_iter().filter_map(read).collect()
    }

    fn read<T>(
        &mut self,
        field: &str,
        value: Option<Spanned<String>>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = value?;
        let parsed = parse(&value.value);
        parsed.map_err(|message| self.wrong(field, value.referenced, message)).ok()
    }

    fn count(
        &mut self,
        field: &str,
        value: Option<Spanned<usize>>,
        bounds: RangeInclusive<usize>,
    ) -> Option<usize> {
        let value = value?;
        let names = format!("from {} to {}", bounds.start(), bounds.end());
        let checked = within(value.value, &bounds, &names);
        checked.map_err(|message| self.wrong(field, value.referenced, message)).ok()
    }

    fn wrong(&mut self, field: &str, location: Location, message: String) {
        self.problems.push(problem(self.path, Some(location), field, message));
    }
}

fn within<T: PartialOrd>(value: T, bounds: &RangeInclusive<T>, names: &str) -> Result<T, String> {
    if bounds.contains(&value) { Ok(value) } else { Err(format!("is out of bounds; allowed is {names}")) }
}
