//! exec: everything about the new program that must be taken before it can change.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use aya_ebpf::macros::{btf_tracepoint, kprobe};
use aya_ebpf::programs::{BtfTracePointContext, ProbeContext};
use sensor_ebpf::abi::*;

use crate::action::current;
use crate::contained::{is_elsewhere, mount_namespace, settings, track};
use crate::emit::{ExecScratch, Tally, current_thread, seen};
use crate::file::{File, TYPE_MASK, read_inode, root_folder};
use crate::kernel::{Access, Probed, Structure, Task, Typed, offset};
use crate::maps::TOLD_EXECS;
use crate::path::{Place, Walker, walk};
use crate::user_memory::{copy_args, copy_environment};

const TYPE_FOLDER: u32 = 0o040_000;
const TYPE_SOCKET: u32 = 0o140_000;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// `sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`, unchanged from 5.10 to 7.2.
/// It runs after the point of no return: memory, credentials and descriptors are the new program's.
#[btf_tracepoint(function = "sched_process_exec")]
pub fn exec(context: BtfTracePointContext) -> i32 {
    let task = Task::<Typed>::new(context.arg(0));
    let old_thread_id: u32 = context.arg(1);
    let binprm = Structure::<Typed>::new(context.arg(2));
    if settings().exec_again != 0 {
        // Without room the second hook tells the exec once more, which is better than not at all.
        let _ = TOLD_EXECS.insert(current_thread(), 1, 0);
    }
    let Some(tally) = seen(EventKind::Exec) else { return 0 };
    let Some(scratch) = ExecScratch::claim() else {
        tally.scratch_full();
        return 0;
    };
    executed(task, old_thread_id, binprm, tally, scratch);
    scratch.release();
    0
}

/// `free_bprm(struct linux_binprm *bprm)`, unchanged from 5.10 to 7.2: a moment later, when the kernel is done with an exec.
///
/// The kernel skips a program that still runs on the same CPU. Where tracepoints can be preempted, a task in the midst of
/// [`exec`] hides the execs of all others until it goes on. Kprobes are not preempted, so this one tells what was skipped;
/// but for the former thread id of a thread that was not the first one, which only the tracepoint knows.
#[kprobe]
pub fn exec_again(context: ProbeContext) -> u32 {
    let address: *const u8 = context.arg::<*const u8>(0).unwrap_or(core::ptr::null());
    if TOLD_EXECS.remove(current_thread()).is_ok() {
        return 0;
    }
    let binprm = Structure::<Probed>::new(address);
    // Given to the task at the point of no return; still there if the exec failed.
    if !binprm.pointer(offset!(binprm.cred)).is_null() {
        return 0;
    }
    let task = current();
    let Some(tally) = seen(EventKind::Exec) else { return 0 };
    let Some(scratch) = ExecScratch::second() else {
        tally.scratch_full();
        return 0;
    };
    executed(task, task.thread_id(), binprm, tally, scratch);
    0
}

#[inline(always)]
fn executed<A: Access>(
    task: Task<A>,
    old_thread_id: u32,
    binprm: Structure<A>,
    tally: Tally,
    scratch: &mut ExecScratch,
) {
    let record = scratch.exec();
    record.header = tally.header(0);
    record.old_thread_id = old_thread_id;
    read_task(task, record);
    read_program(task, binprm, record);
    let file = Structure::<Probed>::new(binprm.pointer(offset!(binprm.file)));
    read_inode(&File::open(file.0), &mut record.file);
    read_stdio(0);
    read_stdio(1);
    let (size, read_failed) = read_spans(task, binprm, file, scratch);
    tally.send(scratch, size, read_failed);
}

#[inline(always)]
fn read_task<A: Access>(task: Task<A>, record: &mut ExecRecord) {
    record.process = task.identity();
    if is_elsewhere(mount_namespace(task)) {
        track(record.process.pid);
    }
    record.parent = task.parent().identity();
    record.cgroup_id = task.cgroup_id();
    record.namespaces = task.namespaces();
    let credentials = task.credentials();
    credentials.read(&mut record.credentials);
    record.user_namespace_level = credentials.user_namespace().field(offset!(user_namespace.level));
    record.namespace_pid = task.namespace_pid().0;
    record.session_id = task.session_id();
    record.terminal = task.terminal();
    record.login_uid =
        if offset!(task.loginuid) == MISSING { u32::MAX } else { task.field(offset!(task.loginuid)) };
    record.audit_session =
        if offset!(task.sessionid) == MISSING { u32::MAX } else { task.field(offset!(task.sessionid)) };
    record.seccomp_mode = task.field(offset!(task.seccomp_mode));
    record.command = Structure::<Probed>::new(task.0).field(offset!(task.comm));
    record.leaked_folder = if is_elsewhere(record.namespaces.mount) { leaked_folder(LEAK_SCAN) } else { 0 };
    (record.root_inode, record.root_device) = root_folder(Structure::new(task.pointer(offset!(task.fs))));
    record.reserved = 0;
}

#[inline(always)]
fn read_program<A: Access>(task: Task<A>, binprm: Structure<A>, record: &mut ExecRecord) {
    /// `PFA_NO_NEW_PRIVS` of include/linux/sched.h.
    const NO_NEW_PRIVILEGES: u64 = 1;
    let mut flags = 0;
    if task.field::<u64>(offset!(task.atomic_flags)) & NO_NEW_PRIVILEGES != 0 {
        flags |= EXEC_NO_NEW_PRIVILEGES;
    }
    let bit = offset!(binprm.secureexec_bit);
    if bit != MISSING {
        let word: u8 = Structure::<Probed>::new(binprm.0).field(bit / 8);
        if (word >> (bit % 8)) & 1 != 0 {
            flags |= EXEC_SECURE;
        }
    }
    record.flags = flags;
    record.args_count = binprm.field(offset!(binprm.argc));
    let mm = Structure::<A>::new(task.pointer(offset!(task.mm)));
    let args = mm.field::<u64>(offset!(mm.arg_end)).wrapping_sub(mm.field(offset!(mm.arg_start)));
    let environment = mm.field::<u64>(offset!(mm.env_end)).wrapping_sub(mm.field(offset!(mm.env_start)));
    record.args_length = args as u32;
    record.environment_length = environment as u32;
}

/// Reads standard input, output and error of the current task, or of its parent if `parent` is 1, into the record; 0 if
/// there is no room for one. A global function, which the verifier checks apart: a path for each kind of descriptor would
/// be followed to the end of the hook.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn read_stdio(parent: u32) -> u32 {
    let Some(scratch) = ExecScratch::mine() else { return 0 };
    let record = scratch.exec();
    let task = current();
    let (task, stdio) =
        if parent == 1 { (task.parent(), &mut record.parent_stdio) } else { (task, &mut record.stdio) };
    let files = Structure::<Probed>::new(task.pointer(offset!(task.files)));
    let table = Structure::<Probed>::new(files.pointer(offset!(files.fdt)));
    let max: u32 = table.field(offset!(fdtable.max_fds));
    let descriptors = Structure::<Probed>::new(table.pointer(offset!(fdtable.fd)));
    let mut number = 0;
    while number < 3 {
        let file = if number < max { descriptors.pointer(number * 8) } else { core::ptr::null() };
        read_descriptor(Structure::new(file), &mut stdio[number as usize]);
        number += 1;
    }
    1
}

/// The first descriptor from 3 up to `limit` that is a folder on a mount of another mount namespace, plus one; 0 for none.
/// A global function, which the verifier checks apart from all else.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn leaked_folder(limit: u32) -> u32 {
    let task = current();
    let files = Structure::<Probed>::new(task.pointer(offset!(task.files)));
    let table = Structure::<Probed>::new(files.pointer(offset!(files.fdt)));
    let max: u32 = table.field(offset!(fdtable.max_fds));
    let descriptors = Structure::<Probed>::new(table.pointer(offset!(fdtable.fd)));
    let mut number = 3;
    while number < LEAK_SCAN {
        if number >= limit || number >= max {
            return 0;
        }
        let file = descriptors.pointer(number * 8);
        if !file.is_null() {
            let file = File::open(file);
            if file.mode() & TYPE_MASK == TYPE_FOLDER && file.is_foreign_to(task) {
                return number + 1;
            }
        }
        number += 1;
    }
    0
}

#[inline(always)]
fn read_descriptor(file: Structure<Probed>, descriptor: &mut Descriptor) {
    *descriptor = Descriptor {
        inode: 0,
        mode: 0,
        device: 0,
        family: 0,
        socket_type: 0,
        local_port: 0,
        remote_port: 0,
        local_address: [0; 16],
        remote_address: [0; 16],
    };
    if file.0.is_null() {
        return;
    }
    let inode = Structure::<Probed>::new(file.pointer(offset!(file.inode)));
    descriptor.mode = u32::from(inode.field::<u16>(offset!(inode.mode)));
    descriptor.inode = inode.field(offset!(inode.ino));
    descriptor.device = inode.field(offset!(inode.rdev));
    if descriptor.mode & TYPE_MASK != TYPE_SOCKET {
        return;
    }
    let socket = Structure::<Probed>::new(file.pointer(offset!(file.private_data)));
    let sock = Structure::<Probed>::new(socket.pointer(offset!(socket.sk)));
    descriptor.socket_type = socket.field(offset!(socket.socket_type));
    descriptor.family = sock.field(offset!(sock.family));
    if descriptor.family == AF_INET {
        descriptor.local_address[..4].copy_from_slice(&sock.field::<[u8; 4]>(offset!(sock.rcv_saddr)));
        descriptor.remote_address[..4].copy_from_slice(&sock.field::<[u8; 4]>(offset!(sock.daddr)));
    } else if descriptor.family == AF_INET6 {
        descriptor.local_address = sock.field(offset!(sock.v6_rcv_saddr));
        descriptor.remote_address = sock.field(offset!(sock.v6_daddr));
    } else {
        return;
    }
    descriptor.local_port = sock.field(offset!(sock.num));
    descriptor.remote_port = u16::from_be(sock.field(offset!(sock.dport)));
}

/// Fills all spans; gives the record's size and whether something could not be read.
#[inline(always)]
fn read_spans<A: Access>(
    task: Task<A>,
    binprm: Structure<A>,
    file: Structure<Probed>,
    scratch: &mut ExecScratch,
) -> (u64, bool) {
    let mut position = size_of::<ExecRecord>() as u64;
    let fs = Structure::<Probed>::new(task.pointer(offset!(task.fs)));
    let place = Place::of(task);

    let vfsmount = file.pointer(offset!(file.path_mnt));
    let (length, flags) =
        walk(Walker::Exec, scratch, position, vfsmount, file.pointer(offset!(file.path_dentry)), &place);
    let record = scratch.exec();
    record.spans[SPAN_EXE_PATH] = length;
    record.file.flags |= flags;
    position += u64::from(length);

    let (length, flags) = walk(
        Walker::Exec,
        scratch,
        position,
        fs.pointer(offset!(fs.pwd_mnt)),
        fs.pointer(offset!(fs.pwd_dentry)),
        &place,
    );
    let record = scratch.exec();
    record.spans[SPAN_WORKING_FOLDER] = length;
    if flags & FILE_PATH_TRUNCATED != 0 {
        record.flags |= EXEC_WORKING_FOLDER_TRUNCATED;
    }
    if flags & FILE_OUTSIDE_ROOT != 0 {
        record.flags |= EXEC_WORKING_FOLDER_OUTSIDE_ROOT;
    }
    if flags & (FILE_FOREIGN_MOUNT | FILE_DETACHED_MOUNT) == FILE_FOREIGN_MOUNT {
        record.flags |= EXEC_WORKING_FOLDER_FOREIGN;
    }
    position += u64::from(length);

    let filename = read_name(scratch, position, binprm.pointer(offset!(binprm.filename)));
    scratch.exec().spans[SPAN_FILENAME] = filename;
    position += u64::from(filename);
    let interpreter = read_name(scratch, position, binprm.pointer(offset!(binprm.interp)));
    scratch.exec().spans[SPAN_INTERPRETER] = interpreter;
    position += u64::from(interpreter);

    let mm = Structure::<A>::new(task.pointer(offset!(task.mm)));
    let (start, end) = (mm.field(offset!(mm.arg_start)), mm.field(offset!(mm.arg_end)));
    let (head, tail, args_failed) = copy_args(scratch, position, start, end);
    let record = scratch.exec();
    record.spans[SPAN_ARGS_HEAD] = head;
    record.spans[SPAN_ARGS_TAIL] = tail;
    position += u64::from(head) + u64::from(tail);

    let (start, end) = (mm.field(offset!(mm.env_start)), mm.field(offset!(mm.env_end)));
    let (length, early) = copy_environment(scratch, position, start, end);
    let record = scratch.exec();
    record.spans[SPAN_ENVIRONMENT] = length;
    if early {
        record.flags |= EXEC_ENVIRONMENT_TRUNCATED;
    }
    position += u64::from(length);
    (position, args_failed || filename == 0)
}

/// Copies a kernel string to `position`; gives its bytes without the NUL.
#[inline(always)]
fn read_name(scratch: &mut ExecScratch, position: u64, name: *const u8) -> u32 {
    let target = scratch.at(position);
    // SAFETY: the scratch space has room for the longest name at any position; the helper checks the source.
    let read = unsafe { bpf_probe_read_kernel_str(target.cast(), NAME_MAX as u32, name.cast()) };
    if read > 0 { (read as u32 - 1) & (NAME_MAX as u32 - 1) } else { 0 }
}
