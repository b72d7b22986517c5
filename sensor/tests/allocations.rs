//! Judging an event that matches no rule asks for no memory. In a binary of its own, because the allocator is counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use stride_sensor::attribute::{AttributeOptions, Attributor};
use stride_sensor::event::{
    Args, Body, Cgroup, Descriptor, Event, Exec, Exit, FileFacts, Fork, Namespaces, ProcessKey,
};
use stride_sensor::judge::trust::Trust;
use stride_sensor::judge::{HostStanding, Judges};
use stride_sensor::rule_files::Loaded;

/// The system's allocator, which counts what this thread asks for.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // A thread that ends has no counter left; nothing is counted for it.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call goes to the system's allocator as it came; counting touches no memory of the heap.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the pointer came from `alloc` above with this layout.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const CONTAINER: &str = "3c7b0a4f5d7e9b1a2c4d6e8f0a1b3c5d7e9f0b2d4f6a8c0e1f3a5b7d9c1e3f5a";
const CGROUP: u64 = 4242;

fn key(pid: u32) -> ProcessKey {
    ProcessKey { pid, start_time: 1_000_000_000 + u64::from(pid) }
}

/// An attributor that knows a shell in a pod, process 900, child of process 899.
fn node() -> (tempfile::TempDir, Attributor) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let spec = folder.path().join("run/containerd/io.containerd.runtime.v2.task/k8s.io").join(CONTAINER);
    std::fs::create_dir_all(&spec).expect("folder");
    let text = r#"{"root": {"path": "rootfs"}, "annotations": {
        "io.kubernetes.cri.container-name": "app", "io.kubernetes.cri.container-type": "container",
        "io.kubernetes.cri.sandbox-name": "web-0", "io.kubernetes.cri.sandbox-namespace": "shop"}}"#;
    std::fs::write(spec.join("config.json"), text).expect("write");
    let options = AttributeOptions { host_root: folder.path().to_owned(), ..AttributeOptions::default() };
    let mut attributor = Attributor::new(options);
    let path = format!("/kubepods/besteffort/pod0a-1b/{CONTAINER}").into_bytes();
    attributor.apply(&event(1, Body::CgroupCreate(Cgroup { id: CGROUP, hierarchy: 0, path })));
    attributor.apply(&fork(899, 1));
    attributor.apply(&fork(900, 899));
    attributor.apply(&exec(900, "/usr/bin/dash", &["sh", "/app/start.sh"]));
    (folder, attributor)
}

fn event(time: u64, body: Body) -> Event {
    Event { time: 2_000_000_000 + time, read_failed: false, body }
}

fn fork(pid: u32, creator: u32) -> Event {
    event(
        10,
        Body::Fork(Fork {
            child: key(pid),
            creator: key(creator),
            parent: key(creator),
            cgroup_id: CGROUP,
            namespaces: Namespaces { mount: 77, ..Namespaces::default() },
            namespace_pid: pid,
            uid: 0,
        }),
    )
}

fn exec(pid: u32, exe: &str, args: &[&str]) -> Event {
    let name = exe.rsplit('/').next().unwrap_or(exe);
    let mut bytes = args.join("\0").into_bytes();
    bytes.push(0);
    let stdio = |inode| Descriptor { inode, mode: 0o100_644, ..Descriptor::default() };
    event(
        20,
        Body::Exec(Box::new(Exec {
            pid,
            start_time: key(pid).start_time,
            parent_pid: 900,
            parent_start_time: key(900).start_time,
            cgroup_id: CGROUP,
            namespaces: Namespaces { mount: 77, ..Namespaces::default() },
            // An overlay's lower layer: the image's own.
            file: FileFacts {
                inode: 5,
                mode: 0o100_755,
                link_count: 1,
                filesystem_magic: 0x794c_7630,
                flags: 1,
                ..FileFacts::default()
            },
            exe: exe.as_bytes().to_vec(),
            filename: exe.as_bytes().to_vec(),
            interpreter: exe.as_bytes().to_vec(),
            cwd: b"/app".to_vec(),
            args: Args { length: bytes.len() as u32, count: args.len() as u32, bytes, gap: None },
            environment: vec![b"PATH=/usr/bin:/bin".to_vec()],
            stdio: [stdio(1), stdio(2), stdio(3)],
            parent_stdio: [stdio(1), stdio(2), stdio(3)],
            command: name.as_bytes()[..name.len().min(15)].to_vec(),
            login_uid: u32::MAX,
            audit_session: u32::MAX,
            ..Exec::default()
        })),
    )
}

/// Allocations of judging this event for the third time, and findings. The first times fill the buffers and the caches
/// of the patterns.
fn judged(attributor: &mut Attributor, judges: &mut Judges, event: &Event) -> (usize, usize) {
    let attributed = attributor.apply(event);
    let mut findings = 0;
    for _ in 0..2 {
        judges.judge(&attributed, |_| ());
    }
    let before = ALLOCATIONS.get();
    judges.judge(&attributed, |_| findings += 1);
    (ALLOCATIONS.get() - before, findings)
}

#[test]
fn judging_what_matches_nothing_allocates_nothing() {
    let (_folder, mut attributor) = node();
    let mut judges = Judges::new(
        Loaded::read(true, &[]).expect("built-in rules").set,
        Trust::new("/".into(), &[]),
        "node",
        HostStanding::default(),
    );
    assert!(judges.rules().rules().len() > 30);

    let long = "x".repeat(8000);
    let events = [
        fork(901, 900),
        exec(901, "/usr/bin/java", &["java", "-Xmx1g", "-jar", "/app/server.jar", "--port=8080"]),
        event(30, Body::Exit(Exit { process: key(901), status: 0 })),
        fork(902, 900),
        exec(902, "/usr/bin/sort", &["sort", "--key=3,3", &long, "[k] (a) = {b} | c; $d"]),
    ];
    for event in &events {
        let (allocations, findings) = judged(&mut attributor, &mut judges, event);
        assert_eq!((allocations, findings), (0, 0), "{event:?}");
    }
}

#[test]
fn functions_of_rules_allocate_nothing_either() {
    const RULES: &str = "
- rule: functions
  condition: >
    evt.type in (execve, execveat) and
    (tolower(proc.exeline) contains nowhere or basename(proc.exepath) = val(proc.pname) or len(proc.args) > 100000 or
     join('/', proc.name, toupper(proc.exe)) startswith nowhere or b64(proc.args) = x or tolower(proc.aname) = nowhere or
     evt.arg.flags contains NOWHERE or fd.net = 10.0.0.0/8)
  output: '%proc.name'
  priority: INFO
";
    let (_folder, mut attributor) = node();
    let own = tempfile::tempdir().expect("temporary folder");
    let file = own.path().join("own.yaml");
    std::fs::write(&file, RULES).expect("write");
    let loaded = Loaded::read(false, &[file]).expect("readable");
    assert!(loaded.messages.is_empty(), "{}", loaded.messages[0]);
    let mut judges = Judges::new(loaded.set, Trust::new("/".into(), &[]), "node", HostStanding::default());
    attributor.apply(&fork(901, 900));
    let event = exec(901, "/usr/bin/Java", &["Java", "-Xmx1g", "-jar", "/app/server.jar"]);
    assert_eq!(judged(&mut attributor, &mut judges, &event), (0, 0));
}

#[test]
fn the_pod_is_known_and_a_match_is_a_finding() {
    let (_folder, mut attributor) = node();
    let mut judges = Judges::new(
        Loaded::read(true, &[]).expect("built-in rules").set,
        Trust::new("/".into(), &[]),
        "node",
        HostStanding::default(),
    );
    attributor.apply(&fork(901, 900));
    let event = exec(901, "/usr/bin/nmap", &["nmap", "-sS", "10.0.0.0/8"]);
    let attributed = attributor.apply(&event);
    let container = attributed.container.and_then(|handle| handle.container()).expect("spec read");
    assert_eq!(container.pod.as_ref().map(|pod| pod.name.as_str()), Some("web-0"));
    let (allocations, findings) = judged(&mut attributor, &mut judges, &event);
    assert!(allocations > 0 && findings == 1, "{allocations} allocations, {findings} findings");
}
