//! Applies events to the tables and concludes what they say of each event.

mod actions;
mod execs;

use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sensor_ebpf::abi::{
    BIND_VALUE_NODE, CLOCK_VALUE_OFFSET, CLOCK_VALUE_SECONDS, DEVICE_VALUE_NUMBER, LISTEN_VALUE_PORT,
    MOUNT_VALUE_FLAGS, NAMESPACE_VALUE_CHANGED, OPEN_DEVICE, OPEN_LISTED, OPEN_OTHER_PROCESS,
    OPEN_VALUE_DEVICE, OPEN_VALUE_PROCESS, OPEN_VALUE_REASONS, RUNG_SYSTEM_CALL, SELF_VALUE_AMOUNT,
    SUPERBLOCK_VALUE_DEVICE, UNIX_VALUE_PEER_PID,
};

use super::accounts::Accounts;
use super::addresses::Addresses;
use super::aliases::{Aliases, FileStamp};
use super::burst::Bursts;
use super::containers::{ContainerTable, all_namespaces};
use super::disks::Disks;
use super::fork_limits::ForkLimits;
use super::host::HostRoot;
use super::image::{Entry, Image, names};
use super::known::KnownCredentials;
use super::likeness::Likenesses;
use super::mounts::HostMounts;
use super::pipes::{PipeLinks, Pipes};
use super::places::Places;
use super::process::{Origin, Process, ProcessCounters, ProcessTable, RuntimeRole, line_of};
use super::runtime::{Order, RuntimeSet, device_number};
use super::servers::{Listeners, Server};
use super::sweep::{Place, Sweep, SweepCounters, Watched};
use super::{ActionFacts, Attributed, Attribution, Baseline, ContainerHandle, Destination, Drift, ExecFacts};
use super::{seed, subpath};
use crate::action::{Subject, destination};
use crate::clock::{Clock, boot_nanoseconds};
use crate::event::{
    Action, ActionFile, Body, Cgroup, Event, EventKind, Exec, FileFactsExt, Fork, Namespaces, ProcessKey,
};
use crate::namespace::switched;

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
    /// Places of the node that the kernel side watches, each with its mask.
    pub places: Vec<(&'static str, u32)>,
    /// Whether names of users and groups are asked for.
    pub accounts: bool,
    /// The kernel skips an event of an exit now and then: it preempts the programs of tracepoints.
    pub exits_are_skipped: bool,
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
            places: Vec::new(),
            accounts: false,
            exits_are_skipped: false,
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
    places: Places,
    aliases: Aliases,
    addresses: Addresses,
    fork_limits: ForkLimits,
    likenesses: Likenesses,
    disks: Disks,
    /// Names of the node's users and groups, and when they were read.
    host_accounts: Option<(Accounts, u64)>,
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
            places: Places::new(HostRoot(options.host_root.clone()), options.places.clone()),
            aliases: Aliases::default(),
            fork_limits: ForkLimits::default(),
            likenesses: Likenesses::default(),
            disks: Disks::new(HostRoot(options.host_root.clone()), &options.proc, host_process(&options)),
            addresses: Addresses::new(&options.proc, host_process(&options)),
            host_accounts: None,
            options,
        }
    }

    /// Whether names of users and groups are read from now on.
    pub fn read_names(&mut self, wanted: bool) {
        self.options.accounts = wanted;
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
            cgroup_path: process
                .filter(|_| container.is_none())
                .and_then(|process| self.containers.path_of(process.cgroup_id)),
            accounts: match container {
                Some(handle) => handle.accounts.get(),
                None => self.host_accounts.as_ref().map(|(accounts, _)| accounts),
            },
            host_accounts: self.host_accounts.as_ref().map(|(accounts, _)| accounts),
            namespace_owners,
        }
    }

    /// Whether a process of another container than that of `own` is in a namespace. Where exits may be skipped, it must be
    /// alive by `/proc`, or the namespace's number may be that of the next one. Elsewhere the exit of one that ended since
    /// then is still to come.
    fn is_lived_in(&self, number: u32, own: Option<&Origin>) -> bool {
        let own = own.and_then(Origin::container);
        self.processes.iter().any(|process| {
            let container = process.origin.container();
            process.exited.is_none()
                && container.is_some_and(|other| own.is_none_or(|own| !Arc::ptr_eq(other, own)))
                && all_namespaces(&process.namespaces).contains(&number)
                && (!self.options.exits_are_skipped || seed::is_alive(&self.options.proc, process.key))
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

    /// Where a process belongs whose birth was not seen, by its cgroup. A child of the runtime in the cgroup of a container
    /// that has not started is the runtime's own init: before the first program there is nobody else. Kernels that are
    /// preempted everywhere skip a fork now and then.
    fn unseen(&mut self, cgroup_id: u64, parent: ProcessKey) -> (Origin, RuntimeRole) {
        let by_runtime = self.processes.get(parent).is_some_and(|parent| parent.role != RuntimeRole::None);
        match self.containers.of_cgroup(cgroup_id) {
            Some(handle) if by_runtime && !handle.has_started() => (Origin::Host, RuntimeRole::Setup),
            Some(handle) => (Origin::Container(handle), RuntimeRole::None),
            None => (Origin::Host, RuntimeRole::None),
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

    /// Looks whether containers run into their limits of processes; gives what was found as events.
    pub fn fork_limits(&mut self, now: u64) -> Vec<Event> {
        let Self { fork_limits, processes, containers, .. } = self;
        fork_limits.look(now, processes.iter(), |cgroup_id| containers.folder_of(cgroup_id))
    }

    /// Looks at the node's disks; gives an event for each that fills up.
    pub fn disks(&mut self, now: u64) -> Vec<Event> {
        let Self { disks, processes, .. } = self;
        disks.look(now, processes.iter())
    }

    /// An event about the sensor itself, done by its own process.
    pub fn own_event(&mut self, problem: &str, amount: u64, now: u64) -> Option<Event> {
        let process = self.processes.by_number(std::process::id())?;
        let mut event = super::fork_limits::made_event(process, EventKind::SelfWatch, now);
        if let Body::Action(action) = &mut event.body {
            action.text = problem.as_bytes().to_vec();
            action.values[SELF_VALUE_AMOUNT] = amount;
        }
        Some(event)
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

    /// Watched places of the node, by device and inode, whose mask changed since the last call.
    pub fn take_changed_places(&mut self, now: u64) -> Vec<(u32, u64, u32)> {
        self.places.take_changed(now)
    }

    /// API servers that became known since the last call.
    pub fn take_api_servers(&mut self) -> Vec<(IpAddr, u16)> {
        for server in self.containers.take_api_servers() {
            self.addresses.note_api_server(server);
        }
        self.addresses.take_new()
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

    /// On a busy node a short container and its runtime are gone before their events are looked at.
    #[test]
    fn a_container_whose_runtime_is_gone_is_known_by_the_bundle_beside_it() {
        let node = tempfile::tempdir().expect("temporary folder");
        let root = node.path();
        std::fs::create_dir_all(root.join("work/plain")).expect("folder");
        let spec = r#"{"ociVersion": "1.0.2", "annotations": {"io.kubernetes.cri.container-name": "main"}}"#;
        std::fs::write(root.join("work/plain/config.json"), spec).expect("spec");
        let mut attributor = Attributor::new(AttributeOptions {
            host_root: root.to_owned(),
            proc: root.join("proc"),
            ..AttributeOptions::default()
        });
        let exec = |pid: u32, parent: u32, mount: u32, exe: &str, args: &str| {
            let mut exec = Exec {
                pid,
                start_time: u64::from(pid),
                parent_pid: parent,
                parent_start_time: u64::from(parent),
                cgroup_id: 7,
                exe: exe.into(),
                cwd: b"/work".to_vec(),
                args: Args { bytes: args.into(), gap: None, length: args.len() as u32, count: 4 },
                ..Exec::default()
            };
            exec.namespaces.mount = mount;
            exec.file.inode = u64::from(mount) + 5;
            Event { time: u64::from(pid), read_failed: false, body: Body::Exec(Box::new(exec)) }
        };
        attributor.apply(&exec(10, 1, 0, "/usr/sbin/runc", "runc\0run\0--bundle\0plain\0c1\0"));
        let key = |pid: u32| ProcessKey { pid, start_time: u64::from(pid) };
        let fork = Fork {
            child: key(11),
            creator: key(10),
            parent: key(10),
            cgroup_id: 7,
            namespaces: Namespaces::default(),
            namespace_pid: 1,
            uid: 0,
        };
        attributor.apply(&Event { time: 11, read_failed: false, body: Body::Fork(fork) });
        let event = exec(11, 10, 9, "/bin/sh", "sh\0");
        let attributed = attributor.apply(&event);
        let container = attributed.container.expect("its order names it");
        assert_eq!(&*container.id, "c1");
        assert_eq!(&*container.container().expect("its spec").name, "main");
    }
}
