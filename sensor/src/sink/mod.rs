//! Where findings and events leave the sensor: terminal, forensic event log, metrics page.
//!
//! The spine makes each line once and hands it to the [`Outlet`]; every sink has its own bounded queues and its own
//! task, so that a slow or broken sink costs its own lines, counted, and nothing else.

mod action_record;
pub mod forensic;
pub mod health;
pub mod http;
mod json;
pub mod metrics;
mod queue;
pub mod record;
pub mod stdout;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

pub use forensic::ForensicConfig;
pub use health::Health;
pub use metrics::{BuildInfo, Metrics};
pub use queue::{Outlet, QueueConfig};
pub use stdout::StdoutConfig;

use forensic::Segments;
use queue::Inlet;

/// One line for the sinks, made by the spine: serialised once, shared by all.
#[derive(Clone, Debug)]
pub struct Output {
    /// One JSON object, without a newline anywhere.
    pub json: Bytes,
    /// What a finding says in short; `None` for telemetry.
    pub finding: Option<Arc<FindingSummary>>,
}

/// What people and metrics need of a finding.
#[derive(Clone, Debug)]
pub struct FindingSummary {
    /// When it happened, RFC 3339.
    pub time: String,
    /// Id of the rule or check.
    pub id: String,
    /// Its title.
    pub title: String,
    /// `critical`, `high`, `medium`, `low` or `info`.
    pub severity: &'static str,
    /// STRIDE categories, the primary one first.
    pub stride: Vec<&'static str>,
    /// What happened, rendered and escaped.
    pub message: String,
    /// Process id on the host.
    pub pid: u32,
    /// Path of the program, escaped.
    pub exe: String,
    /// Name or short id of the container; `None` on the host.
    pub container: Option<String>,
    /// Namespace and name of the pod.
    pub pod: Option<(String, String)>,
    /// How sure the container is: `exact`, `inferred`, `pending` or `unknown`.
    pub attribution: &'static str,
}

/// Which sinks there are, and how they are set.
#[derive(Clone, Debug, Default)]
pub struct SinkConfig {
    /// Findings on stdout; `None` for none.
    pub stdout: Option<StdoutConfig>,
    /// The event log; `None` for none.
    pub forensic: Option<ForensicConfig>,
    /// Where `/metrics`, `/healthz` and `/readyz` are served; `None` for nowhere.
    pub http: Option<SocketAddr>,
    /// Bounds of every sink's queues.
    pub queues: QueueConfig,
}

/// Why the sinks cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The address cannot be served.
    #[error("cannot serve metrics on {address}: {source}; choose another address with --metrics, or `off`")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The sinks, first built, then spawned, at the end drained.
pub struct Sinks {
    stdout: Option<(Inlet, StdoutConfig)>,
    forensic: Option<(Inlet, Segments)>,
    http: Option<TcpListener>,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    stop: watch::Sender<bool>,
    draining: Vec<(&'static str, JoinHandle<()>)>,
    serving: Option<JoinHandle<()>>,
}

impl Sinks {
    /// Opens what the configuration asks for and gives the end that the spine sends into.
    ///
    /// An event log that cannot be opened is not an error here: it is counted, shows in [`Health`], and is tried
    /// again, because a sensor that still warns is better than none.
    ///
    /// # Errors
    /// If the address for metrics cannot be bound.
    pub fn new(
        config: SinkConfig,
        metrics: Arc<Metrics>,
        health: Arc<Health>,
    ) -> Result<(Self, Outlet), SinkError> {
        let http = config.http.map(listen).transpose()?;
        let mut outlet = Outlet::default();
        let mut inlet = |name, telemetry| outlet.connect(&config.queues, telemetry, metrics.sink(name));
        let stdout = config.stdout.map(|stdout| (inlet("stdout", false), stdout));
        let forensic =
            config.forensic.map(|forensic| (inlet("forensic", forensic.telemetry), Segments::new(forensic)));
        if forensic.is_some() {
            health.set_log_writable(false);
        }
        let (stop, _) = watch::channel(false);
        let sinks =
            Self { stdout, forensic, http, metrics, health, stop, draining: Vec::new(), serving: None };
        Ok((sinks, outlet))
    }

    /// The address served, with the port that the system chose if 0 was asked for.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Starts each sink's task. Must run inside a tokio runtime with I/O and time; a second call does nothing.
    pub fn spawn(&mut self) {
        if let Some((inlet, config)) = self.stdout.take() {
            let counts = self.metrics.sink("stdout");
            let task = stdout::run(inlet, config, Box::new(std::io::stdout()), counts);
            self.draining.push(("stdout", tokio::spawn(task)));
        }
        if let Some((inlet, segments)) = self.forensic.take() {
            let counts = self.metrics.sink("forensic");
            let task = forensic::run(inlet, segments, counts, self.health.clone());
            self.draining.push(("forensic", tokio::spawn(task)));
        }
        if let Some(listener) = self.http.take() {
            let server = http::Server::new(self.metrics.clone(), self.health.clone());
            self.serving = Some(tokio::spawn(server.run(listener, self.stop.subscribe())));
        }
    }

    /// Waits until every line sent is written, at most until the deadline, then stops serving metrics. Drop the
    /// [`Outlet`] first. What is not written by then is counted as dropped.
    ///
    /// A write that hangs in the system (a stopped terminal) cannot be taken back: end the runtime with
    /// `shutdown_background`, which does not wait for it.
    pub async fn drain(mut self, deadline: Duration) {
        let end = tokio::time::Instant::now() + deadline;
        for (name, task) in &mut self.draining {
            if tokio::time::timeout_at(end, &mut *task).await.is_err() {
                warn!(sink = *name, "not everything could be written before the deadline");
                task.abort();
            }
        }
        self.stop.send_replace(true);
        if let Some(serving) = &mut self.serving
            && tokio::time::timeout_at(end, &mut *serving).await.is_err()
        {
            serving.abort();
        }
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, SinkError> {
    let listener = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|source| SinkError::Bind { address, source })
}

#[cfg(test)]
mod tests;
