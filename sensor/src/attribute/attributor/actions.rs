//! What an action changes in the tables, and what is concluded of it.

use super::*;

impl Attributor {
    /// Notes where the acting process stands now. Its origin stays what it was.
    pub(super) fn action(&mut self, action: &Action, time: u64) -> ActionFacts {
        let subject = &action.subject;
        let mut exceeded = None;
        let mut changed_namespaces = if action.kind == EventKind::NamespaceSwitch {
            action.values[NAMESPACE_VALUE_CHANGED]
        } else {
            0
        };
        match self.processes.get(subject.process) {
            Some(process) => {
                // When a system call returns, only the table knows where the process stood before.
                if action.kind == EventKind::NamespaceSwitch && subject.rung == RUNG_SYSTEM_CALL {
                    changed_namespaces =
                        switched(&process.namespaces, &action.target_namespaces, changed_namespaces);
                }
                process.cgroup_id = subject.cgroup_id;
                process.namespaces = subject.namespaces;
                exceeded = note_credentials(process, action);
                if action.kind == EventKind::SocketListen {
                    process.server = Some(Server::new(action.values[LISTEN_VALUE_PORT] as u16));
                }
            }
            None => {
                let mut process = self.processes.discover_subject(subject);
                (process.origin, process.role) = self.unseen(subject.cgroup_id, subject.parent);
                self.processes.insert(process);
            }
        }
        let peer = self.peer(action);
        let role = self.processes.get(subject.process).map_or(RuntimeRole::None, |process| process.role);
        let (moved_role, entered_container) = self.moved(action);
        let target = match action.target {
            Some(key) => self.processes.get(key).map(|process| &*process),
            None => shown_process(action).and_then(|pid| self.processes.by_number(pid)),
        };
        let target_process = target.as_ref().map(|target| target.key);
        let target_related = target
            .as_ref()
            .is_some_and(|target| target.parent == subject.process || subject.parent == target.key);
        let (target, target_container) = match target {
            Some(target) => (Some(Arc::clone(&target.image)), target.origin.container().cloned()),
            None => (None, None),
        };
        let host_path = self.host_path(action.file.as_ref(), time);
        let other_host_path = self.host_path(action.other_file.as_ref(), time);
        let known_as = action.file.as_ref().and_then(|file| self.known_as(file, host_path.as_deref()));
        if action.kind == EventKind::FileName {
            if let (Some(file), Some(path), Some(_)) = (&action.file, &host_path, &action.other_file) {
                self.aliases.note(FileStamp::of(&file.facts), path);
            }
            [&host_path, &other_host_path].into_iter().flatten().for_each(|path| self.places.renamed(path));
        }
        let container_created = self
            .processes
            .get(subject.process)
            .and_then(|process| process.origin.container())
            .map(|handle| self.clock.epoch_seconds(handle.created));
        let destination = destination(action).map(|(address, port)| Destination {
            node: self.addresses.is_node(address, time),
            api_server: self.addresses.is_api_server((address, port)),
        });
        let is_runtime =
            |file: &Option<ActionFile>| file.as_ref().is_some_and(|file| self.runtime.contains(&file.facts));
        let runtime_file =
            is_runtime(&action.file) || action.kind == EventKind::FileName && is_runtime(&action.other_file);
        ActionFacts {
            runtime_setup: role != RuntimeRole::None || moved_role != RuntimeRole::None,
            exceeded,
            changed_namespaces,
            entered_container,
            target,
            target_container,
            target_process: target_process.or(action.target),
            target_related,
            habit_age: self.file_habit(action, time),
            host_path,
            peer_runtime: peer.as_ref().is_some_and(|(_, runtime)| *runtime),
            peer: peer.map(|(image, _)| image),
            other_host_path,
            known_as,
            destination,
            destination_text: crate::action::destination(action).map(|(address, _)| address.to_string()),
            claimed_text: crate::action::claimed_address(action).map(|address| address.to_string()),
            container_created,
            copied_up: self.copied_up(action),
            clock_step: self.clock_step(action, time),
            target_is_sensor: target_process.is_some_and(|target| target.pid == std::process::id()),
            runtime_file,
            leaves_pod: subpath::leaves_pod(action, &mut self.host_mounts, time),
            node_root: self.root_device != 0 && mounted_device(action) == Some(self.root_device),
            root_device: self.root_device_before(action),
            host_namespaces: self.host,
            device: device(action).map(numbered),
            node: mounted_node(action).map(numbered),
            mount_point: self.mount_point(action),
        }
    }

    /// The device of the root folder that a process has, or had before a system call that returns.
    fn root_device_before(&mut self, action: &Action) -> Option<u32> {
        if action.subject.rung != RUNG_SYSTEM_CALL {
            return Some(action.subject.root_device);
        }
        let process = self.processes.get(action.subject.process)?;
        Some(process.origin.container()?.baseline()?.root.1)
    }

    /// Notes where a process was moved to; gives what it does for the runtime, and the container whose cgroup it entered.
    fn moved(&mut self, action: &Action) -> (RuntimeRole, Option<Arc<ContainerHandle>>) {
        let Some(moved) = action.target.filter(|_| action.kind == EventKind::CgroupMove) else {
            return (RuntimeRole::None, None);
        };
        let entered =
            self.containers.of_cgroup(action.target_cgroup_id).filter(|handle| handle.has_started());
        let Some(process) = self.processes.get(moved) else { return (RuntimeRole::None, entered) };
        process.cgroup_id = action.target_cgroup_id;
        process.namespaces = action.target_namespaces;
        (process.role, entered)
    }

    /// What the listener of a unix socket runs, and whether that is the container runtime's own.
    fn peer(&self, action: &Action) -> Option<(Arc<Image>, bool)> {
        let pid =
            (action.kind == EventKind::UnixConnect).then(|| action.values[UNIX_VALUE_PEER_PID] as u32)?;
        let peer = self.processes.by_number(pid)?;
        let file = peer.image.file;
        let at_home = peer.namespaces.mount == self.host.mount;
        Some((Arc::clone(&peer.image), at_home && self.runtime.contains(&file)))
    }

    /// Where the node has a file; looked up for containers' actions, which are rare, and not by the name they used.
    fn host_path(&mut self, file: Option<&ActionFile>, time: u64) -> Option<Vec<u8>> {
        let file = file.filter(|file| !file.filesystem_path.is_empty())?;
        self.host_mounts.path(file.facts.device, &file.filesystem_path, time)
    }

    /// Whether a file of the upper layer that is mapped executable is the image's own, which chown(1) or the like copied up.
    fn copied_up(&mut self, action: &Action) -> bool {
        let Some(file) = action.file.as_ref().filter(|_| action.kind == EventKind::FileMap) else {
            return false;
        };
        if !file.facts.is_upper() || file.facts.device != action.subject.root_device {
            return false;
        }
        let process = self.processes.get(action.subject.process);
        let Some(handle) = process.and_then(|process| process.origin.container().cloned()) else {
            return false;
        };
        handle
            .container()
            .is_some_and(|container| self.containers.is_copied_up(container, &file.facts, &file.path))
    }

    /// By how many seconds a change of the wall clock sets it forward; `None` if the kernel refuses it, which it decides after
    /// both hooks.
    fn clock_step(&mut self, action: &Action, time: u64) -> Option<i64> {
        if action.kind != EventKind::ClockChange || !may_set_clock(&action.subject) {
            return None;
        }
        let old = self.clock.epoch_seconds(time);
        let new = match action.values[CLOCK_VALUE_SECONDS] {
            0 => old.saturating_add(action.values[CLOCK_VALUE_OFFSET] as i64),
            seconds => seconds as i64,
        };
        // The next change is measured against this one, also when both are read together.
        self.clock.set(time, new.max(0) as u64);
        Some(new.saturating_sub(old))
    }

    /// The path that a file had on the node before it got the one it has now.
    fn known_as(&self, file: &ActionFile, host_path: Option<&[u8]>) -> Option<Vec<u8>> {
        let path = self.aliases.path(FileStamp::of(&file.facts))?;
        (Some(path) != host_path).then(|| path.to_vec())
    }

    /// Age of the container when its processes first opened a watched file of this name by this program.
    fn file_habit(&mut self, action: &Action, time: u64) -> Option<u64> {
        let listed =
            action.kind == EventKind::FileOpen && action.values[OPEN_VALUE_REASONS] & OPEN_LISTED != 0;
        let file = action.file.as_ref().filter(|_| listed)?;
        let process = self.processes.get(action.subject.process)?;
        let handle = process.origin.container()?;
        let habit =
            crate::attribute::handle::file_habit(&process.image.exe, crate::attribute::base_name(&file.path));
        Some(handle.file_habits.first(habit, time.saturating_sub(handle.created)))
    }

    /// Remembers where mount(2) attaches to, and tells it when the same thread's superblock comes: the records follow one
    /// another in the same ring.
    fn mount_point(&mut self, action: &Action) -> Option<Vec<u8>> {
        if !matches!(action.kind, EventKind::Mount | EventKind::Superblock) {
            return None;
        }
        let thread_id = action.subject.thread_id;
        let last = self.mounts.iter().position(|mount| mount.thread_id == thread_id);
        let last = last.map(|last| self.mounts.remove(last));
        if action.kind == EventKind::Superblock {
            return last.filter(|last| last.filesystem == action.text).map(|last| last.mount_point);
        }
        if action.values[MOUNT_VALUE_FLAGS] & NO_FILESYSTEM == 0 {
            if self.mounts.len() >= MOUNTS {
                self.mounts.remove(0);
            }
            let mount_point = action.file.as_ref().map(|file| file.path.clone()).unwrap_or_default();
            self.mounts.push(PendingMount { thread_id, filesystem: action.text.clone(), mount_point });
        }
        None
    }
}

/// Whether the kernel lets a thread set the wall clock: CAP_SYS_TIME (bit 25) over the initial user namespace.
fn may_set_clock(subject: &Subject) -> bool {
    const SYS_TIME: u64 = 1 << 25;
    subject.user_namespace_level == 0 && subject.credentials.effective & SYS_TIME != 0
}

/// A device as major:minor.
fn numbered(device: u32) -> String {
    format!("{}:{}", device >> 20, device & 0xf_ffff)
}

/// The device node that is shown in a second place; `None` if it is none.
fn mounted_node(action: &Action) -> Option<u32> {
    let node = action.values[BIND_VALUE_NODE] as u32;
    (matches!(action.kind, EventKind::BindMount | EventKind::MoveMount) && node != 0).then_some(node)
}

/// The device that a mount or a device node is about.
fn device(action: &Action) -> Option<u32> {
    match action.kind {
        EventKind::DeviceNode => Some(action.values[DEVICE_VALUE_NUMBER] as u32),
        EventKind::FileOpen if action.values[OPEN_VALUE_REASONS] & OPEN_DEVICE != 0 => {
            Some(action.values[OPEN_VALUE_DEVICE] as u32)
        }
        _ => mounted_device(action),
    }
}

/// The process whose environment or memory an open shows.
fn shown_process(action: &Action) -> Option<u32> {
    let shows =
        action.kind == EventKind::FileOpen && action.values[OPEN_VALUE_REASONS] & OPEN_OTHER_PROCESS != 0;
    shows.then(|| action.values[OPEN_VALUE_PROCESS] as u32)
}

fn mounted_device(action: &Action) -> Option<u32> {
    matches!(action.kind, EventKind::Superblock | EventKind::MoveMount)
        .then(|| action.values[SUPERBLOCK_VALUE_DEVICE] as u32)
}

/// Takes note of what a process is allowed now; gives what it was, if the sweep found more than it can have come to.
fn note_credentials(process: &mut Process, action: &Action) -> Option<KnownCredentials> {
    let subject = &action.subject;
    match action.kind {
        EventKind::CredentialChange => {
            let user_namespace = action.target_namespaces.user;
            process.known = Some(KnownCredentials { credentials: action.target_credentials, user_namespace });
            None
        }
        EventKind::Sweep => {
            let user_namespace = subject.namespaces.user;
            let exceeded =
                process.known.filter(|known| known.is_exceeded_by(&subject.credentials, user_namespace));
            process.known = Some(KnownCredentials { credentials: subject.credentials, user_namespace });
            exceeded
        }
        _ => None,
    }
}
