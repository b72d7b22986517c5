//! Puts records together and writes them to their ring. The only writer of rings and counters.

use aya_ebpf::helpers::{bpf_get_current_pid_tgid, bpf_get_smp_processor_id, bpf_ktime_get_boot_ns};
use aya_ebpf::maps::{Array, RingBuf};
use sensor_ebpf::abi::{
    ARGS_HEAD_MAX, BUDGET_PRESSURE, BUDGET_SCARCE, BUDGET_WINDOW, BudgetKey, CGROUP_BUDGET, Counters,
    EventKind, ExecRecord, Header, PROCESS_BUDGET, RECORD_CGROUP_BUDGET, RECORD_PROCESS_BUDGET,
    RECORD_READ_FAILED, RING_BYTES, RingClass,
};

use crate::bounds::opaque;
use crate::contained::settings;
use crate::maps::{BUDGETS, BULK, COUNTERS, CRITICAL, EXEC_SCRATCH, LINEAGE};
use crate::window;

/// `BPF_RB_AVAIL_DATA` of include/uapi/linux/bpf.h: bytes of a ring that were not read yet.
const AVAILABLE_DATA: u64 = 0;
/// A ring with less room than this beside the record counts as full: header, rounding, and records that came meanwhile.
const RING_MARGIN: u64 = 4096;

/// Longest single read into scratch space.
pub const READ_MAX: usize = ARGS_HEAD_MAX;

/// Work space for exec and cgroup records, which may be 64 KiB long.
pub type ExecScratch = Scratch<{ 64 * 1024 + READ_MAX }>;
/// Work space for action records, which may be 16 KiB long.
pub type ActionScratch = Scratch<{ 16 * 1024 + READ_MAX }>;

/// Work space: the fixed record first, its spans behind it, then the state of a walk. `BYTES` is a power of two and
/// [`READ_MAX`] beyond it, so that a read of any length fits at any masked offset.
#[repr(C)]
pub struct Scratch<const BYTES: usize> {
    /// Record and spans.
    pub data: [u8; BYTES],
    /// State of the path walk in progress.
    pub walk: crate::path::Walk,
    /// State of the environment search in progress.
    pub search: crate::user_memory::Search,
    /// Thread that puts an exec record together here; 0 for none.
    owner: u64,
}

impl<const BYTES: usize> Scratch<BYTES> {
    /// Mask of offsets into `data`.
    const MASK: u64 = (BYTES - READ_MAX) as u64 - 1;

    /// This CPU's scratch space.
    #[inline(always)]
    #[expect(clippy::mut_from_ref, reason = "a map is shared memory; the slot is this CPU's alone")]
    pub fn of(map: &'static Array<Self>) -> Option<&'static mut Self> {
        // SAFETY: the helper takes no arguments.
        let cpu = unsafe { bpf_get_smp_processor_id() };
        Self::at_index(map, cpu)
    }

    #[inline(always)]
    #[expect(clippy::mut_from_ref, reason = "a map is shared memory; the slot is this CPU's alone")]
    fn at_index(map: &'static Array<Self>, index: u32) -> Option<&'static mut Self> {
        let pointer = map.get_ptr_mut(index)?;
        // SAFETY: the slot is this CPU's, and a hook cannot be entered twice on one CPU (the kernel counts that as a miss).
        Some(unsafe { &mut *pointer })
    }

    /// Address of the spans at `offset`, with room for [`READ_MAX`] bytes.
    #[inline(always)]
    pub fn at(&mut self, offset: u64) -> *mut u8 {
        // SAFETY: the masked offset lies within `data`.
        unsafe { self.data.as_mut_ptr().add((opaque(offset) & Self::MASK) as usize) }
    }

    /// Clamps a length or position to what the work space holds.
    #[inline(always)]
    pub fn clamp(offset: u64) -> u64 {
        opaque(offset) & Self::MASK
    }
}

impl ExecScratch {
    /// This CPU's scratch space for the hook `exec`, which may be preempted: what it calls finds the space by the thread.
    #[inline(always)]
    pub fn claim() -> Option<&'static mut Self> {
        let scratch = Self::of(&EXEC_SCRATCH)?;
        // SAFETY: a plain write; volatile, because the functions called read it through a pointer of their own.
        unsafe { core::ptr::write_volatile(&raw mut scratch.owner, current_thread()) };
        Some(scratch)
    }

    /// Ends [`ExecScratch::claim`].
    #[inline(always)]
    pub fn release(&mut self) {
        // SAFETY: as in `claim`.
        unsafe { core::ptr::write_volatile(&raw mut self.owner, 0) };
    }

    /// The scratch space in which the current thread's exec record is put together: the claimed one, or that of the hook
    /// `exec_again`, which runs while another task may be in the midst of `exec`.
    #[inline(always)]
    pub fn mine() -> Option<&'static mut Self> {
        let first = Self::of(&EXEC_SCRATCH)?;
        // SAFETY: as in `claim`.
        let owner = unsafe { core::ptr::read_volatile(&raw const first.owner) };
        if owner == current_thread() { Some(first) } else { Self::second() }
    }

    /// This CPU's scratch space for the hook `exec_again`.
    #[inline(always)]
    pub fn second() -> Option<&'static mut Self> {
        // SAFETY: the helper takes no arguments.
        let cpu = unsafe { bpf_get_smp_processor_id() };
        Self::at_index(&EXEC_SCRATCH, settings().scratch_slots + cpu)
    }

    /// The fixed part of an exec record.
    #[inline(always)]
    pub fn exec(&mut self) -> &mut ExecRecord {
        // SAFETY: `data` is longer than the record and map values are eight-byte aligned; any bytes are a valid record.
        unsafe { &mut *self.data.as_mut_ptr().cast::<ExecRecord>() }
    }
}

/// The current thread, never 0.
#[inline(always)]
pub fn current_thread() -> u64 {
    bpf_get_current_pid_tgid() | 1 << 63
}

/// Counts one run of a hook; every later outcome is counted through the value it gives.
#[inline(always)]
pub fn seen(kind: EventKind) -> Option<Tally> {
    let pointer = COUNTERS.get_ptr_mut(kind as u32)?;
    // SAFETY: the slot belongs to this CPU.
    let counters = unsafe { &mut *pointer };
    counters.seen += 1;
    Some(Tally { counters, kind, class: kind.class() })
}

/// The counters of the event in progress. Each way to end it consumes the tally, so none is forgotten.
#[must_use = "every seen event ends as filtered, sent or lost"]
pub struct Tally {
    counters: &'static mut Counters,
    kind: EventKind,
    class: RingClass,
}

impl Tally {
    /// Nobody wants this event.
    #[inline(always)]
    pub fn filtered(self) {
        self.counters.filtered += 1;
    }

    /// There was no scratch space.
    #[inline(always)]
    pub fn scratch_full(self) {
        self.counters.scratch_full += 1;
    }

    /// A flood: others need the room.
    #[inline(always)]
    pub fn over_budget(self) {
        self.counters.over_budget += 1;
    }

    /// Another task took the scratch space.
    #[inline(always)]
    pub fn scratch_taken(self) {
        self.counters.scratch_taken += 1;
    }

    /// A process found no room in the map that the filters ask.
    #[inline(always)]
    pub fn untracked(&mut self) {
        self.counters.untracked += 1;
    }

    /// This event travels in another ring than the others of its kind.
    #[inline(always)]
    pub fn travel(&mut self, class: RingClass) {
        self.class = class;
    }

    /// Takes one event out of the budgets of who acts: flags of the record, `None` if one is spent. While the
    /// ring has room there are no budgets.
    #[inline(always)]
    pub fn spend(&self, process_id: u32, cgroup_id: u64) -> Option<u16> {
        let waiting = self.ring().query(AVAILABLE_DATA);
        if waiting < BUDGET_PRESSURE {
            return Some(0);
        }
        let scarce = if waiting < 2 * BUDGET_PRESSURE { 1 } else { BUDGET_SCARCE };
        let (process_budget, cgroup_budget) = (PROCESS_BUDGET / scarce, CGROUP_BUDGET / scarce);
        let kind = self.kind as u32;
        let process = BudgetKey { id: u64::from(process_id), kind, scope: 0 };
        let by_process = window::count(&BUDGETS, &process, BUDGET_WINDOW);
        if by_process > process_budget {
            return None;
        }
        let cgroup = BudgetKey { id: cgroup_id, kind, scope: 1 };
        let by_cgroup = window::count(&BUDGETS, &cgroup, BUDGET_WINDOW);
        if by_cgroup > cgroup_budget {
            return None;
        }
        let process = if by_process == process_budget { RECORD_PROCESS_BUDGET } else { 0 };
        let cgroup = if by_cgroup == cgroup_budget { RECORD_CGROUP_BUDGET } else { 0 };
        Some(process | cgroup)
    }

    /// A header for this event. `size` is filled by [`Tally::send`] for records that are put together in scratch space.
    #[inline(always)]
    pub fn header(&self, size: usize) -> Header {
        // SAFETY: the helper takes no arguments.
        let time = unsafe { bpf_ktime_get_boot_ns() };
        Header { size: size as u32, kind: self.kind as u16, flags: 0, time }
    }

    /// Sends a record of fixed size from the stack.
    #[inline(always)]
    pub fn send_fixed<T>(self, record: &T) {
        self.finish(core::ptr::from_ref(record).cast_mut().cast(), size_of::<T>() as u64);
    }

    /// Sends the first `size` bytes of the scratch space, whose header is completed here.
    #[inline(always)]
    pub fn send<const BYTES: usize>(self, scratch: &mut Scratch<BYTES>, size: u64, read_failed: bool) {
        let size = Scratch::<BYTES>::clamp(size);
        let header = scratch.data.as_mut_ptr().cast::<Header>();
        // SAFETY: the header lies at the start of the scratch space.
        unsafe {
            (*header).size = size as u32;
            (*header).flags |= if read_failed { RECORD_READ_FAILED } else { 0 };
        }
        if read_failed {
            self.counters.read_failed += 1;
        }
        self.finish(scratch.data.as_mut_ptr(), size);
    }

    #[inline(always)]
    fn ring(&self) -> &'static RingBuf {
        match self.class {
            RingClass::Lineage => &LINEAGE,
            RingClass::Critical => &CRITICAL,
            RingClass::Bulk => &BULK,
        }
    }

    #[inline(always)]
    fn finish(self, data: *mut u8, size: u64) {
        let ring = self.ring();
        if output(ring, data, size) {
            self.counters.sent += 1;
        } else if ring.query(AVAILABLE_DATA) + size + RING_MARGIN > u64::from(RING_BYTES) {
            self.counters.ring_full += 1;
        } else if output(ring, data, size) {
            // The kernel had given up waiting for the ring's lock.
            self.counters.sent += 1;
        } else {
            self.counters.ring_busy += 1;
        }
    }
}

/// Copies a record into a ring; false if the kernel refused.
#[inline(always)]
fn output(ring: &'static RingBuf, data: *mut u8, size: u64) -> bool {
    let ring = core::ptr::from_ref(ring).cast_mut().cast();
    // SAFETY: `data` holds `size` readable bytes, which the verifier checks again.
    unsafe { aya_ebpf::helpers::bpf_ringbuf_output(ring, data.cast(), size, 0) == 0 }
}
