//! Servers: sockets that begin to listen.

use sensor_ebpf::abi::{
    EventKind, LISTEN_VALUE_ADDRESS, LISTEN_VALUE_FAMILY, LISTEN_VALUE_PORT, LISTEN_VALUE_TYPE,
};

use crate::action::Action;
use crate::contained::is_contained;
use crate::emit::seen;
use crate::entries::{Entered, Way, argument, entries};
use crate::hooks::connect::{INET, INET6};
use crate::kernel::{Probed, Structure, offset};

entries!(socket_listen => socket_listen_lsm, socket_listen_fentry, socket_listen_kprobe);

/// `security_socket_listen(struct socket *sock, int backlog)`, unchanged from 5.10 to 7.2. The port is 0 if the kernel is
/// still to choose one.
#[inline(always)]
fn socket_listen<W: Way>(way: &W) {
    let socket = Structure::<Probed>::new(argument!(way, socket_listen.socket) as *const u8);
    listens(socket, Entered::by(W::RUNG));
}

/// A `struct socket` begins to listen.
#[inline(always)]
pub fn listens(socket: Structure<Probed>, entered: Entered) {
    let Some(tally) = seen(EventKind::SocketListen) else { return };
    let sock = Structure::<Probed>::new(socket.pointer(offset!(socket.sk)));
    let family: u16 = sock.field(offset!(sock.family));
    if !matches!(family, INET | INET6) || !is_contained(crate::action::current()) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin_entered(tally, entered) else { return };
    action.value(LISTEN_VALUE_FAMILY, u64::from(family));
    action.value(LISTEN_VALUE_TYPE, u64::from(socket.field::<u16>(offset!(socket.socket_type))));
    action.value(LISTEN_VALUE_PORT, u64::from(sock.field::<u16>(offset!(sock.num))));
    // The words of the local address, in network byte order; of IPv4 the first half of the first.
    let (first, second) = if family == INET {
        (u64::from(sock.field::<u32>(offset!(sock.rcv_saddr))), 0)
    } else {
        let address: [u64; 2] = sock.field(offset!(sock.v6_rcv_saddr));
        (address[0], address[1])
    };
    action.value(LISTEN_VALUE_ADDRESS, first);
    action.value(LISTEN_VALUE_ADDRESS + 1, second);
    action.send();
}
