//! What a process does beyond living: opens, mounts, switches of namespace and credentials, and so on.

use std::net::{IpAddr, Ipv6Addr};

use sensor_ebpf::abi::{
    CGROUP_BUDGET, CONNECT_VALUE_ADDRESS, CONNECT_VALUE_PORT, Credentials, EventKind, FileFacts, Namespaces,
    PROCESS_BUDGET, RECORD_CGROUP_BUDGET, RECORD_PROCESS_BUDGET, RUNG_FENTRY, RUNG_KPROBE, RUNG_LSM,
    RUNG_SYSTEM_CALL, RUNG_TRACEPOINT_BTF, SEND_ARP_REPLY, SEND_VALUE_WHAT, SUBJECT_COMPAT, SUBJECT_IN_EXEC,
    SUBJECT_NO_NEW_PRIVILEGES,
};

use crate::event::ProcessKey;
use crate::probe::Rung;

/// One action.
#[derive(Clone, Debug)]
pub struct Action {
    /// What was done.
    pub kind: EventKind,
    /// Who did it, as the kernel saw it at that moment.
    pub subject: Subject,
    /// The file it is about.
    pub file: Option<ActionFile>,
    /// A second file: the source of a bind mount, the new root, what a link leads to.
    pub other_file: Option<ActionFile>,
    /// Another process it is about.
    pub target: Option<ProcessKey>,
    /// The new namespaces, or those of the other process.
    pub target_namespaces: Namespaces,
    /// The new credentials, or those of the other process.
    pub target_credentials: Credentials,
    /// The new cgroup, or that of the other process.
    pub target_cgroup_id: u64,
    /// Numbers, whose meaning depends on the kind: the `*_VALUE_*` constants of the ABI.
    pub values: [u64; sensor_ebpf::abi::ACTION_VALUES],
    /// 0 or a negative error number, where the hook sees the outcome.
    pub result: Option<i32>,
    /// A name, a type, or what was passed; of mounts the type of the file system.
    pub text: Vec<u8>,
    /// A second text: of mounts what is mounted.
    pub other_text: Vec<u8>,
    /// It is the last of its kind that somebody may send in this second; the kernel keeps further ones back.
    pub spent: Option<Budget>,
}

/// Who may send only so many events in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// The process: [`PROCESS_BUDGET`].
    Process,
    /// All processes of its cgroup: [`CGROUP_BUDGET`].
    Cgroup,
}

impl Budget {
    /// What a record's flags say.
    pub fn spent_by(flags: u16) -> Option<Self> {
        match flags & (RECORD_PROCESS_BUDGET | RECORD_CGROUP_BUDGET) {
            0 => None,
            RECORD_PROCESS_BUDGET => Some(Self::Process),
            _ => Some(Self::Cgroup),
        }
    }

    /// Events of one kind in a second.
    pub fn events(self) -> u32 {
        match self {
            Self::Process => PROCESS_BUDGET,
            Self::Cgroup => CGROUP_BUDGET,
        }
    }
}

impl Action {
    /// One about nobody but its subject.
    pub fn of(kind: EventKind, subject: Subject) -> Self {
        Self {
            kind,
            subject,
            file: None,
            other_file: None,
            target: None,
            target_namespaces: Namespaces::default(),
            target_credentials: Credentials::default(),
            target_cgroup_id: 0,
            values: [0; sensor_ebpf::abi::ACTION_VALUES],
            result: None,
            text: Vec::new(),
            other_text: Vec::new(),
            spent: None,
        }
    }
}

/// A file that an action is about.
#[derive(Clone, Debug, Default)]
pub struct ActionFile {
    /// What its inode says.
    pub facts: FileFacts,
    /// Its path from the process's root.
    pub path: Vec<u8>,
    /// Its path from the root of its own file system, however that is mounted; empty where not asked for.
    pub filesystem_path: Vec<u8>,
}

/// Who acts.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The process.
    pub process: ProcessKey,
    /// The acting thread.
    pub thread_id: u32,
    /// Its parent.
    pub parent: ProcessKey,
    /// Its cgroup.
    pub cgroup_id: u64,
    /// Its namespaces.
    pub namespaces: Namespaces,
    /// Its credentials.
    pub credentials: Credentials,
    /// Depth of its user namespace below the initial one.
    pub user_namespace_level: u32,
    /// Its id in its own pid namespace.
    pub namespace_pid: u32,
    /// Seccomp mode: 0 off, 1 strict, 2 filter.
    pub seccomp_mode: u32,
    /// `SUBJECT_*` flags.
    pub flags: u32,
    /// Command name of the thread.
    pub command: Vec<u8>,
    /// Inode number of its root folder.
    pub root_inode: u64,
    /// Device of its root folder: major << 20 | minor.
    pub root_device: u32,
    /// `RUNG_*`: how the hook was entered.
    pub rung: u32,
}

impl Subject {
    /// no_new_privs is set.
    pub fn no_new_privileges(&self) -> bool {
        self.flags & SUBJECT_NO_NEW_PRIVILEGES != 0
    }

    /// It came by a 32-bit system call.
    pub fn is_compat(&self) -> bool {
        self.flags & SUBJECT_COMPAT != 0
    }

    /// It acts within an exec.
    pub fn is_in_exec(&self) -> bool {
        self.flags & SUBJECT_IN_EXEC != 0
    }

    /// How the hook was entered; `None` for a number this version does not know.
    pub fn rung(&self) -> Option<Rung> {
        Some(match self.rung {
            RUNG_TRACEPOINT_BTF => Rung::TracepointBtf,
            RUNG_LSM => Rung::Lsm,
            RUNG_FENTRY => Rung::Fentry,
            RUNG_KPROBE => Rung::Kprobe,
            RUNG_SYSTEM_CALL => Rung::SystemCall,
            _ => return None,
        })
    }
}

/// Where a connection leads, or a message without one; `None` for other actions.
pub fn destination(action: &Action) -> Option<(IpAddr, u16)> {
    match action.kind {
        EventKind::SocketConnect => {}
        EventKind::SocketSend if sent(action) != Some(SEND_ARP_REPLY) => {}
        _ => return None,
    }
    Some((connect_address(action), action.values[CONNECT_VALUE_PORT] as u16))
}

/// The address that an ARP reply claims; `None` for other actions.
pub fn claimed_address(action: &Action) -> Option<IpAddr> {
    (sent(action) == Some(SEND_ARP_REPLY)).then(|| connect_address(action))
}

/// What is sent, a `SEND_*` number or 0; `None` for other actions.
pub fn sent(action: &Action) -> Option<u64> {
    (action.kind == EventKind::SocketSend).then(|| action.values[SEND_VALUE_WHAT] & 0xff)
}

fn connect_address(action: &Action) -> IpAddr {
    let mut bytes = [0; 16];
    for (part, word) in bytes.chunks_exact_mut(8).zip(&action.values[CONNECT_VALUE_ADDRESS..]) {
        part.copy_from_slice(&word.to_ne_bytes());
    }
    IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A process without anything special.
    pub(crate) fn subject() -> Subject {
        Subject {
            process: ProcessKey { pid: 70, start_time: 7 },
            thread_id: 70,
            parent: ProcessKey { pid: 1, start_time: 1 },
            cgroup_id: 1,
            namespaces: Namespaces::default(),
            credentials: Credentials::default(),
            user_namespace_level: 0,
            namespace_pid: 70,
            seccomp_mode: 0,
            flags: 0,
            command: b"atk".to_vec(),
            root_inode: 0,
            root_device: 0,
            rung: RUNG_FENTRY,
        }
    }

    #[test]
    fn flags_tell_whose_budget_is_spent() {
        assert_eq!(Budget::spent_by(0), None);
        assert_eq!(Budget::spent_by(1 | RECORD_PROCESS_BUDGET), Some(Budget::Process));
        let both = RECORD_PROCESS_BUDGET | RECORD_CGROUP_BUDGET;
        assert_eq!(Budget::spent_by(both), Some(Budget::Cgroup));
    }
}
