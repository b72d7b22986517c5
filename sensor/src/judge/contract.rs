//! The contract judge: is a process still inside what its container was given?
//!
//! It needs no signature. The OCI spec and the state at the container's first program say what is allowed; every event
//! of a process born in the container shows what is. What it concludes are facts that rules name as `contract.*`.

use std::sync::Arc;

use crate::attribute::known::KnownCredentials;
use crate::attribute::sweep;
use crate::attribute::{Attributed, Baseline, ContainerHandle, Entry, RuntimeRole};
use crate::capability;
use crate::event::{Body, Credentials, EventKind, Namespaces, ProcessKey};
use crate::namespace::{NAMESPACE_KINDS, NamespaceKind};

/// Processes whose breaches are remembered, so that each is told once.
const TOLD_MAX: usize = 4096;

/// Of an event that tells of none.
static NO_CREDENTIALS: Credentials = Credentials {
    uid: 0,
    gid: 0,
    euid: 0,
    egid: 0,
    suid: 0,
    sgid: 0,
    fsuid: 0,
    fsgid: 0,
    inheritable: 0,
    permitted: 0,
    effective: 0,
    bounding: 0,
    ambient: 0,
};

/// What of a contract is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clause {
    /// A namespace is the host's or another container's, though it was not given.
    Namespace(&'static str),
    /// The process left its container's cgroup.
    Cgroup,
    /// It is nearer to the initial user namespace than its container.
    UserNamespaceLevel,
    /// It holds capabilities beyond the spec's bounding set.
    Capabilities,
    /// It runs without the seccomp filter that its container started with.
    Seccomp,
    /// It runs without no_new_privs, which its container started with.
    NoNewPrivileges,
    /// It runs without a security label, which its container's spec names.
    SecurityLabel,
    /// Its root folder is the host's.
    Root,
    /// It holds credentials that nothing which was seen of it explains.
    Credentials,
}

impl Clause {
    /// The name used in rules and evidence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Namespace(kind) => kind,
            Self::Cgroup => "cgroup",
            Self::UserNamespaceLevel => "user_namespace_level",
            Self::Capabilities => "capabilities",
            Self::Seccomp => "seccomp",
            Self::NoNewPrivileges => "no_new_privileges",
            Self::SecurityLabel => "security_label",
            Self::Root => "root",
            Self::Credentials => "credentials",
        }
    }

    fn bit(self) -> u32 {
        match self {
            Self::Namespace(kind) => {
                1 << (8 + NAMESPACE_KINDS.iter().position(|known| known.clause == kind).unwrap_or(0))
            }
            Self::Cgroup => 1,
            Self::UserNamespaceLevel => 1 << 1,
            Self::Capabilities => 1 << 2,
            Self::Seccomp => 1 << 3,
            Self::NoNewPrivileges => 1 << 4,
            Self::SecurityLabel => 1 << 7,
            Self::Root => 1 << 5,
            Self::Credentials => 1 << 6,
        }
    }
}

/// One breach: what the contract allows, and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The clause.
    pub clause: Clause,
    /// What the contract says.
    pub allowed: String,
    /// What was found.
    pub found: String,
}

/// The judge.
#[derive(Default)]
pub struct ContractJudge {
    host: HostStanding,
    told: foldhash::HashMap<ProcessKey, u32>,
    breaches: Vec<Breach>,
}

/// Where the host's own processes stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostStanding {
    /// Their namespaces, 0 where not known.
    pub namespaces: Namespaces,
    /// Inode number and device of their root folder, 0 where not known.
    pub root: (u64, u32),
}

/// What a process is at an event; `None` where the event does not tell.
struct Standing<'a> {
    key: ProcessKey,
    namespaces: Namespaces,
    namespaces_only: bool,
    credentials: &'a Credentials,
    exceeded: Option<&'a KnownCredentials>,
    user_namespace_level: u32,
    seccomp_mode: u32,
    no_new_privileges: bool,
    root: (u64, u32),
}

impl ContractJudge {
    /// A judge on a node whose own processes stand there.
    pub fn new(host: HostStanding) -> Self {
        Self { host, ..Self::default() }
    }

    /// Compares a process with its container's contract; gives the breaches that were not told of it before. A new
    /// program is told again, since it runs outside the contract too.
    pub fn judge(&mut self, attributed: &Attributed<'_>) -> &[Breach] {
        self.breaches.clear();
        let Some((container, standing)) = subject(attributed) else { return &self.breaches };
        self.against_baseline(attributed, container, &standing);
        self.unexplained(&standing);
        self.against_spec(attributed, container, &standing);
        if self.breaches.is_empty() {
            return &self.breaches;
        }
        if self.told.len() >= TOLD_MAX {
            // Under a flood of breaches telling some twice is better than telling some never.
            self.told.clear();
        }
        let told = self.told.entry(standing.key).or_default();
        if attributed.exec.is_some() {
            *told = 0;
        }
        let before = *told;
        self.breaches.retain(|breach| before & breach.clause.bit() == 0);
        *told |= self.breaches.iter().fold(0, |bits, breach| bits | breach.clause.bit());
        &self.breaches
    }

    fn against_baseline(
        &mut self,
        attributed: &Attributed<'_>,
        container: &ContainerHandle,
        standing: &Standing<'_>,
    ) {
        let Some(baseline) = container.baseline() else { return };
        for NamespaceKind { clause, of: pick, .. } in NAMESPACE_KINDS {
            let (given, now, host) =
                (pick(&baseline.namespaces), pick(&standing.namespaces), pick(&self.host.namespaces));
            if given == 0 || now == 0 || now == given {
                continue;
            }
            let whose = if now == host {
                "the host's".to_owned()
            } else if let Some(other) = attributed.namespace_owner(now) {
                format!("that of container {}", &other.id[..other.id.len().min(12)])
            } else {
                // One that the process made for itself.
                continue;
            };
            self.broken(Clause::Namespace(clause), given.to_string(), format!("{now}, {whose}"));
        }
        self.weakened(baseline, standing);
        if let Some(elsewhere) = &attributed.left_cgroup {
            let allowed = format!("cgroup {} and what is in it", container.cgroup_id);
            self.broken(Clause::Cgroup, allowed, elsewhere.clone());
        }
    }

    fn weakened(&mut self, baseline: &Baseline, standing: &Standing<'_>) {
        if standing.namespaces_only {
            return;
        }
        let root = self.host.root;
        if root.0 != 0 && standing.root == root && baseline.root != root {
            let number = |(inode, device): (u64, u32)| {
                format!("inode {inode} of device {}:{}", device >> 20, device & 0xf_ffff)
            };
            self.broken(Clause::Root, number(baseline.root), format!("{}, the host's", number(root)));
        }
        if standing.user_namespace_level < baseline.user_namespace_level {
            self.broken(
                Clause::UserNamespaceLevel,
                baseline.user_namespace_level.to_string(),
                standing.user_namespace_level.to_string(),
            );
        }
        if baseline.seccomp_mode == 2 && standing.seccomp_mode == 0 {
            self.broken(Clause::Seccomp, "filter".to_owned(), "none".to_owned());
        }
        if baseline.no_new_privileges && !standing.no_new_privileges {
            self.broken(Clause::NoNewPrivileges, "set".to_owned(), "not set".to_owned());
        }
    }

    /// Credentials beyond what the process can have come to, by what was seen of it.
    fn unexplained(&mut self, standing: &Standing<'_>) {
        let Some(known) = standing.exceeded else { return };
        let text = |held: &Credentials| {
            let Credentials { uid, euid, permitted, .. } = held;
            format!("uid {uid} euid {euid} capabilities {}", names(*permitted))
        };
        self.broken(Clause::Credentials, text(&known.credentials), text(standing.credentials));
    }

    fn against_spec(
        &mut self,
        attributed: &Attributed<'_>,
        container: &ContainerHandle,
        standing: &Standing<'_>,
    ) {
        let Some(spec) = container.container().map(|container| &container.spec) else { return };
        if let (Body::Action(action), Some(given)) = (&attributed.event.body, &spec.security_label)
            && action.kind == EventKind::Sweep
            && sweep::lost_its_label(container, &String::from_utf8_lossy(&action.text))
        {
            self.broken(
                Clause::SecurityLabel,
                given.clone(),
                String::from_utf8_lossy(&action.text).into_owned(),
            );
        }
        // The first program must have what the spec promised: a runtime that was tricked did not give it.
        let first = attributed.exec.as_ref().is_some_and(|exec| exec.entry == Entry::Entrypoint);
        for NamespaceKind { name, clause, of: pick, .. } in NAMESPACE_KINDS.into_iter().filter(|_| first) {
            let new = spec.namespaces.iter().any(|given| given.kind == name && given.path.is_none());
            let (now, host) = (pick(&standing.namespaces), pick(&self.host.namespaces));
            if new && now != 0 && now == host {
                self.broken(Clause::Namespace(clause), "a new one".to_owned(), format!("{now}, the host's"));
            }
        }
        // In a user namespace of its own a process holds all capabilities, over nothing.
        let own = container.baseline().map_or(self.host.namespaces.user, |baseline| baseline.namespaces.user);
        if standing.namespaces_only || standing.namespaces.user != own || !spec.has_capabilities {
            return;
        }
        let held = standing.credentials;
        let held = held.permitted | held.effective | held.inheritable | held.ambient;
        let beyond = held & !spec.capabilities.bounding;
        if beyond != 0 {
            self.broken(Clause::Capabilities, names(spec.capabilities.bounding), names(beyond));
        }
    }

    fn broken(&mut self, clause: Clause, allowed: String, found: String) {
        if self.breaches.iter().all(|breach| breach.clause != clause) {
            self.breaches.push(Breach { clause, allowed, found });
        }
    }
}

/// The process of an event and its container; `None` for processes of the host and for the runtime at work.
fn subject<'a>(attributed: &'a Attributed<'a>) -> Option<(&'a Arc<ContainerHandle>, Standing<'a>)> {
    let container = attributed.container?;
    match &attributed.event.body {
        Body::Exec(exec) => {
            if attributed.exec.as_ref().is_some_and(|facts| facts.runtime_setup) {
                return None;
            }
            let standing = Standing {
                key: exec.key(),
                namespaces: exec.namespaces,
                namespaces_only: false,
                credentials: &exec.credentials,
                exceeded: attributed.exec.as_ref().and_then(|facts| facts.exceeded.as_ref()),
                user_namespace_level: exec.user_namespace_level,
                seccomp_mode: exec.seccomp_mode,
                no_new_privileges: exec.no_new_privileges,
                root: (exec.root_inode, exec.root_device),
            };
            Some((container, standing))
        }
        Body::Action(action) => {
            if attributed.action.as_ref().is_some_and(|facts| facts.runtime_setup) {
                return None;
            }
            let subject = &action.subject;
            let mut standing = Standing {
                key: subject.process,
                namespaces: subject.namespaces,
                namespaces_only: false,
                credentials: &subject.credentials,
                exceeded: attributed.action.as_ref().and_then(|facts| facts.exceeded.as_ref()),
                user_namespace_level: subject.user_namespace_level,
                seccomp_mode: subject.seccomp_mode,
                no_new_privileges: subject.no_new_privileges(),
                root: (subject.root_inode, subject.root_device),
            };
            match action.kind {
                EventKind::NamespaceSwitch => standing.namespaces = action.target_namespaces,
                EventKind::CredentialChange => {
                    standing.credentials = &action.target_credentials;
                    standing.namespaces.user = action.target_namespaces.user;
                    standing.user_namespace_level =
                        action.values[sensor_ebpf::abi::VALUE_USER_NAMESPACE_LEVEL] as u32;
                }
                // The one who is moved, whose namespaces alone are told.
                EventKind::CgroupMove => {
                    standing.key = action.target.unwrap_or(subject.process);
                    standing.namespaces = action.target_namespaces;
                    standing.credentials = &action.target_credentials;
                    standing.namespaces_only = true;
                }
                _ => {}
            }
            Some((container, standing))
        }
        // A child that is born somewhere else: CLONE_NEW* and CLONE_INTO_CGROUP.
        Body::Fork(fork) if attributed.process.is_some_and(|process| process.role == RuntimeRole::None) => {
            let standing = Standing {
                key: fork.child,
                namespaces: fork.namespaces,
                namespaces_only: true,
                credentials: &NO_CREDENTIALS,
                exceeded: None,
                user_namespace_level: 0,
                seccomp_mode: 0,
                no_new_privileges: false,
                root: (0, 0),
            };
            Some((container, standing))
        }
        _ => None,
    }
}

fn names(set: u64) -> String {
    let names: Vec<&str> = capability::names(set).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(" ") }
}
