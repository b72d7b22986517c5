//! Fields of actions: the file, the other process, the namespaces they are about.

use sensor_ebpf::abi::{
    ATTRIBUTE_CAPABILITIES, ATTRIBUTE_GROUP, ATTRIBUTE_MODE, ATTRIBUTE_OWNER, ATTRIBUTE_SIZE,
    ATTRIBUTE_VALUE_CAPABILITIES, ATTRIBUTE_VALUE_CHANGED, ATTRIBUTE_VALUE_MODE, BPF_VALUE_PROGRAM_TYPE,
    DEVICE_VALUE_MODE, KERNEL_LOG_VALUE_ACTION, LISTEN_VALUE_ADDRESS, LISTEN_VALUE_FAMILY, LISTEN_VALUE_PORT,
    MODULE_FROM_FILE, MODULE_FROM_MEMORY, MODULE_LOADED, MODULE_VALUE_SOURCE, MODULE_VALUE_TAINTS,
    MOUNT_VALUE_FLAGS, NAME_LINK, NAME_RENAME, NAME_SYMLINK, NAME_UNLINK, NAME_VALUE_OPERATION,
    NAMESPACE_VALUE_CHANGED, OPEN_DEVICE, OPEN_VALUE_FLAGS, OPEN_VALUE_MODE, OPEN_VALUE_REASONS,
    PARAMETER_VALUE_COUNT, PERF_VALUE_SCOPE, POWER_VALUE_COMMAND, PTRACE_VALUE_MODE, SOCKET_VALUE_FAMILY,
    SPLICE_VALUE_LENGTH, SUPERBLOCK_VALUE_BLOCK_BACKED, SUPERBLOCK_VALUE_FLAGS,
    SUPERBLOCK_VALUE_USER_NAMESPACE_LEVEL, UNIX_VALUE_PEER_PID, VALUE_USER_NAMESPACE_LEVEL,
};

use std::net::IpAddr;

use super::rules::{Field, Value};
use crate::action::{Action, ActionFile};
use crate::attribute::{ActionFacts, Attributed, ContainerHandle, base_name};
use crate::capability;
use crate::event::{Body, Credentials, EventKind, FileFactsExt};
use crate::text;

/// `FMODE_WRITE` of include/linux/fs.h.
const MODE_WRITE: u64 = 2;
/// `PTRACE_MODE_ATTACH` of include/linux/ptrace.h.
const PTRACE_ATTACH: u64 = 2;

/// CAP_SETUID as a bit.
const SETUID: u64 = 1 << 7;

/// Namespaces by their CLONE_NEW* flag (include/uapi/linux/sched.h) and name.
pub const NAMESPACE_FLAGS: [(u64, &str); 8] = [
    (0x0002_0000, "mount"),
    (0x0400_0000, "uts"),
    (0x0800_0000, "ipc"),
    (0x2000_0000, "pid"),
    (0x4000_0000, "network"),
    (0x0200_0000, "cgroup"),
    (0x80, "time"),
    (0x1000_0000, "user"),
];

/// The action of an event with what was concluded of it.
#[derive(Clone, Copy)]
pub struct ActionView<'a> {
    action: &'a Action,
    facts: &'a ActionFacts,
    attributed: &'a Attributed<'a>,
}

impl<'a> ActionView<'a> {
    /// Of an event; `None` if it is no action.
    pub fn of(attributed: &'a Attributed<'a>) -> Option<Self> {
        match (&attributed.event.body, &attributed.action) {
            (Body::Action(action), Some(facts)) => Some(Self { action, facts, attributed }),
            _ => None,
        }
    }

    /// The action.
    pub fn action(&self) -> &'a Action {
        self.action
    }

    /// A single-valued field; `None` if actions, or this one, do not have it.
    pub fn field(&self, field: Field) -> Option<Value<'a>> {
        let action = self.action;
        let file = action.file.as_ref();
        let other = action.other_file.as_ref();
        Some(match field {
            Field::EvtResult => Value::Number(i64::from(action.result?)),
            Field::EvtText => bytes(&action.text),
            Field::EvtRung => Value::Text(action.subject.rung()?.name().as_bytes()),
            Field::ThreadCompat => Value::Bool(action.subject.is_compat()),
            Field::ProcRuntimeSetup => Value::Bool(self.facts.runtime_setup),
            Field::UserUid => number(action.subject.credentials.uid),
            Field::UserEuid => number(action.subject.credentials.euid),
            Field::GroupGid => number(action.subject.credentials.gid),
            Field::FilePath => bytes(&file?.path),
            Field::FileHostPath => bytes(self.facts.host_path.as_deref()?),
            Field::FileFilesystemPath => {
                let path = &file?.filesystem_path;
                if path.is_empty() {
                    return None;
                }
                bytes(path)
            }
            Field::HelperArgs => {
                self.of_kind(EventKind::UsermodeHelper)?;
                bytes(&action.other_text)
            }
            Field::ModuleSource => Value::Text(module_source(action)?.as_bytes()),
            Field::ModuleTaints => match self.of_kind(EventKind::ModuleLoad)?.values {
                values if values[MODULE_VALUE_SOURCE] == MODULE_LOADED => {
                    Value::Number(values[MODULE_VALUE_TAINTS] as i64)
                }
                _ => return None,
            },
            Field::BpfProgramType => Value::Text(bpf_program_type(action)?.as_bytes()),
            Field::PerfScope => Value::Text(perf_scope(action)?.as_bytes()),
            Field::SocketFamily => {
                Value::Number(self.of_kind(EventKind::SocketCreate)?.values[SOCKET_VALUE_FAMILY] as i64)
            }
            Field::ParameterCount => Value::Number(
                self.of_kind(EventKind::FilesystemParameter)?.values[PARAMETER_VALUE_COUNT] as i64,
            ),
            Field::ListenPort => {
                Value::Number(self.of_kind(EventKind::SocketListen)?.values[LISTEN_VALUE_PORT] as i64)
            }
            Field::ListenLoopback => Value::Bool(listen_address(action)?.is_loopback()),
            Field::ExeDrift => Value::Bool(self.attributed.process?.image.drift.is_drift()),
            Field::ContainerDuration => {
                let age = self.attributed.event.time.saturating_sub(self.attributed.container?.created);
                Value::Number(i64::try_from(age).unwrap_or(i64::MAX))
            }
            Field::PowerCommand => Value::Text(power_command(action)?.as_bytes()),
            Field::PowerHost => {
                let pid = self.of_kind(EventKind::PowerControl)?.target_namespaces.pid;
                Value::Bool(pid != 0 && pid == self.facts.host_namespaces.pid)
            }
            Field::SocketAlgorithm => {
                self.of_kind(EventKind::SocketBind)?;
                bytes(&action.other_text)
            }
            Field::KernelLogAction => Value::Text(kernel_log_action(action)?.as_bytes()),
            Field::UnixPeerPid => {
                Value::Number(self.of_kind(EventKind::UnixConnect)?.values[UNIX_VALUE_PEER_PID] as i64)
            }
            Field::UnixPeerExepath => {
                self.of_kind(EventKind::UnixConnect)?;
                bytes(&self.facts.peer.as_ref()?.exe)
            }
            Field::UnixPeerRuntime => {
                self.of_kind(EventKind::UnixConnect)?;
                Value::Bool(self.facts.peer_runtime)
            }
            Field::FileName => bytes(base_name(&file?.path)),
            Field::FileFilesystem => Value::Text(file?.facts.filesystem().as_bytes()),
            Field::FileType => Value::Text(file_type(file?).as_bytes()),
            Field::FileInode => Value::Number(file?.facts.inode as i64),
            Field::FileForeignMount => Value::Bool(is_in_another_namespace(file?)),
            Field::FileOutsideRoot => Value::Bool(file?.facts.outside_root()),
            Field::FileSetuid => Value::Bool(file?.facts.mode & 0o6000 != 0),
            Field::FileLayer => Value::Text(layer(file?).as_bytes()),
            Field::FileOnRootFilesystem => Value::Bool(on_root_filesystem(action)?),
            Field::MountFilesystem => bytes(&self.mounts()?.text),
            Field::MountSource => match self.of_kind(EventKind::BindMount) {
                Some(bind) => bytes(&bind.text),
                None => bytes(&self.mounts()?.other_text),
            },
            Field::MountNode => Value::Text(self.facts.node.as_deref()?.as_bytes()),
            Field::MountOntoItself => Value::Bool(self.is_mounted_onto_itself()?),
            Field::MountLeavesPod => {
                self.shown()?;
                Value::Bool(self.facts.leaves_pod)
            }
            Field::MountPoint => match action.kind {
                EventKind::Superblock => bytes(self.facts.mount_point.as_deref()?),
                EventKind::Mount | EventKind::MoveMount | EventKind::BindMount => bytes(&file?.path),
                _ => return None,
            },
            Field::MountBind => {
                Value::Bool(self.mount_call()?.values[MOUNT_VALUE_FLAGS] & libc::MS_BIND != 0)
            }
            Field::MountRemount => {
                Value::Bool(self.mount_call()?.values[MOUNT_VALUE_FLAGS] & libc::MS_REMOUNT != 0)
            }
            // MS_RDONLY and SB_RDONLY are the same bit.
            Field::MountReadonly => Value::Bool(match self.mount_call() {
                Some(call) => call.values[MOUNT_VALUE_FLAGS] & libc::MS_RDONLY != 0,
                None => self.superblock()?.values[SUPERBLOCK_VALUE_FLAGS] & libc::MS_RDONLY != 0,
            }),
            Field::SuperblockBlockBacked => {
                Value::Bool(self.superblock()?.values[SUPERBLOCK_VALUE_BLOCK_BACKED] != 0)
            }
            Field::SuperblockDevice => {
                self.superblock()?;
                Value::Text(self.facts.device.as_deref()?.as_bytes())
            }
            Field::SuperblockNodeRoot => {
                self.superblock()?;
                Value::Bool(self.facts.node_root)
            }
            Field::SuperblockUserNamespaceLevel => {
                Value::Number(self.superblock()?.values[SUPERBLOCK_VALUE_USER_NAMESPACE_LEVEL] as i64)
            }
            Field::DeviceType => Value::Text(device_type(action)?.as_bytes()),
            Field::DeviceNumber => {
                device_type(action)?;
                Value::Text(self.facts.device.as_deref()?.as_bytes())
            }
            Field::UserNamespaceLevel => match action.kind {
                EventKind::CredentialChange | EventKind::UserNamespaceCreate => {
                    Value::Number(action.values[VALUE_USER_NAMESPACE_LEVEL] as i64)
                }
                _ => return None,
            },
            Field::FileInOwnCgroup => Value::Bool(is_in_own_cgroup(file?, self.attributed.container?)),
            Field::FileRuntime => Value::Bool(self.facts.runtime_file),
            Field::FileUid => number(file?.facts.uid),
            Field::OtherFileHostPath => bytes(self.facts.other_host_path.as_deref()?),
            Field::AttributePrivileged => Value::Bool(is_privileged(
                self.of_kind(EventKind::FileAttribute)?.values[ATTRIBUTE_VALUE_MODE],
            )),
            Field::NameOperation => Value::Text(name_operation(action)?.as_bytes()),
            Field::SpliceLength => {
                let length = self.of_kind(EventKind::Splice)?.values[SPLICE_VALUE_LENGTH];
                Value::Number(i64::try_from(length).unwrap_or(i64::MAX))
            }
            Field::OtherFilePath => bytes(&other?.path),
            Field::OtherFileFilesystem => Value::Text(other?.facts.filesystem().as_bytes()),
            Field::OtherFileType => Value::Text(file_type(other?).as_bytes()),
            Field::OpenWrite => Value::Bool(self.opens()?.values[OPEN_VALUE_MODE] & MODE_WRITE != 0),
            Field::OpenPath => Value::Bool(self.opens()?.values[OPEN_VALUE_FLAGS] & libc::O_PATH as u64 != 0),
            Field::PtraceAttach => {
                let mode = (action.kind == EventKind::Ptrace).then(|| action.values[PTRACE_VALUE_MODE])?;
                Value::Bool(mode & PTRACE_ATTACH != 0)
            }
            Field::CredentialRoot => {
                let (old, new) = self.credentials()?;
                let becomes = |pick: fn(&Credentials) -> u32| pick(old) != 0 && pick(new) == 0;
                Value::Bool(becomes(|all| all.uid) || becomes(|all| all.euid) || becomes(|all| all.fsuid))
            }
            Field::CredentialInExec => {
                self.credentials()?;
                Value::Bool(action.subject.is_in_exec())
            }
            Field::CredentialAllowed => {
                let (old, _) = self.credentials()?;
                let root = old.uid == 0 || old.euid == 0 || old.suid == 0;
                Value::Bool(root || old.effective & SETUID != 0)
            }
            Field::CredentialNamespace => {
                self.credentials()?;
                Value::Bool(action.subject.namespaces.user == action.target_namespaces.user)
            }
            Field::CgroupContainerId => {
                self.of_kind(EventKind::CgroupMove)?;
                let id = self.facts.entered_container.as_ref().map_or("host", |handle| &handle.id);
                Value::Text(&id.as_bytes()[..id.len().min(12)])
            }
            Field::TargetPid => number(action.target?.pid),
            Field::TargetName => bytes(&self.facts.target.as_ref()?.command),
            Field::TargetExepath => bytes(&self.facts.target.as_ref()?.exe),
            Field::TargetContainerId => {
                action.target?;
                let id = self.facts.target_container.as_ref().map_or("host", |handle| &handle.id);
                Value::Text(&id.as_bytes()[..id.len().min(12)])
            }
            Field::TargetSameContainer => {
                action.target?;
                let id = |handle: Option<&std::sync::Arc<_>>| handle.map(std::sync::Arc::as_ptr);
                Value::Bool(id(self.facts.target_container.as_ref()) == id(self.attributed.container))
            }
            _ => return None,
        })
    }

    /// Calls `visit` with each element of a list-valued field until it returns true; `None` if it is no field of actions.
    pub fn any(&self, field: Field, visit: &mut dyn FnMut(&[u8]) -> bool) -> Option<bool> {
        match field {
            Field::CredentialGained => {
                let Some((old, new)) = self.credentials() else { return Some(false) };
                let gained = (new.permitted & !old.permitted) | (new.effective & !old.permitted);
                Some(capability::names(gained).any(|name| visit(name.as_bytes())))
            }
            Field::AttributeChanged => {
                Some(attribute_changes(self.action).any(|name| visit(name.as_bytes())))
            }
            Field::AttributeCapabilities => {
                let set = file_capabilities(self.action).unwrap_or_default();
                Some(capability::names(set).any(|name| visit(name.as_bytes())))
            }
            Field::NamespaceChanged => {
                let changed = self.changed();
                Some(named(&|flag| changed & flag != 0, visit))
            }
            Field::NamespaceToHost => {
                let (changed, new, host) =
                    (self.changed(), &self.action.target_namespaces, &self.facts.host_namespaces);
                let to_host = |flag| {
                    let to = by_flag(new, flag);
                    changed & flag != 0 && to != 0 && to == by_flag(host, flag)
                };
                Some(named(&to_host, visit))
            }
            _ => None,
        }
    }

    /// CLONE_NEW* bits of the namespaces that a switch changed.
    pub fn changed(&self) -> u64 {
        match self.action.kind {
            EventKind::NamespaceSwitch => self.action.values[NAMESPACE_VALUE_CHANGED],
            _ => 0,
        }
    }

    fn mounts(&self) -> Option<&'a Action> {
        matches!(self.action.kind, EventKind::Mount | EventKind::MoveMount | EventKind::Superblock)
            .then_some(self.action)
    }

    fn mount_call(&self) -> Option<&'a Action> {
        (self.action.kind == EventKind::Mount).then_some(self.action)
    }

    fn superblock(&self) -> Option<&'a Action> {
        matches!(self.action.kind, EventKind::MoveMount | EventKind::Superblock).then_some(self.action)
    }

    /// What shows something in a second place.
    fn shown(&self) -> Option<&'a Action> {
        matches!(self.action.kind, EventKind::MoveMount | EventKind::BindMount).then_some(self.action)
    }

    fn is_mounted_onto_itself(&self) -> Option<bool> {
        let action = self.shown()?;
        let (target, source) = (&action.file.as_ref()?.facts, &action.other_file.as_ref()?.facts);
        Some((target.device, target.inode) == (source.device, source.inode))
    }

    fn of_kind(&self, kind: EventKind) -> Option<&'a Action> {
        (self.action.kind == kind).then_some(self.action)
    }

    /// Old and new credentials.
    fn credentials(&self) -> Option<(&'a Credentials, &'a Credentials)> {
        let action = self.action;
        (action.kind == EventKind::CredentialChange)
            .then_some((&action.subject.credentials, &action.target_credentials))
    }

    fn opens(&self) -> Option<&'a Action> {
        self.of_kind(EventKind::FileOpen)
    }
}

fn named(wanted: &dyn Fn(u64) -> bool, visit: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    NAMESPACE_FLAGS.iter().any(|(flag, name)| wanted(*flag) && visit(name.as_bytes()))
}

/// A namespace's inode number by its CLONE_NEW* flag; 0 for an unknown flag.
pub fn by_flag(namespaces: &crate::event::Namespaces, flag: u64) -> u32 {
    match flag {
        0x0002_0000 => namespaces.mount,
        0x0400_0000 => namespaces.uts,
        0x0800_0000 => namespaces.ipc,
        0x2000_0000 => namespaces.pid,
        0x4000_0000 => namespaces.network,
        0x0200_0000 => namespaces.cgroup,
        0x80 => namespaces.time,
        0x1000_0000 => namespaces.user,
        _ => 0,
    }
}

/// Whether a mode lets whoever runs the file act as its owner or group.
pub fn is_privileged(mode: u64) -> bool {
    mode & 0o4000 != 0 || mode & 0o2010 == 0o2010
}

/// What a `file_attribute` changes, by name.
pub fn attribute_changes(action: &Action) -> impl Iterator<Item = &'static str> {
    const NAMES: [(u64, &str); 5] = [
        (ATTRIBUTE_MODE, "mode"),
        (ATTRIBUTE_OWNER, "owner"),
        (ATTRIBUTE_GROUP, "group"),
        (ATTRIBUTE_SIZE, "size"),
        (ATTRIBUTE_CAPABILITIES, "capabilities"),
    ];
    let is_one = action.kind == EventKind::FileAttribute;
    let changed = if is_one { action.values[ATTRIBUTE_VALUE_CHANGED] } else { 0 };
    NAMES.into_iter().filter(move |(bit, _)| changed & bit != 0).map(|(_, name)| name)
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

/// Whether a file's cgroup is that of the container, or below: such paths hold the container's id.
fn is_in_own_cgroup(file: &ActionFile, container: &ContainerHandle) -> bool {
    let id = container.id.as_bytes();
    !id.is_empty() && file.filesystem_path.windows(id.len()).any(|window| window == id)
}

/// Whether the file lies on the file system of the process's root folder.
pub fn on_root_filesystem(action: &Action) -> Option<bool> {
    Some(action.file.as_ref()?.facts.device == action.subject.root_device)
}

/// The overlay layer of a file.
pub fn layer(file: &ActionFile) -> &'static str {
    match (file.facts.is_upper(), file.facts.is_lower()) {
        (true, _) => "upper",
        (_, true) => "lower",
        _ => "none",
    }
}

/// Whether a file lies on a mount of another mount namespace: not one of the kernel's own, as of pipes and memfds.
fn is_in_another_namespace(file: &ActionFile) -> bool {
    file.facts.on_foreign_mount() && !file.facts.on_detached_mount()
}

fn bytes(bytes: &[u8]) -> Value<'_> {
    Value::Text(bytes)
}

fn number(number: u32) -> Value<'static> {
    Value::Number(i64::from(number))
}
