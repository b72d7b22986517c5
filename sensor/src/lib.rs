//! The sensor as a library, so that tests and benchmarks reach every stage.

pub mod probe;
pub mod sink;
