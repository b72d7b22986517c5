//! The `stride-sensor` binary.

fn main() {}
