//! Changes of the packet filter and of the audit system.

use sensor_ebpf::abi::{
    EventKind, FILTER_AUDIT, FILTER_NF_TABLES, FILTER_TABLES, FILTER_VALUE_MESSAGE, FILTER_VALUE_SYSTEM,
};

use crate::action::Action;
use crate::emit::seen;
use crate::entries::{Way, argument, entries};
use crate::kernel::{Probed, Structure, offset};

/// `NETLINK_AUDIT` and `NETLINK_NETFILTER` of include/uapi/linux/netlink.h.
const AUDIT: u16 = 9;
const NETFILTER: u16 = 12;
/// Messages looked at in one buffer: those of a transaction follow its begin.
const MESSAGES: u32 = 4;

entries!(netlink_send => netlink_send_lsm, netlink_send_fentry, netlink_send_kprobe);

/// `security_netlink_send(struct sock *sk, struct sk_buff *skb)`, unchanged from 5.10 to 7.2.
#[inline(always)]
fn netlink_send<W: Way>(way: &W) {
    let sock = Structure::<Probed>::new(argument!(way, netlink_send.sock) as *const u8);
    let buffer = Structure::<Probed>::new(argument!(way, netlink_send.buffer) as *const u8);
    let Some(tally) = seen(EventKind::FilterChange) else { return };
    let protocol: u16 = sock.field(offset!(sock.protocol));
    let message = match protocol {
        AUDIT | NETFILTER => changing(buffer, protocol),
        _ => 0,
    };
    if message == 0 {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.value(FILTER_VALUE_SYSTEM, if protocol == AUDIT { FILTER_AUDIT } else { FILTER_NF_TABLES });
    action.value(FILTER_VALUE_MESSAGE, u64::from(message));
    action.send();
}

/// The type of the first message of a `struct sk_buff` that changes something; 0 if none does.
#[inline(always)]
fn changing(buffer: Structure<Probed>, protocol: u16) -> u32 {
    let data = buffer.pointer(offset!(sk_buff.data));
    let length: u32 = buffer.field(offset!(sk_buff.length));
    let mut at = 0;
    let mut count = 0;
    while count < MESSAGES {
        // `struct nlmsghdr`: length, then type; the next message begins at a multiple of four.
        let message = Structure::<Probed>::new(data.wrapping_add((at & 0xffff) as usize));
        let kind = u32::from(message.field::<u16>(4));
        if changes(protocol, kind) {
            return kind;
        }
        at += (message.field::<u32>(0) + 3) & 0xfffc;
        if at + 16 > length || at == 0 {
            return 0;
        }
        count += 1;
    }
    0
}

/// Whether a message changes rules.
#[inline(always)]
fn changes(protocol: u16, kind: u32) -> bool {
    /// `NFNL_SUBSYS_NFTABLES` of include/uapi/linux/netfilter/nfnetlink.h, in the upper byte.
    const NF_TABLES: u32 = 10;
    if protocol == AUDIT {
        // `AUDIT_SET`, `AUDIT_ADD_RULE`, `AUDIT_DEL_RULE` of include/uapi/linux/audit.h.
        return matches!(kind, 1001 | 1011 | 1012);
    }
    // `enum nf_tables_msg_types` of include/uapi/linux/netfilter/nf_tables.h: of tables, chains, rules, sets and elements the
    // new and removed ones.
    kind >> 8 == NF_TABLES && matches!(kind & 0xff, 0 | 2 | 3 | 5 | 6 | 8 | 9 | 11 | 12 | 14)
}

entries!(socket_option => socket_option_lsm, socket_option_fentry, socket_option_kprobe);

/// `security_socket_setsockopt(struct socket *sock, int level, int optname)`, unchanged from 5.10 to 7.2.
#[inline(always)]
fn socket_option<W: Way>(way: &W) {
    /// `SOL_IP` and `SOL_IPV6`; `IPT_SO_SET_REPLACE` of include/uapi/linux/netfilter_ipv4/ip_tables.h.
    const IP: u64 = 0;
    const IPV6: u64 = 41;
    const REPLACE: u64 = 64;
    let level = argument!(way, socket_option.level) & 0xffff_ffff;
    let option = argument!(way, socket_option.option) & 0xffff_ffff;
    let Some(tally) = seen(EventKind::FilterChange) else { return };
    if option != REPLACE || !matches!(level, IP | IPV6) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.value(FILTER_VALUE_SYSTEM, FILTER_TABLES);
    action.send();
}
