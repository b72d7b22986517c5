//! Finds a container's spec on disk, by its id or by its cgroup. No runtime is asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::host::HostRoot;
use super::oci::{ContainerSpec, SpecError};
use super::pod::{self, Pod};

/// Largest state file of runc or crun that is read.
const STATE_MAX: u64 = 4 * 1024 * 1024;
/// Entries looked at in one state folder.
const ENTRIES_MAX: usize = 4096;

/// A container runtime, as far as the place of its state tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerRuntime {
    /// containerd.
    Containerd,
    /// CRI-O.
    CriO,
    /// Docker engine.
    Docker,
    /// podman.
    Podman,
    /// runc without a manager.
    Runc,
    /// crun without a manager.
    Crun,
}

impl ContainerRuntime {
    /// The name used in JSON, which is also Falco's for `container.type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Runc => "runc",
            Self::Crun => "crun",
        }
    }
}

/// A container whose spec was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its name in the pod, or its id for a plain container.
    pub name: String,
    /// Image name as the kubelet asked for it.
    pub image: Option<String>,
    /// Image digest, if the image was pulled by digest.
    pub image_digest: Option<String>,
    /// Runtime.
    pub runtime: ContainerRuntime,
    /// Whether it is privileged, see [`ContainerSpec::is_privileged`].
    pub privileged: bool,
    /// The pod, `None` for a plain container.
    pub pod: Option<Pod>,
    /// The bundle's folder on the node.
    pub bundle: PathBuf,
    /// The contract.
    pub spec: Arc<ContainerSpec>,
}

impl Container {
    /// The root folder on the node.
    pub fn root(&self) -> PathBuf {
        let root = Path::new(&self.spec.root);
        if root.is_absolute() { root.to_owned() } else { self.bundle.join(root) }
    }
}

/// Where runtimes keep their state on this node.
#[derive(Clone, Debug)]
pub struct Places {
    root: HostRoot,
    extra: Vec<PathBuf>,
}

/// Bundles of containerd, by namespace.
const CONTAINERD: &str = "/run/containerd/io.containerd.runtime.v2.task";
/// Bundles of CRI-O and podman.
const STORAGE: [&str; 2] =
    ["/run/containers/storage/overlay-containers", "/var/lib/containers/storage/overlay-containers"];
/// State of runc and crun, with their managers' own roots.
const STATES: [(&str, ContainerRuntime); 5] = [
    ("/run/runc", ContainerRuntime::Runc),
    ("/run/crun", ContainerRuntime::Crun),
    ("/run/docker/runtime-runc/moby", ContainerRuntime::Docker),
    ("/run/containerd/runc/k8s.io", ContainerRuntime::Containerd),
    ("/run/containerd/runc/default", ContainerRuntime::Containerd),
];

impl Places {
    /// The usual places below `root`, and `extra` state folders of runc or crun.
    pub fn new(root: HostRoot, extra: Vec<PathBuf>) -> Self {
        Self { root, extra }
    }

    /// Folders of known runtimes that exist here, for `doctor`.
    pub fn found(&self) -> Vec<&'static str> {
        let all = STATES.iter().map(|(path, _)| *path).chain(STORAGE).chain([CONTAINERD]);
        all.filter(|path| self.root.path(path).is_dir()).collect()
    }

    /// The container of this id.
    ///
    /// # Errors
    /// If it is not there (yet), or its spec cannot be read.
    pub fn by_id(&self, id: &str, pod_uid: Option<&str>) -> Result<Container, SpecError> {
        let mut first_error = None;
        for (bundle, runtime) in self.bundles(id) {
            match self.read(id, &bundle, runtime, pod_uid) {
                Ok(container) => return Ok(container),
                Err(error) if error.is_absent() => {}
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.unwrap_or_else(|| SpecError::Read {
            path: self.root.path(format!("{CONTAINERD}/*/{id}/config.json")),
            source: std::io::ErrorKind::NotFound.into(),
        }))
    }

    /// The container of this bundle, for one without state.
    ///
    /// # Errors
    /// If there is no spec, or it cannot be read.
    pub fn by_bundle(&self, id: &str, bundle: &Path, pod_uid: Option<&str>) -> Result<Container, SpecError> {
        let runtime = if bundle.starts_with(CONTAINERD) {
            ContainerRuntime::Containerd
        } else if STORAGE.iter().any(|storage| bundle.starts_with(storage)) {
            ContainerRuntime::CriO
        } else {
            ContainerRuntime::Runc
        };
        self.read(id, bundle, runtime, pod_uid)
    }

    /// The id of the container whose state names this cgroup of the unified hierarchy, which is mounted at `mount`: for
    /// runtimes that are used without a manager, whose cgroups are called anything.
    pub fn id_by_cgroup(&self, mount: &Path, cgroup: &[u8]) -> Option<String> {
        let cgroup = std::str::from_utf8(cgroup).ok()?;
        self.state_folders().find_map(|(folder, _)| {
            let names = self.root.names(&folder, ENTRIES_MAX);
            names
                .into_iter()
                .filter_map(|name| name.into_string().ok())
                .find(|id| self.state(&folder, id).is_some_and(|state| is_cgroup_of(&state, mount, cgroup)))
        })
    }

    fn state_folders(&self) -> impl Iterator<Item = (PathBuf, ContainerRuntime)> {
        let known = STATES.iter().map(|(path, runtime)| (PathBuf::from(path), *runtime));
        known.chain(self.extra.iter().map(|path| (path.clone(), ContainerRuntime::Runc)))
    }

    /// Bundles where a container of this id may be, likeliest first.
    fn bundles(&self, id: &str) -> Vec<(PathBuf, ContainerRuntime)> {
        let mut bundles = Vec::new();
        if id.is_empty() || id.contains('/') || id.starts_with('.') {
            return bundles;
        }
        let mut namespaces = self.root.names(CONTAINERD, 64);
        namespaces.sort_by_key(|name| name != "k8s.io");
        for namespace in namespaces {
            let runtime =
                if namespace == "moby" { ContainerRuntime::Docker } else { ContainerRuntime::Containerd };
            bundles.push((Path::new(CONTAINERD).join(namespace).join(id), runtime));
        }
        for storage in STORAGE {
            bundles.push((Path::new(storage).join(id).join("userdata"), ContainerRuntime::CriO));
        }
        for (folder, runtime) in self.state_folders() {
            if let Some(bundle) = self.state(&folder, id).as_ref().and_then(bundle_of) {
                bundles.push((bundle, runtime));
            }
        }
        bundles
    }

    /// State of a container: `state.json` of runc, `status` of crun.
    fn state(&self, folder: &Path, id: &str) -> Option<Value> {
        let read = |name: &str| self.root.read(folder.join(id).join(name), STATE_MAX).ok();
        serde_json::from_slice(&read("state.json").or_else(|| read("status"))?).ok()
    }

    fn read(
        &self,
        id: &str,
        bundle: &Path,
        runtime: ContainerRuntime,
        pod_uid: Option<&str>,
    ) -> Result<Container, SpecError> {
        let config = bundle.join("config.json");
        let spec = ContainerSpec::read(&self.root, &config.to_string_lossy())?;
        let is_podman =
            runtime == ContainerRuntime::CriO && spec.annotation("io.kubernetes.pod.name").is_none();
        let image = pod::image_name(&spec).map(str::to_owned);
        Ok(Container {
            id: id.to_owned(),
            name: pod::container_name(&spec).unwrap_or(id).to_owned(),
            image_digest: image.as_deref().and_then(pod::image_digest).map(str::to_owned),
            image,
            runtime: if is_podman { ContainerRuntime::Podman } else { runtime },
            privileged: spec.is_privileged(),
            pod: Pod::of(&spec, pod_uid),
            bundle: bundle.to_owned(),
            spec: Arc::new(spec),
        })
    }
}

/// The bundle's folder: in runc's state a label `bundle=PATH`, in crun's a key.
fn bundle_of(state: &Value) -> Option<PathBuf> {
    let labels = state["config"]["labels"].as_array().into_iter().flatten();
    let label = labels.filter_map(Value::as_str).find_map(|label| label.strip_prefix("bundle="));
    let path = label.or_else(|| state["bundle"].as_str())?;
    path.starts_with('/').then(|| PathBuf::from(path))
}

/// Whether a state names this cgroup: runc's with the mount point, under the empty name of the unified hierarchy,
/// crun's from the hierarchy's root.
fn is_cgroup_of(state: &Value, mount: &Path, cgroup: &str) -> bool {
    let runc = state["cgroup_paths"][""].as_str().map(Path::new);
    let full = mount.join(cgroup.trim_start_matches('/'));
    cgroup.len() > 1 && (runc == Some(&full) || state["cgroup-path"].as_str() == Some(cgroup))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Node {
        folder: tempfile::TempDir,
    }

    impl Node {
        fn new() -> Self {
            Self { folder: tempfile::tempdir().expect("temporary folder") }
        }

        fn places(&self) -> Places {
            Places::new(HostRoot(self.folder.path().to_owned()), Vec::new())
        }

        fn write(&self, path: &str, value: &Value) {
            let path = self.folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("has one")).expect("folder");
            std::fs::write(path, value.to_string()).expect("write");
        }
    }

    #[test]
    fn containerd_by_id() {
        let node = Node::new();
        let annotations = json!({
            "io.kubernetes.cri.sandbox-name": "web-0", "io.kubernetes.cri.sandbox-namespace": "shop",
            "io.kubernetes.cri.container-name": "app"
        });
        let spec = json!({"annotations": annotations, "root": {"path": "rootfs"}});
        node.write("run/containerd/io.containerd.runtime.v2.task/k8s.io/abc/config.json", &spec);
        let container = node.places().by_id("abc", Some("u-1")).expect("found");
        assert_eq!((container.name.as_str(), container.runtime), ("app", ContainerRuntime::Containerd));
        assert_eq!(container.pod.as_ref().map(|pod| pod.uid.as_str()), Some("u-1"));
        assert!(container.root().ends_with("k8s.io/abc/rootfs"));
        assert_eq!(node.places().found(), [CONTAINERD]);
    }

    #[test]
    fn plain_runc_by_cgroup_and_by_id() {
        let node = Node::new();
        node.write("bundles/one/config.json", &json!({"root": {"path": "/images/one"}}));
        let state = json!({
            "config": {"labels": ["a=b", "bundle=/bundles/one"]},
            "cgroup_paths": {"": "/sys/fs/cgroup/unified/lab/u1", "pids": "/sys/fs/cgroup/pids/lab/u1"}
        });
        node.write("run/runc/u1/state.json", &state);
        let places = node.places();
        let mount = Path::new("/sys/fs/cgroup/unified");
        assert_eq!(places.id_by_cgroup(mount, b"/lab/u1").as_deref(), Some("u1"));
        assert_eq!(places.id_by_cgroup(mount, b"/u1"), None, "another cgroup of the same last name");
        assert_eq!(places.id_by_cgroup(mount, b"/"), None);
        let container = places.by_id("u1", None).expect("found");
        assert_eq!((container.runtime, container.pod), (ContainerRuntime::Runc, None));
    }

    #[test]
    fn cri_o_and_podman_share_their_storage() {
        let node = Node::new();
        let base = "var/lib/containers/storage/overlay-containers";
        node.write(
            &format!("{base}/aaa/userdata/config.json"),
            &json!({"annotations": {"io.kubernetes.pod.name": "p"}}),
        );
        node.write(&format!("{base}/bbb/userdata/config.json"), &json!({}));
        assert_eq!(node.places().by_id("aaa", None).expect("found").runtime, ContainerRuntime::CriO);
        assert_eq!(node.places().by_id("bbb", None).expect("found").runtime, ContainerRuntime::Podman);
    }

    #[test]
    fn hostile_ids_and_specs_are_errors() {
        let node = Node::new();
        for id in ["", "..", "a/b", ".hidden"] {
            assert!(node.places().by_id(id, None).expect_err("refused").is_absent(), "{id}");
        }
        let bad = node.folder.path().join("run/containerd/io.containerd.runtime.v2.task/k8s.io/bad");
        std::fs::create_dir_all(&bad).expect("folder");
        std::os::unix::fs::symlink("config.json", bad.join("config.json")).expect("a link to itself");
        assert!(!node.places().by_id("bad", None).expect_err("refused").is_absent());
    }
}
