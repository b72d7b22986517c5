//! Which processes serve the network, and what they usually start.
//!
//! A process that listens is a server, and so are, for a few generations, those that descend from it: the shell that a
//! server starts is what an attacker gets from a fault in it.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Generations below the one that listens which still count as the server's work.
pub const GENERATIONS: u8 = 4;
/// Different programs remembered of one container's servers.
const HABITS: usize = 256;

/// What a process serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// The port, 0 if the kernel chose it.
    pub port: u16,
    /// 0 of the process that listens, 1 of its children, and so on.
    pub generation: u8,
}

impl Server {
    /// One that begins to listen.
    pub fn new(port: u16) -> Self {
        Self { port, generation: 0 }
    }

    /// What a child of it is; `None` if it is too far away.
    pub fn child(self) -> Option<Self> {
        (self.generation < GENERATIONS).then(|| Self { generation: self.generation + 1, ..self })
    }
}

/// When the servers of a container first started each program with its arguments.
#[derive(Debug, Default)]
pub struct Habits {
    first: Mutex<HashMap<u64, u64>>,
}

impl Habits {
    /// Age of the container, in nanoseconds, when its servers first did this; `age` itself if they never did before. A
    /// container with more different ones than are kept has each further one as new.
    pub fn first(&self, action: u64, age: u64) -> u64 {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = first.get(&action) {
            return *known;
        }
        if first.len() < HABITS {
            first.insert(action, age);
        }
        age
    }
}

/// Descriptors of a process that are looked at.
const DESCRIPTORS: usize = 1024;
/// Bytes read of a table of sockets.
const TABLE_BYTES: u64 = 1 << 20;
/// `TCP_LISTEN` of include/net/tcp_states.h, as /proc/PID/net/tcp writes it.
const LISTENING: &str = "0A";

/// Who listens already when the sensor starts. The table of each network namespace is read once.
#[derive(Debug, Default)]
pub struct Listeners {
    tables: HashMap<u32, HashMap<u64, u16>>,
}

impl Listeners {
    /// The TCP port on which a process in a network namespace listens; the first one that its descriptors show.
    pub fn port(&mut self, proc: &Path, pid: u32, network_namespace: u32) -> Option<u16> {
        let folder = proc.join(pid.to_string());
        let listening = self.tables.entry(network_namespace).or_insert_with(|| {
            ["net/tcp", "net/tcp6"].iter().flat_map(|table| listeners(&read(&folder.join(table)))).collect()
        });
        if listening.is_empty() {
            return None;
        }
        let links = std::fs::read_dir(folder.join("fd")).ok()?.flatten().take(DESCRIPTORS);
        links.filter_map(|entry| std::fs::read_link(entry.path()).ok()).find_map(|link| {
            let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()?;
            listening.get(&inode).copied()
        })
    }
}

fn read(path: &Path) -> String {
    let mut text = String::new();
    if let Ok(file) = File::open(path) {
        // What does not fit, or is no text, is not looked at.
        let _ = file.take(TABLE_BYTES).read_to_string(&mut text);
    }
    text
}

/// Inodes and ports of listening sockets in a table of /proc/PID/net (proc_pid_net(5)).
fn listeners(table: &str) -> Vec<(u64, u16)> {
    let socket = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        if fields.get(3) != Some(&LISTENING) {
            return None;
        }
        let port = u16::from_str_radix(fields.get(1)?.rsplit(':').next()?, 16).ok()?;
        Some((fields.get(9)?.parse().ok()?, port))
    };
    table.lines().filter_map(socket).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_sockets_are_told_from_connections() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 4711 1 0 100 0 0 10 0\n\
            1: 0100007F:1F90 0100007F:A1B2 01 00000000:00000000 00:00000000 00000000  1000 0 4712 1 0 20 4 30 10 -1\n\
            2: broken\n";
        assert_eq!(listeners(table), [(4711, 8080)]);
    }

    #[test]
    fn a_listener_of_this_process_is_found() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        // Others of this test program may listen too; what is found must be one of its own.
        let mut listeners = Listeners::default();
        let port = listeners.port(Path::new("/proc"), std::process::id(), 1);
        assert!(port.is_some_and(|port| port != 0), "{port:?} {listener:?}");
        assert_eq!(listeners.port(Path::new("/proc"), u32::MAX, 2), None);
    }

    #[test]
    fn descendants_serve_for_a_few_generations() {
        let mut server = Some(Server::new(80));
        let mut count = 0;
        while let Some(child) = server.and_then(Server::child) {
            assert_eq!(child.port, 80);
            server = Some(child);
            count += 1;
        }
        assert_eq!(count, GENERATIONS);
    }

    #[test]
    fn a_habit_is_as_old_as_its_first_time_and_their_number_is_bounded() {
        let habits = Habits::default();
        assert_eq!(habits.first(1, 5), 5);
        assert_eq!(habits.first(1, 900), 5);
        for action in 2..1000 {
            habits.first(action, 7);
        }
        assert_eq!(habits.first.lock().expect("not poisoned").len(), HABITS);
        assert_eq!(habits.first(5000, 901), 901, "a flood makes nothing look usual");
    }
}
