//! What the sensor decides when loading, read by the BPF object as frozen constants.

/// Bytes of each ring.
pub const RING_BYTES: u32 = 4 * 1024 * 1024;
/// Slots for action records of each CPU. Trampolines run with preemption: other tasks may enter hooks on the same CPU while
/// the first waits, and must not write to the same record.
pub const ACTION_SLOTS_PER_CPU: u32 = 4;

/// Load-time settings (`SETTINGS` in the object's `.rodata`).
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Settings {
    /// [`ABI_VERSION`](super::ABI_VERSION) of the object, checked before loading.
    pub abi_version: u32,
    /// `size_of::<Offsets>()` of the object, checked before loading.
    pub offsets_size: u32,
    /// `size_of::<ExecRecord>()` of the object, checked before loading.
    pub exec_record_size: u32,
    /// `size_of::<ActionRecord>()` of the object, checked before loading.
    pub action_record_size: u32,
    /// Number of possible CPUs: entries of the scratch maps, of which exec records have a second half with `exec_again`.
    pub scratch_slots: u32,
    /// Inode number of the host's mount namespace.
    pub host_mount_namespace: u32,
    /// 1 if the hook `exec_again` looks after execs whose program the kernel skipped.
    pub exec_again: u32,
    /// When the node booted, in seconds since 1970, as the wall clock said when the sensor started.
    pub boot_epoch: u32,
}

impl Settings {
    /// The settings an object is built with; the sensor overrides what is zero here.
    pub const BUILT: Self = Self {
        abi_version: super::ABI_VERSION,
        offsets_size: size_of::<super::Offsets>() as u32,
        exec_record_size: size_of::<super::ExecRecord>() as u32,
        action_record_size: size_of::<super::ActionRecord>() as u32,
        scratch_slots: 0,
        host_mount_namespace: 0,
        exec_again: 0,
        boot_epoch: 0,
    };
}

const _: () = assert!(size_of::<Settings>() == 32);
