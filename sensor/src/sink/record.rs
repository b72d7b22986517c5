//! The one JSON form of findings and events: the schema that the forensic log, standard output and exporters share.
//!
//! Described by docs/schema/record.schema.json. Texts of the monitored processes go through [`crate::text::lossless`].

use super::action_record::action_event;
use crate::attribute::{Ancestor, Attributed, ContainerHandle, Image, Process};
use crate::clock::Clock;
use crate::event::{Args, Body, Descriptor, Event, Exec, FileFacts, FileFactsExt, Namespaces, ProcessKey};
use crate::judge::Finding;
use crate::text::{lossless, printable, to_json};
use crate::threat::{attack, kubernetes_matrix};

use super::FindingSummary;
use super::json::{Map, Value, object};

/// Version of the schema, which says when it is raised.
pub const SCHEMA_VERSION: u32 = 1;
/// Bytes of arguments that a record shows of a process; what is beyond is marked as truncated.
const ARGS_SHOWN: usize = 4096;

/// What does not change while the sensor runs.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The node's name.
    pub node: String,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// An id that no other run of the sensor has: with the sequence number it makes a record unique.
    pub run_id: String,
}

/// Serialises one record to a JSON object without a newline.
pub fn serialise(
    origin: &Origin,
    clock: &Clock,
    sequence: u64,
    attributed: &Attributed<'_>,
    finding: Option<&Finding>,
) -> Vec<u8> {
    let event = attributed.event;
    let mut record = Map::new();
    record.insert("schema", SCHEMA_VERSION.into());
    record.insert("time", clock.event_time(event.time).into());
    record.insert("node", origin.node.as_str().into());
    record.insert("boot_id", origin.boot_id.as_str().into());
    record.insert("run_id", origin.run_id.as_str().into());
    record.insert("sequence", sequence.into());
    let kind = if finding.is_some() { "finding" } else { event.kind().name() };
    record.insert("kind", kind.into());
    if let Some(finding) = finding {
        record.insert("finding", finding_part(finding).into());
    }
    if let Some(key) = process_of(event) {
        record.insert("process", process_part(clock, attributed, key).into());
    }
    if let Some(handle) = attributed.container {
        let (container, pod) = container_part(handle);
        record.insert("container", container.into());
        if let Some(pod) = pod {
            record.insert("pod", pod.into());
        }
    }
    record.insert("attribution", attributed.attribution.name().into());
    record.insert("event", event_part(attributed).into());
    to_json(&record)
}

/// The record of a finding's repeats, made of the record of the first one: the same content, and how often it came.
/// `None` if that is no record.
pub fn repeats(first: &[u8], sequence: u64, count: u64, last_time: &str) -> Option<Vec<u8>> {
    let mut record: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(first).ok()?;
    let repeats = serde_json::json!({
        "count": count,
        "first_time": record.get("time")?,
        "last_time": last_time,
        "first_sequence": record.get("sequence")?,
    });
    record.insert("kind".to_owned(), "repeats".into());
    record.insert("sequence".to_owned(), sequence.into());
    record.insert("repeats".to_owned(), repeats);
    serde_json::to_vec(&record).ok()
}

fn finding_part(finding: &Finding) -> Map<'_> {
    let mut part = object! {
        "id": finding.id.as_str(),
        "title": finding.title.as_str(),
        "judge": finding.judge.name(),
        "severity": finding.severity.name(),
        "stride": finding.stride.iter().map(|stride| stride.name()).collect::<Value<'_>>(),
        "attack": finding.attack.iter().map(|id| technique(id)).collect::<Value<'_>>(),
        "ms_threat_matrix": finding.ms_threat_matrix.iter().filter_map(|id| matrix(id)).collect::<Value<'_>>(),
        "threat_source": finding.threat_source.iter().map(|source| source.name()).collect::<Value<'_>>(),
        "rule": finding.rule.as_str(),
        "message": finding.message.as_str(),
        "evidence": Value::Other(&finding.evidence),
    };
    if let Some(entry) = &finding.trusted {
        part.insert("trusted", entry.as_str().into());
    }
    part
}

/// A technique with its name and tactics.
fn technique(id: &str) -> Map<'_> {
    let known = attack::lookup(id);
    object! {
        "id": id,
        "name": known.map(|technique| technique.name),
        "tactics": known.map_or(&[][..], |technique| technique.tactics).iter().copied().collect::<Value<'_>>(),
    }
}

/// A technique of the matrix with its name.
fn matrix(id: &str) -> Option<Map<'static>> {
    let &(id, name) = kubernetes_matrix::lookup(id)?;
    Some(object! { "id": id, "name": name })
}

/// What people and metrics need of a finding.
pub fn summary(clock: &Clock, attributed: &Attributed<'_>, finding: &Finding) -> FindingSummary {
    let process = attributed.process;
    let container = attributed.container.and_then(|handle| handle.container());
    let short = |id: &str| id.chars().take(12).collect::<String>();
    FindingSummary {
        time: clock.event_time(attributed.event.time),
        id: finding.id.clone(),
        title: finding.title.clone(),
        severity: finding.severity.name(),
        stride: finding.stride.iter().map(|stride| stride.name()).collect(),
        message: finding.message.clone(),
        pid: process.map_or(0, |process| process.key.pid),
        exe: process.map_or(String::new(), |process| printable(&process.image.exe).into_owned()),
        container: attributed.container.map(|handle| match container {
            Some(container) => printable(container.name.as_bytes()).into_owned(),
            None => short(&handle.id),
        }),
        pod: container
            .and_then(|container| container.pod.as_ref())
            .map(|pod| (pod.namespace.clone(), pod.name.clone())),
        attribution: attributed.attribution.name(),
    }
}

fn container_part(handle: &ContainerHandle) -> (Map<'_>, Option<Map<'_>>) {
    let Some(container) = handle.container() else {
        return (object! { "id": &*handle.id }, None);
    };
    let part = object! {
        "id": &*handle.id,
        "name": container.name.as_str(),
        "image": container.image.as_deref(),
        "image_digest": container.image_digest.as_deref(),
        "runtime": container.runtime.name(),
        "privileged": container.privileged,
    };
    let pod = container.pod.as_ref().map(|pod| {
        object! { "namespace": pod.namespace.as_str(), "name": pod.name.as_str(), "uid": pod.uid.as_str() }
    });
    (part, pod)
}

/// The process an event is about; `None` for events of the kernel itself.
fn process_of(event: &Event) -> Option<ProcessKey> {
    match &event.body {
        Body::Fork(fork) => Some(fork.child),
        Body::Exec(exec) => Some(exec.key()),
        Body::Exit(exit) => Some(exit.process),
        Body::Action(action) => Some(action.subject.process),
        Body::CgroupCreate(_) | Body::CgroupRemove(_) => None,
    }
}

/// What the event says of its process, and what the table does if it has the process.
fn process_part<'a>(clock: &Clock, attributed: &Attributed<'a>, key: ProcessKey) -> Map<'a> {
    let mut part = Map::new();
    part.insert("id", identity(key).into());
    part.insert("pid", key.pid.into());
    part.insert("start_time", clock.start_time(key.start_time).into());
    match (&attributed.event.body, attributed.process) {
        (Body::Exec(exec), _) => exec_fields(&mut part, exec),
        (_, Some(process)) => image_fields(&mut part, &process.image),
        (_, None) => {}
    }
    if let Some(process) = attributed.process {
        table_fields(&mut part, clock, process);
    }
    part
}

fn table_fields<'a>(part: &mut Map<'a>, clock: &Clock, process: &'a Process) {
    part.insert("parent_pid", process.parent.pid.into());
    part.insert("namespace_pid", process.namespace_pid.into());
    part.insert("runtime_role", process.role.name().into());
    part.insert("cgroup_id", process.cgroup_id.to_string().into());
    part.insert("namespaces", namespaces(&process.namespaces).into());
    if let Some(session) = &process.session {
        let mut program = Map::new();
        program.insert("pid", session.key.map(|key| key.pid).into());
        args_fields(&mut program, &session.args);
        part.insert("exec_session", program.into());
    }
    let ancestors = process.ancestors.iter().map(|ancestor| ancestor_part(clock, ancestor));
    part.insert("ancestors", ancestors.collect());
}

/// Number and start time as one text, unique on this boot.
pub(super) fn identity(key: ProcessKey) -> String {
    format!("{}-{}", key.pid, key.start_time)
}

fn exec_fields<'a>(part: &mut Map<'a>, exec: &'a Exec) {
    part.insert("exe", lossless(&exec.exe).into());
    part.insert("name", lossless(&exec.command).into());
    args_fields(part, &exec.args);
    part.insert("args_length", exec.args.length.into());
    part.insert("args_count", exec.args.count.into());
    part.insert("cwd", lossless(&exec.cwd).into());
    credentials(part, &exec.credentials);
    part.insert("user_namespace_level", exec.user_namespace_level.into());
    part.insert("session_id", exec.session_id.into());
    part.insert("terminal", terminal(exec.terminal).into());
    part.insert("login_uid", (exec.login_uid != u32::MAX).then_some(exec.login_uid).into());
    part.insert("audit_session", (exec.audit_session != u32::MAX).then_some(exec.audit_session).into());
    part.insert("seccomp_mode", exec.seccomp_mode.into());
    part.insert("no_new_privileges", exec.no_new_privileges.into());
}

fn image_fields<'a>(part: &mut Map<'a>, image: &'a Image) {
    part.insert("exe", lossless(&image.exe).into());
    part.insert("name", lossless(&image.command).into());
    args_fields(part, &image.args);
    credentials(part, &image.credentials);
}

pub(super) fn credentials(part: &mut Map<'_>, credentials: &crate::event::Credentials) {
    for (name, id) in [
        ("uid", credentials.uid),
        ("gid", credentials.gid),
        ("euid", credentials.euid),
        ("egid", credentials.egid),
        ("suid", credentials.suid),
        ("sgid", credentials.sgid),
        ("fsuid", credentials.fsuid),
        ("fsgid", credentials.fsgid),
    ] {
        part.insert(name, id.into());
    }
    let sets = object! {
        "inheritable": Value::Capabilities(credentials.inheritable),
        "permitted": Value::Capabilities(credentials.permitted),
        "effective": Value::Capabilities(credentials.effective),
        "bounding": Value::Capabilities(credentials.bounding),
        "ambient": Value::Capabilities(credentials.ambient),
    };
    part.insert("capabilities", sets.into());
}

fn args_fields<'a>(part: &mut Map<'a>, args: &'a Args) {
    let (shown, cut) = shown_args(args);
    part.insert("args", shown.into());
    part.insert("args_truncated", (cut || args.truncated()).into());
}

/// Arguments as texts, and whether some had to be left out here. Head and tail are both shown: what matters may stand
/// at either end.
fn shown_args(args: &Args) -> (Vec<Value<'_>>, bool) {
    if args.bytes.len() <= ARGS_SHOWN {
        return (args.iter().map(|arg| lossless(arg).into()).collect(), false);
    }
    let half = ARGS_SHOWN / 2;
    let head = &args.bytes[..half];
    let tail = &args.bytes[args.bytes.len() - half..];
    let tail = tail.strip_suffix(&[0]).unwrap_or(tail);
    let mut shown: Vec<Value<'_>> = head.split(|&byte| byte == 0).map(|arg| lossless(arg).into()).collect();
    shown.push("[...]".into());
    shown.extend(tail.split(|&byte| byte == 0).map(|arg| Value::from(lossless(arg))));
    (shown, true)
}

fn ancestor_part<'a>(clock: &Clock, ancestor: &'a Ancestor) -> Map<'a> {
    let mut part = Map::new();
    part.insert("id", identity(ancestor.key).into());
    part.insert("pid", ancestor.key.pid.into());
    part.insert("start_time", clock.start_time(ancestor.key.start_time).into());
    part.insert("exe", lossless(&ancestor.image.exe).into());
    part.insert("name", lossless(&ancestor.image.command).into());
    args_fields(&mut part, &ancestor.image.args);
    part
}

pub(super) fn namespaces(namespaces: &Namespaces) -> Map<'static> {
    object! {
        "mount": namespaces.mount,
        "pid": namespaces.pid,
        "network": namespaces.network,
        "ipc": namespaces.ipc,
        "uts": namespaces.uts,
        "cgroup": namespaces.cgroup,
        "time": namespaces.time,
        "user": namespaces.user,
    }
}

fn event_part<'a>(attributed: &'a Attributed<'a>) -> Map<'a> {
    let event = attributed.event;
    let mut part = Map::new();
    part.insert("type", event.kind().name().into());
    if event.read_failed {
        part.insert("read_failed", true.into());
    }
    match &event.body {
        Body::Fork(fork) => {
            part.insert("creator", identity(fork.creator).into());
            part.insert("uid", fork.uid.into());
        }
        Body::Exit(exit) => {
            part.insert("exit_code", (exit.status >> 8 & 0xff).into());
            part.insert("signal", (exit.status & 0x7f).into());
        }
        Body::CgroupCreate(cgroup) | Body::CgroupRemove(cgroup) => {
            part.insert("cgroup_id", cgroup.id.to_string().into());
            part.insert("hierarchy", cgroup.hierarchy.into());
            part.insert("path", lossless(&cgroup.path).into());
        }
        Body::Exec(exec) => exec_event(&mut part, attributed, exec),
        Body::Action(action) => action_event(&mut part, action, attributed.action.as_ref()),
    }
    part
}

fn exec_event<'a>(part: &mut Map<'a>, attributed: &Attributed<'a>, exec: &'a Exec) {
    part.insert("filename", lossless(&exec.filename).into());
    if exec.is_script() {
        part.insert("interpreter", lossless(&exec.interpreter).into());
        part.insert("script", lossless(&exec.script_path()).into_owned().into());
    }
    part.insert("file", file_part(&exec.file).into());
    part.insert("stdio", exec.stdio.iter().map(descriptor).collect());
    if exec.old_thread_id != exec.pid {
        part.insert("old_thread_id", exec.old_thread_id.into());
    }
    part.insert("secure", exec.secure.into());
    if !exec.environment.is_empty() {
        part.insert("environment", exec.environment.iter().map(|variable| lossless(variable)).collect());
    }
    if exec.environment_truncated {
        part.insert("environment_truncated", true.into());
    }
    if exec.cwd_truncated {
        part.insert("cwd_truncated", true.into());
    }
    if exec.cwd_outside_root {
        part.insert("cwd_outside_root", true.into());
    }
    if exec.cwd_foreign {
        part.insert("cwd_foreign", true.into());
    }
    if let Some(descriptor) = exec.leaked_folder {
        part.insert("leaked_folder", descriptor.into());
    }
    if let Some(facts) = &attributed.exec {
        part.insert("entry", facts.entry.name().into());
        part.insert("drift", facts.drift.name().into());
    }
}

pub(super) fn file_part(file: &FileFacts) -> Map<'static> {
    let layer = match (file.is_upper(), file.is_lower()) {
        (true, _) => "upper",
        (_, true) => "lower",
        _ => "none",
    };
    object! {
        "inode": file.inode.to_string(),
        "device": device(file.device),
        "filesystem": file.filesystem(),
        "layer": layer,
        "size": file.size,
        "mode": format!("{:04o}", file.mode & 0o7777),
        "uid": file.uid,
        "link_count": file.link_count,
        "change_time": file.change_time,
        "modify_time": file.modify_time,
        "memfd": file.is_memfd(),
        "detached_mount": file.on_detached_mount(),
        "foreign_mount": file.on_foreign_mount(),
        "unlinked": file.is_unlinked(),
        "no_parent": file.has_no_parent(),
        "outside_root": file.outside_root(),
        "path_truncated": file.path_truncated(),
    }
}

fn device(device: u32) -> String {
    format!("{}:{}", device >> 20, device & 0xf_ffff)
}

/// A terminal by its usual name.
fn terminal(number: u32) -> Option<String> {
    match (number >> 20, number & 0xf_ffff) {
        (0, 0) => None,
        (136..=143, minor) => Some(format!("pts/{}", minor + ((number >> 20) - 136) * 256)),
        (4, minor) if minor < 64 => Some(format!("tty{minor}")),
        (4, minor) => Some(format!("ttyS{}", minor - 64)),
        _ => Some(device(number)),
    }
}

fn descriptor(descriptor: &Descriptor) -> Map<'static> {
    let mut part = Map::new();
    part.insert("type", crate::attribute::stdio::kind(descriptor).into());
    if descriptor.mode != 0 {
        part.insert("inode", descriptor.inode.to_string().into());
    }
    if let Some(peer) = crate::attribute::stdio::Peer::of(descriptor) {
        part.insert("local", peer.local.to_string().into());
        part.insert("remote", peer.remote.to_string().into());
    }
    part
}

#[cfg(test)]
mod tests;
