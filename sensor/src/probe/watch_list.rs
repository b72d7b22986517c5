//! Files, commands, destinations and domains that the kernel side tells of, files by name and by place. What is not listed here, and no other hook cares for, never
//! leaves the kernel.
//!
//! The lists hold what the built-in rules ask for, and no more than that: a name that every program opens all day would cost
//! the node, and tell nothing.

use sensor_ebpf::abi::{
    NameKey, WATCH_ATTRIBUTE, WATCH_BELOW, WATCH_COMMAND, WATCH_HOST, WATCH_NAME, WATCH_NO_OVERLAY,
    WATCH_QUERY, WATCH_READ, WATCH_SEEN_FROM_ABOVE, WATCH_TRUNCATE, WATCH_WRITE,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// By processes of containers and of the host.
const fn both(operations: u32) -> u32 {
    operations | host(operations)
}

/// By processes of the host only.
const fn host(operations: u32) -> u32 {
    operations << WATCH_HOST
}

/// On what lies below a place.
const fn below(mask: u32) -> u32 {
    mask << WATCH_BELOW
}

/// All ways to change what a name leads to.
const CHANGE: u32 = WATCH_WRITE | WATCH_TRUNCATE | WATCH_NAME;
/// The same, and mode, owner and times.
const ALTER: u32 = CHANGE | WATCH_ATTRIBUTE;
/// To see what is in a file, and the names under which that can be hidden.
const LEARN: u32 = WATCH_READ | WATCH_NAME;

/// Whole names.
const NAMES: &[(&str, u32)] = &[
    ("shadow", both(LEARN)),
    ("shadow-", both(LEARN)),
    ("gshadow", both(LEARN)),
    ("gshadow-", both(LEARN)),
    ("sudoers", both(LEARN)),
    ("opasswd", both(LEARN)),
    ("krb5.keytab", both(LEARN)),
    ("passwd", CHANGE),
    ("group", CHANGE),
    ("hosts", CHANGE),
    ("resolv.conf", CHANGE),
    ("nsswitch.conf", CHANGE),
    ("ld.so.preload", both(CHANGE)),
    ("authorized_keys", both(CHANGE)),
    ("authorized_keys2", both(CHANGE)),
    (".bashrc", both(CHANGE)),
    (".bash_profile", both(CHANGE)),
    (".bash_login", both(CHANGE)),
    (".profile", both(CHANGE)),
    (".zshrc", both(CHANGE)),
    (".zprofile", both(CHANGE)),
    (".bash_history", both(WATCH_TRUNCATE | WATCH_NAME)),
    (".zsh_history", both(WATCH_TRUNCATE | WATCH_NAME)),
    (".ash_history", both(WATCH_TRUNCATE | WATCH_NAME)),
    (".sh_history", both(WATCH_TRUNCATE | WATCH_NAME)),
    (".python_history", both(WATCH_TRUNCATE | WATCH_NAME)),
    (".mysql_history", both(WATCH_TRUNCATE | WATCH_NAME)),
    (".psql_history", both(WATCH_TRUNCATE | WATCH_NAME)),
    ("id_rsa", both(LEARN)),
    ("id_dsa", both(LEARN)),
    ("id_ecdsa", both(LEARN)),
    ("id_ed25519", both(LEARN)),
    ("ssh_host_rsa_key", both(LEARN)),
    ("ssh_host_ecdsa_key", both(LEARN)),
    ("ssh_host_ed25519_key", both(LEARN)),
    ("token", WATCH_READ),
    ("azure.json", both(LEARN)),
    ("kubeconfig", both(LEARN)),
    ("bootstrap-kubeconfig", both(LEARN)),
    ("kubelet.conf", both(LEARN)),
    ("admin.conf", both(LEARN)),
];

/// Endings of names.
const ENDINGS: &[(&str, u32)] = &[
    (".pem", both(WATCH_READ) | WATCH_NO_OVERLAY),
    (".key", both(WATCH_READ) | WATCH_NO_OVERLAY),
    (".p12", both(WATCH_READ) | WATCH_NO_OVERLAY),
    (".pfx", both(WATCH_READ) | WATCH_NO_OVERLAY),
    (".jks", both(WATCH_READ) | WATCH_NO_OVERLAY),
    (".kdbx", both(WATCH_READ) | WATCH_NO_OVERLAY),
    (".tfstate", both(WATCH_READ) | WATCH_NO_OVERLAY),
    (".php", WATCH_WRITE | WATCH_NAME),
    (".phtml", WATCH_WRITE | WATCH_NAME),
    (".jsp", WATCH_WRITE | WATCH_NAME),
    (".jspx", WATCH_WRITE | WATCH_NAME),
    (".asp", WATCH_WRITE | WATCH_NAME),
    (".aspx", WATCH_WRITE | WATCH_NAME),
    (".ashx", WATCH_WRITE | WATCH_NAME),
    (".cgi", WATCH_WRITE | WATCH_NAME),
];

/// Names of folders, of which the files right in them are told.
const FOLDERS: &[(&str, u32)] =
    &[(".aws", both(LEARN)), (".azure", both(LEARN)), (".kube", both(LEARN)), (".docker", both(LEARN))];

/// Places of the node.
const PLACES: &[(&str, u32)] = &[
    ("/etc", below(both(ALTER))),
    ("/etc/kubernetes", below(both(ALTER) | WATCH_READ)),
    ("/root", below(WATCH_WRITE | WATCH_NAME) | WATCH_SEEN_FROM_ABOVE),
    ("/home", below(WATCH_WRITE | WATCH_NAME) | WATCH_SEEN_FROM_ABOVE),
    ("/bin", below(both(ALTER))),
    ("/sbin", below(both(ALTER))),
    ("/lib", below(both(ALTER))),
    ("/lib64", below(both(ALTER))),
    ("/usr", below(both(ALTER))),
    ("/opt/bin", below(both(ALTER))),
    ("/opt/cni/bin", below(both(ALTER))),
    ("/boot", below(both(ALTER))),
    ("/efi", below(both(ALTER))),
    ("/var/lib/dpkg", below(both(CHANGE))),
    ("/var/lib/rpm", below(both(CHANGE))),
    ("/var/spool/cron", below(both(CHANGE))),
    ("/var/spool/at", below(both(CHANGE))),
    ("/run/systemd/system", below(both(CHANGE))),
    ("/run/systemd/generator", below(CHANGE)),
    ("/var/lib/kubelet", below(WATCH_READ | WATCH_WRITE | WATCH_NAME) | WATCH_SEEN_FROM_ABOVE),
    ("/var/lib/kubelet/pods", below(WATCH_READ | WATCH_WRITE | WATCH_NAME) | WATCH_SEEN_FROM_ABOVE),
    ("/var/lib/kubelet/config.yaml", both(CHANGE)),
    ("/var/lib/kubelet/kubeconfig", both(CHANGE | WATCH_READ)),
    ("/var/lib/kubelet/bootstrap-kubeconfig", both(CHANGE | WATCH_READ)),
    ("/var/lib/kubelet/pki", below(both(CHANGE) | WATCH_READ)),
    ("/var/lib/containerd", below(WATCH_WRITE | WATCH_NAME) | WATCH_SEEN_FROM_ABOVE),
    ("/var/lib/docker", below(WATCH_WRITE | WATCH_NAME) | WATCH_SEEN_FROM_ABOVE),
    ("/var/lib/containers", below(WATCH_WRITE | WATCH_NAME) | WATCH_SEEN_FROM_ABOVE),
    ("/run/containerd", below(WATCH_READ | WATCH_WRITE | WATCH_NAME) | WATCH_SEEN_FROM_ABOVE),
    ("/var/log", below(both(WATCH_TRUNCATE | WATCH_NAME))),
];

/// Command names that nobody but their programs should have.
const COMMANDS: &[&str] = &[
    crate::self_watch::CANARY,
    "kthreadd",
    "kswapd0",
    "kdevtmpfs",
    "khugepaged",
    "systemd",
    "systemd-journal",
    "systemd-udevd",
    "systemd-logind",
    "sshd",
    "cron",
    "crond",
    "rsyslogd",
    "auditd",
    "dbus-daemon",
    "kubelet",
    "kube-proxy",
    "containerd",
    "containerd-shim",
    "dockerd",
    "runc",
];

/// Addresses to which connections of containers are told: metadata services of the clouds, and Azure's host agent.
const ADDRESSES: &[IpAddr] = &[
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Ports to which connections of containers are told, whatever the address: kubelet, etcd, scheduler, controller manager,
/// kube-proxy; pools of miners.
const PORTS: &[u16] = &[
    10250, 10255, 10256, 10257, 10259, 2379, 2380, 3333, 3357, 4444, 5555, 7777, 8333, 9999, 14433, 14444,
    45560, 45700,
];

/// Domains of mining pools: questions of containers for names in them are told.
const DOMAINS: &[&str] = &[
    "minexmr.com",
    "nanopool.org",
    "supportxmr.com",
    "2miners.com",
    "hashvault.pro",
    "moneroocean.stream",
    "f2pool.com",
    "nicehash.com",
    "ethermine.org",
    "herominers.com",
    "unmineable.com",
    "c3pool.com",
    "c3pool.org",
    "xmrpool.eu",
    "monerohash.com",
    "dwarfpool.com",
    "viabtc.com",
    "antpool.com",
    "poolin.com",
    "flypool.org",
    "prohashing.com",
    "zpool.ca",
    "crypto-pool.fr",
];

/// The watched destinations.
pub fn destinations() -> impl Iterator<Item = (Option<IpAddr>, Option<u16>)> {
    let addresses = ADDRESSES.iter().map(|address| (Some(*address), None));
    addresses.chain(PORTS.iter().map(|port| (None, Some(*port))))
}

/// The watched names, for the kernel's map.
pub fn names() -> impl Iterator<Item = (NameKey, u32)> {
    let whole = NAMES.iter().filter_map(|(name, mask)| Some((NameKey::name(name.as_bytes())?, *mask)));
    let endings =
        ENDINGS.iter().filter_map(|(ending, mask)| Some((NameKey::ending(ending.as_bytes())?, *mask)));
    let folders = FOLDERS.iter().filter_map(|(name, mask)| Some((NameKey::folder(name.as_bytes())?, *mask)));
    let commands = COMMANDS.iter().filter_map(|name| Some((NameKey::name(name.as_bytes())?, WATCH_COMMAND)));
    let domains = DOMAINS.iter().filter_map(|name| Some((NameKey::domain(name.as_bytes())?, WATCH_QUERY)));
    whole.chain(endings).chain(folders).chain(commands).chain(domains)
}

/// The watched places, by their path on the node.
pub fn places() -> impl Iterator<Item = (&'static str, u32)> {
    PLACES.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_name_has_a_key() {
        for (name, _) in NAMES {
            assert!(NameKey::name(name.as_bytes()).is_some(), "{name} is too long to be compared");
        }
        assert!(ENDINGS.iter().all(|(ending, _)| NameKey::ending(ending.as_bytes()).is_some()));
        assert!(FOLDERS.iter().all(|(name, _)| NameKey::folder(name.as_bytes()).is_some()));
        assert!(DOMAINS.iter().all(|name| NameKey::domain(name.as_bytes()).is_some()));
    }

    #[test]
    fn keys_of_different_sorts_never_meet() {
        let keys: std::collections::HashSet<_> = names().map(|(key, _)| key).collect();
        assert_eq!(keys.len(), names().count());
        assert_ne!(NameKey::name(b".key"), NameKey::ending(b".key"));
        assert_ne!(NameKey::name(b".aws"), NameKey::folder(b".aws"));
        assert_ne!(NameKey::name(b"ab\x03com"), NameKey::domain(b"ab.com"));
        assert_eq!(NameKey::domain(b"pool.example.com"), None, "two labels are compared");
    }

    #[test]
    fn places_on_a_containers_own_volumes_are_left_alone() {
        let pods = places().find(|(path, _)| *path == "/var/lib/kubelet/pods").expect("listed");
        assert_ne!(pods.1 & WATCH_SEEN_FROM_ABOVE, 0);
        assert_eq!(
            pods.1 >> WATCH_BELOW & host(WATCH_READ | WATCH_WRITE),
            0,
            "the kubelet works there all day"
        );
    }
}
