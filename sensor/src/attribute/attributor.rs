//! Applies events to the tables and concludes what they say of each event.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sensor_ebpf::abi::{
    BIND_VALUE_NODE, DEVICE_VALUE_NUMBER, LISTEN_VALUE_PORT, MOUNT_VALUE_FLAGS, OPEN_DEVICE,
    OPEN_VALUE_DEVICE, OPEN_VALUE_REASONS, SUPERBLOCK_VALUE_DEVICE, UNIX_VALUE_PEER_PID,
};

use super::burst::Bursts;
use super::containers::{ContainerTable, all_namespaces};
use super::host::HostRoot;
use super::image::{Entry, Image, names};
use super::known::KnownCredentials;
use super::mounts::HostMounts;
use super::pipes::{PipeLinks, Pipes};
use super::process::{Origin, Process, ProcessCounters, ProcessTable, RuntimeRole, line_of};
use super::runtime::{Order, RuntimeSet, device_number};
use super::servers::{Listeners, Server};
use super::sweep::{Place, Sweep, SweepCounters, Watched};
use super::{ActionFacts, Attributed, Attribution, Baseline, ContainerHandle, Drift, ExecFacts};
use super::{seed, subpath};
use crate::clock::{Clock, boot_nanoseconds};
use crate::event::{
    Action, ActionFile, Body, Cgroup, Event, EventKind, Exec, FileFactsExt, Fork, Namespaces, ProcessKey,
};

/// Pipes remembered, and for how long after the last exec that used them.
const PIPES: (usize, u64) = (4096, 60_000_000_000);

/// Calls of mount(2) remembered until their superblock comes.
const MOUNTS: usize = 64;
/// Flags of mount(2) with which it sets up no file system: remount, bind, move, and the four kinds of propagation.
const NO_FILESYSTEM: u64 = libc::MS_REMOUNT
    | libc::MS_BIND
    | libc::MS_MOVE
    | libc::MS_UNBINDABLE
    | libc::MS_PRIVATE
    | libc::MS_SLAVE
    | libc::MS_SHARED;

/// How to attribute.
#[derive(Clone, Debug)]
pub struct AttributeOptions {
    /// Where the node's own file system is: `/` natively, `/proc/1/root` in a pod.
    pub host_root: PathBuf,
    /// The node's /proc.
    pub proc: PathBuf,
    /// Processes kept.
    pub processes: usize,
    /// How long an ended process is kept, in nanoseconds.
    pub exited_grace: u64,
    /// Containers kept.
    pub containers: usize,
    /// Binaries of the container runtime beyond the known ones.
    pub runtime_paths: Vec<PathBuf>,
    /// Folders of runc or crun state beyond the known ones.
    pub state_directories: Vec<PathBuf>,
    /// Nanoseconds between two rounds of the sweep over /proc; 0 for none.
    pub sweep_interval: u64,
}

impl Default for AttributeOptions {
    fn default() -> Self {
        Self {
            host_root: PathBuf::from("/"),
            proc: PathBuf::from("/proc"),
            processes: 32_768,
            exited_grace: 5_000_000_000,
            containers: 4096,
            runtime_paths: Vec::new(),
            state_directories: Vec::new(),
            sweep_interval: 0,
        }
    }
}

/// All that is known of the node's processes and containers.
pub struct Attributor {
    options: AttributeOptions,
    processes: ProcessTable,
    containers: ContainerTable,
    runtime: RuntimeSet,
    pipes: Pipes,
    bursts: Bursts,
    clock: Clock,
    /// The node's own namespaces, 0 where not known.
    host: Namespaces,
    /// Inode number and device of the node's own root folder.
    host_root: (u64, u32),
    sweep: Sweep,
    /// Calls of mount(2) whose superblock is to come.
    mounts: Vec<PendingMount>,
    host_mounts: HostMounts,
    /// The device of the node's root folder, 0 where not known.
    root_device: u32,
}

/// A call of mount(2) that sets up a file system.
struct PendingMount {
    thread_id: u32,
    filesystem: Vec<u8>,
    mount_point: Vec<u8>,
}

impl Attributor {
    /// Empty tables.
    pub fn new(options: AttributeOptions) -> Self {
        Self {
            processes: ProcessTable::new(options.processes, options.exited_grace),
            containers: ContainerTable::new(&options),
            runtime: RuntimeSet::discover(&HostRoot(options.host_root.clone()), &options.runtime_paths),
            pipes: Pipes::new(PIPES.0, PIPES.1),
            bursts: Bursts::default(),
            clock: Clock::new(),
            host: host_namespaces(&options),
            host_root: host_root(&options),
            sweep: Sweep::new(options.sweep_interval),
            mounts: Vec::new(),
            root_device: options.host_root.metadata().map_or(0, |root| device_number(root.dev())),
            host_mounts: HostMounts::new(&options.proc, host_process(&options)),
            options,
        }
    }

    /// Reads what was running before the sensor. Call it after the hooks are attached, so that nothing falls between.
    pub fn seed(&mut self) {
        self.containers.seed();
        let mut listeners = Listeners::default();
        for pid in seed::process_ids(&self.options.proc) {
            self.seed_process(pid, &mut listeners);
        }
        self.containers.seeded();
    }

    fn seed_process(&mut self, pid: u32, listeners: &mut Listeners) {
        let Some(seed::Seeded { mut process, cgroup }) = seed::read(&self.options.proc, pid) else { return };
        let file = process.image.file;
        let is_runtime = self.runtime.contains(&file);
        process.cgroup_id = self.containers.seeded_cgroup(pid);
        let found = self
            .containers
            .of_cgroup(process.cgroup_id)
            .or_else(|| self.containers.of_cgroup_text(&cgroup, process.key.start_time, boot_nanoseconds()));
        process.origin = match found {
            Some(_) if is_runtime && process.namespaces.mount == self.host.mount => Origin::Host,
            Some(handle) => {
                handle.start();
                // Layers are not told by /proc: a file of the image is older than the container, all others are drift.
                if file.change_time >= self.clock.epoch_seconds(handle.created)
                    && let Some(image) = Arc::get_mut(&mut process.image)
                {
                    image.drift = Drift::VolumeChanged;
                }
                let network = process.namespaces.network;
                process.server = listeners.port(&self.options.proc, pid, network).map(Server::new);
                Origin::Container(handle)
            }
            None => Origin::Host,
        };
        if is_runtime && matches!(process.origin, Origin::Host) {
            process.role = RuntimeRole::Runtime;
        }
        if let Some(parent) = self.processes.by_number(process.parent.pid) {
            process.parent = parent.key;
            process.ancestors = line_of(parent, parent.key);
        }
        self.processes.insert(process);
    }

    /// Processes that are, or were born, in a container: what the filters in the kernel must know at start.
    pub fn contained(&self) -> impl Iterator<Item = u32> {
        let host = self.host.mount;
        self.processes
            .iter()
            .filter(move |process| {
                let mount = process.namespaces.mount;
                process.origin.container().is_some() || mount != 0 && mount != host
            })
            .map(|process| process.key.pid)
    }

    /// Applies one event, and gives it back with all that is known of its process.
    pub fn apply<'a>(&'a mut self, event: &'a Event) -> Attributed<'a> {
        let mut facts = None;
        let mut action_facts = None;
        let key = match &event.body {
            Body::Fork(fork) => {
                self.fork(fork);
                Some(fork.child)
            }
            Body::Exec(exec) => {
                facts = Some(self.exec(exec, event.time));
                Some(exec.key())
            }
            Body::Exit(exit) => {
                self.processes.exit(exit.process, event.time);
                Some(exit.process)
            }
            Body::Action(action) => {
                action_facts = Some(self.action(action, event.time));
                // A move is about who is moved, not about who writes to cgroup.procs.
                let moved = action.target.filter(|_| action.kind == EventKind::CgroupMove);
                Some(moved.unwrap_or(action.subject.process))
            }
            Body::CgroupCreate(cgroup) => self.cgroup_create(cgroup, event.time),
            Body::CgroupRemove(cgroup) => {
                if cgroup.hierarchy == 0 {
                    self.containers.remove_cgroup(cgroup.id, event.time);
                }
                None
            }
        };
        let origin = key.and_then(|key| self.processes.get(key)).map(|process| process.origin.clone());
        if let Some(handle) = origin.as_ref().and_then(Origin::container) {
            self.containers.resolve(handle, event.time);
        }
        // Births, execs and actions are held against a contract.
        let elsewhere = key
            .filter(|_| matches!(event.body, Body::Fork(_) | Body::Exec(_) | Body::Action(_)))
            .and_then(|key| self.processes.get(key))
            .map(|process| self.containers.elsewhere(process, event))
            .unwrap_or_default();
        let (left_cgroup, mut namespace_owners) = elsewhere;
        // The kernel gives the number of a namespace that is gone to the next one: somebody else must live in it.
        namespace_owners.retain(|(number, _)| self.is_lived_in(*number, origin.as_ref()));
        let process = key.and_then(|key| self.processes.get(key)).map(|process| &*process);
        let container = process.and_then(|process| process.origin.container());
        let attribution = match process {
            Some(process) => attribution(process),
            None if key.is_some() => Attribution::Unknown,
            None => Attribution::Exact,
        };
        Attributed {
            event,
            process,
            container,
            attribution,
            exec: facts,
            action: action_facts,
            left_cgroup,
            namespace_owners,
        }
    }

    /// Whether a process of another container than that of `own` is in a namespace.
    fn is_lived_in(&self, number: u32, own: Option<&Origin>) -> bool {
        let own = own.and_then(Origin::container);
        self.processes.iter().any(|process| {
            let container = process.origin.container();
            process.exited.is_none()
                && container.is_some_and(|other| own.is_none_or(|own| !Arc::ptr_eq(other, own)))
                && all_namespaces(&process.namespaces).contains(&number)
        })
    }

    fn cgroup_create(&mut self, cgroup: &Cgroup, time: u64) -> Option<ProcessKey> {
        if cgroup.hierarchy == 0 {
            self.containers.create_cgroup(cgroup.id, &cgroup.path, time);
            // containerd and CRI-O write the spec before the cgroup is made. Read now, it is known however short the
            // container lives.
            if let Some(handle) = self.containers.of_cgroup(cgroup.id) {
                self.containers.resolve(&handle, time);
            }
        }
        None
    }

    fn fork(&mut self, fork: &Fork) {
        self.processes.fork(fork);
        // A creator that was not seen: conclude from the cgroup what the line cannot tell.
        if let Some(child) = self.processes.get(fork.child)
            && matches!(child.origin, Origin::Unknown)
        {
            child.origin = self.containers.of_cgroup(fork.cgroup_id).map_or(Origin::Host, Origin::Container);
        }
    }

    /// Notes where the acting process stands now. Its origin stays what it was.
    fn action(&mut self, action: &Action, time: u64) -> ActionFacts {
        let subject = &action.subject;
        let mut exceeded = None;
        match self.processes.get(subject.process) {
            Some(process) => {
                process.cgroup_id = subject.cgroup_id;
                process.namespaces = subject.namespaces;
                exceeded = note_credentials(process, action);
                if action.kind == EventKind::SocketListen {
                    process.server = Some(Server::new(action.values[LISTEN_VALUE_PORT] as u16));
                }
            }
            None => {
                let mut process = self.processes.discover_subject(subject);
                process.origin =
                    self.containers.of_cgroup(subject.cgroup_id).map_or(Origin::Host, Origin::Container);
                self.processes.insert(process);
            }
        }
        let peer = self.peer(action);
        let role = self.processes.get(subject.process).map_or(RuntimeRole::None, |process| process.role);
        let (moved_role, entered_container) = self.moved(action);
        let target = action.target.and_then(|key| self.processes.get(key));
        let is_runtime =
            |file: &Option<ActionFile>| file.as_ref().is_some_and(|file| self.runtime.contains(&file.facts));
        let runtime_file =
            is_runtime(&action.file) || action.kind == EventKind::FileName && is_runtime(&action.other_file);
        ActionFacts {
            runtime_setup: role != RuntimeRole::None || moved_role != RuntimeRole::None,
            exceeded,
            entered_container,
            target: target.as_ref().map(|target| Arc::clone(&target.image)),
            target_container: target.and_then(|target| target.origin.container().cloned()),
            host_path: self.host_path(action.file.as_ref(), time),
            peer_runtime: peer.as_ref().is_some_and(|(_, runtime)| *runtime),
            peer: peer.map(|(image, _)| image),
            other_host_path: self.host_path(action.other_file.as_ref(), time),
            runtime_file,
            leaves_pod: subpath::leaves_pod(action, &mut self.host_mounts, time),
            node_root: self.root_device != 0 && mounted_device(action) == Some(self.root_device),
            host_namespaces: self.host,
            device: device(action).map(numbered),
            node: mounted_node(action).map(numbered),
            mount_point: self.mount_point(action),
        }
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

    fn exec(&mut self, exec: &Exec, time: u64) -> ExecFacts {
        let mut process = match self.processes.take(exec.key()) {
            Some(process) => process,
            None => {
                let mut process = self.processes.discover(exec);
                process.origin =
                    self.containers.of_cgroup(exec.cgroup_id).map_or(Origin::Host, Origin::Container);
                process
            }
        };
        let previous = Arc::clone(&process.image);
        let server = process.server;
        let exceeded = process.known.filter(|known| known.is_exceeded_by_exec(exec));
        process.known = Some(KnownCredentials::of_exec(exec));
        process.cgroup_id = exec.cgroup_id;
        process.namespaces = exec.namespaces;
        process.namespace_pid = exec.namespace_pid;
        process.parent = exec.parent_key();
        let entry = self.change_role(&mut process, exec, time);
        let container = process.origin.container().cloned();
        let drift = self.drift(exec, container.as_ref());
        let image = Arc::new(Image { drift, ..Image::of(exec, time, entry) });
        process.image = Arc::clone(&image);

        let mut session_repeats = 0;
        if entry == Entry::ExecSession {
            process.session = Some(Arc::clone(&image));
            if let Some(handle) = container.as_ref().filter(|_| exec.terminal == 0) {
                session_repeats = handle.count_session(&exec.args);
            }
        }
        let script = exec.is_script().then_some(exec.filename.as_slice());
        let session = (container.as_ref().map_or(0, |handle| handle.number()), exec.session_id);
        let burst = self.bursts.exec(session, names(&exec.command, &exec.exe, &exec.args, script), time);
        let pipes = if process.role == RuntimeRole::None {
            self.pipes.exec(&image, &exec.stdio, time)
        } else {
            PipeLinks::default()
        };
        let habit_age = match (&container, server) {
            (Some(handle), Some(_)) => {
                let habit = super::handle::habit(&previous.exe, &exec.exe, &exec.args);
                Some(handle.habits.first(habit, time.saturating_sub(handle.created)))
            }
            _ => None,
        };
        let facts = ExecFacts {
            entry,
            server,
            script_changed: server
                .and(container.as_ref())
                .and_then(|handle| self.script_changed(exec, handle)),
            habit_age,
            runtime_setup: process.role != RuntimeRole::None,
            drift,
            pipes,
            session_repeats,
            discovery_burst: burst,
            container_age: container.map(|handle| time.saturating_sub(handle.created)),
            previous,
            exceeded,
        };
        self.processes.insert(process);
        facts
    }

    /// Whether a script was changed since its container's start, by its change time and as the process sees it now.
    fn script_changed(&self, exec: &Exec, handle: &ContainerHandle) -> Option<bool> {
        if !exec.is_script() {
            return None;
        }
        let root = HostRoot(self.options.proc.join(exec.pid.to_string()).join("root"));
        let metadata = root.look(&exec.script_path()).ok()?;
        Some(metadata.ctime() >= self.clock.epoch_seconds(handle.created))
    }

    /// Decides by creator and inode, never by name, whether the runtime is at work, and lets a process into its
    /// container when the runtime's init hands over to a program of it.
    fn change_role(&mut self, process: &mut Process, exec: &Exec, time: u64) -> Entry {
        if !matches!(process.origin, Origin::Host) {
            process.role = RuntimeRole::None;
            return Entry::Inside;
        }
        let was_runtime = process.role != RuntimeRole::None;
        let on_host = exec.namespaces.mount == self.host.mount;
        if on_host {
            self.runtime.learn(&exec.exe, &exec.file);
        }
        let file = &exec.file;
        process.role = if on_host && self.runtime.contains(file) {
            RuntimeRole::Runtime
        } else if on_host && was_runtime && (file.has_no_parent() || file.on_foreign_mount()) {
            RuntimeRole::Setup
        } else {
            RuntimeRole::None
        };
        if process.role != RuntimeRole::None || !was_runtime {
            return Entry::Inside;
        }
        let order = self.order(process);
        let entered = self.containers.entered(exec.cgroup_id, exec.pid, time);
        // Hooks of the runtime run on the host and enter no container.
        let named = || {
            let (order, _) = order.as_ref().filter(|_| !on_host)?;
            Some(self.containers.ordered(&order.id, exec.cgroup_id, time))
        };
        let Some(handle) = entered.or_else(named) else { return Entry::Inside };
        if let Some((_, bundle)) = order.filter(|(order, _)| *order.id == *handle.id) {
            self.containers.note_bundle(&handle, bundle);
        }
        let baseline = Baseline {
            namespaces: exec.namespaces,
            user_namespace_level: exec.user_namespace_level,
            seccomp_mode: exec.seccomp_mode,
            no_new_privileges: exec.no_new_privileges,
            root: (exec.root_inode, exec.root_device),
        };
        self.containers.set_baseline(&handle, baseline, &self.host);
        let entry = if handle.start() { Entry::Entrypoint } else { Entry::ExecSession };
        process.origin = Origin::Container(handle);
        process.origin_seen = true;
        entry
    }

    /// What the runtime that a process descends from was told, and the absolute path of the bundle.
    fn order(&self, process: &Process) -> Option<(Order, PathBuf)> {
        let own = process.image.key.is_some().then_some((process.key, &process.image));
        let ancestors = process.ancestors.iter().map(|ancestor| (ancestor.key, &ancestor.image));
        own.into_iter().chain(ancestors).find_map(|(key, image)| {
            if !self.runtime.contains(&image.file) {
                return None;
            }
            let order = Order::of(&image.args)?;
            let given = order.bundle.clone().unwrap_or_default();
            let bundle = if given.is_absolute() {
                given
            } else {
                std::fs::read_link(self.options.proc.join(key.pid.to_string()).join("cwd")).ok()?.join(given)
            };
            Some((order, bundle))
        })
    }

    fn drift(&mut self, exec: &Exec, container: Option<&Arc<ContainerHandle>>) -> Drift {
        let Some(handle) = container else { return Drift::NotApplicable };
        let file = &exec.file;
        if file.is_memfd() {
            return Drift::Memory;
        }
        if file.is_lower() {
            return Drift::Image;
        }
        if file.is_upper() {
            let same =
                handle.container().is_some_and(|container| self.containers.is_copied_up(container, exec));
            return if same { Drift::CopiedUp } else { Drift::Upper };
        }
        // Change times have whole seconds here: a file changed in the second of creation counts as changed.
        if file.change_time >= self.clock.epoch_seconds(handle.created) {
            Drift::VolumeChanged
        } else {
            Drift::Volume
        }
    }

    /// Looks at the next processes of containers, see [`Sweep`]; gives what was found as events.
    pub fn sweep(&mut self, now: u64) -> Vec<Event> {
        let Self { sweep, processes, containers, options, .. } = self;
        let watched = |process: &Process| {
            process.exited.is_none()
                && process.role == RuntimeRole::None
                && process.origin.container().is_some()
        };
        if sweep.is_due(now) {
            sweep.begin(processes.iter().filter(|one| watched(one)).map(|process| process.key), now);
        }
        let cgroup_id = |path: &str| containers.cgroup_id_of(path);
        let place =
            Place { proc: &options.proc, cgroup_id: &cgroup_id, host: self.host, host_root: self.host_root };
        let mut learnt = Vec::new();
        let find = |key: ProcessKey| {
            let process = processes.by_number(key.pid).filter(|one| one.key == key && watched(one))?;
            Some(Watched { process, container: process.origin.container()? })
        };
        let events = sweep.slice(&place, find, |key, known| learnt.push((key, known)), now);
        for (key, known) in learnt {
            if let Some(process) = self.processes.get(key) {
                process.known = Some(known);
            }
        }
        events
    }

    /// What the sweep did.
    pub fn sweep_counters(&self) -> SweepCounters {
        self.sweep.counters()
    }

    /// Regular work: ended processes and containers go, the clock is compared again.
    pub fn tick(&mut self, now: u64) {
        self.processes.expire(now);
        self.containers.expire(now);
        self.clock.refresh();
    }

    /// Number of processes in the table.
    pub fn process_count(&self) -> usize {
        self.processes.len()
    }

    /// What happened in the process table.
    pub fn process_counters(&self) -> ProcessCounters {
        self.processes.counters()
    }

    /// The runtime set.
    pub fn runtime(&self) -> &RuntimeSet {
        &self.runtime
    }

    /// Binaries of the runtime, by device and inode, that were learnt since the last call.
    pub fn take_learnt_runtime(&mut self) -> Vec<(u32, u64)> {
        self.runtime.take_learnt()
    }

    /// The container table.
    pub fn containers(&self) -> &ContainerTable {
        &self.containers
    }
}

/// The namespaces that the runtime works in: those of `host_root`, which are this process's own when it is `/`, and those
/// of process 1 when the sensor sits in a container and looks through /proc/1/root.
pub fn host_namespaces(options: &AttributeOptions) -> Namespaces {
    seed::read(&options.proc, host_process(options))
        .map_or(Namespaces::default(), |seeded| seeded.process.namespaces)
}

/// Inode number and device of the root folder that the host's own processes have.
pub fn host_root(options: &AttributeOptions) -> (u64, u32) {
    seed::root_folder(&options.host_root)
}

/// A process that stands where the runtime works.
fn host_process(options: &AttributeOptions) -> u32 {
    if options.host_root == Path::new("/") { std::process::id() } else { 1 }
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

fn attribution(process: &Process) -> Attribution {
    match &process.origin {
        Origin::Unknown => Attribution::Unknown,
        Origin::Container(handle) if handle.container().is_none() => {
            if handle.failed() {
                Attribution::Unknown
            } else {
                Attribution::Pending
            }
        }
        Origin::Container(_) | Origin::Host if process.origin_seen => Attribution::Exact,
        Origin::Container(_) | Origin::Host => Attribution::Inferred,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Args, ProcessKey};

    /// A flood of forks fills the table with living processes, so that nothing ends and makes room.
    #[test]
    fn a_flood_of_forks_hides_no_exec() {
        let node = tempfile::tempdir().expect("temporary folder");
        let root = node.path();
        std::fs::create_dir_all(root.join("proc/1")).expect("folder");
        let mut attributor = Attributor::new(AttributeOptions {
            host_root: root.to_owned(),
            proc: root.join("proc"),
            processes: 2,
            ..AttributeOptions::default()
        });
        let key = |pid: u32| ProcessKey { pid, start_time: u64::from(pid) };
        let fork = |child: u32| Event {
            time: u64::from(child),
            read_failed: false,
            body: Body::Fork(Fork {
                child: key(child),
                creator: key(10),
                parent: key(10),
                cgroup_id: 7,
                namespaces: Namespaces::default(),
                namespace_pid: child,
                uid: 0,
            }),
        };
        for child in 10..20 {
            attributor.apply(&fork(child));
        }
        assert!(attributor.process_counters().refused > 0, "the table is full");
        // The last one that found no room, and one that others came after.
        for pid in [19, 15] {
            let exec = Exec {
                pid,
                start_time: u64::from(pid),
                parent_pid: 10,
                parent_start_time: 10,
                cgroup_id: 7,
                command: b"xmrig".to_vec(),
                exe: b"/tmp/xmrig".to_vec(),
                args: Args { bytes: b"xmrig\0".to_vec(), gap: None, length: 6, count: 1 },
                ..Exec::default()
            };
            let event = Event { time: 100, read_failed: false, body: Body::Exec(Box::new(exec)) };
            let attributed = attributor.apply(&event);
            let process = attributed.process.expect("judged all the same");
            assert_eq!((process.key, &*process.image.exe), (key(pid), b"/tmp/xmrig".as_slice()));
            assert_eq!(process.ancestors.first().map(|ancestor| ancestor.key), Some(key(10)));
            assert!(attributed.exec.is_some());
        }
        assert_eq!(attributor.process_count(), 2);
    }
}
