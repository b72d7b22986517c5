//! A network for one scenario: the pod's namespace with 10.99.0.2 and a peer's with 10.99.0.1.

use anyhow::{Context as _, Result, bail};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// Two network namespaces joined by a veth pair; removed when dropped.
pub struct Network {
    /// Name of the peer's namespace, for `ip netns exec`.
    pub peer: String,
    pod: String,
}

impl Network {
    /// Creates both. `name` must be unique on this host, at most 9 characters.
    pub fn create(name: &str) -> Result<Self> {
        let network = Self { peer: format!("e2e-peer-{name}"), pod: format!("e2e-pod-{name}") };
        let (peer, pod) = (network.peer.as_str(), network.pod.as_str());
        ip(&["netns", "add", peer])?;
        ip(&["netns", "add", pod])?;
        ip(&["-n", pod, "link", "add", "eth0", "type", "veth", "peer", "name", "peer0"])?;
        ip(&["-n", pod, "link", "set", "peer0", "netns", peer])?;
        for (namespace, device, address) in [(pod, "eth0", "10.99.0.2/24"), (peer, "peer0", "10.99.0.1/24")] {
            ip(&["-n", namespace, "address", "add", address, "dev", device])?;
            ip(&["-n", namespace, "link", "set", device, "up"])?;
            ip(&["-n", namespace, "link", "set", "lo", "up"])?;
        }
        Ok(network)
    }

    /// The pod's namespace for the OCI spec.
    pub fn pod_path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.pod)
    }

    /// Waits until something in the peer's namespace listens on a TCP port. `process` must live in it, or
    /// enter it soon.
    pub fn wait_for_listener(&self, process: u32, port: u16, limit: Duration) -> Result<()> {
        let namespace = std::fs::metadata(PathBuf::from("/run/netns").join(&self.peer))?.ino();
        let end = Instant::now() + limit;
        let local = format!(":{port:04X} ");
        while Instant::now() < end {
            let inside = std::fs::metadata(format!("/proc/{process}/ns/net"))
                .with_context(|| "the peer's script ended before it listened".to_owned())?
                .ino()
                == namespace;
            let listens = |table: String| {
                // Columns: slot, local address, remote address, state (0A is listening).
                table
                    .lines()
                    .any(|line| line.contains(&local) && line.split_whitespace().nth(3) == Some("0A"))
            };
            let tables =
                ["tcp", "tcp6"].map(|name| std::fs::read_to_string(format!("/proc/{process}/net/{name}")));
            if inside && tables.into_iter().flatten().any(listens) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("nothing listens on the peer's port {port} after {} s", limit.as_secs())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in [&self.pod, &self.peer] {
            // What is left is only a name in /run/netns; the next run uses other names.
            let _ = ip(&["netns", "delete", namespace]);
        }
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output().context("ip (iproute2) cannot be run")?;
    if !output.status.success() {
        bail!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
