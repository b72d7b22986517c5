//! The `event` part of an action's record.

use sensor_ebpf::abi::{
    ATTRIBUTE_MODE, ATTRIBUTE_VALUE_CHANGED, ATTRIBUTE_VALUE_MODE, BPF_VALUE_ATTACH_TYPE, BPF_VALUE_COMMAND,
    HANDLE_VALUE_FLAGS, HANDLE_VALUE_START, HANDLE_VALUE_TYPE, LISTEN_VALUE_FAMILY, LISTEN_VALUE_PORT,
    MODULE_VALUE_ID, MODULE_VALUE_TAINTS, MOUNT_VALUE_FLAGS, NAMESPACE_VALUE_CHANGED, OPEN_VALUE_FLAGS,
    OPEN_VALUE_MODE, PARAMETER_VALUE_COUNT, PARAMETER_VALUE_USER_NAMESPACE_LEVEL, PERF_VALUE_CONFIG,
    PERF_VALUE_TYPE, PTRACE_VALUE_MODE, SOCKET_VALUE_FAMILY, SOCKET_VALUE_PROTOCOL, SOCKET_VALUE_TYPE,
    SPLICE_VALUE_LENGTH, SUPERBLOCK_VALUE_BLOCK_BACKED, SUPERBLOCK_VALUE_FLAGS,
    SUPERBLOCK_VALUE_USER_NAMESPACE_LEVEL, TERMINAL_VALUE_COMMAND, UNIX_VALUE_PEER_PID,
    VALUE_USER_NAMESPACE_LEVEL,
};

use super::json::{Map, Value};
use super::record::{credentials, file_part, identity, namespaces};
use crate::action::{Action, ActionFile};
use crate::attribute::ActionFacts;
use crate::capability;
use crate::event::EventKind;
use crate::judge::action_facts::{
    NAMESPACE_FLAGS, attribute_changes, bpf_program_type, by_flag, device_type, file_capabilities, file_type,
    kernel_log_action, listen_address, module_source, name_operation, on_root_filesystem, perf_scope,
    power_command,
};
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
    if let Some(target) = action.target {
        part.insert("target", target_part(action, target, facts).into());
    }
    if let Some(device) = facts.and_then(|facts| facts.device.as_deref()) {
        part.insert("device", device.into());
    }
    if let Some(mount_point) = facts.and_then(|facts| facts.mount_point.as_deref()) {
        part.insert("mount_point", lossless(mount_point).into());
    }
    if action.kind == EventKind::NamespaceSwitch {
        let host = facts.map(|facts| &facts.host_namespaces);
        let to_host = |flag: u64| {
            let entered = by_flag(&action.target_namespaces, flag);
            entered != 0 && host.is_some_and(|host| by_flag(host, flag) == entered)
        };
        let changed = action.values[NAMESPACE_VALUE_CHANGED];
        part.insert("to_host", namespace_names(|flag| changed & flag != 0 && to_host(flag)).into());
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
    if let Some(node) = facts.node.as_deref() {
        part.insert("mounted_node", node.into());
    }
}

fn namespace_names(wanted: impl Fn(u64) -> bool) -> Vec<&'static str> {
    NAMESPACE_FLAGS.iter().filter(|(flag, _)| wanted(*flag)).map(|(_, name)| *name).collect()
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
    part.insert("namespaces", namespaces(&action.target_namespaces).into());
    credentials(&mut part, &action.target_credentials);
    part
}

/// What the numbers mean for each kind.
fn kind_part<'a>(part: &mut Map<'a>, action: &'a Action) {
    let values = &action.values;
    match action.kind {
        EventKind::FileOpen => {
            part.insert("open_flags", values[OPEN_VALUE_FLAGS].into());
            part.insert("write", (values[OPEN_VALUE_MODE] & 2 != 0).into());
            if let Some(device_type) = device_type(action) {
                part.insert("device_type", device_type.into());
            }
        }
        EventKind::NamespaceSwitch => {
            let changed = values[NAMESPACE_VALUE_CHANGED];
            part.insert("changed", namespace_names(|flag| changed & flag != 0).into());
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
        EventKind::Chroot | EventKind::PivotRoot => {
            if let Some(same) = on_root_filesystem(action) {
                part.insert("on_root_filesystem", same.into());
            }
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
