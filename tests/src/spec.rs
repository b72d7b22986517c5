//! The OCI runtime spec of a scenario's container, as a CRI runtime would write it for a pod.

use crate::host;
use crate::scenario::{BundlePlace, CgroupForm, ContainerRequest, Flavour, ImageName, Medium};
use serde_json::{Value, json};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// Who a container is: what the sensor must say about each of its processes.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Container id, 64 hex digits.
    pub container_id: String,
    /// Container name in the pod.
    pub container_name: String,
    /// Image name.
    pub image: String,
    /// Pod name.
    pub pod_name: String,
    /// Namespace of the pod.
    pub pod_namespace: String,
    /// Pod uid.
    pub pod_uid: String,
    /// Id of the pod's sandbox.
    pub sandbox_id: String,
}

impl Identity {
    /// A new random identity for a pod named after the scenario.
    pub fn new(scenario: &str, image: ImageName) -> std::io::Result<Self> {
        let image = format!("{image:?}").to_lowercase();
        Ok(Self {
            container_id: host::random_hex(32)?,
            container_name: "main".into(),
            image: format!("registry.example/e2e/{image}:1"),
            pod_name: scenario.chars().take(63).collect(),
            pod_namespace: "e2e".into(),
            pod_uid: host::random_uuid()?,
            sandbox_id: host::random_hex(32)?,
        })
    }

    /// The pod's cgroup, absolute in the cgroup hierarchy.
    pub fn pod_cgroup(&self, form: CgroupForm) -> String {
        match form {
            CgroupForm::Cgroupfs => format!("/kubepods/besteffort/pod{}", self.pod_uid),
            CgroupForm::Systemd => {
                let uid = self.pod_uid.replace('-', "_");
                format!("/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{uid}.slice")
            }
        }
    }

    /// The container's cgroup below [`Self::pod_cgroup`].
    pub fn container_cgroup(&self, form: CgroupForm) -> String {
        let pod = self.pod_cgroup(form);
        match form {
            CgroupForm::Cgroupfs => format!("{pod}/{}", self.container_id),
            CgroupForm::Systemd => format!("{pod}/cri-containerd-{}.scope", self.container_id),
        }
    }

    /// The folder of the OCI spec; `work` is the container's own work folder.
    pub fn bundle(&self, place: BundlePlace, work: &Path) -> PathBuf {
        match place {
            BundlePlace::Plain => work.join("bundle"),
            BundlePlace::Containerd => {
                Path::new("/run/containerd/io.containerd.runtime.v2.task/k8s.io").join(&self.container_id)
            }
        }
    }
}

/// The spec. `root` is the mounted root, `volumes` the sources of disk volumes in the order of the request,
/// `network` the path of a prepared network namespace.
pub fn oci_spec(
    request: &ContainerRequest,
    identity: &Identity,
    root: &Path,
    volumes: &[PathBuf],
    network: Option<&Path>,
) -> Value {
    let flavour = request.flavour;
    let privileged = matches!(flavour, Flavour::Privileged | Flavour::PrivilegedHostPid);
    let uid = match flavour {
        Flavour::Restricted => 65532,
        Flavour::User => 1000,
        _ => 0,
    };
    let bounding = match flavour {
        Flavour::Restricted => Vec::new(),
        _ if privileged => host::own_capabilities(),
        _ => DEFAULT_CAPABILITIES.iter().map(ToString::to_string).collect(),
    };
    let effective = if uid == 0 { bounding.clone() } else { Vec::new() };
    let mut spec = json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": uid, "gid": uid},
            "args": ["/entrypoint.sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"],
            "cwd": "/",
            "capabilities": {
                "bounding": bounding, "effective": effective, "permitted": effective,
            },
            "noNewPrivileges": flavour == Flavour::Restricted,
        },
        "root": {"path": root},
        "hostname": identity.pod_name,
        "mounts": mounts(request, volumes, privileged),
        "annotations": {
            "io.kubernetes.cri.container-name": identity.container_name,
            "io.kubernetes.cri.container-type": "container",
            "io.kubernetes.cri.image-name": identity.image,
            "io.kubernetes.cri.sandbox-id": identity.sandbox_id,
            "io.kubernetes.cri.sandbox-name": identity.pod_name,
            "io.kubernetes.cri.sandbox-namespace": identity.pod_namespace,
            "io.kubernetes.cri.sandbox-uid": identity.pod_uid,
        },
        "linux": {
            "cgroupsPath": identity.container_cgroup(request.cgroup),
            "namespaces": namespaces(flavour, network),
            "resources": resources(request, privileged),
        },
    });
    if privileged {
        spec["linux"]["devices"] = host_devices().into();
    } else {
        spec["linux"]["maskedPaths"] = json!(MASKED_PATHS);
        spec["linux"]["readonlyPaths"] = json!(READONLY_PATHS);
    }
    spec
}

fn resources(request: &ContainerRequest, privileged: bool) -> Value {
    let mut resources = json!({"devices": [{"allow": privileged, "access": "rwm"}]});
    if let Some(limit) = request.processes {
        resources["pids"] = json!({"limit": limit});
    }
    resources
}

fn namespaces(flavour: Flavour, network: Option<&Path>) -> Value {
    let mut namespaces = vec![json!({"type": "mount"}), json!({"type": "ipc"}), json!({"type": "uts"})];
    if flavour != Flavour::PrivilegedHostPid {
        namespaces.push(json!({"type": "pid"}));
    }
    match network {
        Some(path) => namespaces.push(json!({"type": "network", "path": path})),
        None if flavour == Flavour::HostNetwork => {}
        None => namespaces.push(json!({"type": "network"})),
    }
    // CRI runtimes give a cgroup namespace on cgroup v2 only.
    if host::is_unified_only() {
        namespaces.push(json!({"type": "cgroup"}));
    }
    namespaces.into()
}

fn mounts(request: &ContainerRequest, volumes: &[PathBuf], privileged: bool) -> Value {
    let access = if privileged { "rw" } else { "ro" };
    let mut mounts = vec![
        json!({"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]}),
        json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]}),
        json!({"destination": "/dev/pts", "type": "devpts", "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]}),
        json!({"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
            "options": ["nosuid", "noexec", "nodev"]}),
        json!({"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
            "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]}),
        json!({"destination": "/sys", "type": "sysfs", "source": "sysfs",
            "options": ["nosuid", "noexec", "nodev", access]}),
        json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
            "options": ["nosuid", "noexec", "nodev", "relatime", access]}),
    ];
    if request.flavour == Flavour::HostRoot {
        mounts
            .push(json!({"destination": "/host", "type": "bind", "source": "/", "options": ["rbind", "rw"]}));
    }
    let mut disks = volumes.iter();
    for volume in &request.volumes {
        mounts.retain(|mount| mount["destination"] != json!(volume.path));
        let source = if volume.medium == Medium::Disk { disks.next() } else { None };
        mounts.push(match source {
            Some(source) => json!({"destination": volume.path, "type": "bind", "source": source,
                "options": ["rbind", "rprivate", "rw"]}),
            None => json!({"destination": volume.path, "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", "nodev", "mode=1777"]}),
        });
    }
    mounts.into()
}

/// The host's devices, which a privileged container gets all of.
fn host_devices() -> Vec<Value> {
    let Ok(entries) = std::fs::read_dir("/dev") else { return Vec::new() };
    let device = |entry: std::fs::DirEntry| {
        let metadata = entry.metadata().ok()?;
        let kind = match metadata.file_type() {
            kind if kind.is_block_device() => "b",
            kind if kind.is_char_device() => "c",
            _ => return None,
        };
        // The runtime makes these itself.
        if matches!(
            entry.file_name().to_str()?,
            "ptmx" | "console" | "tty" | "null" | "zero" | "full" | "random" | "urandom"
        ) {
            return None;
        }
        let number = metadata.rdev();
        Some(json!({
            "path": entry.path(), "type": kind, "major": libc::major(number), "minor": libc::minor(number),
            "fileMode": metadata.mode() & 0o777, "uid": metadata.uid(), "gid": metadata.gid(),
        }))
    };
    entries.flatten().filter_map(device).collect()
}

/// What containerd grants without further ado.
const DEFAULT_CAPABILITIES: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

const MASKED_PATHS: [&str; 8] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/sched_debug",
    "/sys/firmware",
];

const READONLY_PATHS: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

#[cfg(test)]
mod tests {
    use super::*;

    fn request(flavour: Flavour) -> ContainerRequest {
        serde_json::from_value(json!({"flavour": "u", "volumes": [{"path": "/dev/shm", "medium": "memory"}]}))
            .map(|request: ContainerRequest| ContainerRequest { flavour, ..request })
            .unwrap()
    }

    #[test]
    fn a_restricted_container_has_no_rights() {
        let identity = Identity::new("x", ImageName::Busybox).unwrap();
        let spec = oci_spec(&request(Flavour::Restricted), &identity, Path::new("/r"), &[], None);
        assert_eq!(spec["process"]["capabilities"]["bounding"], json!([]));
        assert_eq!(spec["process"]["noNewPrivileges"], true);
        assert_eq!(spec["annotations"]["io.kubernetes.cri.sandbox-name"], "x");
    }

    #[test]
    fn a_volume_takes_the_place_of_a_default_mount() {
        let identity = Identity::new("x", ImageName::Busybox).unwrap();
        let spec = oci_spec(&request(Flavour::Default), &identity, Path::new("/r"), &[], None);
        let shm: Vec<_> = spec["mounts"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|mount| mount["destination"] == "/dev/shm")
            .collect();
        assert_eq!(shm.len(), 1);
        assert!(!shm[0]["options"].as_array().unwrap().contains(&json!("noexec")));
    }

    #[test]
    fn cgroup_names_are_the_kubelets() {
        let mut identity = Identity::new("x", ImageName::Debian).unwrap();
        identity.pod_uid = "0a-1b".into();
        identity.container_id = "cd".into();
        assert_eq!(identity.container_cgroup(CgroupForm::Cgroupfs), "/kubepods/besteffort/pod0a-1b/cd");
        assert!(
            identity
                .container_cgroup(CgroupForm::Systemd)
                .ends_with("pod0a_1b.slice/cri-containerd-cd.scope")
        );
    }
}
