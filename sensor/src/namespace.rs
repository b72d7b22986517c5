//! The kinds of namespaces: their names, their flags, and where each stands among the numbers of a process.

use crate::event::Namespaces;

/// One kind of namespace.
#[derive(Clone, Copy, Debug)]
pub struct NamespaceKind {
    /// The name used in records, rules and the OCI specification.
    pub name: &'static str,
    /// The name of the contract's clause.
    pub clause: &'static str,
    /// CLONE_NEW* of include/uapi/linux/sched.h.
    pub flag: u64,
    /// Its inode number among those of a process.
    pub of: fn(&Namespaces) -> u32,
}

/// All kinds.
pub const NAMESPACE_KINDS: [NamespaceKind; 8] = [
    NamespaceKind { name: "mount", clause: "mount_namespace", flag: 0x0002_0000, of: |all| all.mount },
    NamespaceKind { name: "pid", clause: "pid_namespace", flag: 0x2000_0000, of: |all| all.pid },
    NamespaceKind { name: "network", clause: "network_namespace", flag: 0x4000_0000, of: |all| all.network },
    NamespaceKind { name: "ipc", clause: "ipc_namespace", flag: 0x0800_0000, of: |all| all.ipc },
    NamespaceKind { name: "uts", clause: "uts_namespace", flag: 0x0400_0000, of: |all| all.uts },
    NamespaceKind { name: "cgroup", clause: "cgroup_namespace", flag: 0x0200_0000, of: |all| all.cgroup },
    NamespaceKind { name: "time", clause: "time_namespace", flag: 0x80, of: |all| all.time },
    NamespaceKind { name: "user", clause: "user_namespace", flag: 0x1000_0000, of: |all| all.user },
];

/// The kinds among some CLONE_NEW* flags.
pub fn flagged(flags: u64) -> impl Iterator<Item = &'static NamespaceKind> {
    NAMESPACE_KINDS.iter().filter(move |kind| flags & kind.flag != 0)
}

/// The kinds among some flags of which a process has the node's own.
pub fn shared_with<'a>(
    flags: u64,
    now: &'a Namespaces,
    host: &'a Namespaces,
) -> impl Iterator<Item = &'static NamespaceKind> + 'a {
    flagged(flags).filter(|kind| (kind.of)(now) != 0 && (kind.of)(now) == (kind.of)(host))
}

/// CLONE_NEW* flags of what differs. Of a namespace that is not known on one side, `named` decides: what the process asked
/// for. User namespaces are no part of a switch: they change with the credentials.
pub fn switched(before: &Namespaces, after: &Namespaces, named: u64) -> u64 {
    let kinds = NAMESPACE_KINDS.iter().filter(|kind| kind.name != "user");
    kinds.fold(0, |flags, kind| {
        let (before, after) = ((kind.of)(before), (kind.of)(after));
        let differs = if before == 0 || after == 0 { named & kind.flag != 0 } else { before != after };
        flags | if differs { kind.flag } else { 0 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: Namespaces =
        Namespaces { mount: 1, pid: 2, network: 3, ipc: 4, uts: 5, cgroup: 6, time: 7, user: 8 };

    fn names<'a>(kinds: impl Iterator<Item = &'a NamespaceKind>) -> Vec<&'a str> {
        kinds.map(|kind| kind.name).collect()
    }

    #[test]
    fn what_differs_has_switched() {
        let own = Namespaces { mount: 11, pid: 12, ..HOST };
        let flags = switched(&own, &HOST, 0);
        assert_eq!(names(flagged(flags)), ["mount", "pid"]);
        assert_eq!(names(shared_with(flags, &HOST, &HOST)), ["mount", "pid"]);
        assert_eq!(names(shared_with(flags, &own, &HOST)), [""; 0]);
        assert_eq!(switched(&HOST, &HOST, u64::MAX), 0, "asked for what it had");
        assert_eq!(switched(&HOST, &Namespaces { user: 9, ..HOST }, u64::MAX), 0);
    }

    #[test]
    fn of_a_process_that_was_not_known_what_it_asked_for_has_switched() {
        let flags = switched(&Namespaces::default(), &HOST, 0x4000_0000 | 0x1000_0000);
        assert_eq!(names(flagged(flags)), ["network"]);
    }
}
