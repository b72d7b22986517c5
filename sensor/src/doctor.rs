//! `stride-sensor doctor`: what this node offers, which hooks hold, and which detections work.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::attribute::{AttributeOptions, Attributor, host_namespaces};
use crate::cli::Exit;
use crate::coverage::{Coverage, coverage, hook_states};
use crate::judge::rules::{RuleSet, builtin};
use crate::privileges;
use crate::probe::{Probe, ProbeOptions};

/// One hook of the report.
struct HookLine {
    name: &'static str,
    target: &'static str,
    /// The rung that holds, or why none does.
    result: Result<&'static str, String>,
    /// Why no better rung holds; empty if there is none, or none was tried.
    passed_over: String,
}

/// What was found.
pub struct Report {
    node: Vec<(&'static str, String)>,
    hooks: Vec<HookLine>,
    missing_fields: Vec<String>,
    detections: Vec<Coverage>,
    problem: Option<String>,
    /// Capabilities without which nothing can be loaded are missing.
    unprivileged: bool,
}

impl Report {
    /// Looks at this node. The hooks are attached for a moment, so that what is said of them is true.
    pub fn make() -> Self {
        let options = AttributeOptions::default();
        let host = host_namespaces(&options);
        let attributor = Attributor::new(options);
        let missing = privileges::missing(privileges::effective());
        let list = |items: Vec<&str>| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
        let mut node = vec![
            ("kernel", read("/proc/sys/kernel/osrelease")),
            ("btf", present("/sys/kernel/btf/vmlinux")),
            ("cgroups", cgroups(&attributor)),
            ("lockdown", selected(&read("/sys/kernel/security/lockdown"))),
            ("bpf_lsm", bpf_lsm(&read("/sys/kernel/security/lsm"))),
            ("runtime_state", list(attributor.containers().state_folders())),
            ("runtime_binaries", attributor.runtime().len().to_string()),
            ("capabilities_missing", list(missing.iter().map(|(name, _)| *name).collect())),
        ];
        let loaded = Probe::load(&ProbeOptions { host, ..ProbeOptions::default() });
        let (hooks, missing_fields, problem) = match &loaded {
            Ok(probe) => {
                let place = if probe.overlay_assumed { "assumed" } else { "from BTF" };
                node.push(("overlay_layout", place.to_owned()));
                let hooks = probe.hooks.iter().map(|hook| HookLine {
                    name: hook.name,
                    target: hook.target,
                    result: hook.result.clone().map(|attached| attached.rung.name()),
                    passed_over: hook.passed_over.clone(),
                });
                (hooks.collect(), probe.missing_fields.clone(), None)
            }
            Err(error) => (Vec::new(), Vec::new(), Some(error.to_string())),
        };
        let (rules, _) = RuleSet::load(builtin::sources());
        let states = loaded.as_ref().map_or(Vec::new(), |probe| hook_states(&probe.hooks));
        let detections = coverage(&rules, &states);
        let unprivileged = privileges::check().is_err();
        Self { node, hooks, missing_fields, detections, problem, unprivileged }
    }

    /// As a table.
    pub fn text(&self) -> String {
        let mut text = String::from("NODE\n");
        // Writing to a String cannot fail.
        for (name, value) in &self.node {
            let _ = writeln!(text, "  {name:<22}{value}");
        }
        text.push_str("\nHOOKS\n");
        if let Some(problem) = &self.problem {
            let _ = writeln!(text, "  none: {problem}");
        }
        for HookLine { name, target, result, passed_over } in &self.hooks {
            let state = match result {
                Ok(rung) if passed_over.is_empty() => (*rung).to_owned(),
                Ok(rung) => format!("{rung} ({passed_over})"),
                Err(reason) => format!("not attached: {reason}"),
            };
            let _ = writeln!(text, "  {name:<22}{target:<35} {state}");
        }
        if !self.missing_fields.is_empty() {
            let _ = writeln!(text, "  kernel fields missing: {}", self.missing_fields.join(", "));
        }
        text.push_str("\nDETECTIONS\n");
        for Coverage { id, state, missing, weak } in &self.detections {
            let mut lacks =
                if missing.is_empty() { String::new() } else { format!(": without {}", missing.join(", ")) };
            if !weak.is_empty() {
                let _ = write!(
                    lacks,
                    "{} by system calls only {}",
                    if lacks.is_empty() { ":" } else { ";" },
                    weak.join(", ")
                );
            }
            let _ = writeln!(text, "  {id:<34}{}{lacks}", state.name());
        }
        text
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        let hooks = self.hooks.iter().map(|HookLine { name, target, result, passed_over }| {
            json!({
                "hook": name, "target": target, "attached": result.is_ok(),
                "rung": result.as_ref().ok(), "reason": result.as_ref().err(), "passed_over": passed_over,
            })
        });
        let detections = self.detections.iter().map(|Coverage { id, state, missing, weak }| {
            json!({"id": id, "state": state.name(), "hooks_missing": missing, "hooks_weak": weak})
        });
        let node: serde_json::Map<String, Value> =
            self.node.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
        json!({
            "node": node,
            "hooks": hooks.collect::<Vec<_>>(),
            "kernel_fields_missing": self.missing_fields,
            "detections": detections.collect::<Vec<_>>(),
            "problem": self.problem,
        })
    }

    /// The exit code that tells what was found. Without privileges nothing is known of the kernel.
    pub fn exit(&self) -> Exit {
        let attached = self.hooks.iter().all(|hook| hook.result.is_ok());
        match (self.unprivileged, &self.problem) {
            (true, _) => Exit::Privileges,
            (false, None) if attached => Exit::Ok,
            (false, _) => Exit::Kernel,
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).map_or("not available".to_owned(), |text| text.trim().to_owned())
}

fn present(path: &str) -> String {
    if Path::new(path).exists() { "present" } else { "missing" }.to_owned()
}

/// The value in brackets of a list of choices.
fn selected(text: &str) -> String {
    let inner = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    inner.map_or(text, |(choice, _)| choice).to_owned()
}

fn bpf_lsm(list: &str) -> String {
    if list.split(',').any(|name| name == "bpf") { "active" } else { "not active" }.to_owned()
}

fn cgroups(attributor: &Attributor) -> String {
    match attributor.containers().cgroup_mount() {
        Some(mount) if mount == Path::new("/sys/fs/cgroup") => "v2 at /sys/fs/cgroup".to_owned(),
        Some(mount) => format!("hybrid, v2 at {}", mount.display()),
        None => "v1 only: containers are found through /proc".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coverage::DetectionState;

    fn line(
        name: &'static str,
        target: &'static str,
        result: Result<&'static str, String>,
        passed_over: &str,
    ) -> HookLine {
        HookLine { name, target, result, passed_over: passed_over.to_owned() }
    }

    #[test]
    fn a_report_names_blind_detections_and_reasons() {
        let report = Report {
            node: vec![("kernel", "6.1".to_owned())],
            hooks: vec![
                line("exec", "sched_process_exec", Err("refused".to_owned()), ""),
                line("exit", "sched_process_exit", Ok("tp_btf"), ""),
                line("ptrace", "security_ptrace_access_check", Ok("kprobe"), "fentry: not permitted"),
            ],
            missing_fields: vec!["task_struct.loginuid".to_owned()],
            detections: vec![Coverage {
                id: "drift-exec".to_owned(),
                state: DetectionState::Blind,
                missing: vec!["exec"],
                weak: vec!["bind_mount"],
            }],
            problem: None,
            unprivileged: false,
        };
        let text = report.text();
        for line in [
            "not attached: refused",
            "tp_btf",
            "task_struct.loginuid",
            "blind: without exec; by system calls only bind_mount",
            "kprobe (fentry: not permitted)",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        assert_eq!(report.exit(), Exit::Kernel);
        assert_eq!(report.json()["detections"][0]["state"], "blind");
    }

    #[test]
    fn missing_privileges_are_not_a_lack_of_the_kernel() {
        let report = |problem: Option<&str>, unprivileged| Report {
            node: Vec::new(),
            hooks: Vec::new(),
            missing_fields: Vec::new(),
            detections: Vec::new(),
            problem: problem.map(str::to_owned),
            unprivileged,
        };
        assert_eq!(report(Some("not permitted"), true).exit(), Exit::Privileges);
        assert_eq!(report(Some("no BTF"), false).exit(), Exit::Kernel);
        assert_eq!(report(None, false).exit(), Exit::Ok);
    }

    #[test]
    fn choices_and_lists_are_read() {
        assert_eq!(selected("none [integrity] confidentiality"), "integrity");
        assert_eq!(bpf_lsm("capability,landlock,bpf"), "active");
    }
}
