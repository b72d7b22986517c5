//! Scenario files: what a technique or workload needs, does, and must or must not lead to.

use anyhow::{Context as _, Result, bail};
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What a scenario is for, told by the folder that its file is in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// A technique that must be found.
    #[default]
    Attack,
    /// A workload that must stay quiet.
    Benign,
    /// What the sensor must bear.
    Input,
}

impl Class {
    const ALL: [Self; 3] = [Self::Attack, Self::Benign, Self::Input];

    fn folder(self) -> &'static str {
        match self {
            Self::Attack => "attack",
            Self::Benign => "benign",
            Self::Input => "input",
        }
    }
}

/// One scenario, read from `CLASS/ID.yaml`. Unknown keys are errors.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The same as the file name without `.yaml`.
    pub id: String,
    /// One line for people.
    pub title: String,
    /// The container to run in. Absent: only `host` runs, as a plain process of the node.
    pub container: Option<ContainerRequest>,
    /// What must exist for the scenario to make sense; otherwise it is skipped with what is missing.
    #[serde(default)]
    pub needs: Needs,
    /// Shell script on the host before the container starts; its events do not count.
    pub setup: Option<String>,
    /// The container's entrypoint. `#!/bin/sh` is put in front if it names no interpreter.
    pub script: Option<String>,
    /// Shell script on the host; with `script` it starts when the container has printed a line `ready`.
    pub host: Option<String>,
    /// A listener at 10.99.0.1 outside the container, which then gets the address 10.99.0.2.
    pub peer: Option<Peer>,
    /// Regular expressions that the output (container, host and peer together) must match: proof that the
    /// technique itself worked.
    #[serde(default)]
    pub proves: Vec<String>,
    /// How long the scripts may take; machines under emulation get a multiple of it.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u64,
    /// What the sensor must say.
    pub expect: Expect,
    /// Where it was read from.
    #[serde(skip)]
    pub path: PathBuf,
    /// What it is for.
    #[serde(skip)]
    pub class: Class,
}

fn default_timeout() -> u64 {
    30
}

/// The container of a scenario.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerRequest {
    /// Its rights.
    pub flavour: Flavour,
    /// Its files.
    #[serde(default)]
    pub image: ImageName,
    /// Writable volumes beside the root.
    #[serde(default)]
    pub volumes: Vec<Volume>,
    /// Processes that it may have; without it as many as it likes.
    pub processes: Option<u32>,
    /// How its cgroup is named.
    #[serde(default)]
    pub cgroup: CgroupForm,
    /// Where its OCI spec lies.
    #[serde(default)]
    pub bundle: BundlePlace,
    /// `false`: only the bundle is made, `host` starts it itself.
    #[serde(default = "yes")]
    pub start: bool,
}

fn yes() -> bool {
    true
}

/// The container flavours, from a default pod to a plain process of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Flavour {
    /// Default capabilities, root, own namespaces, masked paths.
    #[serde(rename = "u")]
    Default,
    /// Uid 65532, no capabilities, `no_new_privs`.
    #[serde(rename = "n")]
    Restricted,
    /// As `u` with uid 1000 and without `no_new_privs`.
    #[serde(rename = "u-uid1000")]
    User,
    /// All capabilities and devices, nothing masked.
    #[serde(rename = "p")]
    Privileged,
    /// As `p`, in the host's pid namespace.
    #[serde(rename = "ph")]
    PrivilegedHostPid,
    /// As `u`, with the host's root writable at `/host`.
    #[serde(rename = "hostfs")]
    HostRoot,
    /// As `u`, in the host's network namespace.
    #[serde(rename = "hn")]
    HostNetwork,
}

/// The images that the runner builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageName {
    /// The host's own shell, coreutils, Python, Perl and apt.
    #[default]
    Debian,
    /// Busybox with one hard link an applet.
    Busybox,
    /// `debian` and the host's Java, if it has one.
    Java,
    /// `debian` and the host's Node.js, if it has one.
    Node,
    /// `debian` and the host's nginx and redis, if it has them.
    Servers,
}

/// A writable volume, like an emptyDir.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Mount point in the container.
    pub path: PathBuf,
    /// What it is made of.
    #[serde(default)]
    pub medium: Medium,
}

/// What a volume is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Medium {
    /// A folder of the node's disk.
    #[default]
    Disk,
    /// A tmpfs, as with `medium: Memory`.
    Memory,
}

/// How the kubelet names the container's cgroup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CgroupForm {
    /// `/kubepods/besteffort/pod<uid>/<container>`
    #[default]
    Cgroupfs,
    /// `/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod<uid>.slice/cri-containerd-<container>.scope`
    Systemd,
}

/// Where the OCI spec lies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BundlePlace {
    /// In the work folder; the runtime's state under /run/runc names it.
    #[default]
    Plain,
    /// Where containerd puts it.
    Containerd,
}

/// What must exist.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    /// Programs on the host.
    #[serde(default)]
    pub host: Vec<String>,
    /// Programs in the container's image.
    #[serde(default)]
    pub image: Vec<String>,
    /// Hooks of the sensor, by the names that `stride-sensor doctor` gives them. One that is not attached here, as its
    /// metric says, makes the scenario impossible.
    #[serde(default)]
    pub hooks: Vec<String>,
    /// The scenario changes the node itself, if only for a moment: it is run only on a machine that is thrown away.
    #[serde(default)]
    pub throwaway: bool,
    /// A setting of the kernel that the scenario changes: two that change the same one do not run at the same time.
    pub knob: Option<String>,
    /// It changes what others rely on, such as the clock: it runs while no other does.
    #[serde(default)]
    pub alone: bool,
    /// Shell script on the host; when it fails, the scenario is skipped and its output is the reason.
    pub probe: Option<String>,
}

/// The other end of the container's network.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Shell script in the peer's network namespace, stopped at the end.
    pub script: String,
    /// The TCP port it listens on; the container starts when it does.
    pub port: u16,
}

/// What the sensor must say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Each must be reported, of the right container and pod.
    #[serde(default)]
    pub findings: Vec<ExpectedFinding>,
    /// Records of other kinds that must be in the event log.
    #[serde(default)]
    pub events: Vec<ExpectedEvents>,
    /// Findings that may come beside the expected ones although they are high or critical.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Findings that must not come.
    #[serde(default)]
    pub absent: Vec<String>,
    /// No finding may be more severe. Required of benign workloads; attacks have `allow` instead.
    pub max_severity: Option<Severity>,
}

/// A finding that must be reported.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedFinding {
    /// Id of the detection.
    pub id: String,
    /// The severity, or several of which one must hold.
    pub severity: OneOrMore<Severity>,
    /// Path in the record (`process.exe`, `finding.evidence.layer`) to what must be there.
    #[serde(default)]
    pub evidence: BTreeMap<String, Pattern>,
    /// The same, of what only hooks inside the kernel see: not looked for where the record's `event.rung` is
    /// `system_call`.
    #[serde(default)]
    pub kernel_evidence: BTreeMap<String, Pattern>,
    /// It is of a process of the host, not of the scenario's container.
    #[serde(default)]
    pub host: bool,
    /// At least so many findings like this.
    #[serde(default = "one")]
    pub count: usize,
}

fn one() -> usize {
    1
}

/// Records of the event log that must be there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedEvents {
    /// `exec`, `exit`, ...
    pub kind: String,
    /// Path in the record to what must be there.
    #[serde(rename = "match", default)]
    pub matching: BTreeMap<String, Pattern>,
    /// Exactly so many. Absent: at least one.
    pub count: Option<usize>,
}

/// A single value or a list.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum OneOrMore<T> {
    /// `high`
    One(T),
    /// `[medium, high]`
    More(Vec<T>),
}

impl<T> OneOrMore<T> {
    /// All values.
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::More(values) => values,
        }
    }
}

/// Severities, in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

/// What a value in a record must be.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Pattern {
    /// `{regex: ...}` or `{exists: ...}`
    Condition(Condition),
    /// This very value; of a list in the record, one element must be it.
    Exact(Value),
}

/// A condition on a value.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Condition {
    /// A regular expression on the text; of a list, on one element.
    Regex(#[serde(deserialize_with = "regex")] Regex),
    /// Whether it is there and not null.
    Exists(bool),
    /// A list of at least so many elements, or a number at least as large.
    AtLeast(f64),
}

fn regex<'de, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Regex, D::Error> {
    let text = String::deserialize(deserializer)?;
    Regex::new(&text).map_err(serde::de::Error::custom)
}

/// Reads all scenarios below `folder`, sorted by path. All broken files are reported at once.
pub fn read_all(folder: &Path) -> Result<Vec<Scenario>> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    let mut problems = String::new();
    for class in Class::ALL {
        let folder = folder.join(class.folder());
        let entries =
            std::fs::read_dir(&folder).with_context(|| format!("scenario folder {}", folder.display()))?;
        let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
        paths.sort();
        for path in paths {
            match read(&path, class) {
                Ok(scenario) => scenarios.push(scenario),
                Err(error) => _ = writeln!(problems, "{error:#}"),
            }
        }
    }
    if !problems.is_empty() {
        bail!("broken scenario files:\n{problems}");
    }
    Ok(scenarios)
}

/// Reads one scenario; errors begin with the file's path and name the line.
pub fn read(path: &Path, class: Class) -> Result<Scenario> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mut scenario = parse(&text).with_context(|| path.display().to_string())?;
    let stem = path.file_stem().unwrap_or_default();
    if stem != scenario.id.as_str() {
        bail!("{}: the id `{}` must be the file's name", path.display(), scenario.id);
    }
    if class == Class::Benign && scenario.expect.max_severity.is_none() {
        bail!("{}: a benign workload needs `expect.max_severity`", path.display());
    }
    scenario.path = path.to_path_buf();
    scenario.class = class;
    Ok(scenario)
}

pub fn parse(text: &str) -> Result<Scenario> {
    let scenario: Scenario = serde_saphyr::from_str(text)?;
    for pattern in &scenario.proves {
        Regex::new(pattern).with_context(|| format!("`proves`: {pattern}"))?;
    }
    match &scenario.container {
        Some(container) if container.start && scenario.script.is_none() => {
            bail!("a container that starts needs a `script`")
        }
        None if scenario.host.is_none() => bail!("without `container` there must be a `host` script"),
        None if scenario.script.is_some() || scenario.peer.is_some() => {
            bail!("`script` and `peer` need a `container`")
        }
        _ => Ok(scenario),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "id: x\ntitle: X\ncontainer: {flavour: u}\nscript: 'true'\nexpect:\n  findings:\n  - id: drift-exec\n    severity: [medium, high]\n    evidence: {process.exe: /tmp/x, process.args: {regex: '^a'}}\n";

    #[test]
    fn a_scenario_is_read() {
        let scenario = parse(GOOD).unwrap();
        assert_eq!(scenario.container.unwrap().flavour, Flavour::Default);
        let finding = &scenario.expect.findings[0];
        assert_eq!(finding.severity.as_slice(), [Severity::Medium, Severity::High]);
        assert!(matches!(&finding.evidence["process.exe"], Pattern::Exact(value) if value == "/tmp/x"));
        assert!(matches!(&finding.evidence["process.args"], Pattern::Condition(Condition::Regex(_))));
    }

    #[test]
    fn unknown_keys_are_errors_with_the_line() {
        let error = format!("{:#}", parse(&format!("{GOOD}evidense: 1\n")).unwrap_err());
        assert!(error.contains("evidense") && error.contains("10"), "{error}");
    }

    #[test]
    fn a_scenario_without_anything_to_run_is_an_error() {
        assert!(parse("id: x\ntitle: X\nexpect: {}\n").is_err());
        assert!(parse("id: x\ntitle: X\ncontainer: {flavour: u}\nexpect: {}\n").is_err());
    }

    #[test]
    fn every_scenario_of_the_repository_is_valid() {
        let scenarios = read_all(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios"))).unwrap();
        assert!(scenarios.len() > 20);
    }
}
