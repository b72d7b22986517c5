//! The one JSON form of findings and events: the schema that the forensic log, standard output and exporters share.
//!
//! Described by docs/schema/record.schema.json. Texts of the monitored processes go through [`crate::text::lossless`].

use serde_json::{Map, Value, json};

use crate::attribute::{Ancestor, Attributed, Image, Process};
use crate::capability;
use crate::clock::Clock;
use crate::event::{Args, Body, Descriptor, Event, Exec, FileFacts, FileFactsExt, Namespaces, ProcessKey};
use crate::judge::Finding;
use crate::text::{lossless, printable, to_json};

use super::FindingSummary;

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
    record.insert("schema".into(), SCHEMA_VERSION.into());
    record.insert("time".into(), clock.event_time(event.time).into());
    record.insert("node".into(), origin.node.as_str().into());
    record.insert("boot_id".into(), origin.boot_id.as_str().into());
    record.insert("sequence".into(), sequence.into());
    let kind = if finding.is_some() { "finding" } else { event.kind().name() };
    record.insert("kind".into(), kind.into());
    if let Some(finding) = finding {
        record.insert("finding".into(), finding_part(finding));
    }
    if let Some(key) = process_of(event) {
        record.insert("process".into(), process_part(clock, attributed, key));
    }
    if let Some(handle) = attributed.container {
        let (container, pod) = container_part(handle);
        record.insert("container".into(), container);
        if let Some(pod) = pod {
            record.insert("pod".into(), pod);
        }
    }
    record.insert("attribution".into(), attributed.attribution.name().into());
    record.insert("event".into(), event_part(attributed));
    to_json(&record)
}

fn finding_part(finding: &Finding) -> Value {
    json!({
        "id": finding.id,
        "title": finding.title,
        "judge": finding.judge.name(),
        "severity": finding.severity.name(),
        "stride": finding.stride.iter().map(|stride| stride.name()).collect::<Vec<_>>(),
        "attack": finding.attack_json(),
        "ms_threat_matrix": finding.ms_threat_matrix_json(),
        "threat_source": finding.threat_source.iter().map(|source| source.name()).collect::<Vec<_>>(),
        "rule": finding.rule,
        "message": finding.message,
        "evidence": finding.evidence,
    })
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

fn container_part(handle: &crate::attribute::ContainerHandle) -> (Value, Option<Value>) {
    let Some(container) = handle.container() else {
        return (json!({ "id": &*handle.id }), None);
    };
    let part = json!({
        "id": &*handle.id,
        "name": container.name,
        "image": container.image,
        "image_digest": container.image_digest,
        "runtime": container.runtime.name(),
        "privileged": container.privileged,
    });
    let pod = container
        .pod
        .as_ref()
        .map(|pod| json!({ "namespace": pod.namespace, "name": pod.name, "uid": pod.uid }));
    (part, pod)
}

/// The process an event is about; `None` for events of the kernel itself.
fn process_of(event: &Event) -> Option<ProcessKey> {
    match &event.body {
        Body::Fork(fork) => Some(fork.child),
        Body::Exec(exec) => Some(exec.key()),
        Body::Exit(exit) => Some(exit.process),
        Body::CgroupCreate(_) | Body::CgroupRemove(_) => None,
    }
}

/// What the event says of its process, and what the table does if it has the process.
fn process_part(clock: &Clock, attributed: &Attributed<'_>, key: ProcessKey) -> Value {
    let mut part = Map::new();
    part.insert("id".into(), identity(key).into());
    part.insert("pid".into(), key.pid.into());
    part.insert("start_time".into(), clock.start_time(key.start_time).into());
    match (&attributed.event.body, attributed.process) {
        (Body::Exec(exec), _) => exec_fields(&mut part, exec),
        (_, Some(process)) => image_fields(&mut part, &process.image),
        (_, None) => {}
    }
    if let Some(process) = attributed.process {
        table_fields(&mut part, clock, process);
    }
    Value::Object(part)
}

fn table_fields(part: &mut Map<String, Value>, clock: &Clock, process: &Process) {
    part.insert("parent_pid".into(), process.parent.pid.into());
    part.insert("namespace_pid".into(), process.namespace_pid.into());
    part.insert("runtime_role".into(), process.role.name().into());
    part.insert("cgroup_id".into(), process.cgroup_id.to_string().into());
    part.insert("namespaces".into(), namespaces(&process.namespaces));
    if let Some(session) = &process.session {
        let mut program = Map::new();
        program.insert("pid".into(), session.key.map(|key| key.pid).into());
        args_fields(&mut program, &session.args);
        part.insert("exec_session".into(), program.into());
    }
    let ancestors = process.ancestors.iter().map(|ancestor| ancestor_part(clock, ancestor));
    part.insert("ancestors".into(), ancestors.collect());
}

/// Number and start time as one text, unique on this boot.
fn identity(key: ProcessKey) -> String {
    format!("{}-{}", key.pid, key.start_time)
}

fn exec_fields(part: &mut Map<String, Value>, exec: &Exec) {
    part.insert("exe".into(), lossless(&exec.exe).into());
    part.insert("name".into(), lossless(&exec.command).into());
    args_fields(part, &exec.args);
    part.insert("args_length".into(), exec.args.length.into());
    part.insert("args_count".into(), exec.args.count.into());
    part.insert("cwd".into(), lossless(&exec.cwd).into());
    credentials(part, &exec.credentials);
    part.insert("user_namespace_level".into(), exec.user_namespace_level.into());
    part.insert("session_id".into(), exec.session_id.into());
    part.insert("terminal".into(), terminal(exec.terminal).into());
    part.insert("login_uid".into(), (exec.login_uid != u32::MAX).then_some(exec.login_uid).into());
    part.insert(
        "audit_session".into(),
        (exec.audit_session != u32::MAX).then_some(exec.audit_session).into(),
    );
    part.insert("seccomp_mode".into(), exec.seccomp_mode.into());
    part.insert("no_new_privileges".into(), exec.no_new_privileges.into());
}

fn image_fields(part: &mut Map<String, Value>, image: &Image) {
    part.insert("exe".into(), lossless(&image.exe).into());
    part.insert("name".into(), lossless(&image.command).into());
    args_fields(part, &image.args);
    credentials(part, &image.credentials);
}

fn credentials(part: &mut Map<String, Value>, credentials: &crate::event::Credentials) {
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
        part.insert(name.into(), id.into());
    }
    let set = |set: u64| -> Value { capability::names(set).collect::<Vec<_>>().into() };
    part.insert(
        "capabilities".into(),
        json!({
            "inheritable": set(credentials.inheritable),
            "permitted": set(credentials.permitted),
            "effective": set(credentials.effective),
            "bounding": set(credentials.bounding),
            "ambient": set(credentials.ambient),
        }),
    );
}

fn args_fields(part: &mut Map<String, Value>, args: &Args) {
    let (shown, cut) = shown_args(args);
    part.insert("args".into(), shown.into());
    part.insert("args_truncated".into(), (cut || args.truncated()).into());
}

/// Arguments as texts, and whether some had to be left out here. Head and tail are both shown: what matters may stand
/// at either end.
fn shown_args(args: &Args) -> (Vec<Value>, bool) {
    if args.bytes.len() <= ARGS_SHOWN {
        return (args.iter().map(|arg| lossless(arg).into()).collect(), false);
    }
    let half = ARGS_SHOWN / 2;
    let head = &args.bytes[..half];
    let tail = &args.bytes[args.bytes.len() - half..];
    let tail = tail.strip_suffix(&[0]).unwrap_or(tail);
    let mut shown: Vec<Value> = head.split(|&byte| byte == 0).map(|arg| lossless(arg).into()).collect();
    shown.push("[...]".into());
    shown.extend(tail.split(|&byte| byte == 0).map(|arg| Value::from(lossless(arg))));
    (shown, true)
}

fn ancestor_part(clock: &Clock, ancestor: &Ancestor) -> Value {
    let mut part = Map::new();
    part.insert("id".into(), identity(ancestor.key).into());
    part.insert("pid".into(), ancestor.key.pid.into());
    part.insert("start_time".into(), clock.start_time(ancestor.key.start_time).into());
    part.insert("exe".into(), lossless(&ancestor.image.exe).into());
    part.insert("name".into(), lossless(&ancestor.image.command).into());
    args_fields(&mut part, &ancestor.image.args);
    Value::Object(part)
}

fn namespaces(namespaces: &Namespaces) -> Value {
    json!({
        "mount": namespaces.mount,
        "pid": namespaces.pid,
        "network": namespaces.network,
        "ipc": namespaces.ipc,
        "uts": namespaces.uts,
        "cgroup": namespaces.cgroup,
        "time": namespaces.time,
        "user": namespaces.user,
    })
}

fn event_part(attributed: &Attributed<'_>) -> Value {
    let event = attributed.event;
    let mut part = Map::new();
    part.insert("type".into(), event.kind().name().into());
    if event.read_failed {
        part.insert("read_failed".into(), true.into());
    }
    match &event.body {
        Body::Fork(fork) => {
            part.insert("creator".into(), identity(fork.creator).into());
            part.insert("uid".into(), fork.uid.into());
        }
        Body::Exit(exit) => {
            part.insert("exit_code".into(), (exit.status >> 8 & 0xff).into());
            part.insert("signal".into(), (exit.status & 0x7f).into());
        }
        Body::CgroupCreate(cgroup) | Body::CgroupRemove(cgroup) => {
            part.insert("cgroup_id".into(), cgroup.id.to_string().into());
            part.insert("hierarchy".into(), cgroup.hierarchy.into());
            part.insert("path".into(), lossless(&cgroup.path).into());
        }
        Body::Exec(exec) => exec_event(&mut part, attributed, exec),
    }
    Value::Object(part)
}

fn exec_event(part: &mut Map<String, Value>, attributed: &Attributed<'_>, exec: &Exec) {
    part.insert("filename".into(), lossless(&exec.filename).into());
    if exec.is_script() {
        part.insert("interpreter".into(), lossless(&exec.interpreter).into());
        part.insert("script".into(), lossless(&exec.script_path()).into());
    }
    part.insert("file".into(), file_part(&exec.file));
    part.insert("stdio".into(), exec.stdio.iter().map(descriptor).collect());
    if exec.old_thread_id != exec.pid {
        part.insert("old_thread_id".into(), exec.old_thread_id.into());
    }
    part.insert("secure".into(), exec.secure.into());
    if !exec.environment.is_empty() {
        let variables: Vec<Value> =
            exec.environment.iter().map(|variable| lossless(variable).into()).collect();
        part.insert("environment".into(), variables.into());
    }
    if exec.environment_truncated {
        part.insert("environment_truncated".into(), true.into());
    }
    if exec.cwd_truncated {
        part.insert("cwd_truncated".into(), true.into());
    }
    if exec.cwd_outside_root {
        part.insert("cwd_outside_root".into(), true.into());
    }
    if let Some(facts) = &attributed.exec {
        part.insert("entry".into(), facts.entry.name().into());
        part.insert("drift".into(), facts.drift.name().into());
    }
}

fn file_part(file: &FileFacts) -> Value {
    let layer = match (file.is_upper(), file.is_lower()) {
        (true, _) => "upper",
        (_, true) => "lower",
        _ => "none",
    };
    json!({
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
        "no_parent": file.has_no_parent(),
        "outside_root": file.outside_root(),
        "path_truncated": file.path_truncated(),
    })
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

fn descriptor(descriptor: &Descriptor) -> Value {
    let mut part = Map::new();
    part.insert("type".into(), crate::attribute::stdio::kind(descriptor).into());
    if descriptor.mode != 0 {
        part.insert("inode".into(), descriptor.inode.to_string().into());
    }
    if let Some(peer) = crate::attribute::stdio::Peer::of(descriptor) {
        part.insert("local".into(), peer.local.to_string().into());
        part.insert("remote".into(), peer.remote.to_string().into());
    }
    Value::Object(part)
}

#[cfg(test)]
mod tests;
