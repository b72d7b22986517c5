//! Fields by which Falco's rules ask for what other fields here say in another way: outcomes, descriptors, arguments.

use std::io::Write;

use sensor_ebpf::abi::{
    LISTEN_VALUE_PORT, OPEN_VALUE_FLAGS, OPEN_VALUE_MODE, SOCKET_VALUE_FAMILY, SOCKET_VALUE_TYPE,
};

use super::{EventFacts, event_types, is_writable, number, text};
use crate::action::{Action, ActionFile, destination};
use crate::action_words::{file_type, name_operation, signal_name};
use crate::attribute::base_name;
use crate::event::{EventKind, Exec, FileFactsExt};
use crate::judge::rules::{Field, Key, Value};

/// `FMODE_READ` of include/linux/fs.h.
const MODE_READ: u64 = 1;
/// Nanoseconds of a second.
const SECOND: i64 = 1_000_000_000;

impl EventFacts<'_> {
    /// The name of the event that is shown.
    pub(super) fn event_type(&self) -> &'static str {
        event_types::shown(self.attributed.event.kind())
    }

    /// All names of the event.
    pub(super) fn event_types(&self, visit: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let kind = self.attributed.event.kind();
        match self.action.filter(|_| event_types::depends_on_action(kind)) {
            Some(view) => event_types::names_of(view.action()).any(|name| visit(name.as_bytes())),
            None => event_types::names(kind).any(|name| visit(name.as_bytes())),
        }
    }

    /// A single-valued field; `None` if this event does not have it.
    pub(super) fn falco_field(&self, field: Field, key: Option<&Key>) -> Option<Value<'_>> {
        let action = self.action.map(|view| view.action());
        Some(match field {
            Field::EvtNum => Value::Number(1),
            Field::EvtDir => Value::Text(b"<"),
            Field::EvtSource => Value::Text(b"syscall"),
            Field::EvtCategory => Value::Text(category(self.attributed.event.kind())),
            Field::EvtRes => Value::Text(error_name(self.result()?)),
            Field::EvtRawres => Value::Number(i64::from(self.result()?)),
            Field::EvtFailed => Value::Bool(self.result()? < 0),
            Field::EvtArgs => text(&action?.text),
            Field::EvtArg => match key {
                Some(Key::Name(name)) => self.argument(name)?,
                _ => return None,
            },
            Field::UserName => text(self.attributed.accounts?.user(self.credentials()?.uid)?.as_bytes()),
            Field::GroupName => text(self.attributed.accounts?.group(self.credentials()?.gid)?.as_bytes()),
            Field::UserLoginname => {
                let login = self.exec.map(|exec| exec.login_uid).filter(|login| *login != u32::MAX)?;
                text(self.attributed.host_accounts?.user(login)?.as_bytes())
            }
            Field::EvtIsOpenRead => Value::Bool(
                action.filter(|action| action.kind == EventKind::FileOpen)?.values[OPEN_VALUE_MODE]
                    & MODE_READ
                    != 0,
            ),
            Field::EvtIsOpenWrite => self.action?.field(Field::OpenWrite)?,
            Field::EvtIsOpenExec => self.action?.field(Field::OpenMadeExecutable)?,
            Field::ProcExeline => {
                let (buffer, image) = (&self.buffers.exeline, self.image()?);
                text(self.exeline.get_or_init(|| {
                    let mut line = buffer.take();
                    line.clear();
                    super::join(&mut line, image.args.iter());
                    line
                }))
            }
            Field::ProcCmdnargs => Value::Number(self.image()?.args.iter().skip(1).count() as i64),
            Field::ProcCmdlenargs => {
                Value::Number(self.image()?.args.iter().skip(1).map(<[u8]>::len).sum::<usize>() as i64)
            }
            Field::ProcAexe => text(self.ancestor(key)?.image.args.iter().next()?),
            Field::ProcPpidDuration => {
                let parent = self.process()?.ancestors.first()?;
                let age = self.attributed.event.time.saturating_sub(parent.key.start_time);
                Value::Number(i64::try_from(age).unwrap_or(i64::MAX))
            }
            Field::ProcExeInoCtime => Value::Number(self.exec?.file.change_time.saturating_mul(SECOND)),
            Field::ProcExeInoMtime => Value::Number(self.exec?.file.modify_time.saturating_mul(SECOND)),
            _ => return self.descriptor_field(field).or_else(|| path_field(action?, field)),
        })
    }

    /// Whom the process is, at the action or the exec.
    fn credentials(&self) -> Option<&crate::event::Credentials> {
        match self.action {
            Some(view) => Some(&view.action().subject.credentials),
            None => self.image().map(|image| &image.credentials),
        }
    }

    /// 0 or a negative error number. What runs before the outcome is known tells of what nothing refused so far.
    fn result(&self) -> Option<i32> {
        match self.action {
            Some(view) => Some(view.action().result.unwrap_or(0)),
            None => self.exec.map(|_| 0),
        }
    }

    fn argument(&self, name: &str) -> Option<Value<'_>> {
        if name == "res" {
            return Some(Value::Text(error_name(self.result()?)));
        }
        if let Some(exec) = self.exec {
            return Some(match name {
                "flags" => {
                    let buffer = &self.buffers.flags;
                    text(self.flags.get_or_init(|| join_flags(buffer.take(), exec_flags(exec))))
                }
                "filename" | "path" | "pathname" => text(&exec.filename),
                _ => return None,
            });
        }
        let action = self.action?.action();
        let (file, other) = (action.file.as_ref(), action.other_file.as_ref());
        Some(match (action.kind, name) {
            (EventKind::FileOpen, "flags") => {
                let flags = action.values[OPEN_VALUE_FLAGS];
                text(self.flags.get_or_init(|| join_flags(self.buffers.flags.take(), open_flags(flags))))
            }
            (EventKind::Ptrace, "request") => {
                let is = |field| self.action.and_then(|view| view.field(field)) == Some(Value::Bool(true));
                (is(Field::PtraceAttach) && !is(Field::PtraceProcFile))
                    .then_some(Value::Text(b"PTRACE_ATTACH"))?
            }
            (EventKind::SocketCreate, "domain") => {
                Value::Text(family_name(action.values[SOCKET_VALUE_FAMILY])?.as_bytes())
            }
            (EventKind::SocketCreate, "type") => Value::Number(action.values[SOCKET_VALUE_TYPE] as i64),
            (EventKind::Signal, "sig") => Value::Text(full_signal_name(signal_name(action)?)?.as_bytes()),
            (EventKind::Mount, "type") => text(&action.text),
            (EventKind::Mount, "dev") => text(&action.other_text),
            (EventKind::Mount, "dir") => text(&file?.path),
            (EventKind::FileName, _) => match (name_operation(action)?, name) {
                ("link" | "rename", "oldpath") => text(&file?.path),
                ("link" | "rename", "newpath") => text(&other?.path),
                ("symlink", "target") => text(&action.text),
                ("symlink", "linkpath") => text(&file?.path),
                (_, "path" | "name") => text(&file?.path),
                _ => return None,
            },
            (_, "name" | "filename" | "path" | "pathname") => text(&file?.path),
            _ => return None,
        })
    }

    /// Fields of the file or socket that an action is about.
    fn descriptor_field(&self, field: Field) -> Option<Value<'_>> {
        let view = self.action?;
        let action = view.action();
        if let Some((address, port)) = destination(action) {
            return Some(match field {
                Field::FdName => text(self.descriptor.get_or_init(|| {
                    let mut name = self.buffers.descriptor.take();
                    name.clear();
                    // Writing to a Vec cannot fail.
                    let _ = write!(name, "{}", std::net::SocketAddr::new(address, port));
                    name
                })),
                Field::FdType => Value::Text(if address.is_ipv4() { b"ipv4" } else { b"ipv6" }),
                Field::FdTypechar => Value::Text(if address.is_ipv4() { b"4" } else { b"6" }),
                Field::FdIp | Field::FdRip | Field::FdSip | Field::FdNet | Field::FdRnet | Field::FdSnet => {
                    view.field(Field::ConnectAddress)?
                }
                Field::FdPort | Field::FdRport | Field::FdSport => number(u32::from(port)),
                Field::FdL4proto => match view.field(Field::ConnectUdp)? {
                    Value::Bool(true) => Value::Text(b"udp"),
                    _ => Value::Text(b"tcp"),
                },
                Field::FdConnected => (action.kind == EventKind::SocketSend).then_some(Value::Bool(false))?,
                Field::FdNameChanged => {
                    (action.kind == EventKind::SocketSend).then_some(Value::Bool(true))?
                }
                _ => return None,
            });
        }
        match action.kind {
            EventKind::UnixConnect => Some(match field {
                Field::FdName => text(&action.text),
                Field::FdType => Value::Text(b"unix"),
                Field::FdTypechar => Value::Text(b"u"),
                _ => return None,
            }),
            EventKind::SocketListen => match field {
                Field::FdSport => Some(Value::Number(action.values[LISTEN_VALUE_PORT] as i64)),
                Field::FdL4proto => Some(Value::Text(b"tcp")),
                _ => None,
            },
            EventKind::FileOpen | EventKind::HandleOpen | EventKind::FileMap | EventKind::Splice => {
                file_field(action, action.file.as_ref(), field)
            }
            _ => None,
        }
    }
}

fn file_field<'a>(action: &'a Action, file: Option<&'a ActionFile>, field: Field) -> Option<Value<'a>> {
    if field == Field::FdNum {
        return Some(Value::Number(if action.result.is_some_and(|result| result < 0) { -1 } else { 0 }));
    }
    let file = file?;
    Some(match field {
        Field::FdName => text(&file.path),
        Field::FdFilename => text(base_name(&file.path)),
        Field::FdDirectory => text(folder(&file.path)),
        Field::FdIno => Value::Number(i64::try_from(file.facts.inode).unwrap_or(i64::MAX)),
        Field::FdType => Value::Text(match file_type(file) {
            "directory" => b"directory",
            "fifo" => b"pipe",
            "socket" => b"unix",
            _ => b"file",
        }),
        Field::FdTypechar => Value::Text(match file_type(file) {
            "directory" => b"d",
            "fifo" => b"p",
            "socket" => b"u",
            _ => b"f",
        }),
        _ => return None,
    })
}

fn path_field(action: &Action, field: Field) -> Option<Value<'_>> {
    let (file, other) = (action.file.as_ref(), action.other_file.as_ref());
    let has_path = matches!(
        action.kind,
        EventKind::FileOpen | EventKind::FileName | EventKind::FileAttribute | EventKind::Chroot
    );
    if !has_path {
        return None;
    }
    let operation = name_operation(action);
    Some(match (field, operation) {
        (Field::FsPathName, _) => text(&file?.path),
        (Field::FsPathSource, Some("link" | "rename")) => text(&file?.path),
        (Field::FsPathTarget, Some("link" | "rename")) => text(&other?.path),
        (Field::FsPathSource, Some("symlink")) => text(&file?.path),
        (Field::FsPathTarget, Some("symlink")) => text(&action.text),
        _ => return None,
    })
}

/// The folder of a path: all before the last slash, at least `/`.
fn folder(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(0) => &path[..1],
        Some(slash) => &path[..slash],
        None => b"",
    }
}

fn category(kind: EventKind) -> &'static [u8] {
    match kind {
        EventKind::Fork | EventKind::Exec | EventKind::Exit | EventKind::Signal | EventKind::Ptrace => {
            b"process"
        }
        EventKind::FileOpen | EventKind::FileName | EventKind::FileAttribute | EventKind::HandleOpen => {
            b"file"
        }
        EventKind::SocketConnect
        | EventKind::SocketSend
        | EventKind::SocketCreate
        | EventKind::SocketListen
        | EventKind::SocketBind
        | EventKind::UnixConnect => b"net",
        _ => b"other",
    }
}

/// `SUCCESS`, or the name of a negative error number (include/uapi/asm-generic/errno-base.h and errno.h).
fn error_name(result: i32) -> &'static [u8] {
    match -result {
        0 => b"SUCCESS",
        libc::EPERM => b"EPERM",
        libc::ENOENT => b"ENOENT",
        libc::ESRCH => b"ESRCH",
        libc::EINTR => b"EINTR",
        libc::EIO => b"EIO",
        libc::ENXIO => b"ENXIO",
        libc::E2BIG => b"E2BIG",
        libc::ENOEXEC => b"ENOEXEC",
        libc::EBADF => b"EBADF",
        libc::EAGAIN => b"EAGAIN",
        libc::ENOMEM => b"ENOMEM",
        libc::EACCES => b"EACCES",
        libc::EFAULT => b"EFAULT",
        libc::EBUSY => b"EBUSY",
        libc::EEXIST => b"EEXIST",
        libc::EXDEV => b"EXDEV",
        libc::ENODEV => b"ENODEV",
        libc::ENOTDIR => b"ENOTDIR",
        libc::EISDIR => b"EISDIR",
        libc::EINVAL => b"EINVAL",
        libc::ENFILE => b"ENFILE",
        libc::EMFILE => b"EMFILE",
        libc::ETXTBSY => b"ETXTBSY",
        libc::EFBIG => b"EFBIG",
        libc::ENOSPC => b"ENOSPC",
        libc::EROFS => b"EROFS",
        libc::EPIPE => b"EPIPE",
        libc::ENAMETOOLONG => b"ENAMETOOLONG",
        libc::ENOSYS => b"ENOSYS",
        libc::ENOTEMPTY => b"ENOTEMPTY",
        libc::ELOOP => b"ELOOP",
        libc::EADDRINUSE => b"EADDRINUSE",
        libc::EADDRNOTAVAIL => b"EADDRNOTAVAIL",
        libc::ENETUNREACH => b"ENETUNREACH",
        libc::ECONNREFUSED => b"ECONNREFUSED",
        libc::ETIMEDOUT => b"ETIMEDOUT",
        libc::EHOSTUNREACH => b"EHOSTUNREACH",
        libc::EINPROGRESS => b"EINPROGRESS",
        _ => b"EOTHER",
    }
}

/// Falco's words for how a program came to be executed.
fn exec_flags(exec: &Exec) -> impl Iterator<Item = &'static str> {
    let file = &exec.file;
    [
        is_writable(file).then_some("EXE_WRITABLE"),
        file.is_upper().then_some("EXE_UPPER_LAYER"),
        file.is_memfd().then_some("EXE_FROM_MEMFD"),
        file.is_lower().then_some("EXE_LOWER_LAYER"),
    ]
    .into_iter()
    .flatten()
}

/// The words of `O_*` flags, in Falco's spelling.
fn open_flags(flags: u64) -> impl Iterator<Item = &'static str> {
    const WORDS: [(i32, &str); 12] = [
        (libc::O_CREAT, "O_CREAT"),
        (libc::O_EXCL, "O_EXCL"),
        (libc::O_TRUNC, "O_TRUNC"),
        (libc::O_APPEND, "O_APPEND"),
        (libc::O_NONBLOCK, "O_NONBLOCK"),
        (libc::O_DSYNC, "O_DSYNC"),
        (libc::O_DIRECT, "O_DIRECT"),
        (libc::O_DIRECTORY, "O_DIRECTORY"),
        (libc::O_NOFOLLOW, "O_NOFOLLOW"),
        (libc::O_NOATIME, "O_NOATIME"),
        (libc::O_CLOEXEC, "O_CLOEXEC"),
        (libc::O_PATH, "O_PATH"),
    ];
    let flags = flags as i32;
    let access = match flags & libc::O_ACCMODE {
        libc::O_WRONLY => "O_WRONLY",
        libc::O_RDWR => "O_RDWR",
        _ => "O_RDONLY",
    };
    let others = WORDS.into_iter().filter(move |(bit, _)| flags & bit != 0).map(|(_, word)| word);
    std::iter::once(access).chain(others)
}

fn join_flags(mut buffer: Vec<u8>, words: impl Iterator<Item = &'static str>) -> Vec<u8> {
    buffer.clear();
    for word in words {
        if !buffer.is_empty() {
            buffer.push(b'|');
        }
        buffer.extend_from_slice(word.as_bytes());
    }
    buffer
}

fn family_name(family: u64) -> Option<&'static str> {
    Some(match i32::try_from(family).ok()? {
        libc::AF_UNIX => "AF_UNIX",
        libc::AF_INET => "AF_INET",
        libc::AF_INET6 => "AF_INET6",
        libc::AF_NETLINK => "AF_NETLINK",
        libc::AF_PACKET => "AF_PACKET",
        libc::AF_ALG => "AF_ALG",
        libc::AF_VSOCK => "AF_VSOCK",
        libc::AF_KEY => "AF_KEY",
        libc::AF_BLUETOOTH => "AF_BLUETOOTH",
        libc::AF_CAN => "AF_CAN",
        libc::AF_TIPC => "AF_TIPC",
        libc::AF_RDS => "AF_RDS",
        libc::AF_XDP => "AF_XDP",
        _ => return None,
    })
}

fn full_signal_name(name: &str) -> Option<&'static str> {
    Some(match name {
        "KILL" => "SIGKILL",
        "TERM" => "SIGTERM",
        "STOP" => "SIGSTOP",
        "SEGV" => "SIGSEGV",
        "ABRT" => "SIGABRT",
        "QUIT" => "SIGQUIT",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_paths() {
        assert_eq!(folder(b"/etc/shadow"), b"/etc");
        assert_eq!(folder(b"/x"), b"/");
        assert_eq!(folder(b"memfd:x"), b"");
    }

    #[test]
    fn flags_are_words() {
        let words =
            |flags: i32| String::from_utf8(join_flags(Vec::new(), open_flags(flags as u64))).expect("text");
        assert_eq!(words(libc::O_RDWR | libc::O_CREAT | libc::O_CLOEXEC), "O_RDWR|O_CREAT|O_CLOEXEC");
        assert_eq!(words(0), "O_RDONLY");
    }
}
