//! Connections of containers: to watched addresses and ports, and to many different ones.

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use sensor_ebpf::abi::{
    CONNECT_VALUE_ADDRESS, CONNECT_VALUE_FAMILY, CONNECT_VALUE_MANY, CONNECT_VALUE_PORT, CONNECT_VALUE_TYPE,
    CgroupDestination, DestinationKey, EventKind,
};

use crate::action::{Action, current};
use crate::contained::is_contained;
use crate::emit::seen;
use crate::entries::{Entered, Way, argument, entries};
use crate::kernel::{Access, Probed, Structure, offset};
use crate::maps::{CONNECTED, DESTINATIONS, SCANS, WATCHED_DESTINATIONS};
use crate::window::{count, crosses};

/// `AF_INET` of include/linux/socket.h.
pub const INET: u16 = 2;
/// `AF_INET6` of the same file.
pub const INET6: u16 = 10;
/// Bytes of an address up to the end of its number: `struct sockaddr_in`, and `SIN6_LEN_RFC2133` of include/net/ipv6.h.
const INET_LENGTH: u64 = 16;
const INET6_LENGTH: u64 = 24;
/// `ECONNREFUSED`, `ETIMEDOUT`, `EHOSTUNREACH` and `ENETUNREACH` of include/uapi/asm-generic/errno.h.
const REFUSED: i32 = -111;
const TIMED_OUT: i32 = -110;
const HOST_UNREACHABLE: i32 = -113;
const NETWORK_UNREACHABLE: i32 = -101;
/// `EINPROGRESS` of the same file.
const IN_PROGRESS: i32 = -115;
/// `TCP_SYN_SENT` and `TCP_CLOSE` of include/net/tcp_states.h.
const SYN_SENT: u32 = 2;
const CLOSE: u32 = 7;
/// Nanoseconds in which different destinations are counted.
const WINDOW: u64 = 60_000_000_000;
/// So many of them are many.
pub const MANY: u32 = 64;

entries!(socket_connect => socket_connect_lsm, socket_connect_fentry, socket_connect_kprobe);

/// `security_socket_connect(struct socket *sock, struct sockaddr *address, int addrlen)`, unchanged from 5.10 to 7.2. The
/// address was copied from user memory.
#[inline(always)]
fn socket_connect<W: Way>(way: &W) {
    let socket = Structure::<Probed>::new(argument!(way, socket_connect.socket) as *const u8);
    let address =
        Structure::<Probed>::new(argument!(way, socket_connect.address, copied_argument) as *const u8);
    let length = argument!(way, socket_connect.length) & 0xffff_ffff;
    connects_to(socket, address, length, Entered::by(W::RUNG));
}

/// The current task connects a `struct socket` to a `struct sockaddr`.
#[inline(always)]
pub fn connects_to<A: Access>(
    socket: Structure<Probed>,
    address: Structure<A>,
    length: u64,
    entered: Entered,
) {
    let Some(tally) = seen(EventKind::SocketConnect) else { return };
    let family: u16 = address.field(0);
    let Some(destination) = destination(address, family, length) else {
        tally.filtered();
        return;
    };
    if !is_contained(current()) {
        tally.filtered();
        return;
    }
    let many = different(destination);
    // Where the call returns, the failure came before the destination was noted.
    if many != 0 && has_failed(socket, entered.result) {
        failed(current().cgroup_id());
    }
    if !(is_watched(destination) || crosses(many, MANY)) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin_entered(tally, entered) else { return };
    describe(&mut action, family, socket, destination);
    if crosses(many, MANY) {
        action.value(CONNECT_VALUE_MANY, u64::from(many) | failures() << 32);
    }
    action.send();
}

/// Where a `struct sockaddr` of some length leads; `None` if it is no address of the internet, or not whole.
#[inline(always)]
pub fn destination<A: Access>(address: Structure<A>, family: u16, length: u64) -> Option<DestinationKey> {
    // The kernel refuses addresses that end before they are whole; what lies behind them is not theirs.
    let whole = family == INET && length >= INET_LENGTH || family == INET6 && length >= INET6_LENGTH;
    if !whole {
        return None;
    }
    // `struct sockaddr_in` and `sockaddr_in6`: the port in network byte order, then the address.
    let port = u32::from(u16::from_be(address.field::<u16>(2)));
    let words = if family == INET {
        [0, DestinationKey::mapped(address.field::<u32>(4))]
    } else {
        address.field::<[u64; 2]>(8)
    };
    Some(DestinationKey { address: words, port, reserved: 0 })
}

/// The other end of a connected `struct sock`.
#[inline(always)]
pub fn peer(sock: Structure<Probed>, family: u16) -> DestinationKey {
    let words = if family == INET {
        [0, DestinationKey::mapped(sock.field::<u32>(offset!(sock.daddr)))]
    } else {
        sock.field::<[u64; 2]>(offset!(sock.v6_daddr))
    };
    let port = u32::from(u16::from_be(sock.field::<u16>(offset!(sock.dport))));
    DestinationKey { address: words, port, reserved: 0 }
}

/// Says in a record where it goes.
#[inline(always)]
pub fn describe(action: &mut Action, family: u16, socket: Structure<Probed>, destination: DestinationKey) {
    action.value(CONNECT_VALUE_FAMILY, u64::from(family));
    action.value(CONNECT_VALUE_TYPE, u64::from(socket.field::<u16>(offset!(socket.socket_type))));
    action.value(CONNECT_VALUE_PORT, u64::from(destination.port));
    action.value(CONNECT_VALUE_ADDRESS, destination.address[0]);
    action.value(CONNECT_VALUE_ADDRESS + 1, destination.address[1]);
}

/// How many connections of the current task's cgroup failed since its window began.
#[inline(always)]
pub fn failures() -> u64 {
    match SCANS.get_ptr(current().cgroup_id()) {
        // SAFETY: the value lives as long as the map.
        Some(scan) => u64::from(unsafe { (*scan).other }),
        None => 0,
    }
}

/// Whether a connection failed before the call returned; one that does not wait may have been refused by then.
#[inline(always)]
fn has_failed(socket: Structure<Probed>, result: i32) -> bool {
    let sock = Structure::<Probed>::new(socket.pointer(offset!(socket.sk)));
    let closed = u32::from(sock.field::<u8>(offset!(sock.state))) == CLOSE;
    matches!(result, REFUSED | TIMED_OUT | HOST_UNREACHABLE | NETWORK_UNREACHABLE)
        || result == IN_PROGRESS && closed
}

/// Whether a destination is on the list: its port, its address, or both.
#[inline(always)]
pub fn is_watched(destination: DestinationKey) -> bool {
    WATCHED_DESTINATIONS.get_ptr(DestinationKey { address: [0; 2], ..destination }).is_some()
        || is_watched_address(destination)
}

/// The same of its address, or that with its port.
#[inline(always)]
pub fn is_watched_address(destination: DestinationKey) -> bool {
    WATCHED_DESTINATIONS.get_ptr(DestinationKey { port: 0, ..destination }).is_some()
        || WATCHED_DESTINATIONS.get_ptr(destination).is_some()
}

/// How many different destinations the current task's cgroup connected to within a minute, if this is a new one; else 0.
#[inline(always)]
pub fn different(destination: DestinationKey) -> u32 {
    let cgroup_id = current().cgroup_id();
    let key = CgroupDestination { cgroup_id, destination };
    if DESTINATIONS.get_ptr(key).is_some() {
        return 0;
    }
    // Without room the destination counts again when it comes again.
    let _ = DESTINATIONS.insert(key, 0, 0);
    let _ = CONNECTED.insert(destination, cgroup_id, 0);
    count(&SCANS, &cgroup_id, WINDOW)
}

/// `inet_sock_set_state(const struct sock *sk, const int oldstate, const int newstate)`, unchanged from 5.10 to 7.2: a
/// connection that is refused or not answered goes from SYN_SENT to CLOSE. Reports nothing by itself.
#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn connection_failure(context: BtfTracePointContext) -> i32 {
    let (old, new): (u32, u32) = (context.arg(1), context.arg(2));
    if old != SYN_SENT || new != CLOSE {
        return 0;
    }
    let sock = Structure::<Probed>::new(context.arg(0));
    let family: u16 = sock.field(offset!(sock.family));
    let Some(cgroup_id) = CONNECTED.get_ptr(peer(sock, family)) else { return 0 };
    // SAFETY: the value lives as long as the map.
    failed(unsafe { *cgroup_id });
    0
}

/// A connection of a cgroup failed.
#[inline(always)]
fn failed(cgroup_id: u64) {
    if let Some(scan) = SCANS.get_ptr_mut(cgroup_id) {
        // SAFETY: the value lives as long as the map. Two CPUs may count one less together, which does not matter.
        unsafe { (*scan).other += 1 };
    }
}
