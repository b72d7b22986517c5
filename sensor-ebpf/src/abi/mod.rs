//! One file per hook family, and what both sides need besides: kinds, offsets, settings, loss counters.

mod action;
mod arguments;
mod cgroup;
mod filter;
mod header;
mod kind;
mod loss;
mod offsets;
mod process;
mod settings;
mod system_call;
mod watch;

pub use action::*;
pub use arguments::*;
pub use cgroup::*;
pub use filter::*;
pub use header::*;
pub use kind::*;
pub use loss::*;
pub use offsets::*;
pub use process::*;
pub use settings::*;
pub use system_call::*;
pub use watch::*;

/// Version of this ABI. The object carries it in its settings; the sensor refuses an object of another version.
pub const ABI_VERSION: u32 = 6;
