//! Records of every kind against the published schema, and what an attacker cannot do to them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::attribute::container::{Container, ContainerRuntime};
use crate::attribute::pipes::PipeLinks;
use crate::attribute::pod::Pod;
use crate::attribute::{
    self, ActionFacts, Attribution, ContainerHandle, Drift, Entry, ExecFacts, RuntimeRole,
};
use crate::capability;
use crate::event::{Action, ActionFile, Cgroup, Credentials, EventKind, Exit, Fork, Subject};
use crate::judge::rules::{Field, RuleSet, Source};
use crate::judge::trust::{Trust, TrustEntry, TrustedSubject};
use crate::judge::{HostStanding, Judge, Judges};
use crate::probe::Rung;
use crate::sink::stdout;
use crate::text::is_hidden;
use crate::threat::{Severity, Stride, ThreatSource, attack};
use sensor_ebpf::abi::{SEND_ARP_REPLY, SEND_QUERY, SEND_STRATUM, SEND_VALUE_WHAT};

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../../docs/schema/record.schema.json")).expect("JSON")
});
static VALIDATOR: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::draft202012::new(&SCHEMA).expect("a schema"));

const CONTAINER: &str = "3f1c0e6fb5d4a7c2918d0e6f3b5a7c2918d0e6f3b5a7c2918d0e6f3b5a7c2918";
/// What an attacker puts into everything he can name: an end of line, a record, a terminal's orders in 7 and 8 bits, a
/// mark of direction, a byte that is not UTF-8.
const HOSTILE: &[u8] =
    b"x\"\n{\"kind\":\"finding\"}\r\x1b[2J\xc2\x9b31m\xe2\x80\xaetxt.exe\xe2\x80\xa8\x7f\xff\\";
/// A rule that every program started by us matches; the built-in ones may change without changing this test.
const RULES: &str = "
- rule: Program that is not in the image
  id: drift-exec
  desc: d
  condition: evt.type = execve and exe.drift = true
  output: '%proc.exepath (pid %proc.pid) runs from a file that is not in the image: %proc.cmdline'
  priority: ERROR
  stride: [tampering, elevation_of_privilege]
  attack: [T1562.001, T1059.004]
  ms_threat_matrix: [MS-TA9009]
  threat_source: [malicious_threat_actor, supply_chain_risk]
- rule: Anything else
  desc: d
  condition: not evt.type = execve
  output: '%evt.type %proc.name'
  priority: INFO
";

/// An event with what attribution says of it.
#[derive(Clone)]
struct Scene {
    event: Event,
    process: Option<Process>,
    container: Option<Arc<ContainerHandle>>,
    attribution: Attribution,
    exec: Option<ExecFacts>,
    action: Option<ActionFacts>,
}

impl Scene {
    fn new(body: Body) -> Self {
        let event = Event { time: 5_000_000_123, read_failed: false, body };
        Self {
            event,
            process: None,
            container: None,
            attribution: Attribution::Unknown,
            exec: None,
            action: None,
        }
    }

    fn exec(exec: Exec) -> Self {
        let image = Arc::new(Image::of(&exec, 5, Entry::Inside));
        let process = process(exec.key(), &image);
        let facts = ExecFacts {
            entry: Entry::Inside,
            runtime_setup: false,
            drift: Drift::Upper,
            pipes: PipeLinks { writers: vec![Arc::clone(&image)], readers: Vec::new() },
            session_repeats: 2,
            discovery_burst: 1,
            container_age: Some(90_000_000_000),
            previous: image,
            server: None,
            script_changed: None,
            habit_age: None,
            same_as: None,
            exceeded: None,
        };
        let attribution = Attribution::Exact;
        Self {
            process: Some(process),
            exec: Some(facts),
            attribution,
            ..Self::new(Body::Exec(Box::new(exec)))
        }
    }

    fn attributed(&self) -> Attributed<'_> {
        Attributed {
            event: &self.event,
            process: self.process.as_ref(),
            container: self.container.as_ref(),
            attribution: self.attribution,
            exec: self.exec.clone(),
            action: self.action.clone(),
            left_cgroup: None,
            cgroup_path: None,
            accounts: None,
            host_accounts: None,
            namespace_owners: Vec::new(),
        }
    }

    fn line(&self, finding: Option<&Finding>) -> String {
        let origin = Origin {
            node: "aks-nodepool1-0".into(),
            boot_id: "0f7a4c2e-6f0b-4f2e-9d59-3c1f3f0f7b11".into(),
            run_id: "5b0d7f6e-2a41-4c8e-9f10-7d6c5b4a3928".into(),
        };
        let line = serialise(&origin, &clock(), 42, &self.attributed(), finding);
        String::from_utf8(line).expect("UTF-8")
    }

    fn findings(&self) -> Vec<Finding> {
        self.findings_of(RULES)
    }

    fn findings_of(&self, rules: &str) -> Vec<Finding> {
        let source = Source { name: "test.yaml".into(), text: rules.into() };
        let (rules, errors) = RuleSet::load(vec![source]);
        assert!(errors.is_empty(), "{errors:?}");
        let mut findings = Vec::new();
        // One of the rules is about a trusted namespace.
        let entry = TrustEntry {
            name: "agents".to_owned(),
            detections: vec!["Anything else".to_owned()],
            severity: Some(Severity::Low),
            subject: TrustedSubject::Pod {
                namespace: "shop".to_owned(),
                name: None,
                image: Some("*".to_owned()),
                digest: None,
            },
        };
        Judges::new(rules, Trust::new("/".into(), &[entry]), "node", HostStanding::default())
            .judge(&self.attributed(), |finding| findings.push(finding));
        findings
    }

    /// The record of the event, and one for each finding.
    fn records(&self) -> Vec<Value> {
        let findings = self.findings();
        let lines = [None].into_iter().chain(findings.iter().map(Some)).map(|finding| self.line(finding));
        lines.map(|line| record(&line)).collect()
    }
}

fn clock() -> Clock {
    Clock::fixed(1_795_509_130_000_000_000)
}

fn record(line: &str) -> Value {
    assert!(!line.chars().any(is_hidden), "{line:?}");
    serde_json::from_str(line).expect("one JSON value")
}

fn key(pid: u32) -> ProcessKey {
    ProcessKey { pid, start_time: 4_900_000_000 }
}

fn process(key: ProcessKey, image: &Arc<Image>) -> Process {
    let shell = Exec {
        pid: 4700,
        exe: b"/bin/dash".to_vec(),
        command: b"sh".to_vec(),
        args: args(b"sh\0-c\0/tmp/x\0"),
        ..Exec::default()
    };
    let shell = Arc::new(Image::of(&shell, 1, Entry::Entrypoint));
    Process {
        key,
        parent: self::key(4700),
        namespace_pid: 7,
        image: Arc::clone(image),
        ancestors: vec![Ancestor { key: self::key(4700), image: shell }],
        origin: attribute::Origin::Host,
        origin_seen: true,
        role: RuntimeRole::None,
        cgroup_id: 4242,
        namespaces: Namespaces { mount: 4026532001, pid: 4026532002, ..Namespaces::default() },
        known: None,
        server: None,
        session: None,
        exited: None,
    }
}

fn args(bytes: &[u8]) -> Args {
    let count = bytes.iter().filter(|&&byte| byte == 0).count() as u32;
    Args { bytes: bytes.to_vec(), gap: None, length: bytes.len() as u32, count }
}

fn usual() -> Exec {
    Exec {
        pid: 4711,
        start_time: key(4711).start_time,
        old_thread_id: 4711,
        exe: b"/tmp/x".to_vec(),
        filename: b"/tmp/x".to_vec(),
        interpreter: b"/tmp/x".to_vec(),
        cwd: b"/srv".to_vec(),
        command: b"x".to_vec(),
        args: args(b"/tmp/x\0--quiet\0"),
        credentials: Credentials { uid: 1000, gid: 1000, effective: 1 << 21, ..Credentials::default() },
        login_uid: u32::MAX,
        audit_session: u32::MAX,
        session_id: 4700,
        seccomp_mode: 2,
        file: FileFacts { inode: 99, mode: 0o100_755, link_count: 1, size: 8192, ..FileFacts::default() },
        ..Exec::default()
    }
}

/// A script over a connected socket, with everything a record can tell of an exec.
fn full() -> Exec {
    let socket = |family, address: &[u8]| {
        let mut socket = Descriptor { inode: 7, mode: 0o140_777, family, ..Descriptor::default() };
        socket.remote_address[..address.len()].copy_from_slice(address);
        Descriptor { local_port: 40_000, remote_port: 4444, ..socket }
    };
    Exec {
        filename: b"./run.sh".to_vec(),
        interpreter: b"/bin/sh".to_vec(),
        old_thread_id: 4712,
        environment: vec![b"LD_PRELOAD=/tmp/x.so".to_vec()],
        environment_truncated: true,
        cwd_truncated: true,
        cwd_outside_root: true,
        cwd_foreign: true,
        leaked_folder: Some(7),
        secure: true,
        no_new_privileges: true,
        terminal: 136 << 20 | 3,
        login_uid: 1000,
        audit_session: 3,
        stdio: [socket(2, &[10, 99, 0, 1]), socket(10, &[0xfd, 1]), Descriptor::default()],
        ..usual()
    }
}

/// Every text hostile, every number the largest one, every flag set.
fn hostile() -> Exec {
    let all = u64::MAX;
    let (pid, descriptor) =
        (u32::MAX, Descriptor { inode: all, mode: u32::MAX, device: u32::MAX, ..Descriptor::default() });
    let text = || HOSTILE.to_vec();
    Exec {
        pid,
        start_time: 1 << 60,
        old_thread_id: 1,
        namespace_pid: pid,
        cgroup_id: all,
        user_namespace_level: pid,
        credentials: Credentials {
            uid: pid,
            permitted: all,
            effective: all,
            bounding: all,
            ..Credentials::default()
        },
        file: FileFacts {
            inode: all,
            size: all,
            change_time: i64::MIN,
            modify_time: i64::MAX,
            device: u32::MAX,
            mode: u32::MAX,
            link_count: u32::MAX,
            uid: u32::MAX,
            filesystem_magic: u32::MAX,
            flags: u32::MAX,
        },
        exe: text(),
        filename: text(),
        interpreter: b"\xff\xfe".to_vec(),
        cwd: text(),
        args: Args { bytes: HOSTILE.repeat(400), gap: Some(9000), length: u32::MAX, count: u32::MAX },
        environment: vec![text(), Vec::new()],
        command: HOSTILE[..15].to_vec(),
        stdio: [descriptor; 3],
        parent_stdio: [descriptor; 3],
        terminal: u32::MAX,
        ..full()
    }
}

fn handle(container: Option<Container>) -> Arc<ContainerHandle> {
    let handle = ContainerHandle::new(CONTAINER, 4242, 1);
    if let Some(container) = container {
        handle.set_container(Arc::new(container));
    }
    Arc::new(handle)
}

fn container(runtime: ContainerRuntime) -> Container {
    Container {
        id: CONTAINER.into(),
        name: "web".into(),
        image: Some("registry.example/web@sha256:abc".into()),
        image_digest: Some("sha256:abc".into()),
        runtime,
        privileged: false,
        pod: Some(Pod { namespace: "shop".into(), name: "web-7d4b9".into(), uid: "u-1".into() }),
        bundle: PathBuf::new(),
        spec: Arc::default(),
    }
}

fn plain_container() -> Container {
    let name = String::from_utf8_lossy(HOSTILE).into_owned();
    Container { name, image: None, image_digest: None, pod: None, ..container(ContainerRuntime::Runc) }
}

fn in_pod(exec: Exec) -> Scene {
    let container = Some(handle(Some(container(ContainerRuntime::Containerd))));
    Scene { container, ..Scene::exec(exec) }
}

fn in_session(exec: Exec) -> Scene {
    let mut scene = in_pod(exec);
    let image = scene.process.as_ref().map(|process| Arc::clone(&process.image));
    scene.process.iter_mut().for_each(|process| process.session = image.clone());
    scene
}

/// An action of a kind, with everything that any of them has.
fn action(kind: EventKind) -> Scene {
    let exec = hostile();
    let file = || ActionFile { facts: exec.file, path: HOSTILE.to_vec(), filesystem_path: HOSTILE.to_vec() };
    let subject = Subject {
        process: exec.key(),
        thread_id: u32::MAX,
        parent: key(1),
        cgroup_id: u64::MAX,
        namespaces: Namespaces::default(),
        credentials: exec.credentials,
        user_namespace_level: 1,
        namespace_pid: 7,
        seccomp_mode: 2,
        flags: u32::MAX,
        command: HOSTILE[..15].to_vec(),
        root_inode: u64::MAX,
        root_device: u32::MAX,
        rung: sensor_ebpf::abi::RUNG_FENTRY,
    };
    let action = Action {
        spent: None,
        kind,
        subject,
        file: Some(file()),
        other_file: Some(file()),
        target: Some(key(1)),
        target_namespaces: Namespaces::default(),
        target_credentials: exec.credentials,
        target_cgroup_id: 1,
        values: [u64::MAX; sensor_ebpf::abi::ACTION_VALUES],
        result: Some(-13),
        text: HOSTILE.to_vec(),
        other_text: HOSTILE.to_vec(),
    };
    let known = in_pod(exec);
    let facts = ActionFacts {
        changed_namespaces: action.values[0],
        target: known.process.as_ref().map(|process| Arc::clone(&process.image)),
        peer: known.process.as_ref().map(|process| Arc::clone(&process.image)),
        target_container: known.container.clone(),
        host_path: Some(HOSTILE.to_vec()),
        device: Some("254:16".to_owned()),
        other_host_path: Some(HOSTILE.to_vec()),
        known_as: Some(HOSTILE.to_vec()),
        clock_step: Some(-3600),
        node: Some("1:3".to_owned()),
        mount_point: Some(HOSTILE.to_vec()),
        root_device: Some(u32::MAX),
        ..ActionFacts::default()
    };
    Scene {
        action: Some(facts),
        exec: None,
        event: Scene::new(Body::Action(Box::new(action))).event,
        ..known
    }
}

/// An action that the hook knew nothing of but who did it.
fn bare(mut scene: Scene) -> Scene {
    if let Body::Action(action) = &mut scene.event.body {
        action.subject.flags = 0;
        (action.file, action.other_file, action.target) = (None, None, None);
        (action.result, action.text) = (None, Vec::new());
        action.subject.rung = 0;
    }
    Scene { process: None, container: None, action: None, attribution: Attribution::Unknown, ..scene }
}

/// One scene of each kind of event and of each state that a record tells.
fn scenes() -> Vec<Scene> {
    let fork = Fork {
        child: key(4711),
        creator: key(4700),
        parent: key(1),
        cgroup_id: u64::MAX,
        namespaces: Namespaces::default(),
        namespace_pid: 7,
        uid: 0,
    };
    let exit = |status| Scene::new(Body::Exit(Exit { process: key(4711), status }));
    let cgroup = |path: &[u8]| Cgroup { id: u64::MAX, hierarchy: 0, path: path.to_vec() };
    let known = in_pod(hostile());
    let with_process = |scene: Scene| Scene { process: known.process.clone(), ..scene };
    let mut scenes = vec![
        Scene::new(Body::Fork(fork.clone())),
        with_process(Scene::new(Body::Fork(fork))),
        Scene::exec(usual()),
        Scene::exec(Exec::default()),
        Scene { process: None, ..Scene::exec(hostile()) },
        in_pod(full()),
        in_session(hostile()),
        Scene { container: Some(handle(Some(plain_container()))), ..Scene::exec(hostile()) },
        Scene { container: Some(handle(None)), attribution: Attribution::Pending, ..Scene::exec(usual()) },
        exit(0x0300),
        exit(0x8b),
        with_process(exit(u32::MAX)),
        Scene::new(Body::CgroupCreate(cgroup(b"/kubepods/pod1"))),
        Scene::new(Body::CgroupRemove(cgroup(HOSTILE))),
    ];
    scenes[0].event.read_failed = true;
    let actions =
        EventKind::ALL.into_iter().filter(|kind| kind.class() != sensor_ebpf::abi::RingClass::Lineage);
    scenes.extend(actions.flat_map(|kind| [action(kind), bare(action(kind))]));
    let mut moved_clock = action(EventKind::ClockChange);
    if let Body::Action(action) = &mut moved_clock.event.body {
        action.values[sensor_ebpf::abi::CLOCK_VALUE_SECONDS] = 0;
    }
    scenes.push(moved_clock);
    scenes.extend([SEND_STRATUM, SEND_QUERY, SEND_ARP_REPLY].map(sent));
    scenes
}

/// A message of which the kernel side told what it says.
fn sent(what: u64) -> Scene {
    let mut scene = action(EventKind::SocketSend);
    if let Body::Action(action) = &mut scene.event.body {
        action.values[SEND_VALUE_WHAT] = what;
    }
    scene
}

fn records() -> Vec<Value> {
    scenes().iter().flat_map(Scene::records).collect()
}

fn complaints(record: &Value) -> Vec<String> {
    VALIDATOR.iter_errors(record).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// Pointers to everything in a value.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| pointers(value, &format!("{at}/{key}"), found))
        }
        Value::Array(list) => list
            .iter()
            .enumerate()
            .for_each(|(index, value)| pointers(value, &format!("{at}/{index}"), found)),
        _ => {}
    }
}

#[test]
fn records_of_every_kind_are_as_the_schema_says() {
    let mut kinds = BTreeSet::new();
    for record in records() {
        assert_eq!(complaints(&record), Vec::<String>::new(), "{record:#}");
        let (kind, event) = (record["kind"].as_str(), record["event"]["type"].as_str());
        assert!(kind == Some("finding") || kind == event, "{record:#}");
        kinds.insert((kind == Some("finding"), event.map(str::to_owned)));
    }
    for kind in EventKind::ALL {
        for finding in [false, true] {
            assert!(kinds.contains(&(finding, Some(kind.name().to_owned()))), "{kind:?} {finding}");
        }
    }
}

#[test]
fn repeats_are_told_with_what_was_told_first() {
    let first = in_pod(full()).records().pop().expect("a finding");
    let line =
        repeats(first.to_string().as_bytes(), 77, 5, "2026-11-24T08:32:15.123456789Z").expect("a record");
    let told = record(std::str::from_utf8(&line).expect("UTF-8"));
    assert_eq!(complaints(&told), Vec::<String>::new());
    let expected = json!({
        "count": 5,
        "first_time": first["time"],
        "last_time": "2026-11-24T08:32:15.123456789Z",
        "first_sequence": first["sequence"],
    });
    assert_eq!(
        (&told["kind"], &told["sequence"], &told["repeats"]),
        (&json!("repeats"), &json!(77), &expected)
    );
    assert_eq!((&told["finding"], &told["process"]), (&first["finding"], &first["process"]));
    assert_eq!(repeats(b"no record", 1, 2, ""), None);
}

#[test]
fn a_trusted_pod_is_named_in_its_findings_and_its_detections_alone() {
    let trusted = |scene: Scene| {
        let findings: Vec<Value> =
            scene.records().into_iter().filter(|one| one["kind"] == "finding").collect();
        findings.iter().map(|finding| finding["finding"]["trusted"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(trusted(action(EventKind::Ptrace)), [json!("agents")]);
    assert_eq!(trusted(bare(action(EventKind::Ptrace))), [Value::Null], "nobody's pod");
    assert_eq!(trusted(in_pod(full())), [Value::Null], "another detection");
}

#[test]
fn an_undocumented_key_is_refused_wherever_it_stands() {
    for record in records() {
        let mut places = Vec::new();
        pointers(&record, "", &mut places);
        for place in places {
            let mut changed = record.clone();
            let Some(Value::Object(map)) = changed.pointer_mut(&place) else { continue };
            map.insert("undocumented".into(), 1.into());
            assert!(!VALIDATOR.is_valid(&changed), "{place}/undocumented");
        }
    }
}

#[test]
fn a_value_of_another_type_is_refused_wherever_it_stands() {
    for record in records() {
        let mut places = Vec::new();
        pointers(&record, "", &mut places);
        for place in places {
            let mut changed = record.clone();
            if let Some(value) = changed.pointer_mut(&place) {
                *value = json!({ "of another type": [null] });
            }
            assert!(!VALIDATOR.is_valid(&changed), "{place}");
        }
    }
}

#[test]
fn what_must_be_there_is_missed() {
    let [event, finding] = &in_session(full()).records()[..] else { panic!("one event and one finding") };
    for (record, pointer) in [
        (event, "/time"),
        (event, "/schema"),
        (event, "/attribution"),
        (event, "/process"),
        (event, "/process/cwd"),
        (event, "/process/start_time"),
        (event, "/process/ancestors"),
        (event, "/event/type"),
        (event, "/event/file/inode"),
        (event, "/container/privileged"),
        (event, "/pod/uid"),
        (finding, "/finding"),
        (finding, "/finding/stride"),
        (finding, "/finding/attack/0/id"),
    ] {
        let mut changed = record.clone();
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        let parent = changed.pointer_mut(parent).and_then(Value::as_object_mut);
        assert!(parent.and_then(|parent| parent.remove(key)).is_some(), "{pointer}");
        assert!(!VALIDATOR.is_valid(&changed), "{pointer}");
    }
    let mut changed = finding.clone();
    changed["kind"] = "exec".into();
    assert!(!VALIDATOR.is_valid(&changed), "an event with a finding");
    changed["kind"] = "accident".into();
    assert!(!VALIDATOR.is_valid(&changed), "an unknown kind");
}

/// The other direction: nothing stands in the schema that no record has, and nothing without a word on its meaning.
#[test]
fn every_documented_key_occurs_and_is_described() {
    fn documented(schema: &Value, at: &str, keys: &mut BTreeSet<String>) {
        let Value::Object(map) = schema else { return };
        for (word, value) in map.iter().filter(|(word, _)| *word != "if" && *word != "then") {
            let at = format!("{at}/{word}");
            if word == "properties" {
                for (key, property) in value.as_object().into_iter().flatten() {
                    assert!(
                        property["description"].as_str().is_some_and(|text| text.len() > 4),
                        "{at}/{key}"
                    );
                    keys.insert(key.clone());
                    documented(property, &format!("{at}/{key}"), keys);
                }
            } else {
                documented(value, &at, keys);
            }
        }
    }
    let mut keys = BTreeSet::new();
    documented(&SCHEMA, "", &mut keys);
    let mut places = Vec::new();
    let mut all = records();
    let repeated = repeats(all[0].to_string().as_bytes(), 1, 2, "2026-11-24T08:32:15.123456789Z");
    all.push(record(std::str::from_utf8(&repeated.expect("a record")).expect("UTF-8")));
    all.iter().for_each(|record| pointers(record, "", &mut places));
    let used: BTreeSet<&str> = places.iter().filter_map(|place| place.rsplit('/').next()).collect();
    let unused: Vec<&String> = keys.iter().filter(|key| !used.contains(key.as_str())).collect();
    assert!(unused.is_empty() && keys.len() > 100, "{unused:?}");
}

#[test]
fn enumerations_are_those_of_the_code() {
    let words = |pointer: &str| -> BTreeSet<String> {
        let list = SCHEMA.pointer(pointer).and_then(Value::as_array);
        let list = list.unwrap_or_else(|| panic!("no list at {pointer}"));
        list.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect()
    };
    let same = |pointer: &str, names: &[&str]| {
        assert_eq!(words(pointer), names.iter().map(|name| (*name).to_owned()).collect(), "{pointer}");
    };
    same("/$defs/event_type/enum", &EventKind::ALL.map(EventKind::name));
    same("/properties/attribution/enum", &Attribution::ALL.map(Attribution::name));
    same("/$defs/finding/properties/judge/enum", &Judge::ALL.map(Judge::name));
    same("/$defs/finding/properties/severity/enum", &Severity::ALL.map(Severity::name));
    same("/$defs/finding/properties/stride/items/enum", &Stride::ALL.map(Stride::name));
    same("/$defs/finding/properties/threat_source/items/enum", &ThreatSource::ALL.map(ThreatSource::name));
    same("/$defs/capability_set/items/enum", &capability::NAMES);
    let roles = [RuntimeRole::None, RuntimeRole::Runtime, RuntimeRole::Setup];
    same("/$defs/process/properties/runtime_role/enum", &roles.map(RuntimeRole::name));
    let entries = [Entry::Inside, Entry::Entrypoint, Entry::ExecSession];
    same("/$defs/event_exec/properties/entry/enum", &entries.map(Entry::name));
    let drifts = [
        Drift::NotApplicable,
        Drift::Image,
        Drift::CopiedUp,
        Drift::Volume,
        Drift::Upper,
        Drift::VolumeChanged,
        Drift::Memory,
    ];
    same("/$defs/event_exec/properties/drift/enum", &drifts.map(Drift::name));
    let rungs = [Rung::TracepointBtf, Rung::Lsm, Rung::Fentry, Rung::Kprobe, Rung::SystemCall];
    same("/$defs/event_action/properties/rung/enum", &rungs.map(Rung::name));
    let runtimes = [
        ContainerRuntime::Containerd,
        ContainerRuntime::CriO,
        ContainerRuntime::Docker,
        ContainerRuntime::Podman,
        ContainerRuntime::Runc,
        ContainerRuntime::Crun,
    ];
    same("/$defs/container/properties/runtime/enum", &runtimes.map(ContainerRuntime::name));
    let modes = [0, 0o01, 0o02, 0o04, 0o06, 0o10, 0o12, 0o14, 0o17].map(|kind| kind << 12 | 0o600);
    let devices = modes.iter().flat_map(|&mode| [(mode, 136 << 20), (mode, 1 << 20)]);
    let kinds = devices.flat_map(|(mode, device)| {
        [0, 1, 2, 10].map(|family| {
            let descriptor = Descriptor { mode, device, family, ..Descriptor::default() };
            attribute::stdio::kind(&descriptor)
        })
    });
    same("/$defs/descriptor/properties/type/enum", &kinds.collect::<Vec<_>>());

    let tactics = words("/$defs/attack_technique/properties/tactics/items/enum");
    for technique in attack::TECHNIQUES {
        assert!(technique.tactics.iter().all(|tactic| tactics.contains(*tactic)), "{technique:?}");
    }
}

#[test]
fn every_field_of_the_rule_language_may_be_evidence() {
    let mut record = in_pod(full()).records().pop().expect("a finding");
    let all = Field::ALL.iter().map(|field| (field.name().to_owned(), "value".into()));
    record["finding"]["evidence"] = Value::Object(all.collect());
    assert_eq!(complaints(&record), Vec::<String>::new());
}

#[test]
fn the_version_is_the_same_everywhere() {
    let version = SCHEMA_VERSION.to_string();
    assert!(SCHEMA["$id"].as_str().is_some_and(|id| id.rsplit(':').next() == Some(version.as_str())));
    assert_eq!(SCHEMA["properties"]["schema"]["const"], SCHEMA_VERSION);
}

#[test]
fn a_finding_as_json_and_as_text() {
    let scene = in_session(usual());
    let finding = &scene.findings()[0];
    insta::assert_snapshot!("finding.json", format!("{:#}", record(&scene.line(Some(finding)))));
    let summary = summary(&clock(), &scene.attributed(), finding);
    insta::assert_snapshot!("finding.txt", stdout::text(&summary, false));
}

#[test]
fn evidence_names_keyed_fields_and_tells_each_program_once() {
    let rules = "
- rule: Keyed
  desc: d
  condition: evt.type = execve
  output: '%proc.env[LD_PRELOAD] %proc.env[LD_AUDIT] %proc.aname[1] %proc.pipe_writers'
  priority: INFO
";
    let mut scene = in_pod(full());
    let facts = scene.exec.as_mut().expect("an exec");
    let writer = Arc::clone(&facts.pipes.writers[0]);
    facts.pipes.writers.extend([Arc::clone(&writer), writer]);
    let findings = scene.findings_of(rules);
    let evidence = &findings[0].evidence;
    assert_eq!(evidence["proc.env[LD_PRELOAD]"], "/tmp/x.so");
    assert_eq!(evidence["proc.aname[1]"], "sh");
    assert!(!evidence.contains_key("proc.env[LD_AUDIT]"), "no value");
    let writers = evidence["proc.pipe_writers"].as_str().expect("text");
    let names: Vec<&str> = writers.split(',').collect();
    assert_eq!(names.len(), names.iter().collect::<BTreeSet<_>>().len(), "{writers}");
    assert_eq!(complaints(&record(&scene.line(Some(&findings[0])))), Vec::<String>::new());
}

/// A NUL cannot be inside an argument: it ends it, and what follows is the next one.
#[test]
fn no_argument_forges_a_line_in_text_or_json() {
    let forged = "x\n2026-11-24T08:32:15.000000000Z CRITICAL forged\r\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}1A\u{202e}gpj\u{2066}\u{2028}{\"kind\":\"finding\"}";
    let bytes = [b"/tmp/x\0".as_slice(), forged.as_bytes(), b"\0after NUL\xff\0"].concat();
    let scene = in_pod(Exec { args: args(&bytes), ..usual() });
    let finding = &scene.findings()[0];

    let summary = summary(&clock(), &scene.attributed(), finding);
    let text = stdout::text(&summary, false);
    assert!(!text.chars().any(is_hidden), "{text:?}");
    insta::assert_snapshot!("hostile.txt", text);

    let line = scene.line(Some(finding));
    let args = line.split(r#""args":"#).nth(1).and_then(|rest| rest.split(r#","args_truncated""#).next());
    insta::assert_snapshot!("hostile.json", args.unwrap_or(&line));
    let record = record(&line);
    assert_eq!(record["process"]["args"][1], forged, "a reader gets back what was there");
    assert_eq!(record["process"]["args"][2], "after NUL\\xff");
    assert_eq!(record["kind"], "finding");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_make_one_valid_record(
        args in prop::collection::vec(any::<u8>(), 0..6000),
        gap in any::<bool>(),
        texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 4),
        flags in any::<(u32, u32, u32)>(),
    ) {
        let (mode, device, terminal) = flags;
        let file = FileFacts { mode, device, flags: terminal, filesystem_magic: mode, ..FileFacts::default() };
        let stdio = [Descriptor { mode, device, family: 2, remote_port: 1, ..Descriptor::default() }; 3];
        let length = args.len() as u32 + u32::from(gap);
        let exec = Exec {
            args: Args { gap: gap.then_some(args.len() / 2), bytes: args, length, count: 1 },
            exe: texts[0].clone(),
            filename: texts[1].clone(),
            interpreter: texts[2].clone(),
            environment: vec![texts[3].clone()],
            file,
            stdio,
            terminal,
            ..usual()
        };
        for record in in_pod(exec).records() {
            prop_assert_eq!(complaints(&record), Vec::<String>::new());
        }
    }
}
