//! Names of capabilities (include/uapi/linux/capability.h).

/// Names in the order of their numbers; the last one came with Linux 5.9.
pub const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// Names of the capabilities in a set. Bits without a name are left out: kernels fill the bounding set of full
/// privilege with as many bits as they know.
pub fn names(set: u64) -> impl Iterator<Item = &'static str> {
    NAMES.iter().enumerate().filter(move |(bit, _)| set >> bit & 1 != 0).map(|(_, name)| *name)
}

/// The bit of a capability's name, with or without its prefix, in any case.
pub fn bit(name: &str) -> Option<u32> {
    let same = |known: &str| known.eq_ignore_ascii_case(name) || known[4..].eq_ignore_ascii_case(name);
    NAMES.iter().position(|known| same(known)).map(|position| position as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_bits_agree() {
        assert_eq!(bit("CAP_SYS_ADMIN"), Some(21));
        assert_eq!(bit("sys_admin"), Some(21));
        assert_eq!(bit("CAP_CHECKPOINT_RESTORE"), Some(40));
        assert_eq!(bit("CAP_NOTHING"), None);
        assert_eq!(names(1 << 21 | 1).collect::<Vec<_>>(), ["CAP_CHOWN", "CAP_SYS_ADMIN"]);
        assert_eq!(names(u64::MAX).count(), NAMES.len());
    }
}
