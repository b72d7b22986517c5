//! Addresses that rules know by what they are: the node's own, and the API server's as pods are told it.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

/// Nanoseconds between two readings of the node's addresses.
const AGE: u64 = 30_000_000_000;
/// Bytes read of one table.
const TABLE_MAX: u64 = 1 << 20;
/// Different addresses of API servers that are kept: a node belongs to one cluster.
const API_SERVERS: usize = 16;

/// What is known of addresses.
pub struct Addresses {
    /// `/proc/PID/net` of a process in the node's own network namespace.
    tables: PathBuf,
    node: HashSet<IpAddr>,
    api_servers: Vec<(IpAddr, u16)>,
    /// Those that came since they were last taken.
    new: Vec<(IpAddr, u16)>,
    read: Option<u64>,
}

impl Addresses {
    /// Nothing is read yet.
    pub fn new(proc: &Path, pid: u32) -> Self {
        Self {
            tables: proc.join(pid.to_string()).join("net"),
            node: HashSet::new(),
            api_servers: Vec::new(),
            new: Vec::new(),
            read: None,
        }
    }

    /// Whether an address is one of the node's own.
    pub fn is_node(&mut self, address: IpAddr, now: u64) -> bool {
        if self.read.is_none_or(|read| now.saturating_sub(read) > AGE) {
            self.read = Some(now);
            let table = |name: &str| read(&self.tables.join(name));
            self.node = local_v4(&table("fib_trie")).chain(local_v6(&table("if_inet6"))).collect();
        }
        self.node.contains(&address)
    }

    /// A pod was told that its API server is there.
    pub fn note_api_server(&mut self, server: (IpAddr, u16)) {
        if !self.api_servers.contains(&server) && self.api_servers.len() < API_SERVERS {
            self.api_servers.push(server);
            self.new.push(server);
        }
    }

    /// Whether pods were told that their API server is there.
    pub fn is_api_server(&self, server: (IpAddr, u16)) -> bool {
        self.api_servers.contains(&server)
    }

    /// API servers that became known since the last call.
    pub fn take_new(&mut self) -> Vec<(IpAddr, u16)> {
        std::mem::take(&mut self.new)
    }
}

fn read(path: &Path) -> String {
    use std::io::Read;
    let mut text = String::new();
    if let Ok(file) = std::fs::File::open(path) {
        // What does not fit, or is no text, is not looked at.
        let _ = file.take(TABLE_MAX).read_to_string(&mut text);
    }
    text
}

/// Local addresses of /proc/net/fib_trie: the line before `/32 host LOCAL` holds the address.
fn local_v4(table: &str) -> impl Iterator<Item = IpAddr> {
    let address = |line: &str| line.trim().strip_prefix("|-- ")?.parse::<Ipv4Addr>().ok();
    let pairs = table.lines().zip(table.lines().skip(1));
    pairs
        .filter(|(_, kind)| kind.trim() == "/32 host LOCAL")
        .filter_map(move |(line, _)| address(line))
        .map(IpAddr::V4)
}

/// Addresses of /proc/net/if_inet6: 32 hexadecimal digits first.
fn local_v6(table: &str) -> impl Iterator<Item = IpAddr> {
    table.lines().filter_map(|line| {
        let digits = line.split_ascii_whitespace().next()?;
        Some(IpAddr::V6(Ipv6Addr::from(u128::from_str_radix(digits, 16).ok()?)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nodes_own_addresses_are_found() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.224.0.0\n        /16 link UNICAST\n     |-- 10.224.0.4\n        /32 host LOCAL\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- broken\n        /32 host LOCAL\n";
        let v4: Vec<String> = local_v4(trie).map(|address| address.to_string()).collect();
        assert_eq!(v4, ["10.224.0.4", "127.0.0.1"]);
        let v6: Vec<String> = local_v6("fe800000000000000000000000000001 02 40 20 80 eth0\nbroken\n")
            .map(|address| address.to_string())
            .collect();
        assert_eq!(v6, ["fe80::1"]);
    }

    #[test]
    fn api_servers_are_told_once_and_their_number_is_bounded() {
        let mut addresses = Addresses::new(Path::new("/nowhere"), 1);
        let server = |last: u8| (IpAddr::from([10, 0, 0, last]), 443);
        addresses.note_api_server(server(1));
        addresses.note_api_server(server(1));
        assert_eq!(addresses.take_new(), [server(1)]);
        assert_eq!(addresses.take_new(), []);
        assert!(addresses.is_api_server(server(1)) && !addresses.is_api_server(server(2)));
        for last in 0..=255 {
            addresses.note_api_server(server(last));
        }
        assert_eq!(addresses.api_servers.len(), API_SERVERS);
    }
}
