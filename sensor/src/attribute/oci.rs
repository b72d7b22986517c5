//! The OCI runtime spec of a container: its contract, written before its first program starts.
//!
//! Read with tolerance: what is unknown is ignored, what has a wrong type is left out and counted. The format is
//! config.json of the OCI runtime specification 1.x.

use std::net::IpAddr;
use std::path::PathBuf;

use serde_json::Value;

use super::host::HostRoot;
use crate::capability;

/// Largest spec that is read. Those of Kubernetes pods have some 20 KiB.
pub const SPEC_MAX: u64 = 4 * 1024 * 1024;
/// Entries taken of each list.
const LIST_MAX: usize = 4096;
/// Bytes taken of each text.
const TEXT_MAX: usize = 4096;

/// Why a spec cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// The file is not there or not readable.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not JSON.
    #[error("{path} is no OCI runtime spec: {source}; the container keeps its id, its pod stays unknown")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why, with line and column.
        source: serde_json::Error,
    },
}

impl SpecError {
    /// Whether the spec may simply not be there yet.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    }
}

/// Capability sets as bit masks, bit n = capability n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapabilitySets {
    /// Bounding set.
    pub bounding: u64,
    /// Effective set.
    pub effective: u64,
    /// Inheritable set.
    pub inheritable: u64,
    /// Permitted set.
    pub permitted: u64,
    /// Ambient set.
    pub ambient: u64,
}

/// A namespace the container is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecNamespace {
    /// `mount`, `pid`, `network`, `ipc`, `uts`, `user`, `cgroup` or `time`.
    pub kind: String,
    /// The one to join; `None` for a new one.
    pub path: Option<String>,
}

/// What a container may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerSpec {
    /// Annotations that name pod, container and image.
    pub annotations: Vec<(String, String)>,
    /// User and group id of the first program.
    pub user: (u32, u32),
    /// Capabilities.
    pub capabilities: CapabilitySets,
    /// The spec says something about capabilities at all.
    pub has_capabilities: bool,
    /// Namespaces; one that is missing is the runtime's own, that is the host's.
    pub namespaces: Vec<SpecNamespace>,
    /// Root folder, relative to the bundle if not absolute.
    pub root: String,
    /// The root is read-only.
    pub root_readonly: bool,
    /// Destinations of mounts.
    pub mounts: Vec<String>,
    /// Cgroup path as given.
    pub cgroups_path: String,
    /// There is a seccomp profile.
    pub seccomp: bool,
    /// no_new_privs is set.
    pub no_new_privileges: bool,
    /// AppArmor profile or SELinux label.
    pub security_label: Option<String>,
    /// Where its environment says that the API server is; `None` if it says nothing, or a name.
    pub api_server: Option<(IpAddr, u16)>,
    /// Number of masked paths.
    pub masked_paths: usize,
    /// Parts that had a wrong type, or capabilities without a known name.
    pub oddities: u32,
}

/// Whether a security label, as /proc/PID/attr/current shows it, confines nobody: `unconfined` of AppArmor, a domain
/// `unconfined_t` of SELinux.
pub fn is_unconfined(label: &str) -> bool {
    let label = label.trim_end_matches(['\0', '\n']);
    label == "unconfined" || label.split(':').nth(2).is_some_and(|domain| domain == "unconfined_t")
}

impl ContainerSpec {
    /// Reads `config.json` below the host's root.
    ///
    /// # Errors
    /// If it cannot be read or is no JSON object.
    pub fn read(root: &HostRoot, path: &str) -> Result<Self, SpecError> {
        let full = || root.path(path);
        let bytes = root.read(path, SPEC_MAX).map_err(|source| SpecError::Read { path: full(), source })?;
        let value: Value =
            serde_json::from_slice(&bytes).map_err(|source| SpecError::Malformed { path: full(), source })?;
        Ok(Self::of(&value))
    }

    /// Takes what is known of a spec.
    pub fn of(spec: &Value) -> Self {
        let process = &spec["process"];
        let linux = &spec["linux"];
        let mut oddities = 0;
        let sets = &process["capabilities"];
        let mut set = |name: &str| capability_set(&sets[name], &mut oddities);
        let capabilities = CapabilitySets {
            bounding: set("bounding"),
            effective: set("effective"),
            inheritable: set("inheritable"),
            permitted: set("permitted"),
            ambient: set("ambient"),
        };
        for (part, right) in [("process", process.is_object()), ("linux", linux.is_object())] {
            oddities += u32::from(!right && !spec[part].is_null());
        }
        let namespaces = list(&linux["namespaces"]).map(|namespace| SpecNamespace {
            kind: text(&namespace["type"]),
            path: Some(text(&namespace["path"])).filter(|path| !path.is_empty()),
        });
        let label = [&process["apparmorProfile"], &process["selinuxLabel"]].map(text);
        Self {
            annotations: annotations(&spec["annotations"]),
            user: (number(&process["user"]["uid"]), number(&process["user"]["gid"])),
            capabilities,
            has_capabilities: sets.is_object(),
            namespaces: namespaces.collect(),
            root: text(&spec["root"]["path"]),
            root_readonly: spec["root"]["readonly"].as_bool().unwrap_or(false),
            mounts: list(&spec["mounts"]).map(|mount| text(&mount["destination"])).collect(),
            cgroups_path: text(&linux["cgroupsPath"]),
            seccomp: linux["seccomp"].is_object(),
            no_new_privileges: process["noNewPrivileges"].as_bool().unwrap_or(false),
            security_label: label.into_iter().find(|label| !label.is_empty()),
            api_server: api_server(&process["env"]),
            masked_paths: list(&linux["maskedPaths"]).count(),
            oddities,
        }
    }

    /// An annotation's value.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether it is what Kubernetes calls privileged: there is no field for it, but only privileged containers have
    /// CAP_SYS_ADMIN in their bounding set and neither masked paths nor a seccomp profile.
    pub fn is_privileged(&self) -> bool {
        const SYS_ADMIN: u64 = 1 << 21;
        self.capabilities.bounding & SYS_ADMIN != 0 && self.masked_paths == 0 && !self.seccomp
    }
}

/// Annotations of the runtimes we know; others may be large and are nobody's business.
fn annotations(value: &Value) -> Vec<(String, String)> {
    let known = |name: &str| {
        ["io.kubernetes.", "io.podman.", "io.container.", "org.opencontainers.image."]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    let entries = value.as_object().into_iter().flatten();
    entries
        .filter(|(name, value)| known(name) && name.len() <= 253 && value.is_string())
        .take(LIST_MAX)
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten().take(LIST_MAX)
}

fn number(value: &Value) -> u32 {
    value.as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
}

/// A text, cut at a character's border.
fn text(value: &Value) -> String {
    let text = value.as_str().unwrap_or("");
    let mut end = text.len().min(TEXT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// What the kubelet puts into every container: `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`.
fn api_server(environment: &Value) -> Option<(IpAddr, u16)> {
    let variables = || environment.as_array().into_iter().flatten().take(LIST_MAX).filter_map(Value::as_str);
    let value = |name: &str| variables().find_map(|variable| variable.strip_prefix(name)?.strip_prefix('='));
    let port = value("KUBERNETES_SERVICE_PORT").and_then(|port| port.parse().ok()).unwrap_or(443);
    Some((value("KUBERNETES_SERVICE_HOST")?.parse().ok()?, port))
}

fn capability_set(value: &Value, oddities: &mut u32) -> u64 {
    let mut set = 0;
    for name in list(value) {
        match name.as_str().and_then(capability::bit) {
            Some(bit) => set |= 1 << bit,
            None => *oddities += 1,
        }
    }
    set
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_spec_as_containerd_writes_it() {
        let spec = ContainerSpec::of(&json!({
            "process": {
                "user": {"uid": 1000, "gid": 1001},
                "capabilities": {"bounding": ["CAP_CHOWN", "CAP_KILL"], "ambient": []},
                "noNewPrivileges": true, "apparmorProfile": "cri-containerd.apparmor.d"
            },
            "root": {"path": "rootfs", "readonly": true},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
            "annotations": {"io.kubernetes.cri.sandbox-name": "web-0", "company.example/secret": "x"},
            "linux": {
                "cgroupsPath": "kubepods-pod1.slice:cri-containerd:abc",
                "namespaces": [{"type": "pid"}, {"type": "network", "path": "/proc/7/ns/net"}],
                "seccomp": {"defaultAction": "SCMP_ACT_ERRNO"}, "maskedPaths": ["/proc/kcore"]
            }
        }));
        assert_eq!(spec.user, (1000, 1001));
        assert_eq!(spec.capabilities.bounding, 1 | 1 << 5);
        assert_eq!(spec.namespaces[1].path.as_deref(), Some("/proc/7/ns/net"));
        assert_eq!(spec.annotation("io.kubernetes.cri.sandbox-name"), Some("web-0"));
        assert_eq!(spec.annotation("company.example/secret"), None);
        assert!(spec.seccomp && spec.no_new_privileges && spec.root_readonly && !spec.is_privileged());
        assert_eq!(spec.oddities, 0);
    }

    #[test]
    fn a_privileged_one_is_recognised() {
        let capabilities: Vec<&str> = capability::NAMES.to_vec();
        let spec = json!({"process": {"capabilities": {"bounding": capabilities}}, "linux": {}});
        assert!(ContainerSpec::of(&spec).is_privileged());
    }

    #[test]
    fn wrong_types_lose_only_themselves() {
        let spec = ContainerSpec::of(&json!({
            "process": {"user": "root", "capabilities": {"bounding": ["CAP_KILL", "CAP_WORLD", 7]}},
            "mounts": {"no": "list"}, "linux": "no object",
            "annotations": {"io.kubernetes.cri.sandbox-name": 7, "io.kubernetes.cri.container-name": "c"}
        }));
        assert_eq!(spec.capabilities.bounding, 1 << 5);
        assert_eq!(spec.annotation("io.kubernetes.cri.container-name"), Some("c"));
        assert_eq!(spec.oddities, 3);
    }

    #[test]
    fn huge_and_broken_files_are_errors_that_name_the_place() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let root = HostRoot(folder.path().to_owned());
        assert!(ContainerSpec::read(&root, "/config.json").expect_err("absent").is_absent());
        std::fs::write(folder.path().join("config.json"), "{\n  \"process\": ]").expect("write");
        let error = ContainerSpec::read(&root, "/config.json").expect_err("broken").to_string();
        assert!(error.contains("line 2 column 14"), "{error}");
        std::fs::write(folder.path().join("config.json"), vec![b' '; 5 * 1024 * 1024]).expect("write");
        assert!(ContainerSpec::read(&root, "/config.json").is_err());
        std::fs::write(folder.path().join("config.json"), "[".repeat(100_000)).expect("write");
        assert!(ContainerSpec::read(&root, "/config.json").is_err(), "depth is bounded");
    }

    #[test]
    fn texts_are_cut_at_a_characters_border() {
        let spec = ContainerSpec::of(&json!({"root": {"path": "ä".repeat(5000)}}));
        assert_eq!(spec.root.len(), TEXT_MAX);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,300}") {
            if let Ok(value) = serde_json::from_str(&text) {
                let _ = ContainerSpec::of(&value);
            }
        }
    }
}
