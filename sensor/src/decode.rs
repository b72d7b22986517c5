//! Bytes of a record to an [`Event`]: every field parsed, every length checked, nothing transmuted.

use std::mem;

use sensor_ebpf::abi::{
    ACTION_VALUES, ARGS_HEAD_MAX, Credentials, Descriptor, EXEC_ENVIRONMENT_TRUNCATED,
    EXEC_NO_NEW_PRIVILEGES, EXEC_SECURE, EXEC_SPANS, EXEC_WORKING_FOLDER_FOREIGN,
    EXEC_WORKING_FOLDER_OUTSIDE_ROOT, EXEC_WORKING_FOLDER_TRUNCATED, EventKind, FILE_NO_PARENT,
    FILE_PATH_TRUNCATED, FileFacts, Header, Namespaces, RECORD_READ_FAILED, RESULT_NOT_KNOWN, SPAN_ARGS_HEAD,
    SPAN_ARGS_TAIL, SPAN_ENVIRONMENT, SPAN_EXE_PATH, SPAN_FILENAME, SPAN_INTERPRETER, SPAN_WORKING_FOLDER,
    TEXT_FILESYSTEM_PATH, TEXT_OTHER_PATH, TEXT_PATH, TEXT_PLAIN,
};

use crate::action::Budget;
use crate::action_words::{asked_name, dotted};
use crate::event::{Action, ActionFile, Body, Cgroup, Event, Exec, Exit, Fork, ProcessKey, Subject};

const TYPE_MASK: u32 = 0o170_000;
const TYPE_FOLDER: u32 = 0o040_000;

/// Why a record cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The record ends before a field that must be there.
    #[error("record ends at byte {length}, {wanted} more are needed")]
    TooShort {
        /// Bytes there are.
        length: usize,
        /// Bytes wanted beyond.
        wanted: usize,
    },
    /// A kind this sensor does not know.
    #[error("record of unknown kind {0}")]
    UnknownKind(u16),
    /// The size in the header is not the record's.
    #[error("header says {stated} bytes, the record has {actual}")]
    WrongSize {
        /// In the header.
        stated: u32,
        /// Of the record.
        actual: usize,
    },
}

impl DecodeError {
    /// Short name for the metric.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooShort { .. } => "too_short",
            Self::UnknownKind(_) => "unknown_kind",
            Self::WrongSize { .. } => "wrong_size",
        }
    }
}

/// Reads one record.
///
/// # Errors
/// If the bytes are not a record of this sensor's ABI.
pub fn decode(bytes: &[u8]) -> Result<Event, DecodeError> {
    Decoder::default().decode(bytes)
}

/// Reads records, and uses the memory of an exec that is done with for the next one.
#[derive(Default)]
pub struct Decoder {
    spare: Option<Box<Exec>>,
}

impl Decoder {
    /// Reads one record.
    ///
    /// # Errors
    /// If the bytes are not a record of this sensor's ABI.
    pub fn decode(&mut self, bytes: &[u8]) -> Result<Event, DecodeError> {
        event(bytes, || self.spare.take().unwrap_or_default())
    }

    /// Takes back an event that nobody needs any more.
    pub fn recycle(&mut self, event: Event) {
        if let Body::Exec(exec) = event.body {
            self.spare = Some(exec);
        }
    }
}

fn event(bytes: &[u8], memory: impl FnOnce() -> Box<Exec>) -> Result<Event, DecodeError> {
    let mut reader = Reader { bytes, at: 0 };
    let header =
        Header { size: reader.u32()?, kind: reader.u16()?, flags: reader.u16()?, time: reader.u64()? };
    if header.size as usize != bytes.len() {
        return Err(DecodeError::WrongSize { stated: header.size, actual: bytes.len() });
    }
    let kind = EventKind::from_number(header.kind).ok_or(DecodeError::UnknownKind(header.kind))?;
    let body = match kind {
        EventKind::Fork => Body::Fork(fork(&mut reader)?),
        EventKind::Exec => Body::Exec(exec(&mut reader, memory())?),
        EventKind::Exit => Body::Exit(exit(&mut reader)?),
        EventKind::CgroupCreate => Body::CgroupCreate(cgroup(&mut reader)?),
        EventKind::CgroupRemove => Body::CgroupRemove(cgroup(&mut reader)?),
        action => {
            let spent = Budget::spent_by(header.flags);
            Body::Action(Box::new(Action { spent, ..self::action(&mut reader, action)? }))
        }
    };
    Ok(Event { time: header.time, read_failed: header.flags & RECORD_READ_FAILED != 0, body })
}

fn fork(reader: &mut Reader<'_>) -> Result<Fork, DecodeError> {
    Ok(Fork {
        child: reader.process()?.0,
        creator: reader.process()?.0,
        parent: reader.process()?.0,
        cgroup_id: reader.u64()?,
        namespaces: reader.namespaces()?,
        namespace_pid: reader.u32()?,
        uid: reader.u32()?,
    })
}

fn exit(reader: &mut Reader<'_>) -> Result<Exit, DecodeError> {
    Ok(Exit { process: reader.process()?.0, status: reader.u32()? })
}

fn cgroup(reader: &mut Reader<'_>) -> Result<Cgroup, DecodeError> {
    let id = reader.u64()?;
    let hierarchy = reader.u32()?;
    let length = reader.u32()?;
    Ok(Cgroup { id, hierarchy, path: reader.take(length as usize)?.to_vec() })
}

fn action(reader: &mut Reader<'_>, kind: EventKind) -> Result<Action, DecodeError> {
    let subject = subject(reader)?;
    let (file, other_file) = (reader.file()?, reader.file()?);
    let (target, _) = reader.process()?;
    let target_namespaces = reader.namespaces()?;
    let target_credentials = reader.credentials()?;
    let target_cgroup_id = reader.u64()?;
    let mut values = [0; ACTION_VALUES];
    for value in &mut values {
        *value = reader.u64()?;
    }
    let result = reader.u32()? as i32;
    let lengths = [reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?];
    let _reserved = reader.u32()?;
    let components = reader.take(lengths[TEXT_PATH] as usize)?;
    let other_components = reader.take(lengths[TEXT_OTHER_PATH] as usize)?;
    let filesystem_components = reader.take(lengths[TEXT_FILESYSTEM_PATH] as usize)?;
    let texts = reader.take(lengths[TEXT_PLAIN] as usize)?;
    let text = until_nul(texts);
    let other_text = texts.get(text.len() + 1..).unwrap_or_default();
    let of = |facts: FileFacts, components: &[u8]| {
        let is_there = facts.inode != 0 || !components.is_empty();
        is_there.then(|| {
            let rooted = facts.flags & (FILE_NO_PARENT | FILE_PATH_TRUNCATED) == 0;
            // Where the hook knows no mount there is no path to show.
            let whole = if components.is_empty() && facts.mode & TYPE_MASK != TYPE_FOLDER {
                Vec::new()
            } else {
                path(Vec::new(), components, rooted)
            };
            ActionFile { path: whole, filesystem_path: Vec::new(), facts }
        })
    };
    let (mut file, mut other_file) = (of(file, components), of(other_file, other_components));
    // Of what is shown in a second place, the first place is of interest.
    let shown = matches!(kind, EventKind::BindMount | EventKind::MoveMount);
    if let Some(file) = if shown { &mut other_file } else { &mut file } {
        // The last component is the root's own name.
        let below = filesystem_components.strip_suffix(b"/\0").unwrap_or(filesystem_components);
        if !filesystem_components.is_empty() {
            file.filesystem_path = path(Vec::new(), below, true);
        }
        // Where the hook knows no mount, the path within the file system stands for the path.
        if file.path.is_empty() {
            file.path.clone_from(&file.filesystem_path);
        }
    }
    if let (EventKind::FileName, Some(file), Some(other)) = (kind, &file, &mut other_file) {
        other.filesystem_path = beside(file, &other.path);
    }
    let mut action = Action {
        kind,
        subject,
        file,
        other_file,
        target: (target.pid != 0).then_some(target),
        target_namespaces,
        target_credentials,
        target_cgroup_id,
        values,
        result: (result != RESULT_NOT_KNOWN).then_some(result),
        text: text.to_vec(),
        other_text: other_text.to_vec(),
        spent: None,
    };
    if let Some(name) = asked_name(&action) {
        action.text = dotted(name);
    }
    Ok(action)
}

/// The path of a second file from the root of its file system: both names of a link or rename lie on one mount, so what is
/// different of the first file's two paths is so of the second's; empty if that says nothing.
fn beside(file: &ActionFile, other: &[u8]) -> Vec<u8> {
    let (path, within) = (&file.path, &file.filesystem_path);
    let common = path.iter().rev().zip(within.iter().rev()).take_while(|(one, two)| one == two).count();
    let (seen, inside) = (&path[..path.len() - common], &within[..within.len() - common]);
    match other.strip_prefix(seen) {
        Some(rest) if !within.is_empty() => [inside, rest].concat(),
        _ => Vec::new(),
    }
}

fn subject(reader: &mut Reader<'_>) -> Result<Subject, DecodeError> {
    let (process, thread_id) = reader.process()?;
    let (parent, _) = reader.process()?;
    Ok(Subject {
        process,
        thread_id,
        parent,
        cgroup_id: reader.u64()?,
        namespaces: reader.namespaces()?,
        credentials: reader.credentials()?,
        user_namespace_level: reader.u32()?,
        namespace_pid: reader.u32()?,
        seccomp_mode: reader.u32()?,
        flags: reader.u32()?,
        command: until_nul(reader.take(16)?).to_vec(),
        root_inode: reader.u64()?,
        root_device: reader.u32()?,
        rung: reader.u32()?,
    })
}

/// Fills `exec`, whatever it held before. Every field is set, but for the memory of texts nothing stays.
fn exec(reader: &mut Reader<'_>, mut exec: Box<Exec>) -> Result<Box<Exec>, DecodeError> {
    let (process, _thread) = reader.process()?;
    let (parent, _) = reader.process()?;
    let texts = Texts {
        exe: mem::take(&mut exec.exe),
        filename: mem::take(&mut exec.filename),
        interpreter: mem::take(&mut exec.interpreter),
        cwd: mem::take(&mut exec.cwd),
        args: mem::take(&mut exec.args.bytes),
        command: mem::take(&mut exec.command),
    };
    *exec = Exec {
        pid: process.pid,
        start_time: process.start_time,
        parent_pid: parent.pid,
        parent_start_time: parent.start_time,
        cgroup_id: reader.u64()?,
        namespaces: reader.namespaces()?,
        credentials: reader.credentials()?,
        file: reader.file()?,
        stdio: [reader.descriptor()?, reader.descriptor()?, reader.descriptor()?],
        parent_stdio: [reader.descriptor()?, reader.descriptor()?, reader.descriptor()?],
        ..Exec::default()
    };
    exec.command = refilled(texts.command, until_nul(reader.take(16)?));
    exec.old_thread_id = reader.u32()?;
    exec.namespace_pid = reader.u32()?;
    exec.session_id = reader.u32()?;
    exec.terminal = reader.u32()?;
    exec.login_uid = reader.u32()?;
    exec.audit_session = reader.u32()?;
    exec.seccomp_mode = reader.u32()?;
    let flags = reader.u32()?;
    exec.no_new_privileges = flags & EXEC_NO_NEW_PRIVILEGES != 0;
    exec.secure = flags & EXEC_SECURE != 0;
    exec.environment_truncated = flags & EXEC_ENVIRONMENT_TRUNCATED != 0;
    exec.cwd_truncated = flags & EXEC_WORKING_FOLDER_TRUNCATED != 0;
    exec.cwd_outside_root = flags & EXEC_WORKING_FOLDER_OUTSIDE_ROOT != 0;
    exec.cwd_foreign = flags & EXEC_WORKING_FOLDER_FOREIGN != 0;
    exec.args.length = reader.u32()?;
    let _environment_length = reader.u32()?;
    exec.args.count = reader.u32()?;
    exec.user_namespace_level = reader.u32()?;
    let mut lengths = [0_usize; EXEC_SPANS];
    for length in &mut lengths {
        *length = reader.u32()? as usize;
    }
    exec.leaked_folder = reader.u32()?.checked_sub(1);
    exec.root_inode = reader.u64()?;
    exec.root_device = reader.u32()?;
    let _reserved = reader.u32()?;

    let mut spans: [&[u8]; EXEC_SPANS] = [&[]; EXEC_SPANS];
    for (span, length) in spans.iter_mut().zip(lengths) {
        *span = reader.take(length)?;
    }
    let rooted = exec.file.flags & (FILE_NO_PARENT | FILE_PATH_TRUNCATED) == 0;
    exec.exe = path(texts.exe, spans[SPAN_EXE_PATH], rooted);
    exec.cwd = path(texts.cwd, spans[SPAN_WORKING_FOLDER], !exec.cwd_truncated);
    exec.filename = refilled(texts.filename, spans[SPAN_FILENAME]);
    exec.interpreter = refilled(texts.interpreter, spans[SPAN_INTERPRETER]);
    let (head, tail) = (spans[SPAN_ARGS_HEAD], spans[SPAN_ARGS_TAIL]);
    debug_assert!(head.len() <= ARGS_HEAD_MAX);
    exec.args.bytes = refilled(texts.args, head);
    exec.args.bytes.extend_from_slice(tail);
    let gap = !tail.is_empty() && head.len() + tail.len() < exec.args.length as usize;
    exec.args.gap = gap.then_some(head.len());
    exec.environment = spans[SPAN_ENVIRONMENT]
        .split(|&byte| byte == 0)
        .filter(|variable| is_kept(variable))
        .map(<[u8]>::to_vec)
        .collect();
    Ok(exec)
}

/// The environment variables that go further than this file: they steer loaders, interpreters and shells. The kernel side
/// compares the first eight bytes of a name only. Variables with command lines in them, such as `JAVA_TOOL_OPTIONS`, are
/// not among them: they hold passwords, and no rule asks for them. Nor is all that begins with `LD_`: `LD_SDK_KEY` is a
/// secret of a common library.
const VARIABLES: [&str; 33] = [
    "BASH_ENV",
    "DOTNET_STARTUP_HOOKS",
    "ENV",
    "GCONV_PATH",
    "GLIBC_TUNABLES",
    "HISTCONTROL",
    "HISTFILE",
    "HISTFILESIZE",
    "HISTIGNORE",
    "HISTSIZE",
    "LD_AUDIT",
    "LD_BIND_NOT",
    "LD_BIND_NOW",
    "LD_DEBUG",
    "LD_DEBUG_OUTPUT",
    "LD_DYNAMIC_WEAK",
    "LD_HWCAP_MASK",
    "LD_LIBRARY_PATH",
    "LD_ORIGIN_PATH",
    "LD_PRELOAD",
    "LD_PROFILE",
    "LD_PROFILE_OUTPUT",
    "LD_TRACE_LOADED_OBJECTS",
    "NODE_OPTIONS",
    "NODE_PATH",
    "PERL5LIB",
    "PERL5OPT",
    "PYTHONHOME",
    "PYTHONINSPECT",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "RUBYLIB",
    "RUBYOPT",
];

/// Whether `NAME=value` has one of the exact names that are kept.
fn is_kept(variable: &[u8]) -> bool {
    let Some(end) = variable.iter().position(|&byte| byte == b'=') else { return false };
    VARIABLES.iter().any(|name| name.as_bytes() == &variable[..end])
}

/// Memory of an earlier exec's texts.
struct Texts {
    exe: Vec<u8>,
    filename: Vec<u8>,
    interpreter: Vec<u8>,
    cwd: Vec<u8>,
    args: Vec<u8>,
    command: Vec<u8>,
}

fn refilled(mut memory: Vec<u8>, text: &[u8]) -> Vec<u8> {
    memory.clear();
    memory.extend_from_slice(text);
    memory
}

/// Components, leaf first and each ended by NUL, to a path. One that is not `rooted` has no leading slash.
fn path(mut path: Vec<u8>, components: &[u8], rooted: bool) -> Vec<u8> {
    let components = components.strip_suffix(&[0]).unwrap_or(components);
    path.clear();
    path.reserve(components.len() + 1);
    if components.is_empty() {
        path.extend_from_slice(if rooted { b"/" } else { b"" });
        return path;
    }
    for component in components.rsplit(|&byte| byte == 0) {
        if rooted || !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(component);
    }
    path
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or(bytes)
}

/// Takes fields off the front of a record, in the machine's own byte order, which is the kernel's.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.at.saturating_add(count);
        let field = self.bytes.get(self.at..end);
        let field = field.ok_or(DecodeError::TooShort {
            length: self.bytes.len(),
            wanted: end.saturating_sub(self.bytes.len()),
        })?;
        self.at = end;
        Ok(field)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_ne_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_ne_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_ne_bytes(self.array()?))
    }

    fn i64(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_ne_bytes(self.array()?))
    }

    /// Identity and thread id.
    fn process(&mut self) -> Result<(ProcessKey, u32), DecodeError> {
        let (pid, thread) = (self.u32()?, self.u32()?);
        Ok((ProcessKey { pid, start_time: self.u64()? }, thread))
    }

    fn namespaces(&mut self) -> Result<Namespaces, DecodeError> {
        Ok(Namespaces {
            mount: self.u32()?,
            pid: self.u32()?,
            network: self.u32()?,
            ipc: self.u32()?,
            uts: self.u32()?,
            cgroup: self.u32()?,
            time: self.u32()?,
            user: self.u32()?,
        })
    }

    fn credentials(&mut self) -> Result<Credentials, DecodeError> {
        Ok(Credentials {
            uid: self.u32()?,
            gid: self.u32()?,
            euid: self.u32()?,
            egid: self.u32()?,
            suid: self.u32()?,
            sgid: self.u32()?,
            fsuid: self.u32()?,
            fsgid: self.u32()?,
            inheritable: self.u64()?,
            permitted: self.u64()?,
            effective: self.u64()?,
            bounding: self.u64()?,
            ambient: self.u64()?,
        })
    }

    fn file(&mut self) -> Result<FileFacts, DecodeError> {
        Ok(FileFacts {
            inode: self.u64()?,
            size: self.u64()?,
            change_time: self.i64()?,
            modify_time: self.i64()?,
            device: self.u32()?,
            mode: self.u32()?,
            link_count: self.u32()?,
            uid: self.u32()?,
            filesystem_magic: self.u32()?,
            flags: self.u32()?,
        })
    }

    fn descriptor(&mut self) -> Result<Descriptor, DecodeError> {
        Ok(Descriptor {
            inode: self.u64()?,
            mode: self.u32()?,
            device: self.u32()?,
            family: self.u16()?,
            socket_type: self.u16()?,
            local_port: self.u16()?,
            remote_port: self.u16()?,
            local_address: self.array()?,
            remote_address: self.array()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sensor_ebpf::abi::ExecRecord;

    use super::*;

    fn header(kind: EventKind, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(((16 + body.len()) as u32).to_ne_bytes());
        bytes.extend((kind as u16).to_ne_bytes());
        bytes.extend(0_u16.to_ne_bytes());
        bytes.extend(77_u64.to_ne_bytes());
        bytes.extend(body);
        bytes
    }

    /// An exec record whose fixed part is zero but for the lengths of its spans.
    pub(crate) fn exec_record(spans: [&[u8]; EXEC_SPANS], args_length: u32) -> Vec<u8> {
        let mut bytes = vec![0; size_of::<ExecRecord>() - 16];
        let args_at = core::mem::offset_of!(ExecRecord, args_length) - 16;
        bytes[args_at..args_at + 4].copy_from_slice(&args_length.to_ne_bytes());
        let spans_at = core::mem::offset_of!(ExecRecord, spans) - 16;
        for (index, span) in spans.iter().enumerate() {
            let at = spans_at + index * 4;
            bytes[at..at + 4].copy_from_slice(&(span.len() as u32).to_ne_bytes());
        }
        spans.iter().for_each(|span| bytes.extend(*span));
        header(EventKind::Exec, &bytes)
    }

    fn decoded(bytes: &[u8]) -> Exec {
        match decode(bytes).expect("valid").body {
            Body::Exec(exec) => *exec,
            other => panic!("not an exec: {other:?}"),
        }
    }

    #[test]
    fn an_exec_has_its_paths_put_together_from_the_leaf_up() {
        let bytes = exec_record(
            [b"ls\0bin\0usr\0", b"", b"ls", b"ls", b"ls\0-l\0", b"", b"LD_PRELOAD=/x\0LD_AUDIT=y\0"],
            6,
        );
        let exec = decoded(&bytes);
        assert_eq!(exec.exe, b"/usr/bin/ls");
        assert_eq!(exec.cwd, b"/");
        assert!(!exec.is_script());
        assert!(!exec.args.truncated());
        assert_eq!(exec.environment, vec![b"LD_PRELOAD=/x".to_vec(), b"LD_AUDIT=y".to_vec()]);
    }

    #[test]
    fn only_exact_names_of_variables_go_further() {
        let bytes = exec_record(
            [
                b"x\0",
                b"",
                b"x",
                b"x",
                b"x\0",
                b"",
                b"NODE_AUTH_TOKEN=t\0JAVA_OPTS=-Dpassword=p\0JAVA_TOOL_OPTIONS=-Dp=q\0LD_SDK_KEY=k\0LD_PRELOAD\0\
                  NODE_OPTIONS=--require=/x\0ENV=/e\0ENVIRONMENT=prod\0HISTFILE=\0PYTHONPATH_TOKEN=z\0",
            ],
            2,
        );
        let kept: [&[u8]; 3] = [b"NODE_OPTIONS=--require=/x", b"ENV=/e", b"HISTFILE="];
        assert_eq!(decoded(&bytes).environment, kept);
        assert!(VARIABLES.is_sorted());
    }

    #[test]
    fn long_args_keep_head_and_tail() {
        let exec = decoded(&exec_record([b"", b"", b"a", b"b", b"head", b"tail", b""], 1000));
        assert_eq!(exec.args.bytes, b"headtail");
        assert_eq!(exec.args.gap, Some(4));
        assert!(exec.args.truncated());
        assert!(exec.is_script());
    }

    #[test]
    fn adjoining_head_and_tail_are_whole() {
        let exec = decoded(&exec_record([b"", b"", b"a", b"a", b"head", b"tail", b""], 8));
        assert_eq!(exec.args.gap, None);
        assert!(!exec.args.truncated());
    }

    #[test]
    fn every_cut_is_an_error_and_a_wrong_size_too() {
        let whole = exec_record([b"x\0", b"", b"x", b"x", b"x\0", b"", b""], 2);
        for length in 0..whole.len() {
            let mut cut = whole[..length].to_vec();
            if length >= 4 {
                cut[..4].copy_from_slice(&(length as u32).to_ne_bytes());
            }
            assert!(decode(&cut).is_err(), "{length} bytes");
        }
        let mut wrong = whole;
        wrong[0] ^= 1;
        assert!(matches!(decode(&wrong), Err(DecodeError::WrongSize { .. })));
    }

    #[test]
    fn unknown_kinds_are_named() {
        let mut bytes = header(EventKind::Exit, &[0; 24]);
        bytes[4] = 99;
        assert_eq!(decode(&bytes).expect_err("unknown"), DecodeError::UnknownKind(99));
    }

    #[test]
    fn a_removed_cgroup_keeps_its_path() {
        let mut body = 9_u64.to_ne_bytes().to_vec();
        body.extend(0_u32.to_ne_bytes());
        body.extend(4_u32.to_ne_bytes());
        body.extend(b"/a/b");
        match decode(&header(EventKind::CgroupRemove, &body)).expect("valid").body {
            Body::CgroupRemove(cgroup) => {
                assert_eq!((cgroup.id, cgroup.path.as_slice()), (9, b"/a/b".as_slice()))
            }
            other => panic!("not a removal: {other:?}"),
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(kind in 0_u16..8, body in proptest::collection::vec(any::<u8>(), 0..1500)) {
            let mut bytes = header(EventKind::Exec, &body);
            bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
            let _ = decode(&bytes);
        }
    }
}
