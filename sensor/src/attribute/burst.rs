//! Bursts of discovery commands: many different ones from one session in a short time.

use std::collections::VecDeque;

/// Window in nanoseconds.
const WINDOW: u64 = 30_000_000_000;
/// Commands remembered of one session.
const COMMANDS: usize = 32;
/// Sessions remembered.
const SESSIONS: usize = 1024;

/// Commands that tell about the system they run on. One alone says nothing.
const DISCOVERY: &[&[u8]] = &[
    b"arch",
    b"arp",
    b"cat",
    b"capsh",
    b"df",
    b"dmesg",
    b"env",
    b"find",
    b"findmnt",
    b"getcap",
    b"getent",
    b"groups",
    b"hostname",
    b"id",
    b"ifconfig",
    b"ip",
    b"last",
    b"ls",
    b"lsblk",
    b"lscpu",
    b"lsmod",
    b"lsns",
    b"lsof",
    b"mount",
    b"netstat",
    b"nproc",
    b"printenv",
    b"ps",
    b"pstree",
    b"route",
    b"ss",
    b"sysctl",
    b"uname",
    b"uptime",
    b"w",
    b"which",
    b"who",
    b"whoami",
];

/// A session: the container's number (0 for the host) and the session id.
pub type SessionKey = (u64, u32);

/// Discovery commands by session.
#[derive(Default)]
pub struct Bursts {
    sessions: foldhash::HashMap<SessionKey, VecDeque<(u64, usize)>>,
}

impl Bursts {
    /// Notes a command, and gives how many different discovery commands its session ran within the window; 0 if this
    /// one is none.
    pub fn exec<'a>(
        &mut self,
        session: SessionKey,
        names: impl Iterator<Item = &'a [u8]>,
        time: u64,
    ) -> usize {
        let mut names = names;
        let Some(command) = names.find_map(|name| DISCOVERY.iter().position(|known| *known == name)) else {
            return 0;
        };
        if self.sessions.len() >= SESSIONS && !self.sessions.contains_key(&session) {
            self.sessions
                .retain(|_, commands| commands.back().is_some_and(|(last, _)| last + WINDOW >= time));
            if self.sessions.len() >= SESSIONS {
                // Under a flood of sessions no burst can be told from another; forgetting all keeps the bound.
                self.sessions.clear();
            }
        }
        let commands = self.sessions.entry(session).or_default();
        while commands.len() >= COMMANDS || commands.front().is_some_and(|(first, _)| first + WINDOW < time) {
            commands.pop_front();
        }
        commands.retain(|(_, known)| *known != command);
        commands.push_back((time, command));
        commands.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(bursts: &mut Bursts, name: &[u8], time: u64) -> usize {
        bursts.exec((1, 1), std::iter::once(name), time)
    }

    #[test]
    fn different_commands_count_and_the_same_one_does_not() {
        let mut bursts = Bursts::default();
        assert_eq!(run(&mut bursts, b"id", 1), 1);
        assert_eq!(run(&mut bursts, b"id", 2), 1);
        assert_eq!(run(&mut bursts, b"uname", 3), 2);
        assert_eq!(run(&mut bursts, b"nginx", 4), 0);
        assert_eq!(bursts.exec((1, 2), std::iter::once(b"ps".as_slice()), 5), 1);
    }

    #[test]
    fn old_commands_leave_the_window() {
        let mut bursts = Bursts::default();
        run(&mut bursts, b"id", 1);
        assert_eq!(run(&mut bursts, b"uname", 2 + WINDOW), 1);
    }

    #[test]
    fn sessions_are_bounded() {
        let mut bursts = Bursts::default();
        for session in 0..10_000 {
            bursts.exec((0, session), std::iter::once(b"id".as_slice()), 1);
        }
        assert!(bursts.sessions.len() <= SESSIONS);
    }
}
