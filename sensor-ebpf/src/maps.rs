//! All maps and frozen globals of the object.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, PerCpuArray, RingBuf};
use sensor_ebpf::abi::{Counters, KIND_SLOTS, Offsets, Settings};

use crate::emit::Scratch;

/// Offsets into kernel structures; the sensor overrides all of it before loading.
#[unsafe(no_mangle)]
pub static OFFSETS: Offsets = Offsets::POISONED;

/// Load-time settings.
#[unsafe(no_mangle)]
pub static SETTINGS: Settings = Settings::BUILT;

/// fork, exec, exit and cgroup records, in the order in which they happened.
#[map]
pub static LINEAGE: RingBuf = RingBuf::with_byte_size(4 * 1024 * 1024, 0);

/// What happened to each kind of event, indexed by kind.
#[map]
pub static COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(KIND_SLOTS as u32, 0);

/// Where exec records are put together, one slot a possible CPU (a per-CPU array holds at most 32 KiB a value).
#[map]
pub static EXEC_SCRATCH: Array<Scratch> = Array::with_max_entries(1, 0);

/// Where cgroup records are put together.
#[map]
pub static CGROUP_SCRATCH: Array<Scratch> = Array::with_max_entries(1, 0);
