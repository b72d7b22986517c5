//! Cgroups and containers of this node: ids, paths, and each container's spec as soon as it can be read.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::attributor::AttributeOptions;
use super::cgroup;
use super::container::{Container, Places};
use super::handle::{Baseline, ContainerHandle};
use super::host::HostRoot;
use super::overlay::{Comparison, Overlays};
use super::process::Process;
use super::seed;
use crate::clock::{Clock, boot_nanoseconds};
use crate::event::{Body, Event, EventKind, FileFacts, Namespaces};

/// Cgroups kept.
const CGROUPS: usize = 65_536;
/// Namespaces kept.
const NAMESPACES: usize = 65_536;
/// Removed cgroups stay this long: events may still name them.
const REMOVED_GRACE: u64 = 30_000_000_000;
/// First and longest wait before a spec is looked for again, and when the search ends.
const RETRY: (u64, u64, u64) = (2_000_000, 1_000_000_000, 30_000_000_000);
/// Depth of the cgroup tree that is read at start.
const DEPTH: usize = 16;

/// What happened, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContainerCounters {
    /// Specs read.
    pub found: u64,
    /// Looks that did not find a spec yet.
    pub pending: u64,
    /// Specs that could not be read or are no JSON.
    pub malformed: u64,
    /// Searches that ended without a spec.
    pub given_up: u64,
    /// Containers or cgroups that made room for others.
    pub evicted: u64,
}

struct CgroupEntry {
    path: Box<[u8]>,
    created: u64,
    container: Option<Arc<ContainerHandle>>,
}

struct Search {
    pod_uid: Option<String>,
    /// The bundle that the runtime was told to use.
    bundle: Option<PathBuf>,
    began: u64,
    next: u64,
    wait: u64,
}

/// All cgroups and containers.
pub struct ContainerTable {
    places: Places,
    root: HostRoot,
    proc: PathBuf,
    mount: Option<PathBuf>,
    cgroups: foldhash::HashMap<u64, CgroupEntry>,
    removed: VecDeque<(u64, u64)>,
    handles: foldhash::HashMap<Box<str>, Arc<ContainerHandle>>,
    order: VecDeque<Box<str>>,
    searches: foldhash::HashMap<Box<str>, Search>,
    capacity: usize,
    overlays: Overlays,
    counters: ContainerCounters,
    /// API servers that specs named since they were last taken.
    api_servers: Vec<(IpAddr, u16)>,
    /// Containers by the namespaces their first programs were given. Inode numbers are unique over all kinds.
    namespaces: foldhash::HashMap<u32, Arc<ContainerHandle>>,
    /// Cgroups of the processes that were there at start.
    seeded: foldhash::HashMap<u32, u64>,
}

impl ContainerTable {
    /// An empty table.
    pub fn new(options: &AttributeOptions) -> Self {
        let root = HostRoot(options.host_root.clone());
        Self {
            places: Places::new(root.clone(), options.state_directories.clone()),
            mount: cgroup_mount(&options.proc),
            overlays: Overlays::new(root.clone(), options.proc.clone()),
            root,
            proc: options.proc.clone(),
            cgroups: foldhash::HashMap::default(),
            removed: VecDeque::new(),
            handles: foldhash::HashMap::default(),
            order: VecDeque::new(),
            searches: foldhash::HashMap::default(),
            capacity: options.containers.max(1),
            counters: ContainerCounters::default(),
            api_servers: Vec::new(),
            namespaces: foldhash::HashMap::default(),
            seeded: foldhash::HashMap::default(),
        }
    }

    /// Number of containers.
    pub fn len(&self) -> usize {
        self.handles.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.handles.is_empty()
    }

    /// What happened so far.
    pub fn counters(&self) -> ContainerCounters {
        self.counters
    }

    fn hierarchy(&self) -> PathBuf {
        self.mount.clone().unwrap_or_else(|| PathBuf::from("/sys/fs/cgroup"))
    }

    /// Where the unified hierarchy is mounted, if it is.
    pub fn cgroup_mount(&self) -> Option<&Path> {
        self.mount.as_deref()
    }

    /// The id of a cgroup by its path in the unified hierarchy, as /proc tells it; `None` if it is gone, or lies outside of
    /// what the sensor's own cgroup namespace shows.
    pub fn cgroup_id_of(&self, path: &str) -> Option<u64> {
        let below = path.strip_prefix('/').filter(|below| !below.split('/').any(|part| part == ".."))?;
        let folder = self.root.path(self.mount.as_ref()?.join(below));
        std::fs::metadata(folder).ok().map(|metadata| metadata.ino())
    }

    /// The path of a cgroup that is known.
    pub fn path_of(&self, cgroup_id: u64) -> Option<&[u8]> {
        self.cgroups.get(&cgroup_id).map(|entry| &*entry.path)
    }

    /// The folder of a cgroup that is known.
    pub fn folder_of(&self, cgroup_id: u64) -> Option<PathBuf> {
        use std::os::unix::ffi::OsStrExt;
        let path = &self.cgroups.get(&cgroup_id)?.path;
        let below = Path::new(std::ffi::OsStr::from_bytes(path)).strip_prefix("/").ok()?;
        Some(self.root.path(self.mount.as_ref()?.join(below)))
    }

    /// Reads the cgroup tree as it is.
    pub fn seed(&mut self) {
        if let Some(mount) = self.mount.as_ref().map(|mount| self.root.path(mount)) {
            self.seed_below(&mount, &mut Vec::new(), 0);
        }
    }

    fn seed_below(&mut self, folder: &Path, path: &mut Vec<u8>, depth: usize) {
        use std::os::unix::ffi::OsStrExt;
        let Ok(metadata) = folder.metadata() else { return };
        let id = metadata.ino();
        let created = self.age_of(folder, &metadata);
        let name: &[u8] = if path.is_empty() { b"/" } else { path };
        self.add_cgroup(id, name, created, boot_nanoseconds(), true);
        self.seeded.extend(processes_of(folder).into_iter().map(|pid| (pid, id)));
        if depth >= DEPTH || self.cgroups.len() >= CGROUPS {
            return;
        }
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let length = path.len();
                path.push(b'/');
                path.extend_from_slice(entry.file_name().as_bytes());
                self.seed_below(&entry.path(), path, depth + 1);
                path.truncate(length);
            }
        }
    }

    /// When a cgroup that was there before the sensor was created: not after its folder's times, which may be those of the
    /// first look at it, and not after the start of a process in it.
    fn age_of(&self, folder: &Path, metadata: &std::fs::Metadata) -> u64 {
        let changed = i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec());
        let changed = Clock::new().boot_time(changed);
        let starts =
            processes_below(folder, 2).into_iter().filter_map(|pid| seed::start_time(&self.proc, pid));
        starts.chain([changed]).min().unwrap_or(changed)
    }

    /// The cgroup a process was in when the tree was read, 0 if it was not there.
    pub fn seeded_cgroup(&self, pid: u32) -> u64 {
        self.seeded.get(&pid).copied().unwrap_or(0)
    }

    /// Forgets what was only needed for seeding.
    pub fn seeded(&mut self) {
        self.seeded = foldhash::HashMap::default();
    }

    /// A cgroup of the unified hierarchy was created.
    pub fn create_cgroup(&mut self, id: u64, path: &[u8], time: u64) {
        self.add_cgroup(id, path, time, time, false);
    }

    /// A cgroup that was created at `created`, and is known since `now`; `seeded` if it was there before the sensor.
    fn add_cgroup(&mut self, id: u64, path: &[u8], created: u64, now: u64, seeded: bool) {
        if self.cgroups.len() >= CGROUPS && !self.cgroups.contains_key(&id) && !self.evict_cgroup() {
            self.counters.evicted += 1;
            return;
        }
        let name = cgroup::parse(path);
        let container = name.map(|name| {
            // A cgroup made inside the container's own belongs to the container, which is older than it.
            let own = name.length == path.len();
            if own && !seeded {
                self.start_anew(&name.container_id, id);
            }
            let handle = self.handle(&name.container_id, id, created);
            self.search(&name.container_id, name.pod_uid, now);
            handle
        });
        self.cgroups.insert(id, CgroupEntry { path: path.into(), created, container });
    }

    /// A cgroup was removed.
    pub fn remove_cgroup(&mut self, id: u64, time: u64) {
        if self.cgroups.contains_key(&id) {
            self.removed.push_back((time, id));
        }
    }

    fn evict_cgroup(&mut self) -> bool {
        let Some((_, id)) = self.removed.pop_front() else { return false };
        self.forget(id);
        true
    }

    fn forget(&mut self, id: u64) {
        let Some(entry) = self.cgroups.remove(&id) else { return };
        let Some(handle) = entry.container.filter(|handle| handle.cgroup_id == id) else { return };
        if self.handles.get(&handle.id).is_some_and(|current| Arc::ptr_eq(current, &handle)) {
            self.handles.remove(&handle.id);
            self.searches.remove(&handle.id);
            self.namespaces.retain(|_, owner| !Arc::ptr_eq(owner, &handle));
        }
    }

    /// A new cgroup for a known id is a new life of the container, as `podman restart` and `docker restart` give it:
    /// with its own first program, age and spec. Processes of the former life keep what they know.
    fn start_anew(&mut self, id: &str, cgroup_id: u64) {
        if self.handles.get(id).is_some_and(|handle| handle.cgroup_id != cgroup_id) {
            self.handles.remove(id);
            self.searches.remove(id);
            self.order.retain(|known| **known != *id);
        }
    }

    /// Forgets cgroups whose grace is over at `now`, with their containers.
    pub fn expire(&mut self, now: u64) {
        while self.removed.front().is_some_and(|(time, _)| time.saturating_add(REMOVED_GRACE) <= now) {
            self.evict_cgroup();
        }
        self.order.retain(|id| self.handles.contains_key(id));
    }

    fn handle(&mut self, id: &str, cgroup_id: u64, created: u64) -> Arc<ContainerHandle> {
        if let Some(handle) = self.handles.get(id) {
            return Arc::clone(handle);
        }
        while self.handles.len() >= self.capacity {
            let Some(oldest) = self.order.pop_front() else { break };
            if self.handles.remove(&oldest).is_some() {
                self.searches.remove(&oldest);
                self.counters.evicted += 1;
            }
        }
        let handle = Arc::new(ContainerHandle::new(id, cgroup_id, created));
        self.handles.insert(id.into(), Arc::clone(&handle));
        self.order.push_back(id.into());
        handle
    }

    fn search(&mut self, id: &str, pod_uid: Option<String>, time: u64) {
        if self.handles.get(id).is_some_and(|handle| handle.container().is_none() && !handle.failed()) {
            let search = Search { pod_uid, bundle: None, began: time, next: 0, wait: RETRY.0 };
            self.searches.entry(id.into()).or_insert(search);
        }
    }

    /// The container of a cgroup.
    pub fn of_cgroup(&self, cgroup_id: u64) -> Option<Arc<ContainerHandle>> {
        self.cgroups.get(&cgroup_id).and_then(|entry| entry.container.clone())
    }

    /// The container named in the text of /proc/PID/cgroup: for hosts whose containers are not in the unified hierarchy.
    ///
    /// `created` is when the container was, if it is new here.
    pub fn of_cgroup_text(&mut self, text: &str, created: u64, now: u64) -> Option<Arc<ContainerHandle>> {
        let path = |line: &str| line.splitn(3, ':').nth(2).map(str::to_owned);
        let name = text.lines().take(64).filter_map(path).find_map(|path| cgroup::parse(path.as_bytes()))?;
        let handle = self.handle(&name.container_id, 0, created);
        self.search(&name.container_id, name.pod_uid, now);
        Some(handle)
    }

    /// The container that a process of the runtime has just handed over to. Beyond [`ContainerTable::of_cgroup`] it
    /// looks where it costs more: such hand-overs are rare.
    pub fn entered(&mut self, cgroup_id: u64, pid: u32, time: u64) -> Option<Arc<ContainerHandle>> {
        if let Some(handle) = self.of_cgroup(cgroup_id) {
            return Some(handle);
        }
        let entry = self.cgroups.get(&cgroup_id).filter(|entry| &*entry.path != b"/");
        let named = entry.and_then(|entry| {
            let id = self.places.id_by_cgroup(&self.hierarchy(), &entry.path)?;
            Some((id, entry.created))
        });
        if let Some((id, created)) = named {
            let handle = self.handle(&id, cgroup_id, created);
            self.search(&id, None, time);
            if let Some(entry) = self.cgroups.get_mut(&cgroup_id) {
                entry.container = Some(Arc::clone(&handle));
            }
            return Some(handle);
        }
        let text = std::fs::read_to_string(self.proc.join(pid.to_string()).join("cgroup")).ok()?;
        self.of_cgroup_text(&text, time, time)
    }

    /// A container known only by what its runtime was told.
    pub fn ordered(&mut self, id: &str, cgroup_id: u64, time: u64) -> Arc<ContainerHandle> {
        let handle = self.handle(id, cgroup_id, time);
        self.search(id, None, time);
        if let Some(entry) = self.cgroups.get_mut(&cgroup_id) {
            entry.container.get_or_insert_with(|| Arc::clone(&handle));
        }
        handle
    }

    /// Notes the bundle that a container's runtime was told to use. It is read when no place of a runtime's state has
    /// the spec: short containers are gone from there before a busy node lets us look.
    pub fn note_bundle(&mut self, handle: &ContainerHandle, bundle: PathBuf) {
        if let Some(search) = self.searches.get_mut(&handle.id) {
            search.bundle = Some(bundle);
            search.next = 0;
        }
    }

    /// API servers that specs named since the last call.
    pub fn take_api_servers(&mut self) -> Vec<(IpAddr, u16)> {
        std::mem::take(&mut self.api_servers)
    }

    /// Reads a container's spec if it was not read yet and it is time to look again.
    pub fn resolve(&mut self, handle: &ContainerHandle, now: u64) {
        if handle.container().is_some() || handle.failed() {
            return;
        }
        let Some(search) = self.searches.get_mut(&handle.id).filter(|search| search.next <= now) else {
            return;
        };
        let (pod_uid, bundle) = (search.pod_uid.clone(), search.bundle.clone());
        let found = self.places.by_id(&handle.id, pod_uid.as_deref()).or_else(|error| {
            // The cgroup may be named by whoever asked for the container, and its id be another.
            let path = self.cgroups.get(&handle.cgroup_id).filter(|_| error.is_absent());
            let id = path.and_then(|entry| self.places.id_by_cgroup(&self.hierarchy(), &entry.path));
            id.map_or(Err(error), |id| self.places.by_id(&id, pod_uid.as_deref()))
        });
        let found = match (found, bundle) {
            (Err(error), Some(bundle)) if error.is_absent() => {
                self.places.by_bundle(&handle.id, &bundle, pod_uid.as_deref())
            }
            (found, _) => found,
        };
        let Some(search) = self.searches.get_mut(&handle.id) else { return };
        match found {
            Ok(container) => {
                self.counters.found += 1;
                self.api_servers.extend(container.spec.api_server);
                handle.set_container(Arc::new(container));
                self.searches.remove(&handle.id);
            }
            Err(error) if error.is_absent() && now.saturating_sub(search.began) < RETRY.2 => {
                self.counters.pending += 1;
                search.next = now + search.wait;
                search.wait = (search.wait * 2).min(RETRY.1);
            }
            Err(error) => {
                if error.is_absent() {
                    self.counters.given_up += 1;
                } else {
                    self.counters.malformed += 1;
                }
                tracing::warn!(container = %handle.id, %error, "container without a spec");
                handle.set_failed();
                self.searches.remove(&handle.id);
            }
        }
    }

    /// Notes what a container's first program was given. Namespaces that it shares with the host say nothing.
    pub fn set_baseline(&mut self, handle: &Arc<ContainerHandle>, baseline: Baseline, host: &Namespaces) {
        if !handle.set_baseline(baseline) {
            return;
        }
        let hosts = all_namespaces(host);
        for inum in all_namespaces(&baseline.namespaces) {
            if inum != 0 && !hosts.contains(&inum) && self.namespaces.len() < NAMESPACES {
                self.namespaces.insert(inum, Arc::clone(handle));
            }
        }
    }

    /// What of a process is no longer where its container is: its cgroup in words, and the owners of the namespaces it is
    /// in now. For a process that is where it was born, which is nearly every one, nothing is looked up twice.
    pub fn elsewhere(&self, process: &Process, event: &Event) -> Elsewhere {
        let Some(own) = process.origin.container() else { return Elsewhere::default() };
        let mut owners = Vec::new();
        if let Some(baseline) = own.baseline() {
            let mut now = process.namespaces;
            if let Body::Action(action) = &event.body
                && action.kind == EventKind::NamespaceSwitch
            {
                now = action.target_namespaces;
            }
            if now != baseline.namespaces {
                owners.extend(all_namespaces(&now).into_iter().filter_map(|inum| {
                    let owner = self.namespaces.get(&inum).filter(|owner| !is_of_one_pod(owner, own))?;
                    Some((inum, Arc::clone(owner)))
                }));
            }
        }
        if process.cgroup_id == own.cgroup_id || own.cgroup_id == 0 {
            return (None, owners);
        }
        // A cgroup that is not in the table says nothing.
        let left = self
            .cgroups
            .get(&process.cgroup_id)
            .filter(|entry| entry.container.as_ref().is_none_or(|container| !Arc::ptr_eq(container, own)));
        (left.map(|entry| String::from_utf8_lossy(&entry.path).into_owned()), owners)
    }

    /// Whether an executable in the upper layer has the same content as the image's own.
    pub fn is_copied_up(&mut self, container: &Container, file: &FileFacts, path: &[u8]) -> bool {
        self.overlays.compare(&container.root(), file, path) == Comparison::Same
    }

    /// Folders of runtime state that exist on this node.
    pub fn state_folders(&self) -> Vec<&'static str> {
        self.places.found()
    }

    /// The node's file system.
    pub fn root(&self) -> &HostRoot {
        &self.root
    }
}

/// Where a process is that is not where its container is; see [`ContainerTable::elsewhere`].
pub type Elsewhere = (Option<String>, Vec<(u32, Arc<ContainerHandle>)>);

/// The inode numbers of all namespaces; they are unique over all kinds.
pub fn all_namespaces(namespaces: &Namespaces) -> [u32; 8] {
    let Namespaces { mount, pid, network, ipc, uts, cgroup, time, user } = *namespaces;
    [mount, pid, network, ipc, uts, cgroup, time, user]
}

/// Whether two containers are one, or of one pod, whose containers share namespaces.
fn is_of_one_pod(one: &ContainerHandle, other: &ContainerHandle) -> bool {
    let pod = |handle: &ContainerHandle| {
        let container = handle.container()?;
        container.pod.as_ref().map(|pod| pod.uid.clone())
    };
    one.id == other.id || pod(one).is_some_and(|uid| pod(other) == Some(uid))
}

/// The processes of a cgroup, as this process's pid namespace counts.
fn processes_of(folder: &Path) -> Vec<u32> {
    let text = std::fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

/// The processes of a cgroup, or if it has none itself of those below.
fn processes_below(folder: &Path, depth: usize) -> Vec<u32> {
    let own = processes_of(folder);
    if depth == 0 || !own.is_empty() {
        return own;
    }
    let inner = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = inner.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.flat_map(|entry| processes_below(&entry.path(), depth - 1)).collect()
}

/// Where the unified hierarchy is mounted in the node's file system.
fn cgroup_mount(proc: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(proc.join("1/mountinfo"))
        .or_else(|_| std::fs::read_to_string(proc.join("self/mountinfo")))
        .ok()?;
    text.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let point = before.split(' ').nth(4)?;
        after.starts_with("cgroup2 ").then(|| PathBuf::from(point))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn node() -> (tempfile::TempDir, ContainerTable) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let options = AttributeOptions {
            host_root: folder.path().to_owned(),
            proc: folder.path().join("proc"),
            containers: 2,
            ..AttributeOptions::default()
        };
        let table = ContainerTable::new(&options);
        (folder, table)
    }

    fn write_spec(folder: &Path, id: &str, text: &str) {
        let bundle = folder.join("run/containerd/io.containerd.runtime.v2.task/k8s.io").join(id);
        std::fs::create_dir_all(&bundle).expect("folder");
        std::fs::write(bundle.join("config.json"), text).expect("write");
    }

    #[test]
    fn a_container_is_known_from_its_cgroup_and_its_spec_when_it_comes() {
        let (folder, mut table) = node();
        table.create_cgroup(7, format!("/kubepods/podu1/{ID}").as_bytes(), 100);
        let handle = table.of_cgroup(7).expect("known at once");
        table.resolve(&handle, 100);
        assert!(handle.container().is_none());
        write_spec(folder.path(), ID, r#"{"annotations": {"io.kubernetes.cri.sandbox-name": "web"}}"#);
        table.resolve(&handle, 101);
        assert!(handle.container().is_none(), "not before its time");
        table.resolve(&handle, 100 + RETRY.0);
        let pod = handle.container().and_then(|container| container.pod.clone()).expect("read");
        assert_eq!((pod.name.as_str(), pod.uid.as_str()), ("web", "u1"));
        assert_eq!((table.counters().found, table.counters().pending), (1, 1));
    }

    #[test]
    fn a_search_ends() {
        let (_folder, mut table) = node();
        table.create_cgroup(7, format!("/docker/{ID}").as_bytes(), 100);
        let handle = table.of_cgroup(7).expect("known");
        table.resolve(&handle, 100 + RETRY.2);
        assert!(handle.failed());
        assert_eq!(table.counters().given_up, 1);
    }

    #[test]
    fn a_malformed_spec_leaves_the_id() {
        let (folder, mut table) = node();
        write_spec(folder.path(), ID, "{");
        table.create_cgroup(7, format!("/docker/{ID}").as_bytes(), 100);
        let handle = table.of_cgroup(7).expect("known");
        table.resolve(&handle, 100);
        assert!(handle.failed() && &*handle.id == ID);
        assert_eq!(table.counters().malformed, 1);
    }

    #[test]
    fn nested_cgroups_belong_to_their_container() {
        let (_folder, mut table) = node();
        table.create_cgroup(7, format!("/docker/{ID}").as_bytes(), 100);
        table.create_cgroup(8, format!("/docker/{ID}/init").as_bytes(), 200);
        let inner = table.of_cgroup(8).expect("known");
        assert_eq!((inner.cgroup_id, inner.created), (7, 100));
        table.remove_cgroup(8, 300);
        table.expire(300 + REMOVED_GRACE);
        assert!(table.of_cgroup(8).is_none() && table.of_cgroup(7).is_some());
    }

    #[test]
    fn a_container_that_left_no_state_is_known_by_its_bundle() {
        let (folder, mut table) = node();
        std::fs::create_dir_all(folder.path().join("b")).expect("folder");
        let spec = r#"{"annotations": {"io.kubernetes.cri.sandbox-name": "short"}}"#;
        std::fs::write(folder.path().join("b/config.json"), spec).expect("write");
        table.create_cgroup(7, b"/any/name", 100);
        let handle = table.ordered("c1", 7, 100);
        table.resolve(&handle, 100);
        assert!(handle.container().is_none());
        table.note_bundle(&handle, PathBuf::from("/b"));
        table.resolve(&handle, 100);
        let pod = handle.container().and_then(|container| container.pod.clone()).expect("read");
        assert_eq!(pod.name, "short");
        assert!(table.of_cgroup(7).is_some_and(|known| Arc::ptr_eq(&known, &handle)));
    }

    #[test]
    fn a_container_that_starts_again_has_a_new_life() {
        let (folder, mut table) = node();
        write_spec(folder.path(), ID, r#"{"annotations": {"io.kubernetes.cri.sandbox-name": "old"}}"#);
        table.create_cgroup(7, format!("/docker/{ID}").as_bytes(), 100);
        let old = table.of_cgroup(7).expect("known");
        table.resolve(&old, 100);
        assert!(old.start());
        table.remove_cgroup(7, 150);

        write_spec(folder.path(), ID, r#"{"annotations": {"io.kubernetes.cri.sandbox-name": "new"}}"#);
        table.create_cgroup(8, format!("/docker/{ID}").as_bytes(), 200);
        let new = table.of_cgroup(8).expect("known");
        assert_eq!((new.cgroup_id, new.created), (8, 200));
        assert!(new.start(), "its first program is an entrypoint again");
        table.resolve(&new, 200);
        let name = |handle: &ContainerHandle| {
            handle.container().and_then(|container| Some(container.pod.as_ref()?.name.clone()))
        };
        assert_eq!((name(&old).as_deref(), name(&new).as_deref()), (Some("old"), Some("new")));

        table.expire(150 + REMOVED_GRACE);
        assert_eq!(table.len(), 1, "the end of the former life is not the end of this one");
    }

    #[test]
    fn containers_are_bounded_and_go_with_their_cgroup() {
        let (_folder, mut table) = node();
        for number in 0..20_u64 {
            table.create_cgroup(number, format!("/docker/{number:064x}").as_bytes(), 100);
        }
        assert_eq!((table.len(), table.counters().evicted), (2, 18));
        table.remove_cgroup(19, 200);
        table.expire(200);
        assert_eq!(table.len(), 2, "grace");
        table.expire(200 + REMOVED_GRACE);
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn the_text_of_a_v1_host_names_the_container() {
        let (_folder, mut table) = node();
        let text = format!("12:pids:/kubepods/podu1/{ID}\n1:name=systemd:/x\n0::/\n");
        assert_eq!(&*table.of_cgroup_text(&text, 1, 1).expect("named").id, ID);
        assert!(table.of_cgroup_text("0::/user.slice\nbroken", 1, 1).is_none());
    }

    #[test]
    fn a_container_older_than_the_sensor_has_its_age_and_time_to_be_found() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let root = folder.path();
        let own = root.join("cg/docker").join(ID);
        std::fs::create_dir_all(own.join("inner")).expect("folder");
        std::fs::create_dir_all(root.join("proc/1")).expect("folder");
        std::fs::create_dir_all(root.join("proc/77")).expect("folder");
        std::fs::write(root.join("proc/1/mountinfo"), "30 1 0:26 / /cg rw - cgroup2 cgroup2 rw\n")
            .expect("write");
        std::fs::write(own.join("inner/cgroup.procs"), "77\n").expect("write");
        let tail = "S 1 1 1 0 -1 4194560 1 1 1 1 0 0 0 0 20 0 1 0 1234 0 0";
        std::fs::write(root.join("proc/77/stat"), format!("77 (x) {tail}\n")).expect("write");
        let options = AttributeOptions {
            host_root: root.to_owned(),
            proc: root.join("proc"),
            ..AttributeOptions::default()
        };
        let mut table = ContainerTable::new(&options);
        table.seed();
        let handle = table.handles.get(ID).cloned().expect("seeded");
        assert_eq!(handle.created, 12_340_000_000, "the start of its oldest process");

        let now = boot_nanoseconds();
        table.resolve(&handle, now);
        assert!(!handle.failed(), "a first look is not the last");
        table.resolve(&handle, now + RETRY.2 + RETRY.1);
        assert!(handle.failed());

        std::fs::write(own.join("inner/cgroup.procs"), "").expect("write");
        let mut table = ContainerTable::new(&options);
        let before = boot_nanoseconds();
        table.seed();
        let handle = table.handles.get(ID).cloned().expect("seeded");
        assert!(handle.created > before.saturating_sub(60_000_000_000), "its folder's time, not the boot's");
    }
}
