//! All maps and frozen globals of the object.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LruHashMap, PerCpuArray, ProgramArray, RingBuf};
use sensor_ebpf::abi::{
    Arguments, BudgetKey, CgroupDestination, Counters, DestinationKey, InodeKey, KIND_SLOTS, MappedKey,
    NameKey, Offsets, ParameterCount, RING_BYTES, SYSTEM_CALL_COMPAT, Settings, WindowCount,
};

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
pub static LINEAGE: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);

/// Rare actions of high value.
#[map]
pub static CRITICAL: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);

/// Actions that may come in numbers: files and network. A flood of them pushes out no others.
#[map]
pub static BULK: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);

/// What happened to each kind of event, indexed by kind.
#[map]
pub static COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(KIND_SLOTS as u32, 0);

/// Where exec records are put together, one slot a possible CPU (a per-CPU array holds at most 32 KiB a value), and as many
/// for the hook `exec_again` if it is there.
#[map]
pub static EXEC_SCRATCH: Array<ExecScratch> = Array::with_max_entries(1, 0);

/// Threads whose exec was told by the hook `exec`, until `exec_again` looks after it. There are hardly more than CPUs.
#[map]
pub static TOLD_EXECS: LruHashMap<u64, u32> = LruHashMap::with_max_entries(4096, 0);

/// Where cgroup records are put together.
#[map]
pub static CGROUP_SCRATCH: Array<ExecScratch> = Array::with_max_entries(1, 0);

/// Where action records are put together: [`sensor_ebpf::abi::ACTION_SLOTS_PER_CPU`] slots a possible CPU.
#[map]
pub static ACTION_SCRATCH: Array<Slot> = Array::with_max_entries(1, 0);

/// Events of each process and each cgroup in this second, by kind.
#[map]
pub static BUDGETS: LruHashMap<BudgetKey, WindowCount> = LruHashMap::with_max_entries(8192, 0);

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

/// Watched names: whole ones, endings, names of folders.
#[map]
pub static WATCHED_NAMES: HashMap<NameKey, u32> = HashMap::with_max_entries(1024, 0);

/// One mask of what is told of every file, whatever its name: operations and `WATCH_ANY_*`.
#[map]
pub static WATCHED_ALL: Array<u32> = Array::with_max_entries(1, 0);

/// Watched files and folders of the node, by inode.
#[map]
pub static WATCHED_PLACES: HashMap<InodeKey, u32> = HashMap::with_max_entries(4096, 0);

/// Files with a watched name that were given another one; the least used one makes room.
#[map]
pub static RENAMED_PLACES: LruHashMap<InodeKey, u32> = LruHashMap::with_max_entries(1024, 0);

/// Addresses and ports to which connections of containers are told.
#[map]
pub static WATCHED_DESTINATIONS: HashMap<DestinationKey, u32> = HashMap::with_max_entries(1024, 0);

/// Where the cgroups of containers connected or sent to lately, and the second since boot in which something sent there was
/// told; 0 for never.
#[map]
pub static DESTINATIONS: LruHashMap<CgroupDestination, u32> = LruHashMap::with_max_entries(16_384, 0);

/// Which cgroup connected to a destination last.
#[map]
pub static CONNECTED: LruHashMap<DestinationKey, u64> = LruHashMap::with_max_entries(16_384, 0);

/// Different destinations of a cgroup within a window, and failed connections.
#[map]
pub static SCANS: LruHashMap<u64, WindowCount> = LruHashMap::with_max_entries(1024, 0);

/// Processes that a process signalled within a window.
#[map]
pub static SIGNALS: LruHashMap<u32, WindowCount> = LruHashMap::with_max_entries(1024, 0);

/// Keys that a process looked at within a window.
#[map]
pub static KEYS: LruHashMap<u32, WindowCount> = LruHashMap::with_max_entries(1024, 0);

/// Processes born in a cgroup within a window.
#[map]
pub static FORKS: LruHashMap<u64, WindowCount> = LruHashMap::with_max_entries(1024, 0);

/// Files that the processes of a cgroup destroyed within a window.
#[map]
pub static DESTRUCTIONS: LruHashMap<u64, WindowCount> = LruHashMap::with_max_entries(1024, 0);

/// Files that were mapped executable and told, with their change time then; the least used one makes room and is told again.
#[map]
pub static MAPPED: LruHashMap<MappedKey, i64> = LruHashMap::with_max_entries(4096, 0);

/// Bind mounts that mount(2) was asked for, by thread, until their source is found. One that fails before leaves its entry
/// to be overwritten by the thread's next, or pushed out.
#[map]
pub static PENDING_BINDS: LruHashMap<u64, PendingBind> = LruHashMap::with_max_entries(1024, 0);

/// Programs of system calls by the call's number, those of 32-bit calls from [`SYSTEM_CALL_COMPAT`] on.
#[map]
pub static SYSTEM_CALLS: ProgramArray = ProgramArray::with_max_entries(2 * SYSTEM_CALL_COMPAT, 0);
