//! The kernel side as user space sees it: types, loading, attaching, rings, loss.

pub mod attach;
pub mod btf;
pub mod counters;
pub mod filter;
mod hooks;
pub mod load;
pub mod object;
pub mod offsets;
pub mod preemption;
pub mod ring;
mod rule_list;
mod system_call;
pub mod watch_list;

pub use attach::{AttachedHook, HookReport, Ladder, Rung};
pub use counters::KernelCounters;
pub use filter::Filter;
pub use hooks::HOOKS;
pub use load::{LoadError, Probe, ProbeOptions};
pub use ring::{Ring, Rings, Wake};
pub use rule_list::{FileName, FileOperations, RuleList};
