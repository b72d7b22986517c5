//! What the numbers of an action mean, in the words that rules, records and metrics use.

use std::net::IpAddr;

use sensor_ebpf::abi::{
    ATTRIBUTE_CAPABILITIES, ATTRIBUTE_FLAGS, ATTRIBUTE_GROUP, ATTRIBUTE_MODE, ATTRIBUTE_MODIFY_TIME,
    ATTRIBUTE_OWNER, ATTRIBUTE_SIZE, ATTRIBUTE_VALUE_CAPABILITIES, ATTRIBUTE_VALUE_CHANGED,
    ATTRIBUTE_VALUE_FLAGS, BPF_VALUE_PROGRAM_TYPE, CONNECT_VALUE_MANY, DEVICE_VALUE_MODE, FILE_FLAG_APPEND,
    FILE_FLAG_IMMUTABLE, FILTER_AUDIT, FILTER_NF_TABLES, FILTER_TABLES, FILTER_VALUE_SYSTEM,
    KERNEL_LOG_VALUE_ACTION, LISTEN_VALUE_ADDRESS, LISTEN_VALUE_FAMILY, MAP_VALUE_FLAGS,
    MAP_VALUE_PROTECTION, MODULE_FROM_FILE, MODULE_FROM_MEMORY, MODULE_LOADED, MODULE_VALUE_SOURCE,
    NAME_LINK, NAME_MAKE_FOLDER, NAME_REMOVE_FOLDER, NAME_RENAME, NAME_SYMLINK, NAME_UNLINK,
    NAME_VALUE_OPERATION, OPEN_DEVICE, OPEN_VALUE_REASONS, PERF_VALUE_SCOPE, POWER_VALUE_COMMAND,
    SEND_ARP_REPLY, SEND_QUERY, SEND_STRATUM, SEND_VALUE_WHAT, SIGNAL_VALUE_NUMBER, SOCKET_VALUE_FAMILY,
    SOCKET_VALUE_PROTOCOL, SOCKET_VALUE_TYPE,
};

use crate::action::{Action, ActionFile, sent};
use crate::event::{EventKind, FileFactsExt};
use crate::text;

/// Whether a mode lets whoever runs the file act as its owner or group.
pub fn is_privileged(mode: u64) -> bool {
    mode & 0o4000 != 0 || mode & 0o2010 == 0o2010
}

/// What a `file_attribute` changes, by name.
pub fn attribute_changes(action: &Action) -> impl Iterator<Item = &'static str> {
    const NAMES: [(u64, &str); 7] = [
        (ATTRIBUTE_MODE, "mode"),
        (ATTRIBUTE_OWNER, "owner"),
        (ATTRIBUTE_GROUP, "group"),
        (ATTRIBUTE_SIZE, "size"),
        (ATTRIBUTE_MODIFY_TIME, "modify_time"),
        (ATTRIBUTE_CAPABILITIES, "capabilities"),
        (ATTRIBUTE_FLAGS, "flags"),
    ];
    let is_one = action.kind == EventKind::FileAttribute;
    let changed = if is_one { action.values[ATTRIBUTE_VALUE_CHANGED] } else { 0 };
    NAMES.into_iter().filter(move |(bit, _)| changed & bit != 0).map(|(_, name)| name)
}

/// Flags that a file gets or loses, by name.
pub fn changed_flags(action: &Action) -> impl Iterator<Item = &'static str> {
    const NAMES: [(u64, &str); 2] = [(FILE_FLAG_IMMUTABLE, "immutable"), (FILE_FLAG_APPEND, "append")];
    let is_one = action.kind == EventKind::FileAttribute
        && action.values[ATTRIBUTE_VALUE_CHANGED] & ATTRIBUTE_FLAGS != 0;
    let flags = action.values[ATTRIBUTE_VALUE_FLAGS];
    let changed = if is_one { flags ^ flags >> 32 } else { 0 };
    NAMES.into_iter().filter(move |(bit, _)| changed & bit != 0).map(|(_, name)| name)
}

/// What a `file_map` allows (PROT_* of include/uapi/asm-generic/mman-common.h), by name.
pub fn map_protection(action: &Action) -> impl Iterator<Item = &'static str> {
    const NAMES: [(libc::c_int, &str); 3] =
        [(libc::PROT_READ, "read"), (libc::PROT_WRITE, "write"), (libc::PROT_EXEC, "exec")];
    let is_one = action.kind == EventKind::FileMap;
    let protection = if is_one { action.values[MAP_VALUE_PROTECTION] } else { 0 };
    NAMES.into_iter().filter(move |(bit, _)| protection & *bit as u64 != 0).map(|(_, name)| name)
}

/// Whether a `file_map` is shared with others that map the file; `None` for other actions.
pub fn map_shared(action: &Action) -> Option<bool> {
    (action.kind == EventKind::FileMap).then(|| action.values[MAP_VALUE_FLAGS] & libc::MAP_SHARED as u64 != 0)
}

/// Whose rules are changed; `None` for other actions.
pub fn filter_system(action: &Action) -> Option<&'static str> {
    (action.kind == EventKind::FilterChange).then(|| match action.values[FILTER_VALUE_SYSTEM] {
        FILTER_NF_TABLES => "nf_tables",
        FILTER_TABLES => "iptables",
        FILTER_AUDIT => "audit",
        _ => "other",
    })
}

/// Capabilities that a file is given; `None` for other actions.
pub fn file_capabilities(action: &Action) -> Option<u64> {
    let is_one = action.kind == EventKind::FileAttribute
        && action.values[ATTRIBUTE_VALUE_CHANGED] & ATTRIBUTE_CAPABILITIES != 0;
    is_one.then(|| action.values[ATTRIBUTE_VALUE_CAPABILITIES])
}

/// What is done with a name; `None` for other actions.
pub fn name_operation(action: &Action) -> Option<&'static str> {
    (action.kind == EventKind::FileName).then(|| match action.values[NAME_VALUE_OPERATION] {
        NAME_LINK => "link",
        NAME_SYMLINK => "symlink",
        NAME_RENAME => "rename",
        NAME_UNLINK => "unlink",
        NAME_MAKE_FOLDER => "make_folder",
        NAME_REMOVE_FOLDER => "remove_folder",
        _ => "other",
    })
}

/// Where a module comes from; `None` for other actions.
pub fn module_source(action: &Action) -> Option<&'static str> {
    if action.kind != EventKind::ModuleLoad {
        return None;
    }
    Some(match action.values[MODULE_VALUE_SOURCE] {
        MODULE_LOADED => "loaded",
        MODULE_FROM_FILE => "file",
        MODULE_FROM_MEMORY => "memory",
        _ => "other",
    })
}

/// `enum bpf_prog_type` of include/uapi/linux/bpf.h, in its order.
const BPF_PROGRAM_TYPES: [&str; 33] = [
    "unspecified",
    "socket_filter",
    "kprobe",
    "sched_cls",
    "sched_act",
    "tracepoint",
    "xdp",
    "perf_event",
    "cgroup_skb",
    "cgroup_sock",
    "lwt_in",
    "lwt_out",
    "lwt_xmit",
    "sock_ops",
    "sk_skb",
    "cgroup_device",
    "sk_msg",
    "raw_tracepoint",
    "cgroup_sock_addr",
    "lwt_seg6local",
    "lirc_mode2",
    "sk_reuseport",
    "flow_dissector",
    "cgroup_sysctl",
    "raw_tracepoint_writable",
    "cgroup_sockopt",
    "tracing",
    "struct_ops",
    "ext",
    "lsm",
    "sk_lookup",
    "syscall",
    "netfilter",
];

/// Type of the BPF program that is loaded; `None` for other actions.
pub fn bpf_program_type(action: &Action) -> Option<&'static str> {
    (action.kind == EventKind::Bpf).then(|| {
        let known = usize::try_from(action.values[BPF_VALUE_PROGRAM_TYPE]).ok();
        known.and_then(|number| BPF_PROGRAM_TYPES.get(number)).copied().unwrap_or("other")
    })
}

/// What a performance event wants (PERF_SECURITY_* of include/linux/perf_event.h); `None` for other actions.
pub fn perf_scope(action: &Action) -> Option<&'static str> {
    (action.kind == EventKind::PerfEventOpen).then(|| match action.values[PERF_VALUE_SCOPE] {
        0 => "open",
        1 => "cpu",
        2 => "kernel",
        3 => "tracepoint",
        _ => "other",
    })
}

/// What a file is, by its mode.
pub fn file_type(file: &ActionFile) -> &'static str {
    text::file_type(file.facts.mode)
}

/// Of a device node that is made or opened, what it is; `None` for other actions.
pub fn device_type(action: &Action) -> Option<&'static str> {
    match action.kind {
        EventKind::DeviceNode => Some(text::file_type(action.values[DEVICE_VALUE_MODE] as u32)),
        EventKind::FileOpen if action.values[OPEN_VALUE_REASONS] & OPEN_DEVICE != 0 => {
            action.file.as_ref().map(file_type)
        }
        _ => None,
    }
}

/// How many different destinations, and how many failed connections, if a connection is told for that.
pub fn connect_many(action: &Action) -> Option<(u32, u32)> {
    let (many, failed) = match action.kind {
        EventKind::SocketConnect => {
            (action.values[CONNECT_VALUE_MANY] as u32, action.values[CONNECT_VALUE_MANY] >> 32)
        }
        EventKind::SocketSend => {
            (action.values[SEND_VALUE_WHAT] as u32 >> 8, action.values[SEND_VALUE_WHAT] >> 32)
        }
        _ => return None,
    };
    Some((many, failed as u32))
}

/// The protocol of what is sent, if it is told for that; `None` for other actions.
pub fn protocol_sent(action: &Action) -> Option<&'static str> {
    match sent(action)? {
        SEND_STRATUM => Some("stratum"),
        SEND_QUERY => Some("dns"),
        SEND_ARP_REPLY => Some("arp"),
        _ => None,
    }
}

/// The name that DNS is asked for; `None` for other actions.
pub fn asked_name(action: &Action) -> Option<&[u8]> {
    (sent(action) == Some(SEND_QUERY)).then_some(&action.text)
}

/// A name of DNS as people write it: a dot between labels.
pub fn dotted(mut name: &[u8]) -> Vec<u8> {
    let mut dotted = Vec::with_capacity(name.len());
    while let Some((&length, rest)) = name.split_first() {
        let (label, rest) = rest.split_at(usize::from(length).min(rest.len()));
        if !dotted.is_empty() {
            dotted.push(b'.');
        }
        dotted.extend_from_slice(label);
        name = rest;
    }
    dotted
}

/// Name of a signal to another process, without its SIG; `None` for other actions.
pub fn signal_name(action: &Action) -> Option<&'static str> {
    (action.kind == EventKind::Signal).then(|| match action.values[SIGNAL_VALUE_NUMBER] {
        3 => "QUIT",
        6 => "ABRT",
        9 => "KILL",
        11 => "SEGV",
        15 => "TERM",
        19 => "STOP",
        _ => "other",
    })
}

/// What a socket below the transport layer is for; `None` for other sockets and actions.
pub fn raw_socket(action: &Action) -> Option<&'static str> {
    if action.kind != EventKind::SocketCreate {
        return None;
    }
    let values = &action.values;
    let protocol = values[SOCKET_VALUE_PROTOCOL] as i32;
    match (values[SOCKET_VALUE_FAMILY] as i32, (values[SOCKET_VALUE_TYPE] & 0xf) as i32) {
        (libc::AF_PACKET, _) => Some("packet"),
        (libc::AF_INET, libc::SOCK_RAW) if protocol == libc::IPPROTO_ICMP => Some("icmp"),
        (libc::AF_INET6, libc::SOCK_RAW) if protocol == libc::IPPROTO_ICMPV6 => Some("icmp"),
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_RAW) => Some("raw"),
        _ => None,
    }
}

/// The address that a process begins to listen on; `None` for other actions.
pub fn listen_address(action: &Action) -> Option<IpAddr> {
    let values = &action.values;
    if action.kind != EventKind::SocketListen {
        return None;
    }
    let words = [values[LISTEN_VALUE_ADDRESS], values[LISTEN_VALUE_ADDRESS + 1]];
    let mut bytes = [0; 16];
    for (part, word) in bytes.chunks_exact_mut(8).zip(words) {
        part.copy_from_slice(&word.to_ne_bytes());
    }
    if values[LISTEN_VALUE_FAMILY] == libc::AF_INET as u64 {
        let [first, second, third, fourth, ..] = bytes;
        return Some(IpAddr::from([first, second, third, fourth]));
    }
    Some(IpAddr::from(bytes).to_canonical())
}

/// What reboot(2) is asked for (LINUX_REBOOT_CMD_* of include/uapi/linux/reboot.h); `None` for other actions.
pub fn power_command(action: &Action) -> Option<&'static str> {
    (action.kind == EventKind::PowerControl).then(|| match action.values[POWER_VALUE_COMMAND] {
        0x0123_4567 => "restart",
        0xcdef_0123 => "halt",
        0x4321_fedc => "power_off",
        0xa1b2_c3d4 => "restart2",
        0xd000_fce2 => "suspend",
        0x4558_4543 => "kexec",
        _ => "other",
    })
}

/// What is done with the kernel's log (SYSLOG_ACTION_* of include/linux/syslog.h); `None` for other actions.
pub fn kernel_log_action(action: &Action) -> Option<&'static str> {
    (action.kind == EventKind::KernelLog).then(|| match action.values[KERNEL_LOG_VALUE_ACTION] {
        2 => "read",
        3 => "read_all",
        4 => "read_clear",
        5 => "clear",
        _ => "other",
    })
}

/// The overlay layer of a file.
pub fn layer(file: &ActionFile) -> &'static str {
    match (file.facts.is_upper(), file.facts.is_lower()) {
        (true, _) => "upper",
        (_, true) => "lower",
        _ => "none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_dns_are_written_with_dots_and_never_read_beyond_their_end() {
        assert_eq!(dotted(b"\x03xmr\x07minexmr\x03com"), b"xmr.minexmr.com");
        assert_eq!(dotted(b"\x03xmr\x3fmine"), b"xmr.mine");
        assert_eq!(dotted(b""), b"");
    }
}
