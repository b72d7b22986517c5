//! One file per hook family: the programs first, then their body, then its helpers.

mod cgroup;
mod device;
mod exec;
mod handle;
mod helper;
mod module;
mod mount;
mod namespace;
mod open;
mod process;
mod programs;
mod ptrace;
mod root;
mod surface;
mod unix;
