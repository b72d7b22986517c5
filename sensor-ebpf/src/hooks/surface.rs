//! Rarely used parts of the kernel that attackers like: performance events, userfaultfd, io_uring, AF_ALG, the log.

use sensor_ebpf::abi::{
    EventKind, KERNEL_LOG_VALUE_ACTION, PERF_VALUE_CONFIG, PERF_VALUE_SCOPE, PERF_VALUE_TYPE,
    SOCKET_VALUE_FAMILY, SOCKET_VALUE_PROTOCOL, SOCKET_VALUE_TYPE,
};

use crate::action::{Action, current};
use crate::contained::{is_contained, seen_in_container};
use crate::emit::seen;
use crate::entries::{Way, argument, entries};
use crate::kernel::{Probed, Structure, offset};

entries!(perf_event_open => perf_event_open_lsm, perf_event_open_fentry, perf_event_open_kprobe);

/// Where `struct perf_event_attr` (include/uapi/linux/perf_event.h) holds `type` and `config`.
pub const PERF_TYPE: u32 = 0;
/// `config`
pub const PERF_CONFIG: u32 = 8;

/// `security_perf_event_open(struct perf_event_attr *attr, int type)`; 6.16 dropped `attr`.
#[inline(always)]
fn perf_event_open<W: Way>(way: &W) {
    let scope = argument!(way, perf_event_open.scope) & 0xffff_ffff;
    let attributes = Structure::<Probed>::new(argument!(way, perf_event_open.attributes) as *const u8);
    let Some(tally) = seen_in_container(EventKind::PerfEventOpen) else { return };
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.value(PERF_VALUE_SCOPE, scope);
    action.value(PERF_VALUE_TYPE, u64::from(attributes.field::<u32>(PERF_TYPE)));
    action.value(PERF_VALUE_CONFIG, attributes.field(PERF_CONFIG));
    action.send();
}

entries!(anonymous_inode => anonymous_inode_lsm, anonymous_inode_fentry, anonymous_inode_kprobe);

/// `security_inode_init_security_anon(struct inode *inode, const struct qstr *name, const struct inode *context_inode)`,
/// since 5.12: userfaultfd, since 5.16 io_uring.
#[inline(always)]
fn anonymous_inode<W: Way>(way: &W) {
    let name = Structure::<Probed>::new(argument!(way, anonymous_inode.name) as *const u8);
    let Some(tally) = seen_in_container(EventKind::AnonymousInode) else { return };
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.text(name.pointer(offset!(qstr.name)));
    action.send();
}

entries!(socket_create => socket_create_lsm, socket_create_fentry, socket_create_kprobe);

/// `AF_ALG` of include/linux/socket.h.
pub const FAMILY_ALG: u64 = 38;

/// `security_socket_create(int family, int type, int protocol, int kern)`
#[inline(always)]
fn socket_create<W: Way>(way: &W) {
    let family = argument!(way, socket_create.family) & 0xffff_ffff;
    let socket_type = argument!(way, socket_create.socket_type) & 0xffff_ffff;
    let protocol = argument!(way, socket_create.protocol) & 0xffff_ffff;
    let kernel = argument!(way, socket_create.kernel) & 0xffff_ffff;
    let Some(tally) = seen(EventKind::SocketCreate) else { return };
    if !is_watched_socket(family, socket_type) || kernel != 0 || !is_contained(current()) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.value(SOCKET_VALUE_FAMILY, family);
    action.value(SOCKET_VALUE_TYPE, socket_type);
    action.value(SOCKET_VALUE_PROTOCOL, protocol);
    action.send();
}

/// Whether a socket speaks to the kernel's cryptography, or sees packets below the transport layer.
#[inline(always)]
pub fn is_watched_socket(family: u64, socket_type: u64) -> bool {
    /// `AF_INET`, `AF_INET6` and `AF_PACKET` of include/linux/socket.h; `SOCK_RAW` of include/linux/net.h, whose type has
    /// flags above its lowest four bits in user space.
    const INET: u64 = 2;
    const INET6: u64 = 10;
    const PACKET: u64 = 17;
    const RAW: u64 = 3;
    matches!(family, FAMILY_ALG | PACKET) || matches!(family, INET | INET6) && socket_type & 0xf == RAW
}

entries!(kernel_log => kernel_log_lsm, kernel_log_fentry, kernel_log_kprobe);

/// `security_syslog(int type)`: also asked when /proc/kmsg or /dev/kmsg is opened, as if the log were read.
#[inline(always)]
fn kernel_log<W: Way>(way: &W) {
    let action_type = argument!(way, kernel_log.action) & 0xffff_ffff;
    let Some(tally) = seen(EventKind::KernelLog) else { return };
    if !(reads_or_clears(action_type) && is_contained(current()) || clears(action_type)) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.value(KERNEL_LOG_VALUE_ACTION, action_type);
    action.send();
}

/// `SYSLOG_ACTION_READ_CLEAR` and `_CLEAR`: told of the host's processes too.
#[inline(always)]
pub fn clears(action: u64) -> bool {
    matches!(action, 4 | 5)
}

/// `SYSLOG_ACTION_READ`, `_READ_ALL`, `_READ_CLEAR` and `_CLEAR` of include/linux/syslog.h follow one another: 2 to 5.
#[inline(always)]
pub fn reads_or_clears(action: u64) -> bool {
    action.wrapping_sub(2) < 4
}

entries!(socket_bind => socket_bind_lsm, socket_bind_fentry, socket_bind_kprobe);

/// Where `struct sockaddr_alg` (include/uapi/linux/if_alg.h) holds the kind and the name of the algorithm.
pub const ALGORITHM_TYPE: usize = 2;
/// The name.
pub const ALGORITHM_NAME: usize = 24;

/// `security_socket_bind(struct socket *sock, struct sockaddr *address, int addrlen)`: the address was copied from user
/// memory. Of AF_ALG it names the algorithm.
#[inline(always)]
fn socket_bind<W: Way>(way: &W) {
    let socket = Structure::<Probed>::new(argument!(way, socket_bind.socket) as *const u8);
    let address = argument!(way, socket_bind.address) as *const u8;
    let Some(tally) = seen(EventKind::SocketBind) else { return };
    let sock = Structure::<Probed>::new(socket.pointer(offset!(socket.sk)));
    let family = u64::from(sock.field::<u16>(offset!(sock.family)));
    if family != FAMILY_ALG || !is_contained(current()) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.value(SOCKET_VALUE_FAMILY, family);
    action.text(address.wrapping_add(ALGORITHM_TYPE));
    action.other_text(address.wrapping_add(ALGORITHM_NAME));
    action.send();
}
