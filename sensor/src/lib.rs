//! The sensor as a library, so that tests and benchmarks reach every stage.

pub mod cli;
pub mod config;
pub mod probe;
pub mod sink;
pub mod telemetry;
