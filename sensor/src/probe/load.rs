//! Loads the BPF object: offsets and settings frozen in, hooks attached, rings and counters taken out.

use aya::maps::{MapError, PerCpuArray, RingBuf};
use aya::{Btf, Ebpf, EbpfError, EbpfLoader};
use sensor_ebpf::abi::{ACTION_SLOTS_PER_CPU, Namespaces, RING_BYTES, Settings};

use super::attach::{AttachedHook, HookReport, Ladder, attach_all};
use super::btf::BtfError;
use super::counters::KernelCounters;
use super::filter::Filter;
use super::object::{self, ObjectError};
use super::offsets;
use super::preemption::Kernel;
use super::ring::{Ring, Rings, Wake};
use crate::clock::Clock;

/// Why the kernel side cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The object.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The kernel's types.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// The kernel's types, as aya reads them.
    #[error("cannot use /sys/kernel/btf/vmlinux: {0}")]
    AyaBtf(#[from] aya::BtfError),
    /// Loading.
    #[error("the kernel refused the BPF object: {}", causes(.0))]
    Load(#[from] EbpfError),
    /// A map is missing or cannot be used.
    #[error("BPF map {0} cannot be used: {1}")]
    Map(&'static str, MapError),
    /// The object lacks a map.
    #[error("the BPF object has no map {0}; build it again with `cargo xtask build`")]
    NoMap(&'static str),
    /// No hook could be attached.
    #[error("no hook could be attached: {0}")]
    NoHook(String),
    /// The system.
    #[error("cannot wait for events: {0}")]
    Wake(#[from] std::io::Error),
}

fn causes(error: &EbpfError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// How to load.
#[derive(Clone, Debug, Default)]
pub struct ProbeOptions {
    /// Which way in to take.
    pub ladder: Ladder,
    /// The node's own namespaces, 0 where not known.
    pub host: Namespaces,
}

/// The loaded kernel side. Dropping it detaches every hook.
pub struct Probe {
    /// Kept for its programs and links.
    _ebpf: Ebpf,
    /// How attaching went, hook by hook.
    pub hooks: Vec<HookReport>,
    /// Process and cgroup records, and those of actions.
    pub rings: Rings,
    /// What the filters in the kernel decide by.
    pub filter: Filter,
    /// Ends a wait on the ring.
    pub wake: Wake,
    /// What the kernel saw, filtered, sent and lost. `None` once taken.
    pub counters: Option<KernelCounters>,
    /// Kernel fields that this kernel does not have.
    pub missing_fields: Vec<String>,
    /// Overlayfs has no BTF yet: where its inode names the upper layer is assumed.
    pub overlay_assumed: bool,
}

impl Probe {
    /// Loads and attaches everything this kernel allows.
    ///
    /// # Errors
    /// If there is no BTF, the kernel refuses the object, or not a single hook can be attached.
    pub fn load(options: &ProbeOptions) -> Result<Self, LoadError> {
        let bytes = object::checked()?;
        let offsets = offsets::resolve()?;
        let btf = Btf::from_sys_fs()?;
        let slots = aya::util::nr_cpus().map(|count| count as u32).unwrap_or(1).max(possible_cpus());
        let kernel = Kernel::running();
        let exec_again = kernel.preempts_tracepoints();
        let built = Settings::BUILT;
        let settings: [u32; size_of::<Settings>() / 4] = [
            built.abi_version,
            built.offsets_size,
            built.exec_record_size,
            built.action_record_size,
            slots,
            options.host.mount,
            u32::from(exec_again),
            boot_epoch(),
        ];
        let mut ebpf = EbpfLoader::new()
            .btf(Some(&btf))
            .override_global("OFFSETS", offsets.values.as_slice(), true)
            .override_global("ARGUMENTS", offsets.arguments.as_slice(), true)
            .override_global("SETTINGS", settings.as_slice(), true)
            .map_max_entries("EXEC_SCRATCH", slots * (1 + u32::from(exec_again)))
            .map_max_entries("CGROUP_SCRATCH", slots)
            .map_max_entries("ACTION_SCRATCH", slots * ACTION_SLOTS_PER_CPU)
            .load(bytes)?;

        let wake = Wake::new()?;
        let mut ring = |name: &'static str| {
            let map = ebpf.take_map(name).ok_or(LoadError::NoMap(name))?;
            let ring = RingBuf::try_from(map).map_err(|error| LoadError::Map(name, error))?;
            Ok::<_, LoadError>(Ring::new(ring, RING_BYTES as usize))
        };
        let rings = Rings::new([ring("LINEAGE")?, ring("CRITICAL")?, ring("BULK")?], wake.clone());
        let filter = Filter::new(&mut ebpf)?;
        let counters = ebpf.take_map("COUNTERS").ok_or(LoadError::NoMap("COUNTERS"))?;
        let counters = PerCpuArray::try_from(counters).map_err(|error| LoadError::Map("COUNTERS", error))?;
        let hooks = attach_all(&mut ebpf, &btf, &offsets, options.ladder, &kernel);
        let attached: Vec<AttachedHook> = hooks.iter().filter_map(|hook| hook.result.clone().ok()).collect();
        if attached.is_empty() {
            let mut reasons = hooks.iter().filter_map(|hook| hook.result.as_ref().err());
            return Err(LoadError::NoHook(reasons.next().cloned().unwrap_or_default()));
        }
        Ok(Self {
            _ebpf: ebpf,
            hooks,
            rings,
            filter,
            wake,
            counters: Some(KernelCounters::new(counters, attached)),
            overlay_assumed: offsets.overlay_assumed,
            missing_fields: offsets.missing,
        })
    }
}

/// When the node booted, in seconds since 1970.
fn boot_epoch() -> u32 {
    Clock::new().epoch_seconds(0).max(0) as u32
}

/// Scratch slots are indexed by CPU number, so the highest possible number counts, not how many are online.
fn possible_cpus() -> u32 {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/possible").unwrap_or_default();
    let last = text.trim().rsplit(['-', ',']).next().and_then(|number| number.parse::<u32>().ok());
    last.map_or(1, |number| number + 1)
}
