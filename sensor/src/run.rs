//! `stride-sensor run`: settings, rules, kernel side, tables, sinks, spine; then waiting, then a clean end.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sensor_ebpf::abi::RingClass;
use tracing::{error, info, warn};

use crate::attribute::{AttributeOptions, Attributor, host_namespaces, host_root};
use crate::cli::{Exit, RunArguments};
use crate::clock::{Clock, boot_nanoseconds};
use crate::config::{Config, ConfigError, Layer, LogContent, Surroundings};
use crate::coverage::{coverage, hook_states};
use crate::decode::Decoder;
use crate::judge::fold::Folding;
use crate::judge::rules::{Field, Level, RuleError, RuleSet, builtin, describe};
use crate::judge::trust::Trust;
use crate::judge::{HostStanding, Judges};
use crate::pipeline::Spine;
use crate::privileges::{self, MissingPrivileges};
use crate::probe::{Filter, HookReport, LoadError, Probe, ProbeOptions, watch_list};
use crate::self_watch::SelfWatch;
use crate::sink::metrics::KernelAccount;
use crate::sink::record::Origin;
use crate::sink::{BuildInfo, Health, Metrics, SinkError, Sinks};

/// Time for everything to end when stopping: what is left in the ring, then what the sinks hold. Whoever stops the sensor
/// expects it gone within two seconds.
const STOP: Duration = Duration::from_millis(1800);
/// The part of it that the spine may take.
const SPINE_STOP: Duration = Duration::from_millis(1000);

/// Why the sensor does not run, or ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Rules; all messages are in the text.
    #[error("{0}")]
    Rules(String),
    /// What the process may do.
    #[error(transparent)]
    Privileges(#[from] MissingPrivileges),
    /// The kernel side.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The sinks.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The system.
    #[error("cannot {0}: {1}")]
    System(&'static str, std::io::Error),
}

impl RunError {
    /// The exit code that tells this error.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Config(_) => Exit::Usage,
            Self::Rules(_) => Exit::Rules,
            Self::Privileges(_) => Exit::Privileges,
            Self::Load(_) => Exit::Kernel,
            Self::Sink(_) | Self::System(..) => Exit::Runtime,
        }
    }
}

/// Runs until the time is over or the process is told to stop.
///
/// # Errors
/// If the sensor cannot start.
pub fn run(arguments: &RunArguments) -> Result<(), RunError> {
    let started = Instant::now();
    let file = arguments.config.as_deref().map(Layer::from_file).transpose()?.unwrap_or_default();
    let config = Config::merge(arguments.layer(), file, &Surroundings::read())?;
    let (rules, rule_errors) = load_rules(&config)?;
    privileges::check()?;
    let attribute = options(&config, &rules);
    let host = host_namespaces(&attribute);
    let host_root = host_root(&attribute);
    let mut probe = Probe::load(&ProbeOptions { ladder: config.attach, host })?;
    warn_of_hooks(&probe.hooks);

    let metrics = Arc::new(Metrics::new(BuildInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: option_env!("STRIDE_SENSOR_REVISION").unwrap_or("unknown").to_owned(),
        abi: sensor_ebpf::abi::ABI_VERSION,
    }));
    metrics.hooks(&probe.hooks);
    metrics.detections(&coverage(&rules, &hook_states(&probe.hooks)));
    metrics.rules(rules.rules().len(), rule_errors);
    let health = Arc::new(Health::default());
    // Without the life of processes nothing can be attributed; other hooks make detections blind, which is a metric.
    let essential = probe.hooks.iter().filter(|hook| hook.kind.class() == RingClass::Lineage);
    health.set_hooks_attached(essential.into_iter().all(|hook| hook.result.is_ok()));
    health.set_rules_loaded(true);
    let account = probe.counters.take().map(|counters| Arc::new(counters) as Arc<dyn KernelAccount>);
    if let Some(account) = &account {
        metrics.watch_kernel(Arc::clone(account));
    }
    let attached = |name: &str| probe.hooks.iter().any(|hook| hook.name == name && hook.result.is_ok());
    let watched_hooks = (attached("command_change"), attached("file_open"));

    let mut attributor = Attributor::new(attribute);
    attributor.seed();
    feed(&mut probe.filter, &attributor);
    ask_for_files(&mut probe.filter, &rules);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| RunError::System("start the runtime", error))?;
    let (mut sinks, outlet) = Sinks::new(config.sinks(), Arc::clone(&metrics), Arc::clone(&health))?;
    let trust = Trust::new(config.host_root.clone(), &config.trusted);
    let mut spine = Spine {
        decoder: Decoder::default(),
        attributor,
        judges: Judges::new(rules, trust, &config.node, HostStanding { namespaces: host, root: host_root }),
        outlet,
        metrics,
        health,
        scope: config.scope,
        origin: Origin { node: config.node.clone(), boot_id: boot_id(), run_id: run_id() },
        clock: Clock::new(),
        sequence: 0,
        told: Default::default(),
        self_watch: SelfWatch::new(account, watched_hooks, boot_nanoseconds()),
        folding: Folding::new(config.folding_window.as_nanos() as u64),
        folded: 0,
        trusted: Default::default(),
        swept: Default::default(),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let spine_stop = Arc::clone(&stop);
    let wake = probe.wake.clone();
    let processes = spine.attributor.process_count();
    let thread = std::thread::Builder::new()
        .name("spine".to_owned())
        .spawn(move || {
            spine.run(&mut probe.rings, &mut probe.filter, &spine_stop);
            // With the spine goes its end of the queues, which tells the sinks that nothing more comes. The hooks are kept:
            // the kernel takes its time to detach them, and the sinks must not wait for that.
            drop(spine);
            probe
        })
        .map_err(|error| RunError::System("start the spine", error))?;
    info!(
        milliseconds = started.elapsed().as_millis() as u64,
        node = config.node,
        processes,
        metrics = config.metrics.map(|address| address.to_string()).unwrap_or("off".to_owned()),
        log = config.log_dir.as_ref().map(|folder| folder.display().to_string()).unwrap_or("off".to_owned()),
        events = config.log == LogContent::Events,
        "watching"
    );

    runtime.block_on(async {
        sinks.spawn();
        wait_for_end(config.duration).await;
        let stopping = Instant::now();
        stop.store(true, Ordering::Release);
        wake.wake();
        let joined = tokio::task::spawn_blocking(move || thread.join());
        let probe = tokio::time::timeout(SPINE_STOP, joined).await;
        if probe.is_err() {
            warn!("the spine did not stop in time");
        }
        sinks.drain(left_of(STOP, stopping.elapsed())).await;
        // Everything is written: now the hooks may be detached.
        drop(probe);
    });
    runtime.shutdown_background();
    info!("stopped");
    Ok(())
}

/// Built-in rules, then the user's. Rules with a mistake are left out and told, unless the settings are strict.
///
/// # Errors
/// If a file cannot be read, nothing is left to judge by, or the settings are strict and a rule is not as it should be.
pub fn load_rules(config: &Config) -> Result<(RuleSet, usize), RunError> {
    let loaded = Loaded::read(config.builtin_rules, &config.rules)?;
    let problems = loaded.problems(config.strict_rules);
    if !problems.is_empty() && (config.strict_rules || loaded.set.rules().is_empty()) {
        return Err(RunError::Rules(loaded.told(config.strict_rules)));
    }
    for message in &loaded.messages {
        let (place, help) = (&message.place, message.help.as_deref().unwrap_or(""));
        let (file, line, code) = (&place.source.name, place.line, message.code.name());
        match message.level {
            Level::Error => error!(%file, line, code, help, "a rule is left out: {}", message.message),
            Level::Warning => warn!(%file, line, code, help, "{}", message.message),
            Level::Note => info!(%file, line, code, help, "{}", message.message),
        }
    }
    let errors = problems.len();
    Ok((loaded.set, errors))
}

/// Rules with all that is to be said about their files.
#[derive(Debug)]
pub struct Loaded {
    /// Those without a mistake.
    pub set: RuleSet,
    /// Mistakes, warnings and notes.
    pub messages: Vec<RuleError>,
}

impl Loaded {
    /// Built-in rules if asked for, then those of `paths`.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn read(with_builtin: bool, paths: &[std::path::PathBuf]) -> Result<Self, RunError> {
        let mut sources = if with_builtin { builtin::sources() } else { Vec::new() };
        let own = describe::read(paths).map_err(|errors| {
            RunError::Rules(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n"))
        })?;
        sources.extend(own);
        let (set, messages) = RuleSet::load(sources);
        Ok(Self { set, messages })
    }

    /// Mistakes; if `strict`, warnings too.
    pub fn problems(&self, strict: bool) -> Vec<&RuleError> {
        let worst = if strict { Level::Warning } else { Level::Error };
        self.messages.iter().filter(|message| message.level <= worst).collect()
    }

    /// All problems, and how many they are.
    pub fn told(&self, strict: bool) -> String {
        let problems = self.problems(strict);
        let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let count = match problems.len() {
            1 => "1 error".to_owned(),
            count => format!("{count} errors"),
        };
        format!("{}\n\n{count} in rules", text.join("\n\n"))
    }
}

/// What the sinks get of the time to stop.
fn left_of(all: Duration, spent: Duration) -> Duration {
    all.saturating_sub(spent)
}

/// One line for each reason why hooks are not attached: most often it is the same for many.
fn warn_of_hooks(hooks: &[HookReport]) {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for hook in hooks {
        let Err(reason) = &hook.result else { continue };
        match reasons.iter_mut().find(|(known, _)| known == reason) {
            Some((_, names)) => names.push(hook.name),
            None => reasons.push((reason, vec![hook.name])),
        }
    }
    for (reason, names) in reasons {
        warn!(hooks = names.join(" "), reason, "hooks not attached");
    }
}

/// Tells the filters in the kernel what was there before the sensor.
fn feed(filter: &mut Filter, attributor: &Attributor) {
    let contained = attributor.contained().filter(|pid| filter.contain(*pid).is_err()).count();
    let mut watched = 0;
    for (device, inode) in attributor.runtime().iter() {
        watched += usize::from(filter.watch(device, inode).is_err());
    }
    for (address, port) in watch_list::destinations() {
        watched += usize::from(filter.watch_destination(address, port).is_err());
    }
    for (key, mask) in watch_list::names() {
        watched += usize::from(filter.watch_name(key, mask).is_err());
    }
    if contained + watched > 0 {
        warn!(contained, watched, "the kernel's filter maps are full");
    }
}

/// Adds what the rules of the user ask of files to the lists in the kernel.
fn ask_for_files(filter: &mut Filter, rules: &RuleSet) {
    let wants = rules.file_wants();
    let names = wants.names.iter().map(|(name, operations)| (name, *operations));
    let without_room = filter.watch_for_rules(names, wants.all.iter().copied());
    if without_room > 0 {
        warn!(
            without_room,
            "the kernel's list of names is full: every file is told for those that found no room"
        );
    }
    if !wants.greedy.is_empty() {
        let rules = wants.greedy.join(", ");
        warn!(rules, "rules that name no file: the kernel tells of every file for them, which costs");
    }
}

fn options(config: &Config, rules: &RuleSet) -> AttributeOptions {
    AttributeOptions {
        proc: config.host_root.join("proc"),
        host_root: config.host_root.clone(),
        processes: config.process_table.entries,
        exited_grace: config.process_table.exited_grace.as_nanos() as u64,
        containers: config.containers.entries,
        runtime_paths: config.runtime_paths.clone(),
        state_directories: config.containers.state_directories.clone(),
        sweep_interval: config.contract.sweep_interval.as_nanos() as u64,
        places: watch_list::places().collect(),
        accounts: [Field::UserName, Field::UserLoginname, Field::GroupName]
            .iter()
            .any(|field| rules.asks_for(*field)),
    }
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// A random id of this run, from the kernel; the start time if it has none.
fn run_id() -> String {
    let random = fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
    match random.trim() {
        "" => format!("{:032x}", jiff::Timestamp::now().as_nanosecond()),
        id => id.to_owned(),
    }
}

/// Returns at SIGTERM, SIGINT, or when the time is over.
async fn wait_for_end(duration: Option<Duration>) {
    use tokio::signal::unix::{SignalKind, signal};
    let over = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    let told = |kind| async move {
        match signal(kind) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(error) => {
                warn!(%error, "cannot wait for a signal");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = over => {}
        () = told(SignalKind::terminate()) => {}
        () = told(SignalKind::interrupt()) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stopping_takes_less_than_two_seconds_in_all() {
        assert_eq!(left_of(STOP, SPINE_STOP), Duration::from_millis(800));
        assert_eq!(left_of(STOP, Duration::from_secs(9)), Duration::ZERO);
        assert!(STOP < Duration::from_secs(2) && SPINE_STOP < STOP);
    }

    #[test]
    fn every_run_has_its_own_id() {
        assert!(!run_id().is_empty());
        assert_ne!(run_id(), run_id());
    }

    #[test]
    fn one_error_is_one() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("r.yaml");
        fs::write(&file, "- macro: m\n").expect("write");
        let told = Loaded::read(false, &[file]).expect("readable").told(false);
        assert!(told.ends_with("\n\n1 error in rules"), "{told}");
    }
}
