//! Namespaces, root folders and other processes.

use sensor_ebpf::abi::{EventKind, NAMESPACE_VALUE_CHANGED, PTRACE_VALUE_MODE, VALUE_USER_NAMESPACE_LEVEL};

use crate::action::{Action, current};
use crate::contained::{is_elsewhere, mount_namespace, seen_in_container, track};
use crate::emit::seen;
use crate::file::File;
use crate::hooks::ptrace::MODE_ATTACH;
use crate::kernel::{Probed, Structure, Task, offset};
use crate::system_call::{SystemCall, system_calls};

system_calls! {
    /// setns
    setns_system_call => setns;
    /// unshare
    unshare_system_call => unshare;
    /// clone, clone3
    clone_system_call => clone;
    /// chroot
    chroot_system_call => chroot;
    /// pivot_root
    pivot_root_system_call => pivot_root;
    /// ptrace
    ptrace_system_call => ptrace;
}

/// `CLONE_NEWUSER` of include/uapi/linux/sched.h.
const CLONE_NEWUSER: u64 = 0x1000_0000;
/// All CLONE_NEW* flags but that of user namespaces, which change with the credentials.
const NAMESPACES: u64 = 0x6e02_0080;

/// `setns(int fd, int nstype)`: the type may be 0, for any.
#[inline(always)]
fn setns(call: &SystemCall) {
    switched(call, call.argument::<1>());
}

/// `unshare(unsigned long flags)`
#[inline(always)]
fn unshare(call: &SystemCall) {
    let flags = call.argument::<0>();
    switched(call, flags);
    if flags & CLONE_NEWUSER != 0 && !call.failed() {
        user_namespace_created(call);
    }
}

/// Tells where the process stands now, and which namespaces it named; user space knows where it stood before.
#[inline(always)]
fn switched(call: &SystemCall, named: u64) {
    let Some(tally) = seen(EventKind::NamespaceSwitch) else { return };
    if call.failed() {
        tally.filtered();
        return;
    }
    let task = current();
    if is_elsewhere(mount_namespace(task)) {
        track(task.process_id());
    }
    let Some(mut action) = Action::begin_entered(tally, call.entered()) else { return };
    action.value(NAMESPACE_VALUE_CHANGED, named & NAMESPACES);
    let record = action.record();
    record.target_namespaces = record.subject.namespaces;
    // Of children, as the better ways tell it: the process itself stays in its own.
    let proxy = Structure::<Probed>::new(task.pointer(offset!(task.nsproxy)));
    let children = Structure::<Probed>::new(proxy.pointer(offset!(nsproxy.pid_ns_for_children)));
    record.target_namespaces.pid = children.field(offset!(pid_namespace.inum));
    action.send();
}

/// In the child, where the call gives 0.
#[inline(always)]
fn clone(call: &SystemCall) {
    if call.result != 0 {
        // Not counted as seen: every fork comes through here twice.
        return;
    }
    let task = current();
    let level =
        |task: Task<Probed>| task.credentials().user_namespace().field::<u32>(offset!(user_namespace.level));
    if level(task) > level(task.parent()) {
        user_namespace_created(call);
    }
}

#[inline(always)]
fn user_namespace_created(call: &SystemCall) {
    let Some(tally) = seen(EventKind::UserNamespaceCreate) else { return };
    let Some(mut action) = Action::begin_entered(tally, call.entered()) else { return };
    let level = u64::from(action.record().subject.user_namespace_level);
    action.value(VALUE_USER_NAMESPACE_LEVEL, level);
    action.send();
}

/// The root folder that the process has now.
#[inline(always)]
fn root() -> File {
    let fs = Structure::<Probed>::new(current().pointer(offset!(task.fs)));
    File::entry(fs.pointer(offset!(fs.root_mnt)), fs.pointer(offset!(fs.root_dentry)))
}

#[inline(always)]
fn chroot(call: &SystemCall) {
    let Some(tally) = seen_in_container(EventKind::Chroot) else { return };
    if call.failed() {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin_entered(tally, call.entered()) else { return };
    let root = root();
    action.file_from_top(&root);
    action.filesystem_path(&root);
    action.send();
}

/// `pivot_root(const char *new_root, const char *put_old)`: both as they were passed, since the new root is the top now.
#[inline(always)]
fn pivot_root(call: &SystemCall) {
    let Some(tally) = seen_in_container(EventKind::PivotRoot) else { return };
    if call.failed() {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin_entered(tally, call.entered()) else { return };
    action.file_from_top(&root());
    action.user_text(call.pointer::<0>());
    action.other_user_text(call.pointer::<1>());
    action.send();
}

/// `ptrace(long request, long pid, ...)`: the process attached to last is the first one on the caller's list.
#[inline(always)]
fn ptrace(call: &SystemCall) {
    /// `PTRACE_ATTACH` and `PTRACE_SEIZE` of include/uapi/linux/ptrace.h.
    const ATTACH: u64 = 16;
    const SEIZE: u64 = 0x4206;
    let request = call.argument::<0>();
    if request != ATTACH && request != SEIZE {
        // Not counted as seen: a debugger's every step comes through here.
        return;
    }
    let Some(tally) = seen(EventKind::Ptrace) else { return };
    let task = current();
    let list = task.0.wrapping_add(offset!(task.ptraced) as usize);
    let first = Structure::<Probed>::new(list).pointer(0);
    if call.failed() || first == list {
        tally.filtered();
        return;
    }
    let child = Task::<Probed>::new(first.wrapping_sub(offset!(task.ptrace_entry) as usize));
    let Some(mut action) = Action::begin_entered(tally, call.entered()) else { return };
    action.target(child);
    action.value(PTRACE_VALUE_MODE, MODE_ATTACH);
    action.send();
}
