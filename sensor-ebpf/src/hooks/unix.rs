//! Connections to unix sockets that somebody outside the container listens on.

use sensor_ebpf::abi::{EventKind, UNIX_VALUE_PEER_PID};

use crate::action::{Action, current};
use crate::contained::is_contained;
use crate::emit::seen;
use crate::entries::{Entered, Way, argument, entries};
use crate::file::File;
use crate::kernel::{Probed, Structure, offset};

entries!(unix_connect => unix_connect_lsm, unix_connect_fentry, unix_connect_kprobe);

/// The name of an abstract socket stands behind the family and a NUL.
const ABSTRACT_NAME: u32 = 3;
/// How the abstract sockets of containerd-shim begin (CVE-2020-15257).
const SHIM: u64 = u64::from_ne_bytes(*b"/contain");

/// `security_unix_stream_connect(struct sock *sock, struct sock *other, struct sock *newsk)`. `other` listens; its path is
/// where it was bound, whatever name led to it. A container's own sockets are bound in its own mount namespace.
#[inline(always)]
fn unix_connect<W: Way>(way: &W) {
    let other = Structure::<Probed>::new(argument!(way, unix_connect.other) as *const u8);
    // Of a socket that listens, this is who called listen(2).
    connects(other, listener_pid(other), Entered::by(W::RUNG));
}

/// `sk_peer_pid` of a socket, as the host's own namespace numbers it.
#[inline(always)]
pub fn listener_pid(sock: Structure<Probed>) -> u32 {
    let pid = Structure::<Probed>::new(sock.pointer(offset!(sock.peer_pid)));
    pid.field(offset!(pid.numbers).wrapping_add(offset!(upid.nr)))
}

/// The current task connects to the unix socket `other`, on which a process listens.
#[inline(always)]
pub fn connects(other: Structure<Probed>, listener_pid: u32, entered: Entered) {
    let Some(tally) = seen(EventKind::UnixConnect) else { return };
    let task = current();
    if !is_contained(task) {
        tally.filtered();
        return;
    }
    let dentry = other.pointer(offset!(unix_sock.path_dentry));
    if dentry.is_null() {
        let address =
            other.pointer(offset!(unix_sock.addr)).wrapping_add(offset!(unix_address.name) as usize);
        let name = Structure::<Probed>::new(address);
        if name.field::<u64>(ABSTRACT_NAME) != SHIM {
            tally.filtered();
            return;
        }
        let Some(mut action) = Action::begin_entered(tally, entered) else { return };
        action.value(UNIX_VALUE_PEER_PID, u64::from(listener_pid));
        action.text(address.wrapping_add(ABSTRACT_NAME as usize));
        action.send();
        return;
    }
    let file = File::entry(other.pointer(offset!(unix_sock.path_mnt)), dentry);
    let proxy = Structure::<Probed>::new(task.pointer(offset!(task.nsproxy)));
    if file.mount_namespace() == proxy.pointer(offset!(nsproxy.mnt_ns)) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin_entered(tally, entered) else { return };
    action.value(UNIX_VALUE_PEER_PID, u64::from(listener_pid));
    action.file(&file);
    action.send();
}
