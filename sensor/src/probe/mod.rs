//! The kernel side as user space sees it: types, loading, attaching, rings, loss.

pub mod attach;
pub mod btf;
pub mod counters;
pub mod load;
pub mod object;
pub mod offsets;
pub mod ring;

pub use attach::{AttachedHook, HookReport, Rung};
pub use counters::KernelCounters;
pub use load::{LoadError, Probe, ProbeOptions};
pub use ring::{Ring, Wake};
