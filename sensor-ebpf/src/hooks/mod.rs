//! One file per hook family: the programs first, then their body, then its helpers.

mod attribute;
pub mod bind;
mod cgroup;
mod device;
mod exec;
mod handle;
mod helper;
mod listen;
mod module;
mod mount;
mod name;
mod namespace;
pub mod open;
mod open_attempt;
mod parameter;
mod power;
mod process;
mod programs;
mod ptrace;
mod root;
mod splice;
mod surface;
mod terminal;
mod unix;
mod working_folder;
