//! One file per hook family: the programs first, then their body, then its helpers.

mod cgroup;
mod exec;
mod handle;
mod helper;
mod module;
mod namespace;
mod open;
mod process;
mod programs;
mod ptrace;
mod surface;
mod unix;
