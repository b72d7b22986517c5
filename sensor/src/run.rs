//! `stride-sensor run`: settings, rules, kernel side, tables, sinks, spine; then waiting, then a clean end.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use sensor_ebpf::abi::RingClass;
use tracing::{info, warn};

use crate::attribute::{AttributeOptions, Attributor, host_namespaces, host_root};
use crate::cli::{Exit, RunArguments};
use crate::clock::{Clock, boot_nanoseconds};
use crate::config::{Config, ConfigError, Layer, LogContent, Surroundings};
use crate::coverage::{HookState, coverage, hook_states};
use crate::decode::Decoder;
use crate::judge::fold::Folding;
use crate::judge::rules::RuleSet;
use crate::judge::trust::Trust;
use crate::judge::{HostStanding, Judges};
use crate::pipeline::{Spine, ask_for_files};
use crate::privileges::{self, MissingPrivileges};
use crate::probe::{Filter, HookReport, LoadError, Probe, ProbeOptions, preemption, watch_list};
use crate::rule_files::{Watcher, load_rules};
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
    // Before the rules are read, so that a change while they are is one.
    let watcher = Watcher::new(&config);
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
    let hooks = hook_states(&probe.hooks);
    metrics.detections(&coverage(&rules, &hooks));
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
    let rule_list = ask_for_files(&mut probe.filter, &rules);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| RunError::System("start the runtime", error))?;
    let (mut sinks, outlet) = Sinks::new(config.sinks(), Arc::clone(&metrics), Arc::clone(&health))?;
    let told_metrics = Arc::clone(&metrics);
    let trust = Trust::new(config.host_root.clone(), &config.trusted);
    let (sender, new_rules) = std::sync::mpsc::channel();
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
        new_rules,
        rule_list,
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

    let reloads = Reloads { watcher, rules: sender, metrics: told_metrics, hooks };
    runtime.block_on(async {
        sinks.spawn();
        tokio::spawn(reloads.run());
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
        accounts: rules.asks_for_names(),
        exits_are_skipped: preemption::Kernel::running().preempts_tracepoints(),
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

/// What is needed to put changed rules in force.
struct Reloads {
    watcher: Watcher,
    rules: Sender<RuleSet>,
    metrics: Arc<Metrics>,
    hooks: Vec<HookState>,
}

impl Reloads {
    /// Time between two looks at the files.
    const INTERVAL: Duration = Duration::from_secs(1);

    /// Reads rules anew when their files change or SIGHUP comes, for as long as the sensor runs.
    async fn run(mut self) {
        use tokio::signal::unix::{SignalKind, signal};
        let mut told = match signal(SignalKind::hangup()) {
            Ok(told) => told,
            Err(error) => return warn!(%error, "rules are not read again: cannot wait for SIGHUP"),
        };
        loop {
            let is_told = tokio::select! {
                _ = told.recv() => true,
                () = tokio::time::sleep(Self::INTERVAL) => false,
            };
            // Files are read and rules compiled beside the sinks, which go on.
            let looked = tokio::task::spawn_blocking(move || {
                if is_told || self.watcher.has_changed() {
                    self.reload();
                }
                self
            });
            match looked.await {
                Ok(kept) => self = kept,
                Err(error) => return warn!(%error, "rules are not read again"),
            }
        }
    }

    fn reload(&mut self) {
        let rules = self.watcher.read();
        self.metrics.rules_reloaded(rules.is_ok());
        match rules {
            Ok(rules) => {
                self.metrics.rules(rules.rules().len(), 0);
                self.metrics.detections(&coverage(&rules, &self.hooks));
                // The spine is gone only when the sensor stops.
                let _ = self.rules.send(rules);
            }
            Err(mistakes) => self.metrics.rule_errors(mistakes),
        }
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
}
