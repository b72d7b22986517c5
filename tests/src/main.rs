//! End-to-end runner.

fn main() {}
