//! One file per hook family: entry point first, then a `try_` function that stops at the first thing it cannot have.

mod cgroup;
mod exec;
mod process;
