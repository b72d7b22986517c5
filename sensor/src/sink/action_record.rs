//! The `event` part of an action's record.

use sensor_ebpf::abi::{
    ATTRIBUTE_FLAGS, ATTRIBUTE_MODE, ATTRIBUTE_MODIFY_TIME, ATTRIBUTE_VALUE_CHANGED, ATTRIBUTE_VALUE_FLAGS,
    ATTRIBUTE_VALUE_MODE, ATTRIBUTE_VALUE_MODIFY_TIME, BPF_VALUE_ATTACH_TYPE, BPF_VALUE_COMMAND,
    CLOCK_VALUE_OFFSET, CLOCK_VALUE_SECONDS, CONNECT_VALUE_FAMILY, CONNECT_VALUE_TYPE,
    DESTRUCTION_VALUE_COUNT, DISK_VALUE_FREE, DISK_VALUE_GROWTH, FILE_FLAG_IMMUTABLE, FILTER_VALUE_MESSAGE,
    FORK_VALUE_COUNT, FORK_VALUE_REFUSED, HANDLE_VALUE_FLAGS, HANDLE_VALUE_START, HANDLE_VALUE_TYPE,
    KEY_VALUE_COUNT, KEY_VALUE_SERIAL, LIMIT_VALUE_RESOURCE, LISTEN_VALUE_FAMILY, LISTEN_VALUE_PORT,
    MAP_VALUE_FLAGS, MODULE_VALUE_ID, MODULE_VALUE_TAINTS, MOUNT_VALUE_FLAGS, NAMESPACE_VALUE_CHANGED,
    OPEN_VALUE_FLAGS, OPEN_VALUE_MODE, PARAMETER_VALUE_COUNT, PARAMETER_VALUE_USER_NAMESPACE_LEVEL,
    PERF_VALUE_CONFIG, PERF_VALUE_TYPE, PTRACE_VALUE_MODE, SELF_VALUE_AMOUNT, SIGNAL_VALUE_MANY,
    SOCKET_VALUE_FAMILY, SOCKET_VALUE_PROTOCOL, SOCKET_VALUE_TYPE, SPLICE_VALUE_LENGTH,
    SUPERBLOCK_VALUE_BLOCK_BACKED, SUPERBLOCK_VALUE_FLAGS, SUPERBLOCK_VALUE_USER_NAMESPACE_LEVEL,
    TERMINAL_VALUE_COMMAND, UNIX_VALUE_PEER_PID, VALUE_USER_NAMESPACE_LEVEL,
};

use super::json::{Map, Value};
use super::record::{credentials, file_part, identity, namespaces};
use crate::action::{Action, ActionFile, claimed_address, destination};
use crate::action_words::{
    asked_name, attribute_changes, bpf_program_type, changed_flags, connect_many, device_type,
    file_capabilities, file_type, filter_system, kernel_log_action, listen_address, map_protection,
    map_shared, module_source, name_operation, perf_scope, power_command, protocol_sent, signal_name,
};
use crate::attribute::ActionFacts;
use crate::capability;
use crate::event::EventKind;
use crate::judge::action_facts::on_root_filesystem;

use crate::namespace::{flagged, shared_with};
use crate::text::lossless;

/// Adds what an action's record says beyond its subject.
pub fn action_event<'a>(part: &mut Map<'a>, action: &'a Action, facts: Option<&'a ActionFacts>) {
    let subject = &action.subject;
    if let Some(rung) = subject.rung() {
        part.insert("rung", rung.name().into());
    }
    if let Some(result) = action.result {
        part.insert("result", i64::from(result).into());
    }
    let mounts = matches!(action.kind, EventKind::Mount | EventKind::MoveMount | EventKind::Superblock);
    if mounts {
        part.insert("filesystem", lossless(&action.text).into());
        part.insert("source", lossless(&action.other_text).into());
    } else if action.kind == EventKind::BindMount {
        part.insert("source", lossless(&action.text).into());
    } else if !action.text.is_empty() {
        part.insert("text", lossless(&action.text).into());
    }
    if subject.is_compat() {
        part.insert("compat", true.into());
    }
    part.insert("subject", subject_part(action).into());
    let host_path = facts.and_then(|facts| facts.host_path.as_deref());
    let other_host_path = facts.and_then(|facts| facts.other_host_path.as_deref());
    for (name, file, host_path) in
        [("file", &action.file, host_path), ("other_file", &action.other_file, other_host_path)]
    {
        if let Some(file) = file {
            part.insert(name, file_with_path(file, host_path).into());
        }
    }
    if let Some(target) = action.target.or(facts.and_then(|facts| facts.target_process)) {
        part.insert("target", target_part(action, target, facts).into());
    }
    if let Some(device) = facts.and_then(|facts| facts.device.as_deref()) {
        part.insert("device", device.into());
    }
    if let Some(mount_point) = facts.and_then(|facts| facts.mount_point.as_deref()) {
        part.insert("mount_point", lossless(mount_point).into());
    }
    if action.kind == EventKind::NamespaceSwitch {
        // A record without conclusions tells what the kernel side saw.
        let changed = facts.map_or(action.values[NAMESPACE_VALUE_CHANGED], |facts| facts.changed_namespaces);
        part.insert("changed", flagged(changed).map(|kind| kind.name).collect::<Vec<_>>().into());
        let host = facts.map(|facts| facts.host_namespaces).unwrap_or_default();
        let to_host = shared_with(changed, &action.target_namespaces, &host);
        part.insert("to_host", to_host.map(|kind| kind.name).collect::<Vec<_>>().into());
    }
    if action.kind == EventKind::CgroupMove {
        part.insert("new_cgroup_id", action.target_cgroup_id.to_string().into());
        let entered = facts.and_then(|facts| facts.entered_container.as_ref());
        part.insert("entered_container_id", entered.map_or(Value::Null, |handle| (*handle.id).into()));
    }
    if let (EventKind::UnixConnect, Some(facts)) = (action.kind, facts) {
        if let Some(peer) = &facts.peer {
            part.insert("peer_exe", lossless(&peer.exe).into());
        }
        part.insert("peer_is_runtime", facts.peer_runtime.into());
    }
    kind_part(part, action);
    if let Some(facts) = facts {
        conclusions(part, action, facts);
    }
}

/// What attribution concludes of mounts.
fn conclusions<'a>(part: &mut Map<'a>, action: &Action, facts: &'a ActionFacts) {
    if matches!(action.kind, EventKind::Superblock | EventKind::MoveMount) {
        part.insert("node_root", facts.node_root.into());
    }
    if matches!(action.kind, EventKind::BindMount | EventKind::MoveMount) {
        part.insert("leaves_pod", facts.leaves_pod.into());
    }
    if let (EventKind::Chroot | EventKind::PivotRoot, Some(same)) =
        (action.kind, on_root_filesystem(action, facts))
    {
        part.insert("on_root_filesystem", same.into());
    }
    if action.kind == EventKind::FileMap {
        part.insert("copied_up", facts.copied_up.into());
    }
    if let Some(step) = facts.clock_step {
        part.insert("clock_step", step.into());
    }
    if let Some(path) = facts.known_as.as_deref() {
        part.insert("known_as", lossless(path).into());
    }
    if let Some(node) = facts.node.as_deref() {
        part.insert("mounted_node", node.into());
    }
}

/// What the acting thread was allowed to do at that moment.
fn subject_part(action: &Action) -> Map<'static> {
    let subject = &action.subject;
    let mut part = Map::new();
    part.insert("thread_id", subject.thread_id.into());
    part.insert("namespaces", namespaces(&subject.namespaces).into());
    part.insert("user_namespace_level", subject.user_namespace_level.into());
    part.insert("seccomp_mode", subject.seccomp_mode.into());
    part.insert("no_new_privileges", subject.no_new_privileges().into());
    credentials(&mut part, &subject.credentials);
    part
}

fn file_with_path<'a>(file: &'a ActionFile, host_path: Option<&'a [u8]>) -> Map<'a> {
    let mut part = file_part(&file.facts);
    part.insert("path", lossless(&file.path).into());
    part.insert("type", file_type(file).into());
    if !file.filesystem_path.is_empty() {
        part.insert("filesystem_path", lossless(&file.filesystem_path).into());
    }
    if let Some(path) = host_path {
        part.insert("host_path", lossless(path).into());
    }
    part
}

fn target_part<'a>(
    action: &Action,
    target: crate::event::ProcessKey,
    facts: Option<&'a ActionFacts>,
) -> Map<'a> {
    let mut part = Map::new();
    part.insert("id", identity(target).into());
    part.insert("pid", target.pid.into());
    if let Some(image) = facts.and_then(|facts| facts.target.as_ref()) {
        part.insert("name", lossless(&image.command).into());
        part.insert("exe", lossless(&image.exe).into());
    }
    let container = facts.and_then(|facts| facts.target_container.as_ref());
    part.insert("container_id", container.map_or(Value::Null, |handle| (*handle.id).into()));
    // Of a process that only a file shows, the kernel side told nothing more.
    if action.target.is_some() {
        part.insert("namespaces", namespaces(&action.target_namespaces).into());
        credentials(&mut part, &action.target_credentials);
    }
    part
}

/// What the numbers mean for each kind.
fn kind_part<'a>(part: &mut Map<'a>, action: &'a Action) {
    let values = &action.values;
    match action.kind {
        EventKind::FileOpen => {
            part.insert("open_flags", values[OPEN_VALUE_FLAGS].into());
            part.insert("write", (values[OPEN_VALUE_MODE] & 2 != 0).into());
            part.insert("created", (values[OPEN_VALUE_MODE] & 0x10_0000 != 0).into());
            if let Some(device_type) = device_type(action) {
                part.insert("device_type", device_type.into());
            }
        }
        EventKind::NamespaceSwitch => {
            part.insert("new_namespaces", namespaces(&action.target_namespaces).into());
        }
        EventKind::CredentialChange => {
            let mut new = Map::new();
            credentials(&mut new, &action.target_credentials);
            new.insert("user_namespace", action.target_namespaces.user.into());
            new.insert("user_namespace_level", (values[VALUE_USER_NAMESPACE_LEVEL] as u32).into());
            part.insert("new_credentials", new.into());
        }
        EventKind::Ptrace => {
            part.insert("mode", values[PTRACE_VALUE_MODE].into());
        }
        EventKind::Mount => {
            part.insert("mount_flags", values[MOUNT_VALUE_FLAGS].into());
            part.insert("read_only", (values[MOUNT_VALUE_FLAGS] & libc::MS_RDONLY != 0).into());
        }
        EventKind::Superblock | EventKind::MoveMount => {
            part.insert("block_backed", (values[SUPERBLOCK_VALUE_BLOCK_BACKED] != 0).into());
            part.insert("superblock_flags", values[SUPERBLOCK_VALUE_FLAGS].into());
            part.insert("read_only", (values[SUPERBLOCK_VALUE_FLAGS] & libc::MS_RDONLY != 0).into());
            part.insert("user_namespace_level", values[SUPERBLOCK_VALUE_USER_NAMESPACE_LEVEL].into());
        }
        EventKind::PivotRoot if !action.other_text.is_empty() => {
            part.insert("put_old", lossless(&action.other_text).into());
        }
        EventKind::DeviceNode => {
            part.insert("device_type", device_type(action).into());
        }
        EventKind::UserNamespaceCreate => {
            part.insert("user_namespace_level", values[VALUE_USER_NAMESPACE_LEVEL].into());
        }
        EventKind::UsermodeHelper => {
            part.insert("arguments", lossless(&action.other_text).into());
        }
        EventKind::ModuleLoad => {
            part.insert("module_source", module_source(action).into());
            part.insert("taints", values[MODULE_VALUE_TAINTS].into());
            part.insert("read_id", values[MODULE_VALUE_ID].into());
        }
        EventKind::Bpf => {
            part.insert("bpf_command", values[BPF_VALUE_COMMAND].into());
            part.insert("program_type", bpf_program_type(action).into());
            part.insert("attach_type", values[BPF_VALUE_ATTACH_TYPE].into());
        }
        EventKind::PerfEventOpen => {
            part.insert("perf_scope", perf_scope(action).into());
            part.insert("perf_type", values[PERF_VALUE_TYPE].into());
            part.insert("perf_config", values[PERF_VALUE_CONFIG].into());
        }
        EventKind::SocketCreate => {
            part.insert("family", values[SOCKET_VALUE_FAMILY].into());
            part.insert("socket_type", values[SOCKET_VALUE_TYPE].into());
            part.insert("protocol", values[SOCKET_VALUE_PROTOCOL].into());
        }
        EventKind::FilesystemParameter => {
            part.insert("parameter", lossless(&action.other_text).into());
            part.insert("parameter_count", values[PARAMETER_VALUE_COUNT].into());
            part.insert("user_namespace_level", values[PARAMETER_VALUE_USER_NAMESPACE_LEVEL].into());
        }
        EventKind::SocketListen => {
            part.insert("family", values[LISTEN_VALUE_FAMILY].into());
            part.insert("port", values[LISTEN_VALUE_PORT].into());
            part.insert("address", listen_address(action).map(|address| address.to_string()).into());
        }
        EventKind::PowerControl => {
            part.insert("power_command", power_command(action).into());
            part.insert("pid_namespace", action.target_namespaces.pid.into());
        }
        EventKind::TerminalInput => {
            part.insert("ioctl", values[TERMINAL_VALUE_COMMAND].into());
        }
        EventKind::SocketBind => {
            part.insert("family", values[SOCKET_VALUE_FAMILY].into());
            part.insert("algorithm", lossless(&action.other_text).into());
        }
        EventKind::SocketConnect | EventKind::SocketSend => {
            part.insert("family", values[CONNECT_VALUE_FAMILY].into());
            part.insert("socket_type", values[CONNECT_VALUE_TYPE].into());
            if let Some((address, port)) = destination(action) {
                part.insert("port", u64::from(port).into());
                part.insert("address", address.to_string().into());
            }
            if let Some(protocol) = protocol_sent(action) {
                part.insert("protocol_sent", protocol.into());
            }
            if let Some(name) = asked_name(action) {
                part.insert("asked_name", lossless(name).into());
            }
            if let Some(address) = claimed_address(action) {
                part.insert("claimed_address", address.to_string().into());
            }
            if let Some((many @ 1.., failed)) = connect_many(action) {
                part.insert("destinations", u64::from(many).into());
                part.insert("failed_connections", u64::from(failed).into());
            }
        }
        EventKind::Signal => {
            part.insert("signal", signal_name(action).into());
            if values[SIGNAL_VALUE_MANY] != 0 {
                part.insert("signalled_processes", values[SIGNAL_VALUE_MANY].into());
            }
        }
        EventKind::ClockChange => {
            let (key, value) = match values[CLOCK_VALUE_SECONDS] {
                0 => ("clock_offset", values[CLOCK_VALUE_OFFSET]),
                seconds => ("new_clock", seconds),
            };
            part.insert(key, (value as i64).into());
        }
        EventKind::FileMap => {
            part.insert("protection", map_protection(action).collect::<Vec<_>>().into());
            part.insert("shared", map_shared(action).into());
            part.insert("map_flags", values[MAP_VALUE_FLAGS].into());
        }
        EventKind::FilterChange => {
            part.insert("filter_system", filter_system(action).into());
            part.insert("message_type", values[FILTER_VALUE_MESSAGE].into());
        }
        EventKind::LimitChange => {
            part.insert("resource", values[LIMIT_VALUE_RESOURCE].into());
        }
        EventKind::DiskFill => {
            part.insert("free_percent", values[DISK_VALUE_FREE].into());
            part.insert("growth", values[DISK_VALUE_GROWTH].into());
        }
        EventKind::KeyAccess => {
            part.insert("keys", values[KEY_VALUE_COUNT].into());
            part.insert("key_serial", (values[KEY_VALUE_SERIAL] as u32).into());
        }
        EventKind::SelfWatch => {
            part.insert("amount", values[SELF_VALUE_AMOUNT].into());
            if !action.other_text.is_empty() {
                part.insert("flooded_kind", String::from_utf8_lossy(&action.other_text).into());
            }
        }
        EventKind::ForkFlood => {
            part.insert("forks", values[FORK_VALUE_COUNT].into());
            part.insert("refused_forks", values[FORK_VALUE_REFUSED].into());
        }
        EventKind::FileDestruction => {
            part.insert("files", values[DESTRUCTION_VALUE_COUNT].into());
        }
        EventKind::KernelLog => {
            part.insert("log_action", kernel_log_action(action).into());
        }
        EventKind::UnixConnect => {
            part.insert("peer_pid", values[UNIX_VALUE_PEER_PID].into());
        }
        EventKind::FileAttribute => {
            part.insert("changed_attributes", attribute_changes(action).collect::<Vec<_>>().into());
            if values[ATTRIBUTE_VALUE_CHANGED] & ATTRIBUTE_MODE != 0 {
                part.insert("new_mode", format!("{:04o}", values[ATTRIBUTE_VALUE_MODE] & 0o7777).into());
            }
            if values[ATTRIBUTE_VALUE_CHANGED] & ATTRIBUTE_MODIFY_TIME != 0 {
                part.insert("new_modify_time", (values[ATTRIBUTE_VALUE_MODIFY_TIME] as i64).into());
            }
            if values[ATTRIBUTE_VALUE_CHANGED] & ATTRIBUTE_FLAGS != 0 {
                part.insert("changed_flags", changed_flags(action).collect::<Vec<_>>().into());
                part.insert("immutable", (values[ATTRIBUTE_VALUE_FLAGS] & FILE_FLAG_IMMUTABLE != 0).into());
            }
            if let Some(set) = file_capabilities(action) {
                let names: Vec<&str> = capability::names(set).collect();
                part.insert("file_capabilities", names.into());
            }
        }
        EventKind::FileName => {
            part.insert("operation", name_operation(action).into());
        }
        EventKind::Splice => {
            part.insert("length", values[SPLICE_VALUE_LENGTH].into());
        }
        EventKind::HandleOpen => {
            part.insert("handle_type", values[HANDLE_VALUE_TYPE].into());
            part.insert("handle", format!("{:016x}", values[HANDLE_VALUE_START].swap_bytes()).into());
            part.insert("open_flags", values[HANDLE_VALUE_FLAGS].into());
        }
        _ => {}
    }
}
