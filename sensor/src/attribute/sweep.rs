//! The sweep over /proc: looks at the processes of containers from time to time, for those that were changed in place by a
//! fault in the kernel, which no hook sees.
//!
//! It works in slices between events, a few milliseconds a second. What looks wrong is looked at again in the next slice,
//! when all events of before have been applied: only then it is told.

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use sensor_ebpf::abi::SUBJECT_NO_NEW_PRIVILEGES;

use super::known::KnownCredentials;
use super::process::Process;
use super::seed::{self, Standing};
use super::{Baseline, ContainerHandle, oci};
use crate::action::{Action, Subject};
use crate::event::{Body, Event, EventKind, Namespaces, ProcessKey};

/// Processes looked at in one slice.
const SLICE: usize = 64;
/// Time of one slice, after which no further process is looked at.
const SLICE_TIME: Duration = Duration::from_millis(3);
/// Processes that look wrong and are looked at again; further ones wait for the next round.
const SUSPECTS: usize = 256;

/// What the sweep did, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepCounters {
    /// Processes looked at.
    pub looked_at: u64,
    /// Processes that were gone, or became another one, while they were looked at.
    pub vanished: u64,
    /// Processes told.
    pub told: u64,
}

/// The state of the sweep.
#[derive(Debug)]
pub struct Sweep {
    /// Nanoseconds between the starts of two rounds; 0 for no sweep.
    interval: u64,
    due: u64,
    queue: VecDeque<ProcessKey>,
    suspects: Vec<ProcessKey>,
    counters: SweepCounters,
}

/// A process that the sweep asks for, with what it is measured by.
pub struct Watched<'a> {
    /// The process as the table has it.
    pub process: &'a Process,
    /// Its container.
    pub container: &'a ContainerHandle,
}

impl Sweep {
    /// One that begins a round each `interval` nanoseconds; none if that is 0.
    pub fn new(interval: u64) -> Self {
        Self {
            interval,
            due: 0,
            queue: VecDeque::new(),
            suspects: Vec::new(),
            counters: SweepCounters::default(),
        }
    }

    /// What was done so far.
    pub fn counters(&self) -> SweepCounters {
        self.counters
    }

    /// Whether a new round should begin at `now`: then [`Sweep::begin`] wants the processes.
    pub fn is_due(&self, now: u64) -> bool {
        self.interval > 0 && self.queue.is_empty() && now >= self.due
    }

    /// Begins a round.
    pub fn begin(&mut self, processes: impl Iterator<Item = ProcessKey>, now: u64) {
        self.queue.extend(processes);
        self.due = now.saturating_add(self.interval);
    }

    /// The next process of this slice, and whether it is one that looked wrong before.
    fn next(&mut self, slice: &mut Slice) -> Option<(ProcessKey, bool)> {
        if let Some(key) = slice.again.pop() {
            return Some((key, true));
        }
        if slice.left == 0 || slice.begin.elapsed() > SLICE_TIME {
            return None;
        }
        slice.left -= 1;
        self.queue.pop_front().map(|key| (key, false))
    }

    /// Looks at the next processes. `watched` gives a process of the table, `None` if it ended or is none of a container's;
    /// what is found of one that looks right goes to `learn`.
    pub fn slice<'a>(
        &mut self,
        place: &Place<'_>,
        watched: impl Fn(ProcessKey) -> Option<Watched<'a>>,
        mut learn: impl FnMut(ProcessKey, KnownCredentials),
        now: u64,
    ) -> Vec<Event> {
        let mut slice =
            Slice { again: std::mem::take(&mut self.suspects), left: SLICE, begin: Instant::now() };
        let mut events = Vec::new();
        while let Some((key, again)) = self.next(&mut slice) {
            let Some(watched) = watched(key) else { continue };
            self.counters.looked_at += 1;
            let Some(found) = seed::standing(place.proc, key) else {
                self.counters.vanished += 1;
                continue;
            };
            let cgroup_id = (place.cgroup_id)(&found.cgroup).unwrap_or(watched.process.cgroup_id);
            if !is_changed(&watched, &found, cgroup_id, place) {
                if found.threads == 1 {
                    let user_namespace = found.namespaces.user;
                    learn(key, KnownCredentials { credentials: found.credentials, user_namespace });
                }
            } else if again {
                self.counters.told += 1;
                events.push(event(&watched, found, cgroup_id, place, now));
            } else if self.suspects.len() < SUSPECTS {
                self.suspects.push(key);
            }
        }
        events
    }
}

/// What is left of one slice.
struct Slice {
    again: Vec<ProcessKey>,
    left: usize,
    begin: Instant,
}

/// Where processes are looked at, and what the host is.
pub struct Place<'a> {
    /// The node's /proc.
    pub proc: &'a Path,
    /// The id of a cgroup by its path in the unified hierarchy.
    pub cgroup_id: &'a dyn Fn(&str) -> Option<u64>,
    /// The node's own namespaces.
    pub host: Namespaces,
    /// Inode number and device of the node's own root folder.
    pub host_root: (u64, u32),
}

/// Whether a process is not what its container's first program and the events of its own say.
fn is_changed(watched: &Watched<'_>, found: &Standing, cgroup_id: u64, place: &Place<'_>) -> bool {
    let process = watched.process;
    let stronger =
        process.known.is_some_and(|known| known.is_exceeded_by(&found.credentials, found.namespaces.user));
    let weaker = watched.container.baseline().is_some_and(|baseline| {
        (baseline.seccomp_mode == 2 && found.seccomp_mode == 0)
            || (baseline.no_new_privileges && !found.no_new_privileges)
            || (found.root == place.host_root && found.root.0 != 0 && baseline.root != found.root)
    });
    stronger
        || weaker
        || lost_its_label(watched.container, &found.security_label)
        || (cgroup_id != 0 && cgroup_id != process.cgroup_id)
        || is_in_other_namespaces(&process.namespaces, &found.namespaces)
}

/// Whether the container's spec names a security label and the process runs under none.
pub fn lost_its_label(container: &ContainerHandle, label: &str) -> bool {
    let given = container.container().and_then(|container| container.spec.security_label.as_deref());
    given.is_some_and(|given| !oci::is_unconfined(given)) && oci::is_unconfined(label)
}

fn is_in_other_namespaces(known: &Namespaces, found: &Namespaces) -> bool {
    let pairs =
        super::containers::all_namespaces(known).into_iter().zip(super::containers::all_namespaces(found));
    pairs.into_iter().any(|(known, found)| known != 0 && found != 0 && known != found)
}

/// The finding as an event that goes the way of all others.
fn event(watched: &Watched<'_>, found: Standing, cgroup_id: u64, place: &Place<'_>, now: u64) -> Event {
    let process = watched.process;
    let level = |baseline: &Baseline| match found.namespaces.user {
        user if user == place.host.user => 0,
        _ => baseline.user_namespace_level,
    };
    let subject = Subject {
        process: process.key,
        thread_id: process.key.pid,
        parent: process.parent,
        cgroup_id,
        namespaces: found.namespaces,
        credentials: found.credentials,
        user_namespace_level: watched.container.baseline().map_or(0, level),
        namespace_pid: process.namespace_pid,
        seccomp_mode: found.seccomp_mode,
        flags: if found.no_new_privileges { SUBJECT_NO_NEW_PRIVILEGES } else { 0 },
        command: process.image.command.to_vec(),
        root_inode: found.root.0,
        root_device: found.root.1,
        rung: 0,
    };
    let mut action = Action::of(EventKind::Sweep, subject);
    action.text = found.security_label.into_bytes();
    Event { time: now, read_failed: false, body: Body::Action(Box::new(action)) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::super::container::{Container, ContainerRuntime};
    use super::super::process::{Origin, RuntimeRole};
    use super::super::seed::root_folder;
    use super::*;
    use crate::event::Credentials;

    const KEY: ProcessKey = ProcessKey { pid: 77, start_time: 1234 * 10_000_000 };
    const USER: u32 = 4_026_531_837;

    /// A /proc with one process, as the kernel writes it.
    struct Proc {
        folder: tempfile::TempDir,
        handle: ContainerHandle,
    }

    impl Proc {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("temporary folder");
            let proc = Self { folder, handle: ContainerHandle::new("c1", 9, 0) };
            let process = proc.process();
            fs::create_dir_all(process.join("ns")).expect("folder");
            fs::create_dir(process.join("root")).expect("folder");
            fs::write(process.join("cgroup"), "0::/kubepods/c1\n").expect("write");
            proc.stat(1234);
            proc.status(65532, 0, 2, 1);
            proc.namespace("mnt", 5001);
            proc.namespace("user", USER);
            let namespaces = Namespaces { mount: 5001, user: USER, ..Namespaces::default() };
            proc.handle.set_baseline(Baseline {
                namespaces,
                user_namespace_level: 0,
                seccomp_mode: 2,
                no_new_privileges: true,
                root: root_folder(&process.join("root")),
            });
            proc
        }

        fn process(&self) -> std::path::PathBuf {
            self.folder.path().join("77")
        }

        fn stat(&self, ticks: u64) {
            let line = format!("77 (x) S 7 1 1 0 -1 4194560 1 1 1 1 0 0 0 0 20 0 1 0 {ticks} 0 0");
            fs::write(self.process().join("stat"), line).expect("write");
        }

        fn status(&self, uid: u32, permitted: u64, seccomp: u32, no_new_privileges: u32) {
            let text = format!(
                "Name:\tx\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nCapPrm:\t{permitted:016x}\nThreads:\t1\n\
                 NoNewPrivs:\t{no_new_privileges}\nSeccomp:\t{seccomp}\nSeccomp_filters:\t1\n"
            );
            fs::write(self.process().join("status"), text).expect("write");
        }

        fn namespace(&self, name: &str, number: u32) {
            let link = self.process().join("ns").join(name);
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(format!("{name}:[{number}]"), link).expect("link");
        }

        /// Two slices a second apart; the events of the second.
        fn sweep(&self) -> Vec<Event> {
            let process = Process {
                key: KEY,
                parent: ProcessKey { pid: 1, start_time: 0 },
                namespace_pid: 1,
                image: Arc::default(),
                ancestors: Vec::new(),
                origin: Origin::Unknown,
                origin_seen: true,
                role: RuntimeRole::None,
                cgroup_id: 9,
                namespaces: Namespaces { mount: 5001, user: USER, ..Namespaces::default() },
                known: Some(KnownCredentials {
                    credentials: Credentials {
                        uid: 65532,
                        euid: 65532,
                        suid: 65532,
                        fsuid: 65532,
                        ..Credentials::default()
                    },
                    user_namespace: USER,
                }),
                server: None,
                session: None,
                exited: None,
            };
            let cgroup_id = |path: &str| match path {
                "/kubepods/c1" => Some(9),
                "/elsewhere" => Some(10),
                _ => None,
            };
            let host = Namespaces { mount: 1, user: USER, ..Namespaces::default() };
            let place = Place {
                proc: self.folder.path(),
                cgroup_id: &cgroup_id,
                host,
                host_root: root_folder(self.folder.path()),
            };
            let watched = |_| Some(Watched { process: &process, container: &self.handle });
            let mut sweep = Sweep::new(1);
            assert!(sweep.is_due(1));
            sweep.begin(std::iter::once(KEY), 1);
            assert!(sweep.slice(&place, watched, |_, _| {}, 2).is_empty(), "nothing is told at first sight");
            let events = sweep.slice(&place, watched, |_, _| {}, 3);
            assert_eq!(sweep.counters().told, events.len() as u64);
            events
        }
    }

    fn subject(events: &[Event]) -> &Subject {
        let [Event { body: Body::Action(action), .. }] = events else { panic!("one action") };
        assert_eq!(action.kind, EventKind::Sweep);
        &action.subject
    }

    #[test]
    fn a_process_as_it_was_is_not_told() {
        assert!(Proc::new().sweep().is_empty());
    }

    #[test]
    fn overwritten_credentials_are_told() {
        let proc = Proc::new();
        proc.status(0, 0, 2, 1);
        assert_eq!(subject(&proc.sweep()).credentials.uid, 0);
        proc.status(65532, 1 << 21, 2, 1);
        assert_eq!(subject(&proc.sweep()).credentials.permitted, 1 << 21);
    }

    #[test]
    fn lost_confinement_is_told() {
        let proc = Proc::new();
        proc.status(65532, 0, 0, 1);
        assert_eq!(subject(&proc.sweep()).seccomp_mode, 0);
        proc.status(65532, 0, 2, 0);
        assert!(!subject(&proc.sweep()).no_new_privileges());
    }

    #[test]
    fn a_label_that_is_lost_is_told_where_the_spec_gave_one() {
        let proc = Proc::new();
        fs::create_dir(proc.process().join("attr")).expect("folder");
        fs::write(proc.process().join("attr/current"), "unconfined\n").expect("write");
        assert!(proc.sweep().is_empty(), "no spec");
        let label = Some("cri-containerd.apparmor.d".to_owned());
        let spec = oci::ContainerSpec { security_label: label, ..oci::ContainerSpec::default() };
        proc.handle.set_container(Arc::new(Container {
            id: "c1".to_owned(),
            name: "c1".to_owned(),
            image: None,
            image_digest: None,
            runtime: ContainerRuntime::Runc,
            privileged: false,
            pod: None,
            bundle: std::path::PathBuf::new(),
            spec: Arc::new(spec),
        }));
        let events = proc.sweep();
        assert!(subject(&events).process == KEY);
        fs::write(proc.process().join("attr/current"), "cri-containerd.apparmor.d (enforce)\n")
            .expect("write");
        assert!(proc.sweep().is_empty());
    }

    #[test]
    fn other_namespaces_cgroup_and_root_are_told() {
        let proc = Proc::new();
        proc.namespace("mnt", 1);
        assert_eq!(subject(&proc.sweep()).namespaces.mount, 1);
        let proc = Proc::new();
        fs::write(proc.process().join("cgroup"), "0::/elsewhere\n").expect("write");
        assert_eq!(subject(&proc.sweep()).cgroup_id, 10);
        let proc = Proc::new();
        fs::remove_dir(proc.process().join("root")).expect("remove");
        std::os::unix::fs::symlink(proc.folder.path(), proc.process().join("root")).expect("link");
        assert_eq!(subject(&proc.sweep()).root_inode, root_folder(proc.folder.path()).0);
    }

    #[test]
    fn a_number_that_is_another_process_now_is_not_judged() {
        let proc = Proc::new();
        proc.status(0, u64::MAX, 0, 0);
        proc.stat(9999);
        assert!(proc.sweep().is_empty());
        fs::remove_dir_all(proc.process()).expect("remove");
        assert!(proc.sweep().is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_no_finding() {
        let proc = Proc::new();
        fs::write(proc.process().join("cgroup"), "0::/../../gone\n").expect("write");
        fs::remove_dir_all(proc.process().join("ns")).expect("remove");
        fs::remove_dir_all(proc.process().join("root")).expect("remove");
        assert!(proc.sweep().is_empty());
    }
}
