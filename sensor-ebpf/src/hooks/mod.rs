//! One file per hook family: the programs first, then their body, then its helpers.

mod cgroup;
mod exec;
mod namespace;
mod open;
mod process;
mod ptrace;
