//! Whether the sensor lives and is ready: flags that its parts set, read by `/healthz` and `/readyz`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The spine beats at least this often while it lives.
pub const HEARTBEAT_LIMIT: Duration = Duration::from_secs(10);

/// The sensor's state. Every method may be called from any thread.
#[derive(Debug)]
pub struct Health {
    start: Instant,
    /// Milliseconds from `start` to the last heartbeat.
    heartbeat: AtomicU64,
    hooks_attached: AtomicBool,
    rules_loaded: AtomicBool,
    log_writable: AtomicBool,
    sees: AtomicBool,
}

impl Default for Health {
    /// A sensor that has just started: alive, not ready, without a log that could fail.
    fn default() -> Self {
        Self {
            start: Instant::now(),
            heartbeat: AtomicU64::new(0),
            hooks_attached: AtomicBool::new(false),
            rules_loaded: AtomicBool::new(false),
            log_writable: AtomicBool::new(true),
            sees: AtomicBool::new(true),
        }
    }
}

impl Health {
    /// The spine went round its loop.
    pub fn beat(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heartbeat.store(now, Ordering::Relaxed);
    }

    /// The hooks are attached, or no longer.
    pub fn set_hooks_attached(&self, attached: bool) {
        self.hooks_attached.store(attached, Ordering::Relaxed);
    }

    /// The rules are loaded, or no longer.
    pub fn set_rules_loaded(&self, loaded: bool) {
        self.rules_loaded.store(loaded, Ordering::Relaxed);
    }

    /// The event log takes lines, or does not.
    pub fn set_log_writable(&self, writable: bool) {
        self.log_writable.store(writable, Ordering::Relaxed);
    }

    /// The sensor's own events come through, or do not.
    pub fn set_sees(&self, sees: bool) {
        self.sees.store(sees, Ordering::Relaxed);
    }

    /// Time since the last heartbeat; since the start if there was none.
    pub fn heartbeat_age(&self) -> Duration {
        let last = Duration::from_millis(self.heartbeat.load(Ordering::Relaxed));
        self.start.elapsed().saturating_sub(last)
    }

    /// The spine's last heartbeat is younger than [`HEARTBEAT_LIMIT`].
    pub fn is_alive(&self) -> bool {
        self.heartbeat_age() < HEARTBEAT_LIMIT
    }

    /// Why the sensor is not ready; empty when it is.
    pub fn not_ready(&self) -> Vec<&'static str> {
        let reasons = [
            (self.hooks_attached.load(Ordering::Relaxed), "the hooks are not attached"),
            (self.rules_loaded.load(Ordering::Relaxed), "the rules are not loaded"),
            (self.log_writable.load(Ordering::Relaxed), "the event log cannot be written"),
            (self.sees.load(Ordering::Relaxed), "the sensor's own events do not come through"),
            (self.is_alive(), "the event loop does not move"),
        ];
        reasons.into_iter().filter(|(good, _)| !good).map(|(_, reason)| reason).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_sensor_lives_and_is_not_ready() {
        let health = Health::default();
        assert!(health.is_alive());
        assert_eq!(health.not_ready(), ["the hooks are not attached", "the rules are not loaded"]);
        health.set_hooks_attached(true);
        health.set_rules_loaded(true);
        assert!(health.not_ready().is_empty());
        health.set_log_writable(false);
        assert_eq!(health.not_ready(), ["the event log cannot be written"]);
    }

    #[test]
    fn a_stopped_spine_is_noticed_and_a_beat_heals_it() {
        let Some(start) = Instant::now().checked_sub(HEARTBEAT_LIMIT + Duration::from_secs(1)) else {
            return;
        };
        let health = Health { start, ..Health::default() };
        assert!(!health.is_alive());
        assert!(health.not_ready().contains(&"the event loop does not move"));
        health.beat();
        assert!(health.is_alive());
    }
}
