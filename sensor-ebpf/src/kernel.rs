//! Typed handles over kernel structures, with offsets from the running kernel's BTF.
//!
//! A handle reads in one of two ways: [`Typed`] loads directly through a pointer whose type the verifier knows (it came
//! from a tracepoint argument), [`Probed`] copies with a helper (the pointer went through memory or arithmetic).

use core::marker::PhantomData;
use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_user};
use sensor_ebpf::abi::{Credentials, MISSING, Namespaces, ProcessId};

/// A field's offset, as the constant that the verifier knows from the frozen map.
macro_rules! offset {
    ($group:ident . $field:ident) => {{
        // SAFETY: a read of an initialised static; volatile, because the loader overrides it after compilation.
        unsafe { core::ptr::read_volatile(&raw const $crate::maps::OFFSETS.$group.$field) }
    }};
}
pub(crate) use offset;

/// How a handle reads.
pub trait Access: Copy {
    /// Reads a `T` at `address + offset`; zero if it cannot be read.
    fn load<T: Copy + Default>(address: *const u8, offset: u32) -> T;
}

/// Direct loads through pointers with BTF types.
#[derive(Clone, Copy)]
pub struct Typed;

/// Loads through `bpf_probe_read_kernel`.
#[derive(Clone, Copy)]
pub struct Probed;

impl Access for Typed {
    #[inline(always)]
    fn load<T: Copy + Default>(address: *const u8, offset: u32) -> T {
        // SAFETY: the verifier admits only offsets that are a T in the pointer's type; a fault reads as zero.
        unsafe { core::ptr::read_volatile(address.add(offset as usize).cast::<T>()) }
    }
}

impl Access for Probed {
    /// The helper clears its target when it fails, so its result is not looked at: a branch for each read would double
    /// the paths that the verifier walks, and kernels before 6.3 do not join them again.
    #[inline(always)]
    fn load<T: Copy + Default>(address: *const u8, offset: u32) -> T {
        let source = address.wrapping_add(offset as usize);
        let mut value = MaybeUninit::<T>::uninit();
        // SAFETY: the helper checks the source itself and writes the whole target, with zeros if it fails; every T read
        // here is a number or an array of bytes.
        unsafe {
            bpf_probe_read_kernel(value.as_mut_ptr().cast(), size_of::<T>() as u32, source.cast());
            value.assume_init()
        }
    }
}

/// Loads from the memory of the current process.
#[derive(Clone, Copy)]
pub struct UserMemory;

impl Access for UserMemory {
    #[inline(always)]
    fn load<T: Copy + Default>(address: *const u8, offset: u32) -> T {
        let source = address.wrapping_add(offset as usize);
        let mut value = MaybeUninit::<T>::uninit();
        // SAFETY: as for kernel memory: the helper writes the whole target, with zeros if it fails.
        unsafe {
            bpf_probe_read_user(value.as_mut_ptr().cast(), size_of::<T>() as u32, source.cast());
            value.assume_init()
        }
    }
}

/// Declares a handle type for one kernel structure.
macro_rules! handle {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name<A>(pub *const u8, pub PhantomData<A>);

        impl<A: Access> $name<A> {
            /// A handle over `pointer`.
            #[inline(always)]
            pub fn new(pointer: *const u8) -> Self {
                Self(pointer, PhantomData)
            }

            /// Reads a field; the default where this kernel does not have it.
            #[inline(always)]
            pub fn field<T: Copy + Default>(self, offset: u32) -> T {
                if offset == MISSING { T::default() } else { A::load(self.0, offset) }
            }

            /// Reads a pointer field.
            #[inline(always)]
            pub fn pointer(self, offset: u32) -> *const u8 {
                if offset == MISSING {
                    core::ptr::null()
                } else {
                    A::load::<Pointer>(self.0, offset).0
                }
            }
        }
    )*};
}

/// A kernel pointer with a default, so that it can be read like any field.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Pointer(pub *const u8);

impl Default for Pointer {
    #[inline(always)]
    fn default() -> Self {
        Self(core::ptr::null())
    }
}

handle! {
    /// `struct task_struct`
    Task;
    /// `struct cred`
    Cred;
    /// Any structure that is read with explicit offsets.
    Structure;
}

impl<A: Access> Task<A> {
    /// `tgid`
    #[inline(always)]
    pub fn process_id(self) -> u32 {
        self.field(offset!(task.tgid))
    }

    /// `pid`
    #[inline(always)]
    pub fn thread_id(self) -> u32 {
        self.field(offset!(task.pid))
    }

    /// The process's identity, with its leader's start time.
    #[inline(always)]
    pub fn identity(self) -> ProcessId {
        let leader = Task::<A>::new(self.pointer(offset!(task.group_leader)));
        ProcessId {
            pid: self.process_id(),
            tid: self.thread_id(),
            start_time: leader.field(offset!(task.start_boottime)),
        }
    }

    /// `real_parent`
    #[inline(always)]
    pub fn parent(self) -> Self {
        Self::new(self.pointer(offset!(task.real_parent)))
    }

    /// `cred` (the subjective credentials)
    #[inline(always)]
    pub fn credentials(self) -> Cred<A> {
        Cred::new(self.pointer(offset!(task.cred)))
    }

    /// `signal`
    #[inline(always)]
    pub fn signal(self) -> Structure<A> {
        Structure::new(self.pointer(offset!(task.signal)))
    }

    /// `real_cred` (the objective credentials): others than the subjective ones while the kernel acts for somebody else,
    /// as overlayfs does.
    #[inline(always)]
    pub fn acts_for_another(self) -> bool {
        self.pointer(offset!(task.real_cred)) != self.pointer(offset!(task.cred))
    }

    /// Id of the cgroup in the unified hierarchy.
    #[inline(always)]
    pub fn cgroup_id(self) -> u64 {
        let css_set = Structure::<A>::new(self.pointer(offset!(task.cgroups)));
        Cgroup::<A>::new(css_set.pointer(offset!(css_set.dfl_cgrp))).id()
    }

    /// Namespace inode numbers; all zero for a task that is exiting.
    #[inline(always)]
    pub fn namespaces(self) -> Namespaces {
        let proxy = Structure::<Probed>::new(self.pointer(offset!(task.nsproxy)));
        let inum =
            |pointer: u32, inum: u32| Structure::<Probed>::new(proxy.pointer(pointer)).field::<u32>(inum);
        Namespaces {
            mount: inum(offset!(nsproxy.mnt_ns), offset!(mnt_namespace.inum)),
            pid: self.namespace_pid().1,
            network: inum(offset!(nsproxy.net_ns), offset!(net.inum)),
            ipc: inum(offset!(nsproxy.ipc_ns), offset!(ipc_namespace.inum)),
            uts: inum(offset!(nsproxy.uts_ns), offset!(uts_namespace.inum)),
            cgroup: inum(offset!(nsproxy.cgroup_ns), offset!(cgroup_namespace.inum)),
            time: inum(offset!(nsproxy.time_ns), offset!(time_namespace.inum)),
            user: self.credentials().user_namespace().field(offset!(user_namespace.inum)),
        }
    }

    /// The task's number in its own pid namespace, and that namespace's inode number.
    #[inline(always)]
    pub fn namespace_pid(self) -> (u32, u32) {
        let pid = Structure::<Probed>::new(self.pointer(offset!(task.thread_pid)));
        let level: u32 = pid.field(offset!(pid.level));
        let at = (level & 63) as usize * offset!(upid.size) as usize + offset!(pid.numbers) as usize;
        let number = Structure::<Probed>::new(pid.0.wrapping_add(at));
        let namespace = Structure::<Probed>::new(number.pointer(offset!(upid.ns)));
        (number.field(offset!(upid.nr)), namespace.field(offset!(pid_namespace.inum)))
    }

    /// Session id as the host counts: `signal->pids[PIDTYPE_SID]->numbers[0].nr`.
    #[inline(always)]
    pub fn session_id(self) -> u32 {
        const PIDTYPE_SID: u32 = 3;
        let signal = Structure::<Probed>::new(self.pointer(offset!(task.signal)));
        let pid =
            Structure::<Probed>::new(signal.pointer(offset!(signal.pids).wrapping_add(PIDTYPE_SID * 8)));
        pid.field(offset!(pid.numbers).wrapping_add(offset!(upid.nr)))
    }

    /// Controlling terminal as major << 20 | minor, 0 for none.
    #[inline(always)]
    pub fn terminal(self) -> u32 {
        let signal = Structure::<Probed>::new(self.pointer(offset!(task.signal)));
        let tty = Structure::<Probed>::new(signal.pointer(offset!(signal.tty)));
        if tty.0.is_null() {
            return 0;
        }
        let driver = Structure::<Probed>::new(tty.pointer(offset!(tty.driver)));
        let major: u32 = driver.field(offset!(tty_driver.major));
        let minor: u32 =
            driver.field::<u32>(offset!(tty_driver.minor_start)) + tty.field::<u32>(offset!(tty.index));
        (major << 20) | (minor & 0xf_ffff)
    }
}

/// `struct cgroup`
#[derive(Clone, Copy)]
pub struct Cgroup<A>(Structure<A>);

impl<A: Access> Cgroup<A> {
    /// A handle over `pointer`.
    #[inline(always)]
    pub fn new(pointer: *const u8) -> Self {
        Self(Structure::new(pointer))
    }

    /// `kn->id`, the inode number of the cgroup's folder.
    #[inline(always)]
    pub fn id(self) -> u64 {
        Structure::<A>::new(self.0.pointer(offset!(cgroup.kn))).field(offset!(kernfs_node.id))
    }

    /// 0 for the unified hierarchy.
    #[inline(always)]
    pub fn hierarchy(self) -> u32 {
        Structure::<A>::new(self.0.pointer(offset!(cgroup.root))).field(offset!(cgroup_root.hierarchy_id))
    }
}

impl<A: Access> Cred<A> {
    /// All ids and capability sets.
    #[inline(always)]
    pub fn read(self, into: &mut Credentials) {
        into.uid = self.field(offset!(cred.uid));
        into.gid = self.field(offset!(cred.gid));
        into.euid = self.field(offset!(cred.euid));
        into.egid = self.field(offset!(cred.egid));
        into.suid = self.field(offset!(cred.suid));
        into.sgid = self.field(offset!(cred.sgid));
        into.fsuid = self.field(offset!(cred.fsuid));
        into.fsgid = self.field(offset!(cred.fsgid));
        into.inheritable = self.capabilities(offset!(cred.cap_inheritable));
        into.permitted = self.capabilities(offset!(cred.cap_permitted));
        into.effective = self.capabilities(offset!(cred.cap_effective));
        into.bounding = self.capabilities(offset!(cred.cap_bset));
        into.ambient = self.capabilities(offset!(cred.cap_ambient));
    }

    /// Two 32-bit words on every kernel: before 6.3 the set is `u32 cap[2]`, after it `u64 val`, and a typed load may
    /// not span array elements.
    #[inline(always)]
    fn capabilities(self, offset: u32) -> u64 {
        if offset == MISSING {
            return 0;
        }
        let low: u32 = A::load(self.0, offset);
        let high: u32 = A::load(self.0, offset + 4);
        u64::from(low) | (u64::from(high) << 32)
    }

    /// `user_ns`
    #[inline(always)]
    pub fn user_namespace(self) -> Structure<A> {
        Structure::new(self.pointer(offset!(cred.user_ns)))
    }
}
