//! Switches of namespaces and of credentials: where a container's isolation and privilege change.

use sensor_ebpf::abi::{EventKind, NAMESPACE_VALUE_CHANGED, VALUE_USER_NAMESPACE_LEVEL};

use crate::action::{Action, current};
use crate::bounds::differs;
use crate::contained::{is_elsewhere, track};
use crate::emit::seen;
use crate::entries::{Way, argument, entries};
use crate::kernel::{Cred, Probed, Structure, offset};

entries!(namespace_switch => namespace_switch_fentry, namespace_switch_kprobe);

const CLONE_NEWTIME: u64 = 0x80;
const CLONE_NEWNS: u64 = 0x0002_0000;
const CLONE_NEWCGROUP: u64 = 0x0200_0000;
const CLONE_NEWUTS: u64 = 0x0400_0000;
const CLONE_NEWIPC: u64 = 0x0800_0000;
const CLONE_NEWPID: u64 = 0x2000_0000;
const CLONE_NEWNET: u64 = 0x4000_0000;

/// `switch_task_namespaces(struct task_struct *p, struct nsproxy *new)`; `new` is null for a task that ends.
/// User namespaces are not among them: they change with the credentials.
#[inline(always)]
fn namespace_switch<W: Way>(way: &W) {
    let task = argument!(way, switch_task_namespaces.task) as *const u8;
    let new = argument!(way, switch_task_namespaces.new) as *const u8;
    let Some(tally) = seen(EventKind::NamespaceSwitch) else { return };
    let own = current();
    if new.is_null() || task != own.0 {
        tally.filtered();
        return;
    }
    let old = Structure::<Probed>::new(own.pointer(offset!(task.nsproxy)));
    let new = Structure::<Probed>::new(new);
    let mut changed = 0;
    let mut compare = |offset: u32, flag: u64| {
        changed |= flag * differs(old.pointer(offset) as u64, new.pointer(offset) as u64);
    };
    compare(offset!(nsproxy.mnt_ns), CLONE_NEWNS);
    compare(offset!(nsproxy.uts_ns), CLONE_NEWUTS);
    compare(offset!(nsproxy.ipc_ns), CLONE_NEWIPC);
    compare(offset!(nsproxy.net_ns), CLONE_NEWNET);
    compare(offset!(nsproxy.cgroup_ns), CLONE_NEWCGROUP);
    compare(offset!(nsproxy.pid_ns_for_children), CLONE_NEWPID);
    compare(offset!(nsproxy.time_ns), CLONE_NEWTIME);
    if changed == 0 {
        tally.filtered();
        return;
    }
    let inum = |pointer: u32, inum: u32| Structure::<Probed>::new(new.pointer(pointer)).field::<u32>(inum);
    let mount = inum(offset!(nsproxy.mnt_ns), offset!(mnt_namespace.inum));
    if is_elsewhere(mount) {
        track(own.process_id());
    }
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.value(NAMESPACE_VALUE_CHANGED, changed);
    let record = action.record();
    record.target_namespaces.mount = mount;
    record.target_namespaces.pid = inum(offset!(nsproxy.pid_ns_for_children), offset!(pid_namespace.inum));
    record.target_namespaces.network = inum(offset!(nsproxy.net_ns), offset!(net.inum));
    record.target_namespaces.ipc = inum(offset!(nsproxy.ipc_ns), offset!(ipc_namespace.inum));
    record.target_namespaces.uts = inum(offset!(nsproxy.uts_ns), offset!(uts_namespace.inum));
    record.target_namespaces.cgroup = inum(offset!(nsproxy.cgroup_ns), offset!(cgroup_namespace.inum));
    record.target_namespaces.time = inum(offset!(nsproxy.time_ns), offset!(time_namespace.inum));
    record.target_namespaces.user = record.subject.namespaces.user;
    action.send();
}

entries!(credential_change => credential_change_fentry, credential_change_kprobe);

/// `commit_creds(struct cred *new)`, unchanged from 5.10 to 7.2. Only what makes a task stronger, or moves it to another
/// user namespace, is told: losing privilege is the normal life of a daemon.
#[inline(always)]
fn credential_change<W: Way>(way: &W) {
    let new = Cred::<Probed>::new(argument!(way, commit_creds.new) as *const u8);
    let Some(tally) = seen(EventKind::CredentialChange) else { return };
    let old = current().credentials();
    if !stronger(old, new) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.credentials(new);
    let namespace = new.user_namespace();
    action
        .value(VALUE_USER_NAMESPACE_LEVEL, u64::from(namespace.field::<u32>(offset!(user_namespace.level))));
    action.record().target_namespaces.user = namespace.field(offset!(user_namespace.inum));
    action.send();
}

#[inline(always)]
fn stronger(old: Cred<Probed>, new: Cred<Probed>) -> bool {
    // 1 where the new id is 0 and the old one is not.
    let becomes_root = |offset: u32| {
        let (old, new) = (old.field::<u32>(offset), new.field::<u32>(offset));
        differs(u64::from(old), 0) & (1 - differs(u64::from(new), 0))
    };
    let gains = |offset: u32| new.field::<u64>(offset) & !old.field::<u64>(offset);
    let moved = differs(old.user_namespace().0 as u64, new.user_namespace().0 as u64);
    let gained = gains(offset!(cred.cap_permitted))
        | gains(offset!(cred.cap_effective))
        | gains(offset!(cred.cap_bset));
    let root = becomes_root(offset!(cred.uid))
        | becomes_root(offset!(cred.euid))
        | becomes_root(offset!(cred.fsuid));
    moved | gained | root != 0
}

entries!(user_namespace_create => user_namespace_create_lsm, user_namespace_create_fentry, user_namespace_create_kprobe);

/// `security_create_user_ns(const struct cred *cred)` since 6.1, `create_user_ns(struct cred *new)` before: the
/// credentials belong to the creator's namespace still. Whether it may is decided later on kernels before 6.1.
#[inline(always)]
fn user_namespace_create<W: Way>(way: &W) {
    let credentials = Cred::<Probed>::new(argument!(way, user_namespace_create.credentials) as *const u8);
    let Some(tally) = seen(EventKind::UserNamespaceCreate) else { return };
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    let level: u32 = credentials.user_namespace().field(offset!(user_namespace.level));
    action.value(VALUE_USER_NAMESPACE_LEVEL, u64::from(level) + 1);
    action.send();
}
