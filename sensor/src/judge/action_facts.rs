//! Fields of actions: the file, the other process, the namespaces they are about.

use sensor_ebpf::abi::{
    ATTRIBUTE_MODE, ATTRIBUTE_MODIFY_TIME, ATTRIBUTE_VALUE_CHANGED, ATTRIBUTE_VALUE_MODE,
    ATTRIBUTE_VALUE_MODIFY_TIME, CONNECT_VALUE_TYPE, DESTRUCTION_VALUE_COUNT, DISK_VALUE_FREE,
    DISK_VALUE_GROWTH, FORK_VALUE_COUNT, FORK_VALUE_REFUSED, KEY_VALUE_COUNT, LISTEN_VALUE_PORT,
    MODULE_LOADED, MODULE_VALUE_SOURCE, MODULE_VALUE_TAINTS, MOUNT_VALUE_FLAGS, OPEN_MADE_EXECUTABLE,
    OPEN_VALUE_FLAGS, OPEN_VALUE_MODE, OPEN_VALUE_REASONS, PARAMETER_VALUE_COUNT, PTRACE_VALUE_MODE,
    SELF_VALUE_AMOUNT, SIGNAL_VALUE_MANY, SOCKET_VALUE_FAMILY, SPLICE_VALUE_LENGTH,
    SUPERBLOCK_VALUE_BLOCK_BACKED, SUPERBLOCK_VALUE_FLAGS, SUPERBLOCK_VALUE_USER_NAMESPACE_LEVEL,
    UNIX_VALUE_PEER_PID, VALUE_USER_NAMESPACE_LEVEL,
};

use super::rules::{Field, Value};
use crate::action::{Action, ActionFile, destination};
use crate::action_words::{
    asked_name, attribute_changes, bpf_program_type, changed_flags, connect_many, device_type,
    file_capabilities, file_type, filter_system, is_privileged, kernel_log_action, layer, listen_address,
    map_protection, map_shared, module_source, name_operation, perf_scope, power_command, protocol_sent,
    raw_socket, signal_name,
};
use crate::attribute::{ActionFacts, Attributed, ContainerHandle, base_name};
use crate::capability;
use crate::event::{Body, Credentials, EventKind, FileFactsExt};
use crate::namespace::{flagged, shared_with};

/// `FMODE_WRITE` of include/linux/fs.h.
const MODE_WRITE: u64 = 2;
/// `FMODE_CREATED` of the same file.
const MODE_CREATED: u64 = 0x10_0000;
/// Seconds by which a file is made older than its last change before that is worth telling.
const BACKDATED: i64 = 86_400;
/// Where the kubelet keeps a folder of each pod.
const POD_FOLDERS: &[u8] = b"/var/lib/kubelet/pods/";
/// `PTRACE_MODE_ATTACH` of include/linux/ptrace.h.
const PTRACE_ATTACH: u64 = 2;
/// `PTRACE_MODE_FSCREDS` of include/linux/ptrace.h: system calls of their own ask with the real credentials.
const PTRACE_BY_FILE: u64 = 8;

/// CAP_SETUID as a bit.
const SETUID: u64 = 1 << 7;

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
            Field::ConnectAddress => Value::Text(self.facts.destination_text.as_deref()?.as_bytes()),
            Field::ConnectPort => number(u32::from(destination(action)?.1)),
            Field::ConnectUdp => {
                destination(action)?;
                Value::Bool(action.values[CONNECT_VALUE_TYPE] == libc::SOCK_DGRAM as u64)
            }
            Field::SendProtocol => Value::Text(protocol_sent(action)?.as_bytes()),
            Field::SendName => bytes(asked_name(action)?),
            Field::SendClaimed => Value::Text(self.facts.claimed_text.as_deref()?.as_bytes()),
            Field::ConnectLoopback => Value::Bool(destination(action)?.0.is_loopback()),
            Field::ConnectNode => {
                Value::Bool(self.facts.destination?.node || destination(action)?.0.is_loopback())
            }
            Field::ConnectApiServer => Value::Bool(self.facts.destination?.api_server),
            Field::ConnectMany => match connect_many(action)? {
                (0, _) => return None,
                (many, _) => number(many),
            },
            Field::ConnectFailed => match connect_many(action)? {
                (0, _) => return None,
                (many, failed) => number(failed.saturating_mul(100) / many),
            },
            Field::SignalName => Value::Text(signal_name(action)?.as_bytes()),
            Field::SignalMany => match self.of_kind(EventKind::Signal)?.values[SIGNAL_VALUE_MANY] {
                0 => return None,
                many => Value::Number(many as i64),
            },
            Field::ForkCount => match self.of_kind(EventKind::ForkFlood)?.values[FORK_VALUE_COUNT] {
                0 => return None,
                many => Value::Number(many as i64),
            },
            Field::ForkRefused => match self.of_kind(EventKind::ForkFlood)?.values[FORK_VALUE_REFUSED] {
                0 => return None,
                many => Value::Number(i64::try_from(many).unwrap_or(i64::MAX)),
            },
            Field::FilterSystem => Value::Text(filter_system(action)?.as_bytes()),
            Field::KeyCount => {
                Value::Number(self.of_kind(EventKind::KeyAccess)?.values[KEY_VALUE_COUNT] as i64)
            }
            Field::ProcHostNetwork => {
                let own = action.subject.namespaces.network;
                Value::Bool(own != 0 && own == self.facts.host_namespaces.network)
            }
            Field::SelfProblem => bytes(&self.of_kind(EventKind::SelfWatch)?.text),
            Field::SelfAmount => {
                let amount = self.of_kind(EventKind::SelfWatch)?.values[SELF_VALUE_AMOUNT];
                Value::Number(i64::try_from(amount).unwrap_or(i64::MAX))
            }
            Field::SelfKind => match self.of_kind(EventKind::SelfWatch)?.other_text.as_slice() {
                [] => return None,
                kind => bytes(kind),
            },
            Field::DiskFree => {
                Value::Number(self.of_kind(EventKind::DiskFill)?.values[DISK_VALUE_FREE] as i64)
            }
            Field::DiskGrowth => {
                let growth = self.of_kind(EventKind::DiskFill)?.values[DISK_VALUE_GROWTH];
                Value::Number(i64::try_from(growth).unwrap_or(i64::MAX))
            }
            Field::ClockStep => Value::Number(self.facts.clock_step?),
            Field::DestructionCount => Value::Number(
                self.of_kind(EventKind::FileDestruction)?.values[DESTRUCTION_VALUE_COUNT] as i64,
            ),
            Field::FileOlderThanContainer => {
                Value::Bool(file?.facts.change_time < self.facts.container_created?)
            }
            Field::TargetIsSensor => Value::Bool(self.facts.target_is_sensor),
            Field::SocketRaw => Value::Text(raw_socket(action)?.as_bytes()),
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
            Field::ProcServerPort => number(u32::from(self.attributed.process?.server?.port)),
            Field::FilePodUid => bytes(self.pod_folder()?),
            Field::FileOwnPod => {
                let pod = self.attributed.container?.container()?.pod.as_ref()?;
                Value::Bool(self.pod_folder()? == pod.uid.as_bytes())
            }
            Field::FileHabitAge => Value::Number(i64::try_from(self.facts.habit_age?).unwrap_or(i64::MAX)),
            Field::OpenCreated => Value::Bool(self.opens()?.values[OPEN_VALUE_MODE] & MODE_CREATED != 0),
            Field::OpenTruncate => {
                Value::Bool(self.opens()?.values[OPEN_VALUE_FLAGS] & libc::O_TRUNC as u64 != 0)
            }
            Field::OpenMadeExecutable => {
                Value::Bool(self.opens()?.values[OPEN_VALUE_REASONS] & OPEN_MADE_EXECUTABLE != 0)
            }
            Field::AttributeExecutable => {
                let values = self.of_kind(EventKind::FileAttribute)?.values;
                let sets = values[ATTRIBUTE_VALUE_CHANGED] & ATTRIBUTE_MODE != 0;
                let executable = values[ATTRIBUTE_VALUE_MODE] & 0o111 != 0;
                Value::Bool(sets && executable && file?.facts.mode & 0o111 == 0)
            }
            Field::AttributeBackdated => {
                let values = self.of_kind(EventKind::FileAttribute)?.values;
                let sets = values[ATTRIBUTE_VALUE_CHANGED] & ATTRIBUTE_MODIFY_TIME != 0;
                let modified = values[ATTRIBUTE_VALUE_MODIFY_TIME] as i64;
                Value::Bool(sets && modified < file?.facts.change_time.saturating_sub(BACKDATED))
            }
            Field::FileFilesystem => Value::Text(file?.facts.filesystem().as_bytes()),
            Field::FileType => Value::Text(file_type(file?).as_bytes()),
            Field::FileInode => Value::Number(file?.facts.inode as i64),
            Field::FileForeignMount => Value::Bool(is_in_another_namespace(file?)),
            Field::FileOutsideRoot => Value::Bool(file?.facts.outside_root()),
            Field::FileSetuid => Value::Bool(file?.facts.mode & 0o6000 != 0),
            Field::FileLayer => Value::Text(layer(file?).as_bytes()),
            Field::FileOnRootFilesystem => Value::Bool(on_root_filesystem(action, self.facts)?),
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
            Field::DevicePath => {
                device_type(action)?;
                bytes(file.map_or(&action.text, |file| &file.path))
            }
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
            Field::FileMemfd => Value::Bool(file?.facts.is_memfd()),
            Field::FileCopiedUp => {
                self.of_kind(EventKind::FileMap)?;
                Value::Bool(self.facts.copied_up)
            }
            Field::MapShared => Value::Bool(map_shared(action)?),
            Field::ExeIsLoader => Value::Bool(self.attributed.process?.image.is_loader),
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
                Value::Bool(self.of_kind(EventKind::Ptrace)?.values[PTRACE_VALUE_MODE] & PTRACE_ATTACH != 0)
            }
            Field::PtraceProcFile => {
                Value::Bool(self.of_kind(EventKind::Ptrace)?.values[PTRACE_VALUE_MODE] & PTRACE_BY_FILE != 0)
            }
            Field::TargetRelated => Value::Bool(self.facts.target_related),
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
            Field::TargetPid => number(self.facts.target_process.or(action.target)?.pid),
            Field::TargetName => bytes(&self.facts.target.as_ref()?.command),
            Field::TargetExepath => bytes(&self.facts.target.as_ref()?.exe),
            Field::TargetContainerId => {
                self.facts.target_process.or(action.target)?;
                let id = self.facts.target_container.as_ref().map_or("host", |handle| &handle.id);
                Value::Text(&id.as_bytes()[..id.len().min(12)])
            }
            Field::TargetSameContainer => {
                self.facts.target_process.or(action.target)?;
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
            Field::FileHostPaths => {
                let other = self.of_kind(EventKind::FileName).and(self.facts.other_host_path.as_deref());
                let paths = [self.facts.host_path.as_deref(), other, self.facts.known_as.as_deref()];
                Some(paths.into_iter().flatten().any(visit))
            }
            Field::FileNames => {
                let other = self.of_kind(EventKind::FileName).and(self.action.other_file.as_ref());
                let files = self.action.file.iter().chain(other);
                Some(files.map(|file| base_name(&file.path)).any(visit))
            }
            Field::AttributeChanged => {
                Some(attribute_changes(self.action).any(|name| visit(name.as_bytes())))
            }
            Field::MapProtection => Some(map_protection(self.action).any(|name| visit(name.as_bytes()))),
            Field::AttributeFlags => Some(changed_flags(self.action).any(|name| visit(name.as_bytes()))),
            Field::AttributeCapabilities => {
                let set = file_capabilities(self.action).unwrap_or_default();
                Some(capability::names(set).any(|name| visit(name.as_bytes())))
            }
            Field::NamespaceChanged => {
                Some(flagged(self.facts.changed_namespaces).any(|kind| visit(kind.name.as_bytes())))
            }
            Field::NamespaceToHost => {
                let (now, host) = (&self.action.target_namespaces, &self.facts.host_namespaces);
                let mut kinds = shared_with(self.facts.changed_namespaces, now, host);
                Some(kinds.any(|kind| visit(kind.name.as_bytes())))
            }
            _ => None,
        }
    }

    /// Name of the folder below [`POD_FOLDERS`] in which the file lies.
    fn pod_folder(&self) -> Option<&'a [u8]> {
        let below = self.facts.host_path.as_deref()?.strip_prefix(POD_FOLDERS)?;
        below.split(|&byte| byte == b'/').next()
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

/// Whether a file's cgroup is that of the container, or below: such paths hold the container's id.
fn is_in_own_cgroup(file: &ActionFile, container: &ContainerHandle) -> bool {
    let id = container.id.as_bytes();
    !id.is_empty() && file.filesystem_path.windows(id.len()).any(|window| window == id)
}

/// Whether the file lies on the file system of the process's root folder.
pub fn on_root_filesystem(action: &Action, facts: &ActionFacts) -> Option<bool> {
    Some(action.file.as_ref()?.facts.device == facts.root_device?)
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
