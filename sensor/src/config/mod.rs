//! The settings: read from the config file and the flags, merged over the defaults, and checked.

mod file;
mod trusted;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use crate::judge::trust::TrustEntry;
use crate::probe::Ladder;
use crate::sink::stdout::{StdoutFormat, color_wanted};
use crate::sink::{ForensicConfig, QueueConfig, SinkConfig, StdoutConfig};
pub use values::{MetricsAddress, parse_duration, parse_size};

/// Whose events are judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Scope {
    /// Processes born in a container.
    Containers,
    /// Processes of the host itself.
    Host,
    /// Both.
    #[default]
    All,
}

/// What goes to stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// One readable line for each finding.
    #[default]
    Text,
    /// One JSON object on a line for each finding.
    Json,
    /// Nothing.
    None,
}

/// What the event log holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogContent {
    /// Findings only.
    #[default]
    Findings,
    /// Findings and all events.
    Events,
}

/// One layer of settings, as given by a file or by flags; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layer {
    /// Rule files and folders.
    pub rules: Option<Vec<PathBuf>>,
    /// Whether the built-in rules are in force.
    pub builtin_rules: Option<bool>,
    /// Whether a mistake or warning in a rule stops the start.
    pub strict_rules: Option<bool>,
    /// Whose events are judged.
    pub scope: Option<Scope>,
    /// What goes to stdout.
    pub output: Option<OutputFormat>,
    /// Folder of the event log.
    pub log_dir: Option<PathBuf>,
    /// What the event log holds.
    pub log: Option<LogContent>,
    /// Where metrics are served.
    pub metrics: Option<MetricsAddress>,
    /// The way into the kernel.
    pub attach: Option<Ladder>,
    /// How long to run.
    pub duration: Option<Duration>,
    /// This node's name.
    pub node: Option<String>,
    /// `log_rotation.file_bytes`
    pub log_file_bytes: Option<u64>,
    /// `log_rotation.total_bytes`
    pub log_total_bytes: Option<u64>,
    /// `log_rotation.sync_interval`
    pub log_sync_interval: Option<Duration>,
    /// `queues.findings`
    pub queue_findings: Option<usize>,
    /// `queues.telemetry`
    pub queue_telemetry: Option<usize>,
    /// `process_table.entries`
    pub process_entries: Option<usize>,
    /// `process_table.exited_grace`
    pub process_exited_grace: Option<Duration>,
    /// `containers.entries`
    pub container_entries: Option<usize>,
    /// `containers.state_directories`
    pub container_state_directories: Option<Vec<PathBuf>>,
    /// `contract.sweep_interval`
    pub sweep_interval: Option<Duration>,
    /// Where the host's root is mounted.
    pub host_root: Option<PathBuf>,
    /// Further places of container runtimes.
    pub runtime_paths: Option<Vec<PathBuf>>,
    /// What is legitimate by identity.
    pub trusted: Option<Vec<TrustEntry>>,
    /// `folding_window`
    pub folding_window: Option<Duration>,
}

/// The settings in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Rule files and folders, besides the built-in rules.
    pub rules: Vec<PathBuf>,
    /// Whether the built-in rules are in force.
    pub builtin_rules: bool,
    /// Whether a mistake or warning in a rule stops the start.
    pub strict_rules: bool,
    /// Whose events are judged.
    pub scope: Scope,
    /// What goes to stdout.
    pub output: OutputFormat,
    /// Folder of the event log; `None` for no log.
    pub log_dir: Option<PathBuf>,
    /// What the event log holds.
    pub log: LogContent,
    /// Files of the event log.
    pub log_rotation: LogRotation,
    /// Where metrics are served; `None` for nowhere.
    pub metrics: Option<SocketAddr>,
    /// The way into the kernel.
    pub attach: Ladder,
    /// How long to run; `None` until stopped.
    pub duration: Option<Duration>,
    /// This node's name.
    pub node: String,
    /// Bounds of each sink's queues.
    pub queues: QueueConfig,
    /// The table of processes.
    pub process_table: ProcessTable,
    /// The table of containers.
    pub containers: Containers,
    /// How containers are held to their contract.
    pub contract: Contract,
    /// Where the host's root is mounted.
    pub host_root: PathBuf,
    /// Programs and folders of container runtimes, besides those known.
    pub runtime_paths: Vec<PathBuf>,
    /// What is legitimate by identity.
    pub trusted: Vec<TrustEntry>,
    /// Time in which repeats of a finding are told as one; zero for each by itself.
    pub folding_window: Duration,
}

/// Bounds of the event log's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRotation {
    /// A file is closed before it grows beyond this.
    pub file_bytes: u64,
    /// The oldest files are deleted so that all together stay below this.
    pub total_bytes: u64,
    /// Telemetry is forced to disk this often; findings at once.
    pub sync_interval: Duration,
}

/// Bounds of the table of processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessTable {
    /// Processes known at most.
    pub entries: usize,
    /// How long a process is known after its end.
    pub exited_grace: Duration,
}

/// Bounds and sources of the table of containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Containers {
    /// Containers known at most.
    pub entries: usize,
    /// Folders where runtimes keep their state, besides those known.
    pub state_directories: Vec<PathBuf>,
}

/// How containers are held to their contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contract {
    /// Time between the starts of two rounds of the sweep over /proc; zero for no sweep.
    pub sweep_interval: Duration,
}

/// What the process finds around it, for settings that are given nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The variable `NODE_NAME`, set by the downward API.
    pub node_name: Option<String>,
    /// The host name.
    pub hostname: Option<String>,
}

impl Surroundings {
    /// Reads them.
    pub fn read() -> Self {
        let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        Self {
            node_name: std::env::var("NODE_NAME").ok(),
            hostname: hostname.map(|name| name.trim().to_owned()),
        }
    }
}

/// One thing wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `FILE:LINE:COLUMN` where it stands in a file; `None` for what only shows in the merged settings.
    pub position: Option<String>,
    /// The setting, with its section; empty where none can be named.
    pub field: String,
    /// What is wrong, and the way out.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for part in [self.position.as_deref().unwrap_or_default(), &self.field] {
            if !part.is_empty() {
                write!(formatter, "{part}: ")?;
            }
        }
        formatter.write_str(&self.message)
    }
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the config file {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Values that are wrong, all that were found.
    #[error("{}", .0.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<Problem>),
}

impl Layer {
    /// Reads a config file.
    ///
    /// # Errors
    /// If it cannot be read, is no valid YAML, has unknown keys, or values that are wrong (all of them are named).
    pub fn from_file(path: &std::path::Path) -> Result<Self, ConfigError> {
        file::read(path)
    }

    /// This layer, and below it another that counts where this one says nothing.
    fn over(self, below: Self) -> Self {
        Self {
            rules: self.rules.or(below.rules),
            builtin_rules: self.builtin_rules.or(below.builtin_rules),
            strict_rules: self.strict_rules.or(below.strict_rules),
            scope: self.scope.or(below.scope),
            output: self.output.or(below.output),
            log_dir: self.log_dir.or(below.log_dir),
            log: self.log.or(below.log),
            metrics: self.metrics.or(below.metrics),
            attach: self.attach.or(below.attach),
            duration: self.duration.or(below.duration),
            node: self.node.or(below.node),
            log_file_bytes: self.log_file_bytes.or(below.log_file_bytes),
            log_total_bytes: self.log_total_bytes.or(below.log_total_bytes),
            log_sync_interval: self.log_sync_interval.or(below.log_sync_interval),
            queue_findings: self.queue_findings.or(below.queue_findings),
            queue_telemetry: self.queue_telemetry.or(below.queue_telemetry),
            process_entries: self.process_entries.or(below.process_entries),
            process_exited_grace: self.process_exited_grace.or(below.process_exited_grace),
            container_entries: self.container_entries.or(below.container_entries),
            container_state_directories: self
                .container_state_directories
                .or(below.container_state_directories),
            sweep_interval: self.sweep_interval.or(below.sweep_interval),
            host_root: self.host_root.or(below.host_root),
            runtime_paths: self.runtime_paths.or(below.runtime_paths),
            trusted: self.trusted.or(below.trusted),
            folding_window: self.folding_window.or(below.folding_window),
        }
    }
}

impl Config {
    /// Merges flags over file over defaults.
    ///
    /// # Errors
    /// If the merged settings contradict each other, or the node has no usable name.
    pub fn merge(flags: Layer, file: Layer, surroundings: &Surroundings) -> Result<Self, ConfigError> {
        let layer = flags.over(file);
        let defaults = ForensicConfig::new(PathBuf::new());
        let queues = QueueConfig::default();
        let config = Self {
            rules: layer.rules.unwrap_or_default(),
            builtin_rules: layer.builtin_rules.unwrap_or(true),
            strict_rules: layer.strict_rules.unwrap_or(false),
            scope: layer.scope.unwrap_or_default(),
            output: layer.output.unwrap_or_default(),
            log_dir: layer.log_dir,
            log: layer.log.unwrap_or_default(),
            log_rotation: LogRotation {
                file_bytes: layer.log_file_bytes.unwrap_or(defaults.file_bytes),
                total_bytes: layer.log_total_bytes.unwrap_or(defaults.total_bytes),
                sync_interval: layer.log_sync_interval.unwrap_or(defaults.sync_interval),
            },
            metrics: layer.metrics.unwrap_or_default().address(),
            attach: layer.attach.unwrap_or_default(),
            duration: layer.duration,
            node: node(layer.node, surroundings),
            queues: QueueConfig {
                findings: layer.queue_findings.unwrap_or(queues.findings),
                telemetry: layer.queue_telemetry.unwrap_or(queues.telemetry),
            },
            process_table: ProcessTable {
                entries: layer.process_entries.unwrap_or(32_768),
                exited_grace: layer.process_exited_grace.unwrap_or(Duration::from_secs(30)),
            },
            containers: Containers {
                entries: layer.container_entries.unwrap_or(4096),
                state_directories: layer.container_state_directories.unwrap_or_default(),
            },
            contract: Contract { sweep_interval: layer.sweep_interval.unwrap_or(Duration::from_secs(30)) },
            host_root: layer.host_root.unwrap_or_else(|| PathBuf::from("/")),
            runtime_paths: layer.runtime_paths.unwrap_or_default(),
            trusted: layer.trusted.unwrap_or_default(),
            folding_window: layer.folding_window.unwrap_or(Duration::from_secs(60)),
        };
        let problems = config.contradictions();
        if problems.is_empty() { Ok(config) } else { Err(ConfigError::Invalid(problems)) }
    }

    fn contradictions(&self) -> Vec<Problem> {
        let LogRotation { file_bytes, total_bytes, .. } = self.log_rotation;
        let checks = [
            (
                total_bytes < file_bytes,
                "log_rotation.total_bytes",
                format!("{total_bytes} is less than file_bytes, {file_bytes}; allow at least one whole file"),
            ),
            (
                self.log == LogContent::Events && self.log_dir.is_none(),
                "log",
                "`events` needs a folder to log to; give --log-dir or log_dir".to_owned(),
            ),
            (
                !self.builtin_rules && self.rules.is_empty(),
                "rules",
                "without the built-in rules and without others nothing can be found; give --rules or rules"
                    .to_owned(),
            ),
            (
                !values::is_node_name(&self.node),
                "node",
                format!(
                    "`{}` is no node name; give --node or the variable NODE_NAME",
                    self.node.escape_debug()
                ),
            ),
        ];
        let wrong = checks.into_iter().filter(|(wrong, ..)| *wrong);
        wrong
            .map(|(_, field, message)| Problem { position: None, field: field.to_owned(), message })
            .collect()
    }

    /// The settings of the sinks.
    pub fn sinks(&self) -> SinkConfig {
        let stdout = |format| StdoutConfig { format, color: format == StdoutFormat::Text && color_wanted() };
        SinkConfig {
            stdout: match self.output {
                OutputFormat::Text => Some(stdout(StdoutFormat::Text)),
                OutputFormat::Json => Some(stdout(StdoutFormat::Json)),
                OutputFormat::None => None,
            },
            forensic: self.log_dir.clone().map(|directory| ForensicConfig {
                directory,
                telemetry: self.log == LogContent::Events,
                file_bytes: self.log_rotation.file_bytes,
                total_bytes: self.log_rotation.total_bytes,
                sync_interval: self.log_rotation.sync_interval,
            }),
            http: self.metrics,
            queues: self.queues,
        }
    }
}

/// The node's name as given, else the variable's, else the host's.
fn node(given: Option<String>, surroundings: &Surroundings) -> String {
    let candidates = [&given, &surroundings.node_name, &surroundings.hostname];
    candidates.into_iter().flatten().find(|name| !name.is_empty()).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests;
