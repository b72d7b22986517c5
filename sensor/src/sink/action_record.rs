//! The `event` part of an action's record.

use sensor_ebpf::abi::{OPEN_VALUE_FLAGS, OPEN_VALUE_MODE, PTRACE_VALUE_MODE, VALUE_USER_NAMESPACE_LEVEL};
use serde_json::{Map, Value, json};

use super::record::{credentials, file_part, identity, namespaces};
use crate::action::{Action, ActionFile};
use crate::attribute::ActionFacts;
use crate::event::EventKind;
use crate::judge::action_facts::{NAMESPACE_FLAGS, file_type};
use crate::text::lossless;

/// Adds what an action's record says beyond its subject.
pub fn action_event(part: &mut Map<String, Value>, action: &Action, facts: Option<&ActionFacts>) {
    let subject = &action.subject;
    if let Some(rung) = subject.rung() {
        part.insert("rung".into(), rung.name().into());
    }
    if let Some(result) = action.result {
        part.insert("result".into(), result.into());
    }
    if !action.text.is_empty() {
        part.insert("text".into(), lossless(&action.text).into());
    }
    if subject.is_compat() {
        part.insert("compat".into(), true.into());
    }
    part.insert("subject".into(), subject_part(action));
    let host_path = facts.and_then(|facts| facts.host_path.as_deref());
    let other_host_path = facts.and_then(|facts| facts.other_host_path.as_deref());
    for (name, file, host_path) in
        [("file", &action.file, host_path), ("other_file", &action.other_file, other_host_path)]
    {
        if let Some(file) = file {
            part.insert(name.into(), file_with_path(file, host_path));
        }
    }
    if let Some(target) = action.target {
        part.insert("target".into(), target_part(action, target, facts));
    }
    kind_part(part, action);
}

/// What the acting thread was allowed to do at that moment.
fn subject_part(action: &Action) -> Value {
    let subject = &action.subject;
    let mut part = Map::new();
    part.insert("thread_id".into(), subject.thread_id.into());
    part.insert("namespaces".into(), namespaces(&subject.namespaces));
    part.insert("user_namespace_level".into(), subject.user_namespace_level.into());
    part.insert("seccomp_mode".into(), subject.seccomp_mode.into());
    part.insert("no_new_privileges".into(), subject.no_new_privileges().into());
    credentials(&mut part, &subject.credentials);
    Value::Object(part)
}

fn file_with_path(file: &ActionFile, host_path: Option<&[u8]>) -> Value {
    let mut part = file_part(&file.facts);
    if let Some(part) = part.as_object_mut() {
        part.insert("path".into(), lossless(&file.path).into());
        part.insert("type".into(), file_type(file).into());
        if let Some(path) = host_path {
            part.insert("host_path".into(), lossless(path).into());
        }
    }
    part
}

fn target_part(action: &Action, target: crate::event::ProcessKey, facts: Option<&ActionFacts>) -> Value {
    let mut part = Map::new();
    part.insert("id".into(), identity(target).into());
    part.insert("pid".into(), target.pid.into());
    if let Some(image) = facts.and_then(|facts| facts.target.as_ref()) {
        part.insert("name".into(), lossless(&image.command).into());
        part.insert("exe".into(), lossless(&image.exe).into());
    }
    let container = facts.and_then(|facts| facts.target_container.as_ref());
    part.insert("container_id".into(), container.map_or(Value::Null, |handle| (*handle.id).into()));
    part.insert("namespaces".into(), namespaces(&action.target_namespaces));
    credentials(&mut part, &action.target_credentials);
    Value::Object(part)
}

/// What the numbers mean for each kind.
fn kind_part(part: &mut Map<String, Value>, action: &Action) {
    let values = &action.values;
    match action.kind {
        EventKind::FileOpen => {
            part.insert("open_flags".into(), values[OPEN_VALUE_FLAGS].into());
            part.insert("write".into(), (values[OPEN_VALUE_MODE] & 2 != 0).into());
        }
        EventKind::NamespaceSwitch => {
            let changed = values[0];
            let names: Vec<&str> = NAMESPACE_FLAGS
                .iter()
                .filter(|(flag, _)| changed & flag != 0)
                .map(|(_, name)| *name)
                .collect();
            part.insert("changed".into(), names.into());
            part.insert("new_namespaces".into(), namespaces(&action.target_namespaces));
        }
        EventKind::CredentialChange => {
            let mut new = Map::new();
            credentials(&mut new, &action.target_credentials);
            new.insert("user_namespace".into(), action.target_namespaces.user.into());
            new.insert("user_namespace_level".into(), values[VALUE_USER_NAMESPACE_LEVEL].into());
            part.insert("new_credentials".into(), Value::Object(new));
        }
        EventKind::Ptrace => {
            part.insert("mode".into(), json!(values[PTRACE_VALUE_MODE]));
        }
        _ => {}
    }
}
