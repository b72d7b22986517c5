//! An attributed event as rules see it: every field of the rule language, answered without allocation.

mod falco;

use std::cell::{Cell, OnceCell};
use std::io::Write;
use std::sync::Arc;

use super::action_facts::ActionView;
use super::contract::Breach;
use super::rules::{Facts, Field, Key, Value, event_types};
use super::{hosts, lookalike};
use crate::attribute::stdio::{self, Peer};
use crate::attribute::{Attributed, ContainerHandle, Entry, Image, Process, base_name, is_loader, names};
use crate::capability;
use crate::event::{Args, Body, Exec, FileFacts, FileFactsExt};

/// Texts that are put together once an event; kept between events, so that no memory is asked for.
#[derive(Default)]
pub struct Buffers {
    args: Vec<u8>,
    script: Vec<u8>,
    peer: Vec<u8>,
    parent_peer: Vec<u8>,
    device: Vec<u8>,
    allowed: Vec<u8>,
    found: Vec<u8>,
    cmdline: Cell<Vec<u8>>,
    parent_cmdline: Cell<Vec<u8>>,
    exeline: Cell<Vec<u8>>,
    flags: Cell<Vec<u8>>,
    descriptor: Cell<Vec<u8>>,
}

/// One event, as rules see it.
pub struct EventFacts<'a> {
    attributed: &'a Attributed<'a>,
    exec: Option<&'a Exec>,
    action: Option<ActionView<'a>>,
    breaches: &'a [Breach],
    parent: Option<&'a Image>,
    peer: Option<Peer>,
    parent_peer: Option<Peer>,
    buffers: &'a Buffers,
    /// Made when first asked for; no built-in rule does.
    cmdline: OnceCell<Vec<u8>>,
    parent_cmdline: OnceCell<Vec<u8>>,
    exeline: OnceCell<Vec<u8>>,
    flags: OnceCell<Vec<u8>>,
    descriptor: OnceCell<Vec<u8>>,
    /// Different names of the program and of its parent's.
    names: Names<'a>,
    parent_names: Names<'a>,
    node: &'a str,
}

/// The different names that a program goes by, at most as many as [`names`] gives. Most programs have one.
#[derive(Clone, Copy, Default)]
struct Names<'a> {
    all: [&'a [u8]; 4],
    count: usize,
}

impl<'a> Names<'a> {
    fn of(names: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut different = Self::default();
        for name in names {
            if different.count < different.all.len() && !different.iter().any(|known| known == name) {
                different.all[different.count] = name;
                different.count += 1;
            }
        }
        different
    }

    fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        self.all[..self.count].iter().copied()
    }
}

impl<'a> EventFacts<'a> {
    /// Prepares an event.
    pub fn new(
        attributed: &'a Attributed<'a>,
        breaches: &'a [Breach],
        node: &'a str,
        buffers: &'a mut Buffers,
    ) -> Self {
        let exec = match &attributed.event.body {
            Body::Exec(exec) => Some(&**exec),
            _ => None,
        };
        let parent =
            attributed.process.and_then(|process| process.ancestors.first()).map(|parent| &*parent.image);
        let peer = exec.and_then(|exec| Peer::first(&exec.stdio));
        let parent_peer = exec.and_then(|exec| Peer::first(&exec.parent_stdio));
        for buffer in [&mut buffers.args, &mut buffers.script, &mut buffers.peer, &mut buffers.parent_peer] {
            buffer.clear();
        }
        if let Some(exec) = exec {
            join(&mut buffers.args, exec.args.iter().skip(1));
            if exec.is_script() {
                buffers.script.extend_from_slice(&exec.script_path());
            }
        }
        // Writing to a Vec cannot fail.
        if let Some(peer) = peer {
            let _ = write!(buffers.peer, "{}", peer.remote);
        }
        if let Some(peer) = parent_peer {
            let _ = write!(buffers.parent_peer, "{}", peer.remote);
        }
        let action = ActionView::of(attributed);
        for buffer in [&mut buffers.device, &mut buffers.allowed, &mut buffers.found] {
            buffer.clear();
        }
        for breach in breaches {
            let name = breach.clause.name();
            let _ = write!(buffers.allowed, "{name}: {}; ", breach.allowed);
            let _ = write!(buffers.found, "{name}: {}; ", breach.found);
        }
        if let Some(image) = attributed.process.map(|process| &*process.image).filter(|_| action.is_some()) {
            join(&mut buffers.args, image.args.iter().skip(1));
        }
        if let Some(file) = action.and_then(|view| view.action().file.as_ref()) {
            let _ = write!(buffers.device, "{}:{}", file.facts.device >> 20, file.facts.device & 0xf_ffff);
        }
        let own_names = match (exec, attributed.process) {
            (Some(exec), _) => {
                let script = exec.is_script().then_some(exec.filename.as_slice());
                Names::of(names(&exec.command, &exec.exe, &exec.args, script))
            }
            (None, Some(process)) => Names::of(process.image.names()),
            (None, None) => Names::default(),
        };
        Self {
            attributed,
            exec,
            action,
            breaches,
            parent,
            peer,
            parent_peer,
            buffers,
            cmdline: OnceCell::new(),
            parent_cmdline: OnceCell::new(),
            exeline: OnceCell::new(),
            flags: OnceCell::new(),
            descriptor: OnceCell::new(),
            names: own_names,
            parent_names: parent.map(|parent| Names::of(parent.names())).unwrap_or_default(),
            node,
        }
    }

    fn process(&self) -> Option<&'a Process> {
        self.attributed.process
    }

    fn handle(&self) -> Option<&'a Arc<ContainerHandle>> {
        self.attributed.container
    }

    /// What the process runs: the exec's own program, or the one it ran at the event.
    fn image(&self) -> Option<&'a Image> {
        self.process().map(|process| &*process.image)
    }

    fn ancestor(&self, key: Option<&Key>) -> Option<&'a crate::attribute::Ancestor> {
        let Some(Key::Index(index)) = key else { return None };
        self.process()?.ancestors.get((*index as usize).checked_sub(1)?)
    }

    fn process_field(&self, field: Field, key: Option<&Key>) -> Option<Value<'_>> {
        let process = self.process()?;
        Some(match field {
            Field::ProcPid => number(process.key.pid),
            Field::ProcVpid => number(process.namespace_pid),
            Field::ProcPpid => number(process.parent.pid),
            Field::ProcName => text(&self.image()?.command),
            Field::ProcExe => text(self.image()?.args.iter().next()?),
            Field::ProcExepath => match self.exec {
                Some(exec) => text(&exec.exe),
                None => text(&self.image()?.exe),
            },
            Field::ProcDuration => {
                Value::Number(self.attributed.event.time.saturating_sub(process.key.start_time) as i64)
            }
            Field::ProcPname => text(&self.parent?.command),
            Field::ProcPexeDrift => Value::Bool(self.parent?.drift.is_drift()),
            Field::ProcPexe => text(self.parent?.args.iter().next()?),
            Field::ProcPexepath => text(&self.parent?.exe),
            Field::ProcPcmdline => {
                let parent = self.parent?;
                let buffer = &self.buffers.parent_cmdline;
                text(self.parent_cmdline.get_or_init(|| command_line(buffer, &parent.command, &parent.args)))
            }
            Field::ProcAname => text(&self.ancestor(key)?.image.command),
            Field::ProcAexepath => text(&self.ancestor(key)?.image.exe),
            Field::ProcApid => number(self.ancestor(key)?.key.pid),
            Field::ProcInExecSession => Value::Bool(process.session.is_some()),
            Field::UserUid => number(self.image()?.credentials.uid),
            Field::UserEuid => number(self.image()?.credentials.euid),
            Field::GroupGid => number(self.image()?.credentials.gid),
            _ => return None,
        })
    }

    fn contract_field(&self, field: Field) -> Option<Value<'_>> {
        let buffer = match field {
            Field::ContractAllowed => &self.buffers.allowed,
            Field::ContractFound => &self.buffers.found,
            _ => return None,
        };
        (!self.breaches.is_empty()).then(|| text(buffer.strip_suffix(b"; ").unwrap_or(buffer)))
    }

    /// Texts of actions that are put together.
    fn action_text(&self, field: Field) -> Option<Value<'_>> {
        let action = self.action?;
        Some(match field {
            Field::FileDevice => action.action().file.as_ref().map(|_| text(&self.buffers.device))?,
            Field::ProcArgs => text(&self.buffers.args),
            Field::ProcCmdline => {
                let (buffer, image) = (&self.buffers.cmdline, self.image()?);
                text(self.cmdline.get_or_init(|| command_line(buffer, &image.command, &image.args)))
            }
            _ => return None,
        })
    }

    fn exec_field(&self, field: Field, key: Option<&Key>) -> Option<Value<'_>> {
        let exec = self.exec?;
        let file = &exec.file;
        Some(match field {
            Field::ProcArgs => text(&self.buffers.args),
            Field::ProcCmdline => {
                let buffer = &self.buffers.cmdline;
                text(self.cmdline.get_or_init(|| command_line(buffer, &exec.command, &exec.args)))
            }
            Field::ProcNamesRemoteHost => Value::Bool(hosts::names_remote(exec.args.iter().skip(1))),
            Field::ProcNargs => Value::Number(exec.args.iter().count().saturating_sub(1) as i64),
            Field::ProcArgsLength => number(exec.args.length),
            Field::ProcArgsTruncated => Value::Bool(exec.args.truncated()),
            Field::ProcCwd => text(&exec.cwd),
            Field::ProcCwdForeign => Value::Bool(exec.cwd_foreign),
            Field::ProcLeakedFolder => number(exec.leaked_folder?),
            Field::ProcSid => number(exec.session_id),
            Field::ProcTty => number(exec.terminal),
            Field::ProcEnv => match key {
                Some(Key::Name(name)) => text(variable(exec, name)?),
                _ => return None,
            },
            Field::ProcIsExeUpperLayer => Value::Bool(file.is_upper()),
            Field::ProcIsExeLowerLayer => Value::Bool(file.is_lower()),
            Field::ProcIsExeFromMemfd => Value::Bool(file.is_memfd()),
            Field::ProcIsExeWritable => Value::Bool(is_writable(file)),
            Field::ProcExeIno => Value::Number(i64::try_from(file.inode).unwrap_or(i64::MAX)),
            Field::ProcStdinType => text(stdio::kind(&exec.stdio[0]).as_bytes()),
            Field::ProcStdoutType => text(stdio::kind(&exec.stdio[1]).as_bytes()),
            Field::ProcStderrType => text(stdio::kind(&exec.stdio[2]).as_bytes()),
            Field::ProcIsScript => Value::Bool(exec.is_script()),
            Field::ProcInvokedPath => text(&exec.filename),
            Field::ProcNoNewPrivileges => Value::Bool(exec.no_new_privileges),
            Field::ProcSeccomp => number(exec.seccomp_mode),
            Field::ProcStdioInet => Value::Bool(self.peer.is_some()),
            Field::ProcStdioPeer => self.peer.map(|_| text(&self.buffers.peer))?,
            Field::ProcStdioPeerLoopback => Value::Bool(self.peer?.is_loopback()),
            Field::ProcParentStdioInet => Value::Bool(self.parent_peer.is_some()),
            Field::ProcParentStdioPeer => self.parent_peer.map(|_| text(&self.buffers.parent_peer))?,
            Field::ProcParentStdioPeerLoopback => Value::Bool(self.parent_peer?.is_loopback()),
            Field::ScriptPath => exec.is_script().then(|| text(&self.buffers.script))?,
            Field::ExeName => text(base_name(&exec.exe)),
            Field::ExeDeleted => Value::Bool(file.link_count == 0 && !file.is_memfd()),
            Field::ExeDetached => Value::Bool(file.on_detached_mount() || file.has_no_parent()),
            Field::ExeSetuid => Value::Bool(file.mode & 0o4000 != 0),
            Field::ExeSetgid => Value::Bool(file.mode & 0o2000 != 0),
            Field::ExeFileCapabilities => Value::Bool(gains_by_file(exec)),
            Field::ExeSecure => Value::Bool(exec.secure),
            Field::ExeFilesystem => text(file.filesystem().as_bytes()),
            Field::ExeLinkCount => number(file.link_count),
            Field::ExeIsLoader => Value::Bool(is_loader(&exec.exe)),
            Field::ExePathOdd => Value::Bool(parts(exec).any(lookalike::is_odd)),
            Field::ExeHidden => Value::Bool(parts(exec).any(|part| part.starts_with(b"."))),
            Field::UserLoginuid => (exec.login_uid != u32::MAX).then(|| number(exec.login_uid))?,
            _ => return None,
        })
    }

    fn conclusion(&self, field: Field) -> Option<Value<'_>> {
        let facts = self.attributed.exec.as_ref()?;
        Some(match field {
            Field::ProcRuntimeSetup => Value::Bool(facts.runtime_setup),
            Field::ProcContainerEntrypoint => Value::Bool(facts.entry == Entry::Entrypoint),
            Field::ProcExecSession => Value::Bool(facts.entry == Entry::ExecSession),
            Field::ProcSessionRepeats => number(facts.session_repeats),
            Field::ScriptChanged => Value::Bool(facts.script_changed?),
            Field::ProcServerPort => number(u32::from(facts.server?.port)),
            Field::ProcServerGeneration => number(u32::from(facts.server?.generation)),
            Field::ProcHabitAge => Value::Number(i64::try_from(facts.habit_age?).unwrap_or(i64::MAX)),
            Field::ProcDiscoveryBurst => Value::Number(facts.discovery_burst as i64),
            Field::ExeDrift => Value::Bool(facts.drift.is_drift()),
            Field::ExeSameAs => text(facts.same_as?.as_bytes()),
            Field::ExeDriftKind => text(facts.drift.name().as_bytes()),
            Field::ContainerDuration => {
                Value::Number(i64::try_from(facts.container_age?).unwrap_or(i64::MAX))
            }
            _ => return None,
        })
    }

    fn container_field(&self, field: Field) -> Option<Value<'_>> {
        let Some(handle) = self.handle() else {
            return (field == Field::ContainerId).then_some(Value::Text(b"host"));
        };
        let id = handle.id.as_bytes();
        match field {
            Field::ContainerId => return Some(text(&id[..id.len().min(12)])),
            Field::ContainerFullId => return Some(text(id)),
            Field::ContainerStartTs => {
                return Some(Value::Number(i64::try_from(handle.created).unwrap_or(i64::MAX)));
            }
            _ => {}
        }
        let container = handle.container()?;
        let image = container.image.as_deref();
        let pod = container.pod.as_ref();
        Some(match field {
            Field::ContainerName => text(container.name.as_bytes()),
            Field::ContainerImage => text(image?.as_bytes()),
            Field::ContainerImageRepository => text(split_image(image?).0.as_bytes()),
            Field::ContainerImageTag => text(split_image(image?).1?.as_bytes()),
            Field::ContainerImageDigest => text(container.image_digest.as_deref()?.as_bytes()),
            Field::ContainerPrivileged => Value::Bool(container.privileged),
            Field::ContainerType => text(container.runtime.name().as_bytes()),
            Field::K8sNsName => text(pod?.namespace.as_bytes()),
            Field::K8sPodName => text(pod?.name.as_bytes()),
            Field::K8sPodUid => text(pod?.uid.as_bytes()),
            _ => return None,
        })
    }
}

impl Facts for EventFacts<'_> {
    fn get(&self, field: Field, key: Option<&Key>) -> Value<'_> {
        let event = self.attributed.event;
        match field {
            Field::EvtType => return text(self.event_type().as_bytes()),
            Field::EvtHostname => return text(self.node.as_bytes()),
            Field::EvtTime => return Value::Number(event.time as i64),
            _ => {}
        }
        if let Some(value) = self.action.and_then(|action| action.field(field)) {
            return value;
        }
        self.process_field(field, key)
            .or_else(|| self.contract_field(field))
            .or_else(|| self.action_text(field))
            .or_else(|| self.exec_field(field, key))
            .or_else(|| self.conclusion(field))
            .or_else(|| self.container_field(field))
            .or_else(|| self.falco_field(field, key))
            .unwrap_or(Value::Missing)
    }

    fn any(&self, field: Field, visit: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        if let Some(found) = self.action.and_then(|action| action.any(field, visit)) {
            return found;
        }
        match field {
            Field::EvtType => self.event_types(visit),
            Field::ProcAexe => self.process().is_some_and(|process| {
                process.ancestors.iter().any(|one| one.image.args.iter().next().is_some_and(&mut *visit))
            }),
            Field::ProcArg => self.exec.is_some_and(|exec| exec.args.iter().skip(1).any(visit)),
            Field::ContractBroken => {
                self.breaches.iter().any(|breach| visit(breach.clause.name().as_bytes()))
            }
            Field::ProcNames => self.names.iter().any(visit),
            Field::ProcPnames => self.parent_names.iter().any(visit),
            Field::ProcAname => self
                .process()
                .is_some_and(|process| process.ancestors.iter().any(|one| visit(&one.image.command))),
            Field::ProcAexepath => self
                .process()
                .is_some_and(|process| process.ancestors.iter().any(|one| visit(&one.image.exe))),
            Field::ProcPipeWriters => self.linked(|facts| &facts.pipes.writers, visit),
            Field::ProcPipeReaders => self.linked(|facts| &facts.pipes.readers, visit),
            Field::ExeGrantedCapabilities => self
                .exec
                .is_some_and(|exec| capability::names(granted(exec)).any(|name| visit(name.as_bytes()))),
            Field::ThreadCapPermitted => self.capabilities(|sets| sets.permitted, visit),
            Field::ThreadCapEffective => self.capabilities(|sets| sets.effective, visit),
            Field::ThreadCapInheritable => self.capabilities(|sets| sets.inheritable, visit),
            _ => false,
        }
    }
}

/// Command lines that were made leave their memory to the next event.
impl Drop for EventFacts<'_> {
    fn drop(&mut self) {
        for (made, buffer) in [
            (&mut self.cmdline, &self.buffers.cmdline),
            (&mut self.parent_cmdline, &self.buffers.parent_cmdline),
            (&mut self.exeline, &self.buffers.exeline),
            (&mut self.flags, &self.buffers.flags),
            (&mut self.descriptor, &self.buffers.descriptor),
        ] {
            if let Some(line) = made.take() {
                buffer.set(line);
            }
        }
    }
}

impl EventFacts<'_> {
    fn linked(
        &self,
        end: impl Fn(&crate::attribute::ExecFacts) -> &Vec<Arc<Image>>,
        visit: &mut dyn FnMut(&[u8]) -> bool,
    ) -> bool {
        let programs = self.attributed.exec.as_ref().map(end);
        programs.into_iter().flatten().any(|program| program.names().any(&mut *visit))
    }

    fn capabilities(
        &self,
        set: impl Fn(&crate::event::Credentials) -> u64,
        visit: &mut dyn FnMut(&[u8]) -> bool,
    ) -> bool {
        self.image().is_some_and(|image| {
            capability::names(set(&image.credentials)).any(|name| visit(name.as_bytes()))
        })
    }
}

fn number(number: u32) -> Value<'static> {
    Value::Number(i64::from(number))
}

fn text(bytes: &[u8]) -> Value<'_> {
    Value::Text(bytes)
}

fn join<'a>(buffer: &mut Vec<u8>, texts: impl Iterator<Item = &'a [u8]>) {
    for (index, text) in texts.enumerate() {
        if index > 0 {
            buffer.push(b' ');
        }
        buffer.extend_from_slice(text);
    }
}

fn command_line(buffer: &Cell<Vec<u8>>, command: &[u8], args: &Args) -> Vec<u8> {
    let mut line = buffer.take();
    line.clear();
    join(&mut line, std::iter::once(command).chain(args.iter().skip(1)));
    line
}

fn variable<'a>(exec: &'a Exec, name: &str) -> Option<&'a [u8]> {
    exec.environment.iter().find_map(|variable| variable.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

/// Repository, and tag if there is one: a colon behind the last slash.
fn split_image(image: &str) -> (&str, Option<&str>) {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    let slash = name.rfind('/').map_or(0, |at| at + 1);
    match name[slash..].rfind(':') {
        Some(colon) => (&name[..slash + colon], Some(&name[slash + colon + 1..])),
        None => (name, None),
    }
}

/// Whether an exec gained privilege without setuid and setgid: through file capabilities.
fn gains_by_file(exec: &Exec) -> bool {
    exec.secure && exec.file.mode & 0o6000 == 0
}

/// Whether others than root may write a file.
fn is_writable(file: &FileFacts) -> bool {
    file.mode & 0o022 != 0 || file.uid != 0 && file.mode & 0o200 != 0
}

/// The capabilities that the file of an exec gave: root has them without, and ambient ones are kept (capabilities(7)).
fn granted(exec: &Exec) -> u64 {
    if gains_by_file(exec) && exec.credentials.euid != 0 {
        exec.credentials.permitted & !exec.credentials.ambient
    } else {
        0
    }
}

/// The parts of the executable's path. An anonymous file has a made-up name.
fn parts(exec: &Exec) -> impl Iterator<Item = &[u8]> {
    let named = !exec.file.has_no_parent();
    exec.exe.split(|&byte| byte == b'/').filter(move |part| named && !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_split() {
        assert_eq!(split_image("registry:5000/a/b:1.2@sha256:x"), ("registry:5000/a/b", Some("1.2")));
        assert_eq!(split_image("registry:5000/a"), ("registry:5000/a", None));
        assert_eq!(split_image("nginx:latest"), ("nginx", Some("latest")));
    }
}
