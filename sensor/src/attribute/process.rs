//! The process table: who descends from whom, what each runs, and where each was born.

use std::collections::VecDeque;
use std::sync::Arc;

use super::handle::ContainerHandle;
use super::image::{Ancestor, Image};
use super::known::KnownCredentials;
use super::servers::Server;
use crate::event::{Exec, Fork, Namespaces, ProcessKey, Subject};

/// Ancestors kept of each process, nearest first.
pub const ANCESTORS: usize = 8;
/// Ended processes are kept in at most this part of the table, and this many in a small one.
const EXITED_SHARE: usize = 8;
const EXITED_LEAST: usize = 64;
/// Clock ticks of /proc in nanoseconds: USER_HZ is 100 on all architectures that Kubernetes nodes have.
const TICK: u64 = 10_000_000;

/// Where a process was born. It is inherited at fork and does not change when the process moves to another cgroup or
/// namespace: what an intruder does on the host still names the pod he came from.
#[derive(Clone, Debug, Default)]
pub enum Origin {
    /// On the node itself.
    Host,
    /// In a container.
    Container(Arc<ContainerHandle>),
    /// Not known: its start was not seen, and it was gone before it could be looked up.
    #[default]
    Unknown,
}

impl Origin {
    /// The container, if it is one.
    pub fn container(&self) -> Option<&Arc<ContainerHandle>> {
        match self {
            Self::Container(container) => Some(container),
            Self::Host | Self::Unknown => None,
        }
    }
}

/// What a process does for the container runtime. Only processes born on the host have a role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RuntimeRole {
    /// Nothing.
    #[default]
    None,
    /// It runs a binary of the runtime set.
    Runtime,
    /// It runs an anonymous copy of one, made by the runtime itself: the init before a container's first program.
    Setup,
}

impl RuntimeRole {
    /// The name used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Runtime => "runtime",
            Self::Setup => "setup",
        }
    }
}

/// One process.
#[derive(Clone, Debug)]
pub struct Process {
    /// Who.
    pub key: ProcessKey,
    /// Its parent.
    pub parent: ProcessKey,
    /// Its id in its own pid namespace, 0 if not known.
    pub namespace_pid: u32,
    /// What it runs.
    pub image: Arc<Image>,
    /// Whom it descends from, nearest first.
    pub ancestors: Vec<Ancestor>,
    /// Where it was born.
    pub origin: Origin,
    /// True if the origin was seen from the first moment, false if it was concluded from its cgroup later.
    pub origin_seen: bool,
    /// What it does for the runtime.
    pub role: RuntimeRole,
    /// Its cgroup when last seen.
    pub cgroup_id: u64,
    /// Its namespaces when last seen.
    pub namespaces: Namespaces,
    /// The strongest credentials that it can have come to, if anything told.
    pub known: Option<KnownCredentials>,
    /// What it serves, if it listens or descends from one that does.
    pub server: Option<Server>,
    /// The exec session it belongs to.
    pub session: Option<Arc<Image>>,
    /// When it ended.
    pub exited: Option<u64>,
}

/// What happened in the table, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessCounters {
    /// Ended processes that made room before their grace period was over.
    pub evicted: u64,
    /// Processes that found no room because all others were alive.
    pub refused: u64,
    /// Forks whose creator was not in the table.
    pub orphaned: u64,
}

/// All processes that are alive or ended a short while ago.
pub struct ProcessTable {
    processes: foldhash::HashMap<u32, Process>,
    /// The last process that found no room: what it does is still judged, until the next one comes.
    transient: Option<Process>,
    /// Ended processes in the order of their ends.
    exited: VecDeque<(u64, ProcessKey)>,
    capacity: usize,
    /// Ended processes kept: a storm of short ones must not fill the memory with what nobody asks for.
    most_exited: usize,
    grace: u64,
    counters: ProcessCounters,
}

impl ProcessTable {
    /// An empty table for `capacity` processes; ended ones stay for `grace` nanoseconds.
    pub fn new(capacity: usize, grace: u64) -> Self {
        Self {
            processes: foldhash::HashMap::default(),
            transient: None,
            exited: VecDeque::new(),
            capacity: capacity.max(1),
            most_exited: (capacity / EXITED_SHARE).max(EXITED_LEAST),
            grace,
            counters: ProcessCounters::default(),
        }
    }

    /// Number of processes in the table.
    pub fn len(&self) -> usize {
        self.processes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }

    /// What happened so far.
    pub fn counters(&self) -> ProcessCounters {
        self.counters
    }

    /// The process of this identity. One that was read from /proc has its start in whole clock ticks; it takes the
    /// exact start of the first event that names it.
    pub fn get(&mut self, key: ProcessKey) -> Option<&mut Process> {
        if self.transient.as_ref().is_some_and(|process| process.key == key) {
            return self.transient.as_mut();
        }
        let process = self.processes.get_mut(&key.pid)?;
        if process.key.start_time == key.start_time {
            return Some(process);
        }
        if process.key.start_time.is_multiple_of(TICK)
            && process.key.start_time / TICK == key.start_time / TICK
        {
            process.key = key;
            return Some(process);
        }
        None
    }

    /// Takes a process out, for a change that ends in [`ProcessTable::insert`], where its room is still free.
    pub fn take(&mut self, key: ProcessKey) -> Option<Process> {
        if let Some(process) = self.transient.take_if(|process| process.key == key) {
            return Some(process);
        }
        self.get(key)?;
        self.processes.remove(&key.pid)
    }

    /// The process that has this number now.
    pub fn by_number(&self, pid: u32) -> Option<&Process> {
        self.processes.get(&pid)
    }

    /// All processes, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Process> {
        self.processes.values()
    }

    /// Adds a process, in place of an older one with the same number. False if there is no room.
    pub fn insert(&mut self, process: Process) -> bool {
        let pid = process.key.pid;
        if self.processes.len() >= self.capacity && !self.processes.contains_key(&pid) && !self.evict() {
            self.counters.refused += 1;
            self.transient = Some(process);
            return false;
        }
        self.processes.insert(pid, process);
        true
    }

    /// Adds a forked process, which inherits from its creator.
    pub fn fork(&mut self, fork: &Fork) {
        let child = match self.get(fork.creator) {
            Some(creator) => inherit(creator, fork),
            None => {
                self.counters.orphaned += 1;
                orphan(fork.child, fork.parent, fork.cgroup_id, fork.namespaces)
            }
        };
        self.insert(Process { namespace_pid: fork.namespace_pid, ..child });
    }

    /// A process for an exec whose fork was not seen.
    pub fn discover(&mut self, exec: &Exec) -> Process {
        let process = orphan(exec.key(), exec.parent_key(), exec.cgroup_id, exec.namespaces);
        self.descended(Process { namespace_pid: exec.namespace_pid, ..process })
    }

    /// A process for an action whose fork and exec were not seen.
    pub fn discover_subject(&mut self, subject: &Subject) -> Process {
        let command = subject.command.as_slice().into();
        let image = Arc::new(Image { command, credentials: subject.credentials, ..Image::default() });
        let process = orphan(subject.process, subject.parent, subject.cgroup_id, subject.namespaces);
        self.descended(Process { namespace_pid: subject.namespace_pid, image, ..process })
    }

    /// The process with its ancestors, if its parent is known.
    fn descended(&mut self, mut process: Process) -> Process {
        if let Some(parent) = self.get(process.parent) {
            process.ancestors = line_of(parent, process.parent);
        }
        process
    }

    /// Marks a process as ended.
    pub fn exit(&mut self, key: ProcessKey, time: u64) {
        if let Some(process) = self.get(key)
            && process.exited.is_none()
        {
            process.exited = Some(time);
            let key = process.key;
            self.exited.push_back((time, key));
            while self.exited.len() > self.most_exited && self.evict() {}
        }
    }

    /// Removes processes whose grace period is over at `now`.
    pub fn expire(&mut self, now: u64) {
        while let Some(&(time, key)) = self.exited.front() {
            if time.saturating_add(self.grace) > now {
                break;
            }
            self.exited.pop_front();
            self.remove_exited(key);
        }
    }

    /// Makes room by removing the process that ended first.
    fn evict(&mut self) -> bool {
        while let Some((_, key)) = self.exited.pop_front() {
            if self.remove_exited(key) {
                self.counters.evicted += 1;
                return true;
            }
        }
        false
    }

    fn remove_exited(&mut self, key: ProcessKey) -> bool {
        let ended = self
            .processes
            .get(&key.pid)
            .is_some_and(|process| process.key == key && process.exited.is_some());
        if ended {
            self.processes.remove(&key.pid);
        }
        ended
    }
}

/// The ancestors of a process's children, whom they know by `key`.
pub fn line_of(parent: &Process, key: ProcessKey) -> Vec<Ancestor> {
    let mut ancestors = Vec::with_capacity((parent.ancestors.len() + 1).min(ANCESTORS));
    ancestors.push(Ancestor { key, image: Arc::clone(&parent.image) });
    ancestors.extend(parent.ancestors.iter().take(ANCESTORS - 1).cloned());
    ancestors
}

/// A child as fork leaves it: everything is its creator's but its own number.
fn inherit(creator: &Process, fork: &Fork) -> Process {
    let ancestors = line_of(creator, creator.key);
    // Born into a user namespace of its own (CLONE_NEWUSER) it holds all capabilities there.
    let known = creator.known.filter(|known| known.user_namespace == fork.namespaces.user);
    Process {
        key: fork.child,
        parent: fork.parent,
        namespace_pid: fork.namespace_pid,
        image: Arc::clone(&creator.image),
        ancestors,
        origin: creator.origin.clone(),
        origin_seen: creator.origin_seen,
        role: creator.role,
        cgroup_id: fork.cgroup_id,
        namespaces: fork.namespaces,
        known,
        server: creator.server.and_then(Server::child),
        session: creator.session.clone(),
        exited: None,
    }
}

fn orphan(key: ProcessKey, parent: ProcessKey, cgroup_id: u64, namespaces: Namespaces) -> Process {
    Process {
        key,
        parent,
        namespace_pid: 0,
        image: Arc::new(Image::default()),
        ancestors: Vec::new(),
        origin: Origin::Unknown,
        origin_seen: false,
        role: RuntimeRole::None,
        cgroup_id,
        namespaces,
        known: None,
        server: None,
        session: None,
        exited: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INIT: ProcessKey = ProcessKey { pid: 1, start_time: 10 };

    fn table(capacity: usize) -> ProcessTable {
        let mut table = ProcessTable::new(capacity, 100);
        let mut init = orphan(INIT, INIT, 1, Namespaces::default());
        init.origin = Origin::Host;
        init.role = RuntimeRole::Runtime;
        table.insert(init);
        table
    }

    fn fork(creator: ProcessKey, pid: u32, start_time: u64) -> Fork {
        let child = ProcessKey { pid, start_time };
        Fork {
            child,
            creator,
            parent: INIT,
            cgroup_id: 7,
            namespaces: Namespaces::default(),
            namespace_pid: 3,
            uid: 0,
        }
    }

    #[test]
    fn a_child_inherits_origin_role_and_line_from_its_creator() {
        let mut table = table(10);
        table.fork(&fork(INIT, 2, 20));
        let child = table.get(ProcessKey { pid: 2, start_time: 20 }).expect("there");
        assert!(matches!(child.origin, Origin::Host));
        assert_eq!(child.role, RuntimeRole::Runtime);
        assert_eq!(child.ancestors.len(), 1);
        assert_eq!((child.cgroup_id, child.namespace_pid), (7, 3));
    }

    #[test]
    fn a_reused_number_is_another_process() {
        let mut table = table(10);
        table.fork(&fork(INIT, 2, 20));
        assert!(table.get(ProcessKey { pid: 2, start_time: 21 }).is_none());
        table.exit(ProcessKey { pid: 2, start_time: 20 }, 30);
        table.fork(&fork(INIT, 2, 40));
        table.expire(1_000);
        let second = table.get(ProcessKey { pid: 2, start_time: 40 }).expect("the new one stays");
        assert!(second.exited.is_none());
    }

    #[test]
    fn a_line_keeps_its_nearest_ancestors_only() {
        let mut table = table(100);
        let mut creator = INIT;
        for pid in 2..40 {
            table.fork(&fork(creator, pid, u64::from(pid) * 10));
            creator = ProcessKey { pid, start_time: u64::from(pid) * 10 };
        }
        let last = table.get(creator).expect("there");
        assert_eq!(last.ancestors.len(), ANCESTORS);
        assert_eq!(last.ancestors[0].key.pid, 38);
    }

    #[test]
    fn the_ended_stay_for_their_grace_and_make_room_when_needed() {
        let mut table = table(3);
        table.fork(&fork(INIT, 2, 20));
        table.fork(&fork(INIT, 3, 30));
        let second = ProcessKey { pid: 2, start_time: 20 };
        table.exit(second, 50);
        table.exit(second, 51);
        table.expire(149);
        assert!(table.get(second).is_some());
        table.fork(&fork(INIT, 4, 40));
        assert!(table.get(second).is_none());
        assert_eq!(table.counters(), ProcessCounters { evicted: 1, refused: 0, orphaned: 0 });
        table.fork(&fork(INIT, 5, 50));
        assert_eq!(table.counters().refused, 1);
        let fifth = ProcessKey { pid: 5, start_time: 50 };
        assert!(table.get(fifth).is_some(), "what it does next is still judged");
        table.fork(&fork(INIT, 6, 60));
        assert!(table.get(fifth).is_none(), "until the next one that finds no room");
        assert_eq!(table.len(), 3);
    }

    #[test]
    fn a_storm_leaves_no_more_ended_ones_than_their_share() {
        let mut table = table(8000);
        for pid in 2..5000 {
            table.fork(&fork(INIT, pid, u64::from(pid)));
            table.exit(ProcessKey { pid, start_time: u64::from(pid) }, 50);
        }
        assert_eq!((table.len(), table.exited.len()), (1001, 1000));
        assert_eq!(table.counters().evicted, 3998);
        assert!(table.get(ProcessKey { pid: 4999, start_time: 4999 }).is_some(), "the last ones stay");
    }

    #[test]
    fn an_unknown_creator_makes_an_orphan() {
        let mut table = table(10);
        table.fork(&fork(ProcessKey { pid: 99, start_time: 1 }, 2, 20));
        let child = table.get(ProcessKey { pid: 2, start_time: 20 }).expect("there");
        assert!(matches!(child.origin, Origin::Unknown));
        assert_eq!(table.counters().orphaned, 1);
    }

    #[test]
    fn a_start_in_ticks_is_made_exact_by_the_first_event() {
        let mut table = table(10);
        let coarse = ProcessKey { pid: 8, start_time: 5 * TICK };
        table.insert(orphan(coarse, INIT, 1, Namespaces::default()));
        let exact = ProcessKey { pid: 8, start_time: 5 * TICK + 1234 };
        assert!(table.get(ProcessKey { pid: 8, start_time: 6 * TICK + 1 }).is_none());
        assert_eq!(table.get(exact).expect("the same").key, exact);
        assert!(table.get(coarse).is_none(), "from now on only the exact start is it");
    }
}
