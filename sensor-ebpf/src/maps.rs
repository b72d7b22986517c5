//! All maps and frozen globals of the object.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf};
use sensor_ebpf::abi::{Arguments, Counters, InodeKey, KIND_SLOTS, Offsets, ParameterCount, Settings};

use crate::action::Slot;
use crate::emit::ExecScratch;
use crate::hooks::bind::PendingBind;

/// Offsets into kernel structures; the sensor overrides all of it before loading.
#[unsafe(no_mangle)]
pub static OFFSETS: Offsets = Offsets::POISONED;

/// Positions of arguments of kernel functions; the sensor overrides all of it before loading.
#[unsafe(no_mangle)]
pub static ARGUMENTS: Arguments = Arguments::POISONED;

/// Load-time settings.
#[unsafe(no_mangle)]
pub static SETTINGS: Settings = Settings::BUILT;

/// fork, exec, exit and cgroup records, in the order in which they happened.
#[map]
pub static LINEAGE: RingBuf = RingBuf::with_byte_size(4 * 1024 * 1024, 0);

/// Rare actions of high value.
#[map]
pub static CRITICAL: RingBuf = RingBuf::with_byte_size(4 * 1024 * 1024, 0);

/// What happened to each kind of event, indexed by kind.
#[map]
pub static COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(KIND_SLOTS as u32, 0);

/// Where exec records are put together, one slot a possible CPU (a per-CPU array holds at most 32 KiB a value).
#[map]
pub static EXEC_SCRATCH: Array<ExecScratch> = Array::with_max_entries(1, 0);

/// Where cgroup records are put together.
#[map]
pub static CGROUP_SCRATCH: Array<ExecScratch> = Array::with_max_entries(1, 0);

/// Where action records are put together: [`crate::action::SLOTS_PER_CPU`] slots a possible CPU.
#[map]
pub static ACTION_SCRATCH: Array<Slot> = Array::with_max_entries(1, 0);

/// Processes that are, or descend from one that was, in another mount namespace than the host's. Inherited at fork and
/// kept, so that an escape does not make a process invisible to the filters.
#[map]
pub static CONTAINED: HashMap<u32, u32> = HashMap::with_max_entries(65_536, 0);

/// Parameters that file system contexts were given; the least used one makes room.
#[map]
pub static PARAMETERS: LruHashMap<u64, ParameterCount> = LruHashMap::with_max_entries(1024, 0);

/// Inodes whose opens for writing are always told: the container runtime's own binaries.
#[map]
pub static WATCHED_INODES: HashMap<InodeKey, u32> = HashMap::with_max_entries(4096, 0);

/// Bind mounts that mount(2) was asked for, by thread, until their source is found. One that fails before leaves its entry
/// to be overwritten by the thread's next, or pushed out.
#[map]
pub static PENDING_BINDS: LruHashMap<u64, PendingBind> = LruHashMap::with_max_entries(1024, 0);
