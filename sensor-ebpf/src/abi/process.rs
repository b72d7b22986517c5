//! Records of the process hooks: fork, exec, exit.

use super::Header;

/// Longest path a record carries; Linux's own PATH_MAX.
pub const PATH_MAX: usize = 4096;
/// First bytes of the arguments that an exec record carries.
pub const ARGS_HEAD_MAX: usize = 16 * 1024;
/// Last bytes of the arguments that an exec record carries when they are longer than the head.
pub const ARGS_TAIL_MAX: usize = 4 * 1024;
/// Bytes of selected environment variables that an exec record carries.
pub const ENVIRONMENT_MAX: usize = 4 * 1024;
/// Longest name of an interpreter or of the program as passed to execve(2).
pub const NAME_MAX: usize = 4096;

/// Which process: numbers as the host counts them, and the start time that tells reuse of a number.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ProcessId {
    /// Process id (thread group id).
    pub pid: u32,
    /// Thread id.
    pub tid: u32,
    /// Start of the thread group's leader, nanoseconds of CLOCK_BOOTTIME.
    pub start_time: u64,
}

/// Namespace inode numbers (`readlink /proc/PID/ns/*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Namespaces {
    /// Mount namespace.
    pub mount: u32,
    /// Pid namespace the process itself is in.
    pub pid: u32,
    /// Network namespace.
    pub network: u32,
    /// IPC namespace.
    pub ipc: u32,
    /// UTS namespace.
    pub uts: u32,
    /// Cgroup namespace.
    pub cgroup: u32,
    /// Time namespace.
    pub time: u32,
    /// User namespace of the credentials.
    pub user: u32,
}

/// Credentials of the task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Credentials {
    /// Real user id, as the initial user namespace counts.
    pub uid: u32,
    /// Real group id.
    pub gid: u32,
    /// Effective user id.
    pub euid: u32,
    /// Effective group id.
    pub egid: u32,
    /// Saved user id.
    pub suid: u32,
    /// Saved group id.
    pub sgid: u32,
    /// File system user id.
    pub fsuid: u32,
    /// File system group id.
    pub fsgid: u32,
    /// Inheritable capabilities, bit n = capability n.
    pub inheritable: u64,
    /// Permitted capabilities.
    pub permitted: u64,
    /// Effective capabilities.
    pub effective: u64,
    /// Bounding set.
    pub bounding: u64,
    /// Ambient capabilities.
    pub ambient: u64,
}

/// What an inode says about the file, taken in the kernel at the hook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FileFacts {
    /// Inode number.
    pub inode: u64,
    /// Size in bytes.
    pub size: u64,
    /// Change time, seconds since the epoch.
    pub change_time: i64,
    /// Modification time, seconds since the epoch.
    pub modify_time: i64,
    /// `s_dev` of the superblock: major << 20 | minor.
    pub device: u32,
    /// Type and permission bits (`i_mode`).
    pub mode: u32,
    /// Number of names (0 = deleted).
    pub link_count: u32,
    /// Owner.
    pub uid: u32,
    /// `s_magic` of the superblock.
    pub filesystem_magic: u32,
    /// `FILE_*` flags.
    pub flags: u32,
}

/// The file lives on an overlay file system.
pub const FILE_OVERLAY: u32 = 1;
/// The overlay file has an upper layer copy: created or changed after the image.
pub const FILE_OVERLAY_UPPER: u32 = 1 << 1;
/// The file's mount belongs to no mount namespace (detached mount, `memfd`, kernel-internal mount).
pub const FILE_DETACHED_MOUNT: u32 = 1 << 2;
/// The file has no parent folder (`memfd`, `O_TMPFILE` and the like).
pub const FILE_NO_PARENT: u32 = 1 << 3;
/// The walk ended at the mount namespace's root without meeting the process's root.
pub const FILE_OUTSIDE_ROOT: u32 = 1 << 4;
/// The path is longer than [`PATH_MAX`]; its last part is kept.
pub const FILE_PATH_TRUNCATED: u32 = 1 << 5;
/// The file's name was removed from its folder (`d_unhashed`).
pub const FILE_UNLINKED: u32 = 1 << 6;

/// The file's mount is not in the process's mount namespace: detached, kernel-internal, anonymous or another's.
pub const FILE_FOREIGN_MOUNT: u32 = 1 << 7;

/// What file descriptor 0, 1 or 2 refers to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Descriptor {
    /// Inode number: the same at both ends of a pipe.
    pub inode: u64,
    /// `i_mode`; 0 if the descriptor is closed.
    pub mode: u32,
    /// `i_rdev` of a device: major << 20 | minor.
    pub device: u32,
    /// Address family of a socket (AF_INET = 2, AF_INET6 = 10, AF_UNIX = 1).
    pub family: u16,
    /// SOCK_STREAM = 1, SOCK_DGRAM = 2.
    pub socket_type: u16,
    /// Local port, host byte order.
    pub local_port: u16,
    /// Remote port, host byte order.
    pub remote_port: u16,
    /// Local address; IPv4 in the first four bytes.
    pub local_address: [u8; 16],
    /// Remote address.
    pub remote_address: [u8; 16],
}

/// A new process was created.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ForkRecord {
    /// `kind` is `Fork`.
    pub header: Header,
    /// The new process.
    pub child: ProcessId,
    /// The process that called fork, vfork, clone or clone3; origin is inherited from it.
    pub creator: ProcessId,
    /// The child's parent, which differs from the creator under CLONE_PARENT.
    pub parent: ProcessId,
    /// The child's cgroup in the unified hierarchy, which CLONE_INTO_CGROUP may change.
    pub cgroup_id: u64,
    /// The child's namespaces, which CLONE_NEW* may change.
    pub namespaces: Namespaces,
    /// The child's id in its own pid namespace.
    pub namespace_pid: u32,
    /// Real user id.
    pub uid: u32,
}

/// A process ended.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ExitRecord {
    /// `kind` is `Exit`.
    pub header: Header,
    /// The process.
    pub process: ProcessId,
    /// Wait status as in wait(2): signal in the low seven bits, exit code in bits 8 to 15.
    pub status: u32,
    /// Reserved, zero.
    pub reserved: u32,
}

/// A process replaced its program. Seven spans follow in this order: executable path components, working folder
/// components, name as passed, interpreter, arguments head, arguments tail, selected environment.
///
/// Path components come leaf first, each ended by NUL; arguments and environment are NUL-separated as in memory.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ExecRecord {
    /// `kind` is `Exec`.
    pub header: Header,
    /// The process, after the exec.
    pub process: ProcessId,
    /// Its parent.
    pub parent: ProcessId,
    /// Its cgroup in the unified hierarchy.
    pub cgroup_id: u64,
    /// Namespaces.
    pub namespaces: Namespaces,
    /// Credentials after the exec.
    pub credentials: Credentials,
    /// The executable (the interpreter's file for a script).
    pub file: FileFacts,
    /// Standard input, output and error.
    pub stdio: [Descriptor; 3],
    /// The parent's standard input, output and error.
    pub parent_stdio: [Descriptor; 3],
    /// The command name (`comm`), NUL-padded.
    pub command: [u8; 16],
    /// Thread id before the exec: differs from `process.tid` when a thread other than the leader called execve.
    pub old_thread_id: u32,
    /// Process id in its own pid namespace.
    pub namespace_pid: u32,
    /// Session id (setsid), as the host counts.
    pub session_id: u32,
    /// Controlling terminal as major << 20 | minor, 0 for none.
    pub terminal: u32,
    /// Login user id of the audit subsystem, `u32::MAX` if unset.
    pub login_uid: u32,
    /// Session id of the audit subsystem, `u32::MAX` if unset.
    pub audit_session: u32,
    /// Seccomp mode: 0 off, 1 strict, 2 filter.
    pub seccomp_mode: u32,
    /// `EXEC_*` flags.
    pub flags: u32,
    /// Total bytes of all arguments in memory.
    pub args_length: u32,
    /// Total bytes of the environment in memory.
    pub environment_length: u32,
    /// Number of arguments (`argc`).
    pub args_count: u32,
    /// Depth of the user namespace below the initial one.
    pub user_namespace_level: u32,
    /// Bytes of the spans that follow, in their order.
    pub spans: [u32; EXEC_SPANS],
    /// Of a process in another mount namespace than the host's: the first descriptor above 2 that is a folder on a mount of
    /// yet another namespace, plus one; 0 if there is none among the first [`LEAK_SCAN`].
    pub leaked_folder: u32,
    /// Inode number of the root folder.
    pub root_inode: u64,
    /// Device of the root folder: major << 20 | minor.
    pub root_device: u32,
    /// Reserved, zero.
    pub reserved: u32,
}

/// Descriptors looked at for [`ExecRecord::leaked_folder`]: a new program has few, and those that leak are low.
pub const LEAK_SCAN: u32 = 16;

/// Number of spans behind an [`ExecRecord`].
pub const EXEC_SPANS: usize = 7;
/// Span: components of the executable's path, leaf first.
pub const SPAN_EXE_PATH: usize = 0;
/// Span: components of the working folder's path, leaf first.
pub const SPAN_WORKING_FOLDER: usize = 1;
/// Span: the file name as passed to execve(2) (`bprm->filename`).
pub const SPAN_FILENAME: usize = 2;
/// Span: the interpreter's name (`bprm->interp`); equal to the file name unless a script was started.
pub const SPAN_INTERPRETER: usize = 3;
/// Span: first bytes of the arguments.
pub const SPAN_ARGS_HEAD: usize = 4;
/// Span: last bytes of the arguments, if they did not fit in the head.
pub const SPAN_ARGS_TAIL: usize = 5;
/// Span: environment variables that steer loaders, interpreters and shells.
pub const SPAN_ENVIRONMENT: usize = 6;

/// no_new_privs is set.
pub const EXEC_NO_NEW_PRIVILEGES: u32 = 1;
/// The exec gained privilege (`bprm->secureexec`, AT_SECURE).
pub const EXEC_SECURE: u32 = 1 << 1;
/// Not all of the environment was searched, or what was found did not fit.
pub const EXEC_ENVIRONMENT_TRUNCATED: u32 = 1 << 2;
/// The working folder's path is longer than [`PATH_MAX`].
pub const EXEC_WORKING_FOLDER_TRUNCATED: u32 = 1 << 3;
/// The working folder lies outside the process's root.
pub const EXEC_WORKING_FOLDER_OUTSIDE_ROOT: u32 = 1 << 4;
/// The working folder lies on a mount of another mount namespace: neither of the process's own nor of none.
pub const EXEC_WORKING_FOLDER_FOREIGN: u32 = 1 << 5;

const _: () = assert!(size_of::<ProcessId>() == 16);
const _: () = assert!(size_of::<Namespaces>() == 32);
const _: () = assert!(size_of::<Credentials>() == 72);
const _: () = assert!(size_of::<FileFacts>() == 56);
const _: () = assert!(size_of::<Descriptor>() == 56);
const _: () = assert!(size_of::<ForkRecord>() == 112);
const _: () = assert!(size_of::<ExitRecord>() == 40);
const _: () = assert!(size_of::<ExecRecord>() == 664);
