//! What happened, as user space understands it: the output of decode and the input of attribution.

pub use crate::action::{Action, ActionFile, Subject};
pub use sensor_ebpf::abi::{Credentials, Descriptor, EventKind, FileFacts, Namespaces};
use sensor_ebpf::abi::{
    FILE_DETACHED_MOUNT, FILE_FOREIGN_MOUNT, FILE_NO_PARENT, FILE_OUTSIDE_ROOT, FILE_OVERLAY,
    FILE_OVERLAY_UPPER, FILE_PATH_TRUNCATED, FILE_UNLINKED,
};

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Nanoseconds of CLOCK_BOOTTIME when the hook ran.
    pub time: u64,
    /// Some field could not be read in the kernel.
    pub read_failed: bool,
    /// What happened.
    pub body: Body,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Body {
    /// A new process.
    Fork(Fork),
    /// A process replaced its program.
    Exec(Box<Exec>),
    /// A process ended.
    Exit(Exit),
    /// A cgroup was created.
    CgroupCreate(Cgroup),
    /// A cgroup was removed.
    CgroupRemove(Cgroup),
    /// A process did something.
    Action(Box<Action>),
}

impl Event {
    /// The event's kind.
    pub fn kind(&self) -> EventKind {
        match &self.body {
            Body::Fork(_) => EventKind::Fork,
            Body::Exec(_) => EventKind::Exec,
            Body::Exit(_) => EventKind::Exit,
            Body::CgroupCreate(_) => EventKind::CgroupCreate,
            Body::CgroupRemove(_) => EventKind::CgroupRemove,
            Body::Action(action) => action.kind,
        }
    }
}

/// Identity of a process: the number alone is reused, number and start time are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessKey {
    /// Process id as the host counts.
    pub pid: u32,
    /// Start, nanoseconds of CLOCK_BOOTTIME.
    pub start_time: u64,
}

/// A new process.
#[derive(Clone, Debug)]
pub struct Fork {
    /// The new process.
    pub child: ProcessKey,
    /// The process that called fork.
    pub creator: ProcessKey,
    /// Its parent, which differs from the creator under CLONE_PARENT.
    pub parent: ProcessKey,
    /// Its cgroup.
    pub cgroup_id: u64,
    /// Its namespaces.
    pub namespaces: Namespaces,
    /// Its id in its own pid namespace.
    pub namespace_pid: u32,
    /// Its real user id.
    pub uid: u32,
}

/// A process ended.
#[derive(Clone, Debug)]
pub struct Exit {
    /// The process.
    pub process: ProcessKey,
    /// Wait status as in wait(2).
    pub status: u32,
}

/// A cgroup was created or removed.
#[derive(Clone, Debug)]
pub struct Cgroup {
    /// Its id.
    pub id: u64,
    /// 0 for the unified hierarchy.
    pub hierarchy: u32,
    /// Its path below the hierarchy's root.
    pub path: Vec<u8>,
}

/// A process replaced its program. Texts are bytes: nothing says that a path or an argument is UTF-8.
#[derive(Clone, Debug, Default)]
pub struct Exec {
    /// The process.
    pub pid: u32,
    /// Its start time, see [`ProcessKey`].
    pub start_time: u64,
    /// Its parent's id.
    pub parent_pid: u32,
    /// Its parent's start time.
    pub parent_start_time: u64,
    /// Thread id before the exec; differs from `pid` when a thread other than the leader called execve.
    pub old_thread_id: u32,
    /// Process id in its own pid namespace.
    pub namespace_pid: u32,
    /// Its cgroup.
    pub cgroup_id: u64,
    /// Namespaces.
    pub namespaces: Namespaces,
    /// Depth of the user namespace below the initial one.
    pub user_namespace_level: u32,
    /// Credentials after the exec.
    pub credentials: Credentials,
    /// The executable's inode.
    pub file: FileFacts,
    /// The executable's path from the process's root.
    pub exe: Vec<u8>,
    /// The name passed to execve(2).
    pub filename: Vec<u8>,
    /// The interpreter's name; equal to `filename` unless a script was started.
    pub interpreter: Vec<u8>,
    /// Working folder.
    pub cwd: Vec<u8>,
    /// `CWD_*`: the working folder's path is cut, or outside the process's root.
    pub cwd_truncated: bool,
    /// The working folder lies outside the process's root.
    pub cwd_outside_root: bool,
    /// The working folder lies on a mount of another mount namespace.
    pub cwd_foreign: bool,
    /// A descriptor above 2 that is a folder on a mount of another mount namespace.
    pub leaked_folder: Option<u32>,
    /// Arguments.
    pub args: Args,
    /// Environment variables that steer loaders, interpreters and shells, each `NAME=value`.
    pub environment: Vec<Vec<u8>>,
    /// Not all of the environment was searched.
    pub environment_truncated: bool,
    /// Standard input, output and error.
    pub stdio: [Descriptor; 3],
    /// The parent's standard input, output and error.
    pub parent_stdio: [Descriptor; 3],
    /// Command name (`comm`).
    pub command: Vec<u8>,
    /// Session id.
    pub session_id: u32,
    /// Controlling terminal as major << 20 | minor, 0 for none.
    pub terminal: u32,
    /// Login user id, `u32::MAX` if unset.
    pub login_uid: u32,
    /// Audit session, `u32::MAX` if unset.
    pub audit_session: u32,
    /// Seccomp mode: 0 off, 1 strict, 2 filter.
    pub seccomp_mode: u32,
    /// no_new_privs is set.
    pub no_new_privileges: bool,
    /// The exec gained privilege (AT_SECURE).
    pub secure: bool,
    /// Inode number of the root folder.
    pub root_inode: u64,
    /// Device of the root folder: major << 20 | minor.
    pub root_device: u32,
}

impl Exec {
    /// The process's identity.
    pub fn key(&self) -> ProcessKey {
        ProcessKey { pid: self.pid, start_time: self.start_time }
    }

    /// The parent's identity.
    pub fn parent_key(&self) -> ProcessKey {
        ProcessKey { pid: self.parent_pid, start_time: self.parent_start_time }
    }

    /// Whether a script was started: the kernel then runs an interpreter that was not named by the caller.
    pub fn is_script(&self) -> bool {
        !self.interpreter.is_empty() && self.interpreter != self.filename
    }

    /// The script's path as passed, made absolute with the working folder. It is evidence of a name only: a relative
    /// path is resolved without looking at links.
    pub fn script_path(&self) -> Vec<u8> {
        let name = self.filename.strip_prefix(b"./").unwrap_or(&self.filename);
        if name.starts_with(b"/") {
            return name.to_vec();
        }
        let cwd = self.cwd.strip_suffix(b"/").unwrap_or(&self.cwd);
        [cwd, b"/", name].concat()
    }
}

/// Arguments of a program: all of them, or their head and tail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Args {
    /// NUL-separated bytes as in memory: head, then tail.
    pub bytes: Vec<u8>,
    /// Where the tail begins if something between is missing.
    pub gap: Option<usize>,
    /// Bytes in the process's memory.
    pub length: u32,
    /// Number of arguments the program was given.
    pub count: u32,
}

impl Args {
    /// The arguments, the first one included. At a gap the cut pieces stand as they are.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let bytes = self.bytes.strip_suffix(&[0]).unwrap_or(&self.bytes);
        let some = !self.bytes.is_empty();
        bytes.split(|&byte| byte == 0).filter(move |_| some)
    }

    /// Whether something is missing.
    pub fn truncated(&self) -> bool {
        self.gap.is_some() || self.bytes.len() < self.length as usize
    }
}

/// What the executable's inode and mount say.
pub trait FileFactsExt {
    /// On an overlay file system.
    fn is_overlay(&self) -> bool;
    /// On an overlay's upper layer.
    fn is_upper(&self) -> bool;
    /// On an overlay's lower layer.
    fn is_lower(&self) -> bool;
    /// On a mount that belongs to no mount namespace.
    fn on_detached_mount(&self) -> bool;
    /// On a mount that is not in the process's mount namespace.
    fn on_foreign_mount(&self) -> bool;
    /// Its name was removed from its folder.
    fn is_unlinked(&self) -> bool;
    /// Without a parent folder: memfd, O_TMPFILE and the like.
    fn has_no_parent(&self) -> bool;
    /// The walk met the namespace's root but not the process's.
    fn outside_root(&self) -> bool;
    /// The path is longer than PATH_MAX; its last part is there.
    fn path_truncated(&self) -> bool;
    /// Memory that was never on a disk: `memfd_create`.
    fn is_memfd(&self) -> bool;
    /// The file system's name, `other` if not known.
    fn filesystem(&self) -> &'static str;
}

impl FileFactsExt for FileFacts {
    fn is_overlay(&self) -> bool {
        self.flags & FILE_OVERLAY != 0
    }

    fn is_upper(&self) -> bool {
        self.flags & FILE_OVERLAY_UPPER != 0
    }

    fn is_lower(&self) -> bool {
        self.is_overlay() && !self.is_upper()
    }

    fn on_detached_mount(&self) -> bool {
        self.flags & FILE_DETACHED_MOUNT != 0
    }

    fn on_foreign_mount(&self) -> bool {
        self.flags & FILE_FOREIGN_MOUNT != 0
    }

    fn is_unlinked(&self) -> bool {
        self.flags & FILE_UNLINKED != 0
    }

    fn has_no_parent(&self) -> bool {
        self.flags & FILE_NO_PARENT != 0
    }

    fn outside_root(&self) -> bool {
        self.flags & FILE_OUTSIDE_ROOT != 0
    }

    fn path_truncated(&self) -> bool {
        self.flags & FILE_PATH_TRUNCATED != 0
    }

    /// A memfd lies on a tmpfs that belongs to no namespace, in no folder, under no name. An unlinked file of a mounted
    /// tmpfs has a folder still, and one made with O_TMPFILE has a mount.
    fn is_memfd(&self) -> bool {
        matches!(self.filesystem(), "tmpfs" | "ramfs" | "hugetlbfs")
            && self.has_no_parent()
            && self.on_detached_mount()
    }

    /// Magic numbers of include/uapi/linux/magic.h and of the file systems themselves.
    fn filesystem(&self) -> &'static str {
        match self.filesystem_magic {
            0x794c_7630 => "overlay",
            0x0102_1994 => "tmpfs",
            0xef53 => "ext4",
            0x5846_5342 => "xfs",
            0x9123_683e => "btrfs",
            0x9fa0 => "proc",
            0x6265_6572 => "sysfs",
            0x8584_58f6 => "ramfs",
            0x7371_7368 => "squashfs",
            0xe0f5_e1e2 => "erofs",
            0x6969 => "nfs",
            0xff53_4d42 | 0xfe53_4d42 => "cifs",
            0x6573_5546 => "fuse",
            0x9584_58f6 => "hugetlbfs",
            0x1980_0202 => "mqueue",
            0x2fc1_2fc1 => "zfs",
            0x6367_7270 => "cgroup2",
            0x0027_e0eb => "cgroup",
            0x4249_4e4d => "binfmt_misc",
            0x7363_6673 => "securityfs",
            0x6462_6720 => "debugfs",
            0x7472_6163 => "tracefs",
            0xcafe_4a11 => "bpf",
            0xf97c_ff8c => "selinuxfs",
            _ => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(bytes: &[u8]) -> Vec<Vec<u8>> {
        let args = Args { bytes: bytes.to_vec(), ..Args::default() };
        args.iter().map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn args_are_split_at_nul_and_empty_ones_are_kept() {
        assert_eq!(args(b""), Vec::<Vec<u8>>::new());
        assert_eq!(args(b"\0"), vec![b"".to_vec()]);
        assert_eq!(args(b"sh\0-c\0\0x\0"), vec![b"sh".to_vec(), b"-c".to_vec(), b"".to_vec(), b"x".to_vec()]);
        assert_eq!(args(b"cut"), vec![b"cut".to_vec()]);
    }

    #[test]
    fn args_know_when_something_is_missing() {
        let whole = Args { bytes: b"a\0".to_vec(), gap: None, length: 2, count: 1 };
        assert!(!whole.truncated());
        assert!(Args { length: 3, ..whole.clone() }.truncated());
        assert!(Args { gap: Some(1), ..whole }.truncated());
    }
}
