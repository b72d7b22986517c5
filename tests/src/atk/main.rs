//! Attack helper.

fn main() {}
