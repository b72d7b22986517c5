//! Puts action records together: who acts is the same for all, what it is about is added by each hook.

use aya_ebpf::helpers::generated::{
    bpf_get_current_task, bpf_probe_read_kernel_str, bpf_probe_read_user, bpf_probe_read_user_str,
};
use aya_ebpf::helpers::{bpf_get_current_pid_tgid, bpf_get_smp_processor_id};
use sensor_ebpf::abi::{
    ACTION_SLOTS_PER_CPU, ACTION_TEXTS, ACTION_VALUES, ActionRecord, FILE_OUTSIDE_ROOT, FileFacts, MISSING,
    PLAIN_TEXT_MAX, SUBJECT_COMPAT, SUBJECT_CONTAINED, SUBJECT_IN_EXEC, SUBJECT_KERNEL_THREAD,
    SUBJECT_NO_NEW_PRIVILEGES, Subject, TEXT_FILESYSTEM_PATH, TEXT_OTHER_PATH, TEXT_PATH, TEXT_PLAIN,
};

use crate::bounds::opaque;
use crate::contained::is_contained;
use crate::emit::{ActionScratch, Tally};
use crate::entries::Entered;
use crate::file::{File, read_inode, root_folder};
use crate::kernel::{Cred, Probed, Structure, Task, offset};
use crate::maps::ACTION_SCRATCH;
use crate::path::{Place, Walker, walk};

/// Longest of further arguments.
const ARGUMENT_MAX: u32 = 256;
/// Mask of the lengths that [`Action::user_bytes`] takes.
const BYTES_MASK: u64 = 127;

/// One record's work space.
#[repr(C)]
pub struct Slot {
    /// Thread that uses it; 0 when it is free.
    owner: u64,
    /// Where the record is put together.
    pub scratch: ActionScratch,
}

/// The slot of an index.
#[inline(always)]
pub fn slot_at(index: u32) -> Option<&'static mut Slot> {
    let pointer = ACTION_SCRATCH.get_ptr_mut(index)?;
    // SAFETY: the slot belongs to the thread that claimed it; the claim is checked again before the record is sent.
    Some(unsafe { &mut *pointer })
}

/// The first free slot of a CPU, whose slots begin at `first`.
#[inline(always)]
fn free_slot(first: u32) -> Option<u32> {
    const { assert!(ACTION_SLOTS_PER_CPU == 4) };
    let free = |index| slot_at(index).is_some_and(|slot| slot.owner == 0);
    if free(first) {
        Some(first)
    } else if free(first + 1) {
        Some(first + 1)
    } else if free(first + 2) {
        Some(first + 2)
    } else if free(first + 3) {
        Some(first + 3)
    } else {
        None
    }
}

/// The current task.
#[inline(always)]
pub fn current() -> Task<Probed> {
    // SAFETY: the helper takes no arguments.
    Task::new(unsafe { bpf_get_current_task() } as *const u8)
}

/// A record in progress. Ends with [`Action::send`].
#[must_use = "an action that was begun must be sent"]
pub struct Action {
    tally: Tally,
    slot: &'static mut Slot,
    index: u32,
    position: u64,
    owner: u64,
    read_failed: bool,
}

impl Action {
    /// Claims work space and fills in who acts. `None`, counted, if there is none.
    #[inline(always)]
    pub fn begin(tally: Tally, rung: u32) -> Option<Self> {
        Self::begin_entered(tally, Entered::by(rung))
    }

    /// The same, with what is known of the outcome.
    #[inline(always)]
    pub fn begin_entered(tally: Tally, entered: Entered) -> Option<Self> {
        let owner = bpf_get_current_pid_tgid() | 1 << 63;
        // SAFETY: the helper takes no arguments.
        let first = unsafe { bpf_get_smp_processor_id() } * ACTION_SLOTS_PER_CPU;
        let Some(index) = free_slot(first) else {
            tally.scratch_full();
            return None;
        };
        let Some(slot) = slot_at(index) else {
            tally.scratch_full();
            return None;
        };
        // SAFETY: a plain write; volatile, so that it is not moved behind the writes of the record.
        unsafe { core::ptr::write_volatile(&raw mut slot.owner, owner) };
        let mut action = Self {
            tally,
            slot,
            index,
            position: size_of::<ActionRecord>() as u64,
            owner,
            read_failed: false,
        };
        action.clear();
        let header = action.tally.header(0);
        let record = action.record();
        record.header = header;
        record.result = entered.result;
        read_subject(&mut record.subject, entered.rung);
        let Subject { process, cgroup_id, .. } = record.subject;
        match action.tally.spend(process.pid, cgroup_id) {
            Some(flags) => {
                action.record().header.flags = flags;
                Some(action)
            }
            None => {
                let Self { tally, slot, .. } = action;
                tally.over_budget();
                // SAFETY: as above.
                unsafe { core::ptr::write_volatile(&raw mut slot.owner, 0) };
                None
            }
        }
    }

    /// The fixed part.
    #[inline(always)]
    pub fn record(&mut self) -> &mut ActionRecord {
        // SAFETY: the scratch data is longer than the record and eight-byte aligned; any bytes are a valid record.
        unsafe { &mut *self.slot.scratch.data.as_mut_ptr().cast::<ActionRecord>() }
    }

    /// Zeroes the fixed part, which holds what the last user of the slot left.
    #[inline(always)]
    fn clear(&mut self) {
        const WORDS: usize = size_of::<ActionRecord>() / 8;
        let words = self.slot.scratch.data.as_mut_ptr().cast::<u64>();
        let mut index = 0;
        while index < WORDS {
            // SAFETY: the record lies within the scratch data. Volatile, or it would become a call of memset.
            unsafe { core::ptr::write_volatile(words.add(index), 0) };
            index += 1;
        }
    }

    /// Sets one of the record's numbers.
    #[inline(always)]
    pub fn value(&mut self, index: usize, value: u64) {
        const { assert!(ACTION_VALUES == 6) };
        if index < ACTION_VALUES {
            self.record().values[index] = value;
        }
    }

    /// The file it is about: facts and path.
    #[inline(always)]
    pub fn file(&mut self, file: &File) {
        read_inode(file, &mut self.record().file);
        let (length, flags) = self.path(file);
        let record = self.record();
        record.texts[TEXT_PATH] = length;
        record.file.flags |= flags;
    }

    /// The file it is about, where the hook does not know the mount: facts, and the path from the root of its file
    /// system.
    #[inline(always)]
    pub fn file_without_mount(&mut self, file: &File) {
        read_inode(file, &mut self.record().file);
        self.filesystem_path(file);
    }

    /// A second file. Call it after [`Action::file`].
    #[inline(always)]
    pub fn other_file(&mut self, file: &File) {
        read_inode(file, &mut self.record().other_file);
        let (length, flags) = self.path(file);
        let record = self.record();
        record.texts[TEXT_OTHER_PATH] = length;
        record.other_file.flags |= flags;
    }

    /// The file it is about, with its path from the top of all mounts: a process's new root folder, which from its own
    /// place is always `/`.
    #[inline(always)]
    pub fn file_from_top(&mut self, file: &File) {
        read_inode(file, &mut self.record().file);
        let namespace = Place::of(current()).mount_namespace;
        let (length, flags) = self.walk(file.mount, file.dentry, &Place::top(namespace));
        let record = self.record();
        record.texts[TEXT_PATH] = length;
        record.file.flags |= flags & !FILE_OUTSIDE_ROOT;
    }

    /// The path of the file from the root of its own file system, whatever is mounted where. Call it after the files.
    #[inline(always)]
    pub fn filesystem_path(&mut self, file: &File) {
        // Without a mount the walk follows folders alone.
        let nowhere = core::ptr::null();
        let (length, _) = self.walk(nowhere, file.dentry, &Place::top(nowhere));
        self.record().texts[TEXT_FILESYSTEM_PATH] = length;
    }

    /// Facts of the file read so far.
    #[inline(always)]
    pub fn file_facts(&mut self) -> &mut FileFacts {
        &mut self.record().file
    }

    #[inline(always)]
    fn path(&mut self, file: &File) -> (u32, u32) {
        self.walk(file.mount, file.dentry, &Place::of(current()))
    }

    #[inline(always)]
    fn walk(&mut self, mount: *const u8, dentry: *const u8, place: &Place) -> (u32, u32) {
        let walker = Walker::Action(self.index);
        let (length, flags) = walk(walker, &mut self.slot.scratch, self.position, mount, dentry, place);
        self.position += u64::from(length);
        (length, flags)
    }

    /// A text of the kernel, ended by NUL. Call it after the files.
    #[inline(always)]
    pub fn text(&mut self, text: *const u8) {
        self.append::<{ PLAIN_TEXT_MAX as u32 }, false>(text);
    }

    /// The same of user memory.
    #[inline(always)]
    pub fn user_text(&mut self, text: *const u8) {
        self.append::<{ PLAIN_TEXT_MAX as u32 }, true>(text);
    }

    /// Up to 127 bytes of user memory as the text.
    #[inline(always)]
    pub fn user_bytes(&mut self, start: u64, length: u32) {
        let length = opaque(u64::from(length)) & BYTES_MASK;
        let target = self.slot.scratch.at(self.position);
        // SAFETY: the scratch space has room for the longest text at any position; the helper checks the source.
        let read = unsafe { bpf_probe_read_user(target.cast(), length as u32, start as *const _) };
        if read != 0 {
            self.read_failed = true;
            return;
        }
        self.record().texts[TEXT_PLAIN] += length as u32;
        self.position += length;
    }

    /// A second text of the kernel, ended by NUL. Call it after [`Action::text`].
    #[inline(always)]
    pub fn other_text(&mut self, text: *const u8) {
        self.separate(0);
        self.append::<{ PLAIN_TEXT_MAX as u32 }, false>(text);
    }

    /// The same of user memory.
    #[inline(always)]
    pub fn other_user_text(&mut self, text: *const u8) {
        self.separate(0);
        self.append::<{ PLAIN_TEXT_MAX as u32 }, true>(text);
    }

    /// A further argument behind the second text, ended by NUL, after a space.
    #[inline(always)]
    pub fn argument_text(&mut self, text: *const u8) {
        self.separate(b' ');
        self.append::<ARGUMENT_MAX, false>(text);
    }

    #[inline(always)]
    fn separate(&mut self, separator: u8) {
        let end = self.slot.scratch.at(self.position);
        // SAFETY: the scratch space has room at any position.
        unsafe { end.write(separator) };
        self.position += 1;
        self.record().texts[TEXT_PLAIN] += 1;
    }

    #[inline(always)]
    fn append<const MAX: u32, const USER: bool>(&mut self, text: *const u8) {
        const { assert!(ACTION_TEXTS == 4 && PLAIN_TEXT_MAX == 1024 && MAX as usize <= PLAIN_TEXT_MAX) };
        let target = self.slot.scratch.at(self.position);
        // SAFETY: the scratch space has room for the longest text at any position; the helpers check the source.
        let read = unsafe {
            if USER {
                bpf_probe_read_user_str(target.cast(), MAX, text.cast())
            } else {
                bpf_probe_read_kernel_str(target.cast(), MAX, text.cast())
            }
        } as i64;
        if read <= 0 {
            self.read_failed = true;
            return;
        }
        let length = (read as u32 - 1) & (PLAIN_TEXT_MAX as u32 - 1);
        self.record().texts[TEXT_PLAIN] += length;
        self.position += u64::from(length);
    }

    /// Another process it is about.
    #[inline(always)]
    pub fn target(&mut self, task: Task<Probed>) {
        let record = self.record();
        record.target = task.identity();
        record.target_namespaces = task.namespaces();
        record.target_cgroup_id = task.cgroup_id();
        task.credentials().read(&mut record.target_credentials);
    }

    /// Credentials it is about.
    #[inline(always)]
    pub fn credentials(&mut self, credentials: Cred<Probed>) {
        credentials.read(&mut self.record().target_credentials);
    }

    /// Writes the record to its ring, unless another thread took the slot meanwhile, which is counted as a loss.
    #[inline(always)]
    pub fn send(self) {
        let Self { tally, slot, position, owner, read_failed, .. } = self;
        // SAFETY: a plain read; volatile, because another thread may have written it.
        let holds = unsafe { core::ptr::read_volatile(&raw const slot.owner) } == owner;
        if !holds {
            tally.scratch_taken();
            return;
        }
        tally.send(&mut slot.scratch, position, read_failed);
        // SAFETY: as above.
        unsafe { core::ptr::write_volatile(&raw mut slot.owner, 0) };
    }
}

/// Whether a task is within execve.
#[inline(always)]
pub fn is_in_exec(task: Task<Probed>) -> bool {
    let bit = offset!(task.in_execve_bit);
    bit != MISSING && (task.field::<u8>(bit / 8) >> (bit % 8)) & 1 != 0
}

#[inline(always)]
fn read_subject(subject: &mut Subject, rung: u32) {
    /// `PF_KTHREAD` of include/linux/sched.h.
    const KERNEL_THREAD: u32 = 0x0020_0000;
    /// `PFA_NO_NEW_PRIVS` of include/linux/sched.h.
    const NO_NEW_PRIVILEGES: u64 = 1;
    /// `TS_COMPAT` of arch/x86/include/asm/thread_info.h.
    const COMPAT: u32 = 2;
    let task = current();
    subject.process = task.identity();
    subject.parent = task.parent().identity();
    subject.cgroup_id = task.cgroup_id();
    subject.namespaces = task.namespaces();
    let credentials = task.credentials();
    credentials.read(&mut subject.credentials);
    subject.user_namespace_level = credentials.user_namespace().field(offset!(user_namespace.level));
    subject.namespace_pid = task.namespace_pid().0;
    subject.seccomp_mode = task.field(offset!(task.seccomp_mode));
    subject.command = Structure::<Probed>::new(task.0).field(offset!(task.comm));
    let fs = Structure::<Probed>::new(task.pointer(offset!(task.fs)));
    (subject.root_inode, subject.root_device) = root_folder(fs);
    subject.rung = rung;
    let mut flags = 0;
    if task.field::<u64>(offset!(task.atomic_flags)) & NO_NEW_PRIVILEGES != 0 {
        flags |= SUBJECT_NO_NEW_PRIVILEGES;
    }
    if task.field::<u32>(offset!(task.flags)) & KERNEL_THREAD != 0 {
        flags |= SUBJECT_KERNEL_THREAD;
    }
    if offset!(task.thread_status) != MISSING && task.field::<u32>(offset!(task.thread_status)) & COMPAT != 0
    {
        flags |= SUBJECT_COMPAT;
    }
    if is_in_exec(task) {
        flags |= SUBJECT_IN_EXEC;
    }
    if is_contained(task) {
        flags |= SUBJECT_CONTAINED;
    }
    subject.flags = flags;
}
