//! One file per hook family: the programs first, then their body, then its helpers.

mod cgroup;
mod device;
mod exec;
mod mount;
mod namespace;
mod open;
mod process;
mod ptrace;
mod root;
