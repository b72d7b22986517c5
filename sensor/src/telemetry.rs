//! The sensor's own messages: to stderr, so that stdout holds findings only.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// The variable that sets which messages are shown, in the syntax of `tracing_subscriber::EnvFilter`, for example
/// `debug` or `warn,stride_sensor::probe=trace`.
pub const FILTER_VARIABLE: &str = "STRIDE_SENSOR_LOG";

/// Shows messages from `info` on, or as [`FILTER_VARIABLE`] says. A second call does nothing.
pub fn start() {
    let given = std::env::var(FILTER_VARIABLE).unwrap_or_default();
    let builder = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into());
    let (filter, refused) = match builder.parse(&given) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::default().add_directive(LevelFilter::INFO.into()), Some(error)),
    };
    let color =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(color);
    let started = subscriber.with_target(false).try_init().is_ok();
    if let Some(error) = refused
        && started
    {
        tracing::warn!(%error, "the variable {FILTER_VARIABLE} is not understood; showing messages from info on");
    }
}
