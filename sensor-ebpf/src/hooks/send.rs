//! What containers send: to watched addresses without connecting first, the login of miners, questions for the names of
//! mining pools, ARP replies.

use aya_ebpf::helpers::bpf_ktime_get_boot_ns;
use sensor_ebpf::abi::{
    CgroupDestination, DestinationKey, EventKind, MISSING, SEND_ARP_REPLY, SEND_QUERY, SEND_STRATUM,
    SEND_VALUE_ADDRESS, SEND_VALUE_FAMILY, SEND_VALUE_TYPE, SEND_VALUE_WHAT,
};

use crate::action::{Action, current};
use crate::contained::seen_in_container;
use crate::entries::{Way, argument, entries};
use crate::hooks::connect::{
    INET, INET6, MANY, describe, destination, different, failures, is_watched, is_watched_address, peer,
};
use crate::kernel::{Probed, Structure, offset};
use crate::maps::DESTINATIONS;
use crate::payload::{QUESTION, arp_reply, asks_for_pool, first_piece, says_stratum};
use crate::window::crosses;

/// `AF_UNSPEC` and `AF_PACKET` of include/linux/socket.h.
const UNSPECIFIED: u16 = 0;
const PACKET: u16 = 17;
/// `SOCK_STREAM` and `SOCK_RAW` of include/linux/net.h.
const STREAM: u16 = 1;
const RAW: u16 = 3;
/// `MSG_FASTOPEN` of include/linux/socket.h: the message opens the connection.
const FAST_OPEN: u32 = 0x2000_0000;
/// `SOCK_BINDPORT_LOCK` of include/net/sock.h.
const BOUND_TO_PORT: u16 = 8;
/// Port of DNS.
const DNS: u32 = 53;
/// A connection's data is looked at until so many bytes are sent: some sent ahead hide nothing, and all that a connection
/// sends later costs no more than this check.
const AHEAD: u64 = 16;
/// Seconds in which the same is not told again of a cgroup.
const QUIET: u32 = 60;
/// Ports are shorter: what is sent is told apart from where it goes by the bits above.
const MARK: u32 = 16;

entries!(socket_send => socket_send_lsm, socket_send_fentry, socket_send_kprobe);

/// `security_socket_sendmsg(struct socket *sock, struct msghdr *msg, int size)`, unchanged from 5.10 to 7.2. The destination
/// was copied from user memory, the data was not.
#[inline(always)]
fn socket_send<W: Way>(way: &W) {
    let socket = Structure::<Probed>::new(argument!(way, socket_send.socket) as *const u8);
    let message = Structure::<Probed>::new(argument!(way, socket_send.message) as *const u8);
    let sock = Structure::<Probed>::new(socket.pointer(offset!(socket.sk)));
    // What no arm takes is not counted as seen: all that programs send comes through here.
    match sock.field::<u16>(offset!(sock.family)) {
        family @ (INET | INET6) => by_internet(socket, sock, family, message, W::RUNG),
        PACKET => by_packet(socket, message, W::RUNG),
        _ => {}
    }
}

#[inline(always)]
fn by_internet(
    socket: Structure<Probed>,
    sock: Structure<Probed>,
    family: u16,
    message: Structure<Probed>,
    rung: u32,
) {
    let stream = socket.field::<u16>(offset!(socket.socket_type)) == STREAM;
    if stream && sock.field::<u64>(offset!(tcp_sock.bytes_sent)) >= AHEAD {
        return;
    }
    let name = Structure::<Probed>::new(message.pointer(offset!(message.name)));
    let opens = !stream || message.field::<u32>(offset!(message.flags)) & FAST_OPEN != 0;
    let named = opens && !name.0.is_null();
    if !stream && !named && sock.field::<u16>(offset!(sock.dport)) != (DNS as u16).to_be() {
        return;
    }
    let Some(tally) = seen_in_container(EventKind::SocketSend) else { return };
    let target = if named { named_destination(name, family, message) } else { Some(peer(sock, family)) };
    let Some(target) = target else {
        tally.filtered();
        return;
    };
    let (start, length) = first_piece(message);
    let said = if stream {
        says_stratum(start, length)
    } else if target.port == DNS {
        asks_for_pool(start, length)
    } else {
        0
    };
    let what = if stream { SEND_STRATUM } else { SEND_QUERY };
    let said = if said != 0 && stream && !is_news(marked(target, what)) { 0 } else { said };
    // Who is answered by a socket that was bound to a port says nothing.
    let many = if named && (stream || !is_bound(sock)) { different(target) } else { 0 };
    // No rule asks for a port of datagrams alone.
    let watched = named && (if stream { is_watched(target) } else { is_watched_address(target) });
    let watched = watched && is_news(target);
    if !(said != 0 || watched || crosses(many, MANY)) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin(tally, rung) else { return };
    describe(&mut action, family, socket, target);
    let mut value = 0;
    if said != 0 {
        value = what;
    }
    if crosses(many, MANY) {
        value |= u64::from(many & 0xff_ffff) << 8 | failures() << 32;
    }
    action.value(SEND_VALUE_WHAT, value);
    if said != 0 {
        let skipped = if stream { 0 } else { QUESTION };
        action.user_bytes(start.wrapping_add(skipped), said);
    }
    action.send();
}

/// Where a message goes by its own name for it.
#[inline(always)]
fn named_destination(
    name: Structure<Probed>,
    family: u16,
    message: Structure<Probed>,
) -> Option<DestinationKey> {
    let length = u64::from(message.field::<u32>(offset!(message.name_length)));
    let named: u16 = name.field(0);
    // `udp_sendmsg` of net/ipv4/udp.c takes a name without a family for one of its own.
    let named = if named == UNSPECIFIED && family == INET { INET } else { named };
    destination(name, named, length)
}

/// Whether a `struct sock` was bound to a port by its process, as those of servers are.
#[inline(always)]
fn is_bound(sock: Structure<Probed>) -> bool {
    let bit = offset!(sock.user_locks_bit);
    bit == MISSING || sock.field::<u16>(bit / 8) >> (bit % 8) & BOUND_TO_PORT != 0
}

/// Packets below the internet protocols.
#[inline(always)]
fn by_packet(socket: Structure<Probed>, message: Structure<Probed>, rung: u32) {
    let Some(tally) = seen_in_container(EventKind::SocketSend) else { return };
    let socket_type: u16 = socket.field(offset!(socket.socket_type));
    let (start, length) = first_piece(message);
    let claimed = arp_reply(start, length, u32::from(socket_type == RAW));
    let target =
        DestinationKey { address: [0, DestinationKey::mapped(claimed as u32)], port: 0, reserved: 0 };
    if claimed == 0 || !is_news(marked(target, SEND_ARP_REPLY)) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin(tally, rung) else { return };
    action.value(SEND_VALUE_FAMILY, u64::from(PACKET));
    action.value(SEND_VALUE_TYPE, u64::from(socket_type));
    action.value(SEND_VALUE_ADDRESS, target.address[0]);
    action.value(SEND_VALUE_ADDRESS + 1, target.address[1]);
    action.value(SEND_VALUE_WHAT, SEND_ARP_REPLY);
    action.send();
}

/// Something that is sent, apart from where it goes.
#[inline(always)]
pub fn marked(destination: DestinationKey, what: u64) -> DestinationKey {
    DestinationKey { port: destination.port | (what as u32) << MARK, ..destination }
}

/// Whether nothing of this was told of the current task's cgroup within the last minute.
#[inline(always)]
pub fn is_news(destination: DestinationKey) -> bool {
    // SAFETY: the helper takes no arguments.
    let now = (unsafe { bpf_ktime_get_boot_ns() } / 1_000_000_000) as u32 | 1;
    let key = CgroupDestination { cgroup_id: current().cgroup_id(), destination };
    let Some(told) = DESTINATIONS.get_ptr_mut(key) else {
        // Without room it is told again when it comes again.
        let _ = DESTINATIONS.insert(key, now, 0);
        return true;
    };
    // SAFETY: the value lives as long as the map. Two CPUs may tell the same, which does not matter.
    let told = unsafe { &mut *told };
    if *told != 0 && now.wrapping_sub(*told) < QUIET {
        return false;
    }
    *told = now;
    true
}
