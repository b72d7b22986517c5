//! What file descriptors 0 to 2 are: files, pipes, terminals, or sockets with a peer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::event::Descriptor;

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// The kind of a descriptor, as JSON and rules name it.
pub fn kind(descriptor: &Descriptor) -> &'static str {
    match descriptor.mode & 0o170_000 {
        0 => "closed",
        0o010_000 => "pipe",
        0o020_000 if is_terminal(descriptor.device) => "tty",
        0o020_000 => "char",
        0o040_000 => "dir",
        0o060_000 => "block",
        0o100_000 => "file",
        0o140_000 => match descriptor.family {
            AF_UNIX => "unix",
            AF_INET => "ipv4",
            AF_INET6 => "ipv6",
            _ => "socket",
        },
        _ => "other",
    }
}

/// Major numbers of terminals (Documentation/admin-guide/devices.txt): virtual consoles and serial lines, /dev/tty and
/// console, pseudo-terminals.
fn is_terminal(device: u32) -> bool {
    matches!(device >> 20, 4 | 5 | 136..=143) || device >> 20 == 204
}

/// Both ends of an IPv4 or IPv6 socket that is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Our end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
}

impl Peer {
    /// The peer of a descriptor; `None` if it is no internet socket or not connected.
    pub fn of(descriptor: &Descriptor) -> Option<Self> {
        let address = |bytes: &[u8; 16]| match descriptor.family {
            AF_INET => Some(IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]))),
            AF_INET6 => Some(IpAddr::V6(Ipv6Addr::from(*bytes)).to_canonical()),
            _ => None,
        };
        let remote = address(&descriptor.remote_address)?;
        if descriptor.mode & 0o170_000 != 0o140_000 || descriptor.remote_port == 0 {
            return None;
        }
        let local = address(&descriptor.local_address)?;
        Some(Self {
            local: SocketAddr::new(local, descriptor.local_port),
            remote: SocketAddr::new(remote, descriptor.remote_port),
        })
    }

    /// The first connected one of three descriptors.
    pub fn first(stdio: &[Descriptor; 3]) -> Option<Self> {
        stdio.iter().find_map(Self::of)
    }

    /// Whether both ends are on this machine's loopback.
    pub fn is_loopback(&self) -> bool {
        self.remote.ip().is_loopback()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(family: u16, remote: &[u8], port: u16) -> Descriptor {
        let mut descriptor =
            Descriptor { mode: 0o140_777, family, remote_port: port, ..Descriptor::default() };
        descriptor.remote_address[..remote.len()].copy_from_slice(remote);
        descriptor
    }

    #[test]
    fn peers_of_both_families_are_read() {
        let peer = Peer::of(&socket(AF_INET, &[10, 99, 0, 1], 4444)).expect("connected");
        assert_eq!(peer.remote.to_string(), "10.99.0.1:4444");
        assert!(!peer.is_loopback());
        let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1];
        assert!(Peer::of(&socket(AF_INET6, &mapped, 1)).expect("connected").is_loopback());
    }

    #[test]
    fn what_is_not_connected_has_no_peer() {
        assert_eq!(Peer::of(&socket(AF_INET, &[10, 0, 0, 1], 0)), None);
        assert_eq!(Peer::of(&socket(AF_UNIX, &[], 9)), None);
        assert_eq!(Peer::of(&Descriptor::default()), None);
    }

    #[test]
    fn kinds_have_names() {
        let mode = |mode, device| kind(&Descriptor { mode, device, ..Descriptor::default() });
        assert_eq!(mode(0, 0), "closed");
        assert_eq!(mode(0o010_600, 0), "pipe");
        assert_eq!(mode(0o020_620, 136 << 20 | 3), "tty");
        assert_eq!(mode(0o020_666, 1 << 20 | 3), "char");
        assert_eq!(mode(0o100_644, 0), "file");
        assert_eq!(kind(&socket(AF_INET, &[], 0)), "ipv4");
    }
}
