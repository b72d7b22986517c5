//! Containers that run into the limit of their processes: forks that the kernel refuses tell nobody, but are counted by the
//! cgroup.

use std::collections::HashMap;
use std::path::Path;

use sensor_ebpf::abi::{EventKind, FORK_VALUE_REFUSED};

use super::process::Process;
use crate::action::{Action, Subject};
use crate::event::{Body, Event};

/// Nanoseconds between two looks.
const AGE: u64 = 2_000_000_000;
/// Living processes from which on a container is looked at.
const PROCESSES: usize = 16;
/// Bytes read of `pids.events`.
const EVENTS_MAX: u64 = 256;

/// What the cgroups counted when last looked at.
#[derive(Debug, Default)]
pub struct ForkLimits {
    refused: HashMap<u64, u64>,
    looked: u64,
}

impl ForkLimits {
    /// Looks at the cgroups of containers with many processes; gives an event for each that refused forks since the last
    /// look. `cgroup` gives the folder of a cgroup.
    pub fn look<'a>(
        &mut self,
        now: u64,
        processes: impl Iterator<Item = &'a Process>,
        folder: impl Fn(u64) -> Option<std::path::PathBuf>,
    ) -> Vec<Event> {
        if now.saturating_sub(self.looked) < AGE {
            return Vec::new();
        }
        self.looked = now;
        let mut containers: HashMap<u64, (usize, &Process)> = HashMap::new();
        for process in processes.filter(|process| process.exited.is_none()) {
            let Some(handle) = process.origin.container() else { continue };
            let (count, newest) = containers.entry(handle.cgroup_id).or_insert((0, process));
            *count += 1;
            if process.key.start_time > newest.key.start_time {
                *newest = process;
            }
        }
        containers.retain(|_, (count, _)| *count >= PROCESSES);
        let mut events = Vec::new();
        let mut seen = HashMap::new();
        for (cgroup_id, (_, newest)) in containers {
            let Some(refused) = folder(cgroup_id).and_then(|folder| refused(&folder)) else { continue };
            // Of a cgroup that was not looked at before, all are new: it had few processes until now.
            let before = self.refused.get(&cgroup_id).copied().unwrap_or(0);
            if refused > before {
                let mut event = made_event(newest, EventKind::ForkFlood, now);
                if let Body::Action(action) = &mut event.body {
                    action.values[FORK_VALUE_REFUSED] = refused - before;
                }
                events.push(event);
            }
            seen.insert(cgroup_id, refused);
        }
        self.refused = seen;
        events
    }
}

/// The line `max N` of `pids.events`: how often a fork was refused (cgroup-v2.rst).
fn refused(folder: &Path) -> Option<u64> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(folder.join("pids.events")).ok()?.take(EVENTS_MAX).read_to_string(&mut text).ok()?;
    text.lines().find_map(|line| line.strip_prefix("max ")?.parse().ok())
}

/// An event of a process that user space makes, because no hook tells of it.
pub(super) fn made_event(process: &Process, kind: EventKind, now: u64) -> Event {
    let subject = Subject {
        process: process.key,
        thread_id: process.key.pid,
        parent: process.parent,
        cgroup_id: process.cgroup_id,
        namespaces: process.namespaces,
        credentials: process.image.credentials,
        user_namespace_level: 0,
        namespace_pid: process.namespace_pid,
        seccomp_mode: 0,
        flags: 0,
        command: process.image.command.to_vec(),
        root_inode: 0,
        root_device: 0,
        rung: 0,
    };
    let action = Action::of(kind, subject);
    Event { time: now, read_failed: false, body: Body::Action(Box::new(action)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_forks_are_read_from_the_cgroup() {
        let folder = tempfile::tempdir().expect("temporary folder");
        assert_eq!(refused(folder.path()), None);
        std::fs::write(folder.path().join("pids.events"), "max 7\n").expect("write");
        assert_eq!(refused(folder.path()), Some(7));
        std::fs::write(folder.path().join("pids.events"), "nonsense").expect("write");
        assert_eq!(refused(folder.path()), None);
    }
}
