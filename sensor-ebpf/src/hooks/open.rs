//! Opens of files, where they go through the kernel's own decision point: io_uring and 32-bit calls included.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use sensor_ebpf::abi::{
    EventKind, OPEN_AGENT_NAME, OPEN_DEVICE, OPEN_FOREIGN_MOUNT, OPEN_KERNEL_MEMORY, OPEN_KERNEL_WRITE,
    OPEN_LISTED, OPEN_MADE_EXECUTABLE, OPEN_OTHER_PROCESS, OPEN_VALUE_DEVICE, OPEN_VALUE_FLAGS,
    OPEN_VALUE_MODE, OPEN_VALUE_PROCESS, OPEN_VALUE_REASONS, OPEN_WATCHED, RingClass, WATCH_READ,
    WATCH_TRUNCATE, WATCH_WRITE,
};

use crate::action::{Action, current};
use crate::contained::is_contained;
use crate::emit::{Tally, seen};
use crate::entries::{Entered, Way, argument, entries};
use crate::file::{File, TYPE_MASK, TYPE_REGULAR};
use crate::kernel::{Probed, Structure, Task, offset};
use crate::watch::{is_any_type_wanted, is_wanted};

/// `FMODE_WRITE` of include/linux/fs.h.
pub const MODE_WRITE: u32 = 2;
/// `FMODE_CREATED` of the same file.
const MODE_CREATED: u32 = 0x10_0000;
/// `O_TRUNC` of include/uapi/asm-generic/fcntl.h.
const TRUNCATE: u32 = 0o1000;
const TYPE_CHARACTER: u32 = 0o020_000;
const TYPE_BLOCK: u32 = 0o060_000;

entries!(file_open => file_open_lsm, file_open_fentry, file_open_kprobe);

/// `security_file_open(struct file *file)`, unchanged from 5.10 to 7.2.
#[inline(always)]
fn file_open<W: Way>(way: &W) {
    // Copied, because kernels before 6.3 take no typed pointer for the number that a global function wants.
    let file = argument!(way, file_open.file, copied_argument) as *const u8;
    let Some(tally) = seen(EventKind::FileOpen) else { return };
    opened(tally, file, Entered::by(W::RUNG));
}

/// A `struct file *` that the current task opens, or has opened.
#[inline(always)]
pub fn opened(tally: Tally, file: *const u8, entered: Entered) {
    let task = current();
    // overlayfs opens the file below a second time, with its own credentials.
    if task.acts_for_another() {
        tally.filtered();
        return;
    }
    let target = File::open(file);
    let file = Structure::<Probed>::new(file);
    let mode: u32 = file.field(offset!(file.mode));
    let truncates = if file.field::<u32>(offset!(file.flags)) & TRUNCATE != 0 { WATCH_TRUNCATE } else { 0 };
    let operations = if mode & MODE_WRITE != 0 { WATCH_WRITE | truncates } else { WATCH_READ };
    let listed = (target.is_regular() || is_any_type_wanted()) && is_wanted(&target, operations);
    let reasons = open_reasons(file.0 as u64) | if listed { OPEN_LISTED } else { 0 };
    if reasons == 0 {
        tally.filtered();
        return;
    }
    let mut tally = tally;
    if reasons & !(OPEN_LISTED | OPEN_MADE_EXECUTABLE) == 0 {
        tally.travel(RingClass::Bulk);
    }
    let Some(mut action) = Action::begin_entered(tally, entered) else { return };
    action.value(OPEN_VALUE_FLAGS, u64::from(file.field::<u32>(offset!(file.flags))));
    action.value(OPEN_VALUE_MODE, u64::from(mode));
    action.value(OPEN_VALUE_REASONS, reasons);
    action.file(&target);
    if reasons & OPEN_DEVICE != 0 {
        action.value(OPEN_VALUE_DEVICE, u64::from(target.device()));
    }
    if reasons & OPEN_OTHER_PROCESS != 0 {
        action.value(OPEN_VALUE_PROCESS, u64::from(shown_process(&target)));
    }
    const PLACED: u64 =
        OPEN_KERNEL_WRITE | OPEN_KERNEL_MEMORY | OPEN_LISTED | OPEN_MADE_EXECUTABLE | OPEN_OTHER_PROCESS;
    if reasons & PLACED != 0 {
        action.filesystem_path(&target);
    }
    action.send();
}

/// Why user space wants to know that the current task opens a `struct file *`; 0 if it does not. A global function, which
/// the verifier checks apart: its many paths would each be followed to the end of the hook.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn open_reasons(file: u64) -> u64 {
    let file = file as *const u8;
    let opened = Structure::<Probed>::new(file);
    reasons(current(), &File::open(file), opened.field(offset!(file.mode)))
}

#[inline(always)]
fn reasons(task: Task<Probed>, file: &File, mode: u32) -> u64 {
    let mut reasons = 0;
    let super_block = file.super_block();
    if mode & MODE_WRITE != 0 && file.is_watched() {
        reasons |= OPEN_WATCHED;
    }
    if !is_contained(task) {
        return reasons;
    }
    let magic: u64 = super_block.field(offset!(super_block.magic));
    if mode & MODE_WRITE != 0 {
        if steers_kernel(magic) {
            reasons |= OPEN_KERNEL_WRITE;
        } else if is_release_agent(file) {
            reasons |= OPEN_AGENT_NAME;
        }
    }
    match file.mode() & TYPE_MASK {
        TYPE_BLOCK => reasons |= OPEN_DEVICE,
        TYPE_CHARACTER if shows_memory(file.device()) => reasons |= OPEN_DEVICE,
        _ if magic == PROC_MAGIC && tells_of_memory(file) => reasons |= OPEN_KERNEL_MEMORY,
        _ if magic == PROC_MAGIC && tells_of_process(file) => reasons |= OPEN_OTHER_PROCESS,
        TYPE_REGULAR if mode & MODE_CREATED != 0 && file.mode() & 0o111 != 0 => {
            reasons |= OPEN_MADE_EXECUTABLE;
        }
        _ => {}
    }
    if file.is_foreign_to(task) {
        reasons |= OPEN_FOREIGN_MOUNT;
    }
    reasons
}

/// Whether a character device (major << 20 | minor) is mem, kmem, port or kmsg: Documentation/admin-guide/devices.txt.
/// Containers open null, random and terminals all day.
#[inline(always)]
fn shows_memory(device: u32) -> bool {
    const MEMORY_MAJOR: u32 = 1;
    matches!(device ^ (MEMORY_MAJOR << 20), 1 | 2 | 4 | 11)
}

/// Whether a file of proc is called kcore, kallsyms or kmsg; the first eight bytes of a name tell.
#[inline(always)]
fn tells_of_memory(file: &File) -> bool {
    const ALLSYMS: u64 = u64::from_ne_bytes(*b"kallsyms");
    const CORE: u64 = u64::from_ne_bytes(*b"kcore\0\0\0");
    const MESSAGES: u64 = u64::from_ne_bytes(*b"kmsg\0\0\0\0");
    let dentry = Structure::<Probed>::new(file.dentry);
    let name: u64 = Structure::<Probed>::new(dentry.pointer(offset!(dentry.name))).field(0);
    let first = |bytes: u32| name & (u64::MAX >> (64 - 8 * bytes));
    name == ALLSYMS || first(6) == CORE || first(5) == MESSAGES
}

/// Whether a file of proc shows environment, memory or layout of another process than the current one.
#[inline(always)]
fn tells_of_process(file: &File) -> bool {
    const ENVIRONMENT: u64 = u64::from_ne_bytes(*b"environ\0");
    const MEMORY: u64 = u64::from_ne_bytes(*b"mem\0\0\0\0\0");
    const LAYOUT: u64 = u64::from_ne_bytes(*b"maps\0\0\0\0");
    let dentry = Structure::<Probed>::new(file.dentry);
    let name: u64 = Structure::<Probed>::new(dentry.pointer(offset!(dentry.name))).field(0);
    let first = |bytes: u32| name & (u64::MAX >> (64 - 8 * bytes));
    if name != ENVIRONMENT && first(4) != MEMORY && first(5) != LAYOUT {
        return false;
    }
    let process = shown_process(file);
    process != 0 && process != (bpf_get_current_pid_tgid() >> 32) as u32
}

/// The process whose folder of proc a file lies in, as the host counts; 0 if it is none's.
#[inline(always)]
fn shown_process(file: &File) -> u32 {
    // The generic inode is embedded in the one of proc.
    let inode = file.inode.wrapping_sub(offset!(proc_inode.vfs_inode) as usize);
    let pid = Structure::<Probed>::new(Structure::<Probed>::new(inode).pointer(offset!(proc_inode.pid)));
    pid.field(offset!(pid.numbers).wrapping_add(offset!(upid.nr)))
}

/// `PROC_SUPER_MAGIC` of include/uapi/linux/magic.h.
const PROC_MAGIC: u64 = 0x9fa0;

/// File systems through which the kernel is told what to do. Magic numbers of include/uapi/linux/magic.h.
#[inline(always)]
fn steers_kernel(magic: u64) -> bool {
    matches!(
        magic,
        PROC_MAGIC
            | 0x6265_6572 // sysfs
            | 0x0027_e0eb // cgroup (v1)
            | 0x6367_7270 // cgroup2
            | 0x4249_4e4d // binfmt_misc
            | 0x7363_6673 // securityfs
            | 0xf97c_ff8c // selinuxfs
            | 0x6462_6720 // debugfs
            | 0x7472_6163 // tracefs
    )
}

/// Whether a file is called `release_agent`.
#[inline(always)]
fn is_release_agent(file: &File) -> bool {
    let dentry = Structure::<Probed>::new(file.dentry);
    let name = Structure::<Probed>::new(dentry.pointer(offset!(dentry.name)));
    name.field::<u64>(0) == u64::from_ne_bytes(*b"release_") && name.field::<[u8; 6]>(8) == *b"agent\0"
}
