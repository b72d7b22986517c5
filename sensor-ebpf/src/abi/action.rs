//! Records of everything a process does beyond living: opens, mounts, switches of namespace and credentials, and so on.
//!
//! All kinds share one layout, because all need the same subject and most of them one object: a file, another process,
//! or a few numbers and a text. What `values` hold is said at each [`EventKind`](super::EventKind)'s constants below.

use super::{Credentials, FileFacts, Header, Namespaces, ProcessId};

/// Who acts, as the kernel sees it at the hook.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Subject {
    /// The process; `tid` is the acting thread.
    pub process: ProcessId,
    /// Its parent.
    pub parent: ProcessId,
    /// Its cgroup in the unified hierarchy.
    pub cgroup_id: u64,
    /// Its namespaces.
    pub namespaces: Namespaces,
    /// Its credentials (the subjective ones).
    pub credentials: Credentials,
    /// Depth of its user namespace below the initial one.
    pub user_namespace_level: u32,
    /// Its id in its own pid namespace.
    pub namespace_pid: u32,
    /// Seccomp mode: 0 off, 1 strict, 2 filter.
    pub seccomp_mode: u32,
    /// `SUBJECT_*` flags.
    pub flags: u32,
    /// The command name (`comm`) of the thread, NUL-padded.
    pub command: [u8; 16],
    /// Inode number of its root folder.
    pub root_inode: u64,
    /// `s_dev` of its root folder's superblock.
    pub root_device: u32,
    /// Which way in the hook took: a `RUNG_*` number.
    pub rung: u32,
}

/// no_new_privs is set.
pub const SUBJECT_NO_NEW_PRIVILEGES: u32 = 1;
/// A kernel thread acts: it has no memory of its own.
pub const SUBJECT_KERNEL_THREAD: u32 = 1 << 1;
/// The thread came here by a 32-bit system call (x86).
pub const SUBJECT_COMPAT: u32 = 1 << 2;
/// The kernel side knows the process, or an ancestor of it, to have been in another mount namespace than the host's.
pub const SUBJECT_CONTAINED: u32 = 1 << 3;
/// The thread is within execve: its program is being replaced.
pub const SUBJECT_IN_EXEC: u32 = 1 << 4;

/// BTF-typed raw tracepoint.
pub const RUNG_TRACEPOINT_BTF: u32 = 1;
/// BPF LSM.
pub const RUNG_LSM: u32 = 2;
/// Trampoline at a function's entry or exit.
pub const RUNG_FENTRY: u32 = 3;
/// Kprobe or kretprobe.
pub const RUNG_KPROBE: u32 = 4;
/// The return of a system call.
pub const RUNG_SYSTEM_CALL: u32 = 5;

/// Numbers in [`ActionRecord::values`].
pub const ACTION_VALUES: usize = 6;
/// Texts behind an [`ActionRecord`].
pub const ACTION_TEXTS: usize = 4;
/// Text: components of the path of `file`, leaf first, each ended by NUL.
pub const TEXT_PATH: usize = 0;
/// Text: components of a second path, leaf first, each ended by NUL.
pub const TEXT_OTHER_PATH: usize = 1;
/// Text: components of the path of `file` from the root of its own file system, wherever that is mounted, leaf first,
/// each ended by NUL. The last one is the root itself. Of `bind_mount` and `move_mount` it is the path of `other_file`.
pub const TEXT_FILESYSTEM_PATH: usize = 2;
/// Text: a plain text (a name, a type, what was passed), without NUL at its end. If there are two, a NUL separates them.
pub const TEXT_PLAIN: usize = 3;
/// Longest plain text.
pub const PLAIN_TEXT_MAX: usize = 1024;

/// An action. The texts follow in their order.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ActionRecord {
    /// `kind` is any of the actions.
    pub header: Header,
    /// Who.
    pub subject: Subject,
    /// The file it is about; zero if there is none.
    pub file: FileFacts,
    /// A second file: what is mounted, where the old root is put, the file a link leads to; zero if there is none.
    pub other_file: FileFacts,
    /// Another process it is about; zero if there is none.
    pub target: ProcessId,
    /// Namespaces it is about: the new ones, or those of the other process.
    pub target_namespaces: Namespaces,
    /// Credentials it is about: the new ones, or those of the other process.
    pub target_credentials: Credentials,
    /// The cgroup it is about: the new one, or that of the other process.
    pub target_cgroup_id: u64,
    /// Numbers, whose meaning depends on the kind; see the `*_VALUE_*` constants.
    pub values: [u64; ACTION_VALUES],
    /// Result of the action where the hook sees one: 0 or a negative error number. [`RESULT_NOT_KNOWN`] elsewhere.
    pub result: i32,
    /// Bytes of the texts that follow, in their order.
    pub texts: [u32; ACTION_TEXTS],
    /// Reserved, zero.
    pub reserved: u32,
}

/// The hook runs before the outcome is known.
pub const RESULT_NOT_KNOWN: i32 = i32::MAX;

/// `file_open`: `f_flags` (O_*).
pub const OPEN_VALUE_FLAGS: usize = 0;
/// `file_open`: `f_mode` (FMODE_*); 0 if there was no file.
pub const OPEN_VALUE_MODE: usize = 1;
/// `file_open`: `OPEN_*` reasons for which the kernel side sent it.
pub const OPEN_VALUE_REASONS: usize = 2;
/// `file_open`: of a device node its device: major << 20 | minor.
pub const OPEN_VALUE_DEVICE: usize = 3;

/// `file_open`: of a file of /proc/PID the process id, as the host counts.
pub const OPEN_VALUE_PROCESS: usize = 4;

/// The opener writes to a file system through which the kernel itself is steered.
pub const OPEN_KERNEL_WRITE: u64 = 1;
/// The file's mount is not in the opener's mount namespace.
pub const OPEN_FOREIGN_MOUNT: u64 = 1 << 1;
/// The inode is on the watch list of user space.
pub const OPEN_WATCHED: u64 = 1 << 2;
/// The file is a block device, or a character device through which the kernel's memory is seen.
pub const OPEN_DEVICE: u64 = 1 << 3;
/// The file tells of the kernel's memory: /proc/kcore, /proc/kallsyms, /proc/kmsg.
pub const OPEN_KERNEL_MEMORY: u64 = 1 << 4;

/// The file is a plain one with the name of a cgroup's release agent.
pub const OPEN_AGENT_NAME: u64 = 1 << 5;
/// The file is on a watch list, by name or place.
pub const OPEN_LISTED: u64 = 1 << 6;
/// The file shows environment or memory of another process.
pub const OPEN_OTHER_PROCESS: u64 = 1 << 7;
/// The file was made by this open, and may be executed.
pub const OPEN_MADE_EXECUTABLE: u64 = 1 << 8;

/// `file_attribute`: `ATTRIBUTE_*` bits of what changes.
pub const ATTRIBUTE_VALUE_CHANGED: usize = 0;
/// `file_attribute`: the new mode, if it changes.
pub const ATTRIBUTE_VALUE_MODE: usize = 1;
/// `file_attribute`: the permitted capabilities that the file is given.
pub const ATTRIBUTE_VALUE_CAPABILITIES: usize = 2;
/// `file_attribute`: the time of the last change of content that is set, in seconds since 1970.
pub const ATTRIBUTE_VALUE_MODIFY_TIME: usize = 3;

/// `file_attribute`: if flags change, the new ones (`FILE_FLAG_*`), and in the upper half the old ones.
pub const ATTRIBUTE_VALUE_FLAGS: usize = 4;

/// The file cannot be changed (`chattr +i`).
pub const FILE_FLAG_IMMUTABLE: u64 = 1;
/// The file can only grow (`chattr +a`).
pub const FILE_FLAG_APPEND: u64 = 2;

/// The mode changes (`ATTR_MODE` of include/linux/fs.h).
pub const ATTRIBUTE_MODE: u64 = 1;
/// The owner changes (`ATTR_UID`).
pub const ATTRIBUTE_OWNER: u64 = 1 << 1;
/// The group changes (`ATTR_GID`).
pub const ATTRIBUTE_GROUP: u64 = 1 << 2;
/// The size changes (`ATTR_SIZE`).
pub const ATTRIBUTE_SIZE: u64 = 1 << 3;
/// The time of the last change of content is set (`ATTR_MTIME_SET`).
pub const ATTRIBUTE_MODIFY_TIME: u64 = 1 << 8;
/// File capabilities are set (the extended attribute `security.capability`).
pub const ATTRIBUTE_CAPABILITIES: u64 = 1 << 32;
/// Flags of the file change that forbid others to change it.
pub const ATTRIBUTE_FLAGS: u64 = 1 << 33;

/// `file_name`: what is done, a `NAME_*` number.
pub const NAME_VALUE_OPERATION: usize = 0;

/// A hard link: `file` gets the name `other_file`.
pub const NAME_LINK: u64 = 1;
/// A symlink `file` that leads to the text.
pub const NAME_SYMLINK: u64 = 2;
/// `file` gets the name `other_file`, and replaces what has it.
pub const NAME_RENAME: u64 = 3;
/// `file` loses its name.
pub const NAME_UNLINK: u64 = 4;
/// The folder `file` is made.
pub const NAME_MAKE_FOLDER: u64 = 5;
/// The folder `file` is removed.
pub const NAME_REMOVE_FOLDER: u64 = 6;

/// `bind_mount`, `move_mount`: `i_rdev` of what is mounted, if that is a device node: major << 20 | minor.
pub const BIND_VALUE_NODE: usize = 4;

/// `splice`: bytes asked for.
pub const SPLICE_VALUE_LENGTH: usize = 0;

/// `namespace_switch`: CLONE_NEW* bits of the namespaces that changed.
pub const NAMESPACE_VALUE_CHANGED: usize = 0;
/// `namespace_switch`, `credential_change`, `user_namespace_create`: depth of the new user namespace.
pub const VALUE_USER_NAMESPACE_LEVEL: usize = 1;

/// `ptrace`: the mode (PTRACE_MODE_*).
pub const PTRACE_VALUE_MODE: usize = 0;

/// `superblock`, `move_mount`: `s_dev` of the superblock: major << 20 | minor.
pub const SUPERBLOCK_VALUE_DEVICE: usize = 0;
/// `superblock`, `move_mount`: `s_flags` (SB_*).
pub const SUPERBLOCK_VALUE_FLAGS: usize = 1;
/// `superblock`, `move_mount`: depth of the user namespace that owns it.
pub const SUPERBLOCK_VALUE_USER_NAMESPACE_LEVEL: usize = 2;
/// `superblock`, `move_mount`: 1 if its data lies on a block device.
pub const SUPERBLOCK_VALUE_BLOCK_BACKED: usize = 3;

/// `mount`: flags as passed to mount(2) (MS_*).
pub const MOUNT_VALUE_FLAGS: usize = 0;

/// `device_node`: mode with the type.
pub const DEVICE_VALUE_MODE: usize = 0;
/// `device_node`: its device: major << 20 | minor.
pub const DEVICE_VALUE_NUMBER: usize = 1;

/// `module_load`: which hook saw it, a `MODULE_*` number.
pub const MODULE_VALUE_SOURCE: usize = 0;
/// `module_load`: why the kernel is tainted by it (`struct module.taints`), where the module is known.
pub const MODULE_VALUE_TAINTS: usize = 1;
/// `module_load`: what is read (`enum kernel_read_file_id` or `enum kernel_load_data_id`).
pub const MODULE_VALUE_ID: usize = 2;

/// The module is loaded.
pub const MODULE_LOADED: u64 = 1;
/// A file is read as a module or kernel image.
pub const MODULE_FROM_FILE: u64 = 2;
/// Memory is read as a module or kernel image.
pub const MODULE_FROM_MEMORY: u64 = 3;

/// `bpf`: the command (BPF_*).
pub const BPF_VALUE_COMMAND: usize = 0;
/// `bpf`: type of the program that is loaded (BPF_PROG_TYPE_*).
pub const BPF_VALUE_PROGRAM_TYPE: usize = 1;
/// `bpf`: where it is to be attached (`expected_attach_type`).
pub const BPF_VALUE_ATTACH_TYPE: usize = 2;

/// `perf_event_open`: what is decided (PERF_SECURITY_*).
pub const PERF_VALUE_SCOPE: usize = 0;
/// `perf_event_open`: the event's type (PERF_TYPE_*), where the hook is told.
pub const PERF_VALUE_TYPE: usize = 1;
/// `perf_event_open`: its `config`, where the hook is told.
pub const PERF_VALUE_CONFIG: usize = 2;

/// `socket_create`: address family (AF_*).
pub const SOCKET_VALUE_FAMILY: usize = 0;
/// `socket_create`: type (SOCK_*).
pub const SOCKET_VALUE_TYPE: usize = 1;
/// `socket_create`: protocol.
pub const SOCKET_VALUE_PROTOCOL: usize = 2;

/// `filesystem_parameter`: which parameter of its context this is, from 1.
pub const PARAMETER_VALUE_COUNT: usize = 0;
/// `filesystem_parameter`: depth of the user namespace that will own the file system.
pub const PARAMETER_VALUE_USER_NAMESPACE_LEVEL: usize = 1;
/// `filesystem_parameter`: so many parameters of one context are told again.
pub const PARAMETERS_MANY: u32 = 128;

/// `socket_listen`: address family (AF_INET or AF_INET6).
pub const LISTEN_VALUE_FAMILY: usize = 0;
/// `socket_listen`: type (SOCK_*).
pub const LISTEN_VALUE_TYPE: usize = 1;
/// `socket_listen`: port in host byte order; 0 if the kernel is still to choose one.
pub const LISTEN_VALUE_PORT: usize = 2;
/// `socket_listen`: local address as in memory, 16 bytes in two values; of IPv4 the first four.
pub const LISTEN_VALUE_ADDRESS: usize = 3;

/// `socket_connect`: address family (AF_INET or AF_INET6).
pub const CONNECT_VALUE_FAMILY: usize = 0;
/// `socket_connect`: type (SOCK_*).
pub const CONNECT_VALUE_TYPE: usize = 1;
/// `socket_connect`: port in host byte order.
pub const CONNECT_VALUE_PORT: usize = 2;
/// `socket_connect`: the other end's address as in memory, 16 bytes in two values; of IPv4 it is the mapped address.
pub const CONNECT_VALUE_ADDRESS: usize = 3;
/// `socket_connect`: if it is told because there are many: different addresses and ports that the cgroup connected to within
/// a minute, and in the upper half how many connections failed.
pub const CONNECT_VALUE_MANY: usize = 5;

/// `socket_send`: address family (AF_INET, AF_INET6 or AF_PACKET).
pub const SEND_VALUE_FAMILY: usize = CONNECT_VALUE_FAMILY;
/// `socket_send`: type (SOCK_*).
pub const SEND_VALUE_TYPE: usize = CONNECT_VALUE_TYPE;
/// `socket_send`: port in host byte order.
pub const SEND_VALUE_PORT: usize = CONNECT_VALUE_PORT;
/// `socket_send`: the other end's address, as of `socket_connect`; of an ARP reply the address that it claims.
pub const SEND_VALUE_ADDRESS: usize = CONNECT_VALUE_ADDRESS;
/// `socket_send`: what is sent (`SEND_*`) in the lowest 8 bits; if it is told because there are many, how many in the 24
/// bits above, and in the upper half how many connections failed.
pub const SEND_VALUE_WHAT: usize = 5;

/// The login of a miner: JSON with a method of Stratum. The text is how it begins.
pub const SEND_STRATUM: u64 = 1;
/// A question for the name of a mining pool. The text is the name as DNS writes it, without its end.
pub const SEND_QUERY: u64 = 2;
/// An ARP reply.
pub const SEND_ARP_REPLY: u64 = 3;

/// `signal`: its number.
pub const SIGNAL_VALUE_NUMBER: usize = 0;
/// `signal`: if it is told because there are many: processes that the sender signalled within five seconds.
pub const SIGNAL_VALUE_MANY: usize = 1;

/// `clock_change`: the new time in seconds since 1970; 0 if the clock is moved by an offset.
pub const CLOCK_VALUE_SECONDS: usize = 0;
/// `clock_change`: the whole seconds by which the clock is moved, signed; 0 if it is set to a time.
pub const CLOCK_VALUE_OFFSET: usize = 1;

/// `file_map`: what the mapping allows (PROT_* of include/uapi/asm-generic/mman-common.h).
pub const MAP_VALUE_PROTECTION: usize = 0;
/// `file_map`: flags of the mapping (MAP_* of the same file).
pub const MAP_VALUE_FLAGS: usize = 1;

/// `file_destruction`: how many files within ten seconds.
pub const DESTRUCTION_VALUE_COUNT: usize = 0;

/// `fork_flood`: processes born within three seconds, if it is told for that.
pub const FORK_VALUE_COUNT: usize = 0;
/// `fork_flood`: forks that the cgroup refused since the last look, if it is told for that. Made in user space.
pub const FORK_VALUE_REFUSED: usize = 1;

/// `filter_change`: what is changed, a `FILTER_*` number.
pub const FILTER_VALUE_SYSTEM: usize = 0;
/// `filter_change`: type of the first message that changes something (`nlmsg_type`); 0 of setsockopt(2).
pub const FILTER_VALUE_MESSAGE: usize = 1;

/// nf_tables, by netlink.
pub const FILTER_NF_TABLES: u64 = 1;
/// The tables of iptables, by setsockopt(2).
pub const FILTER_TABLES: u64 = 2;
/// The audit system, by netlink.
pub const FILTER_AUDIT: u64 = 3;

/// `key_access`: keys that the process looked at within ten seconds.
pub const KEY_VALUE_COUNT: usize = 0;
/// `key_access`: serial number of the key.
pub const KEY_VALUE_SERIAL: usize = 1;

/// `self_watch`: how many events were lost, or nanoseconds since the last own event.
pub const SELF_VALUE_AMOUNT: usize = 0;

/// `disk_fill`: percent of the disk that are free.
pub const DISK_VALUE_FREE: usize = 0;
/// `disk_fill`: bytes by which free space fell within a minute.
pub const DISK_VALUE_GROWTH: usize = 1;

/// `limit_change`: the resource (RLIMIT_* of include/uapi/asm-generic/resource.h).
pub const LIMIT_VALUE_RESOURCE: usize = 0;

/// `power_control`: the command (LINUX_REBOOT_CMD_* of include/uapi/linux/reboot.h).
pub const POWER_VALUE_COMMAND: usize = 0;
/// `terminal_input`: the command (TIOCSTI or TIOCLINUX).
pub const TERMINAL_VALUE_COMMAND: usize = 0;

/// `kernel_log`: the action (SYSLOG_ACTION_* of include/linux/syslog.h).
pub const KERNEL_LOG_VALUE_ACTION: usize = 0;

/// `unix_connect`: process id of who listens.
pub const UNIX_VALUE_PEER_PID: usize = 0;

/// `handle_open`: type of the handle.
pub const HANDLE_VALUE_TYPE: usize = 0;
/// `handle_open`: first eight bytes of the handle: on most file systems inode number and generation.
pub const HANDLE_VALUE_START: usize = 1;
/// `handle_open`: flags of the open (O_*).
pub const HANDLE_VALUE_FLAGS: usize = 2;

const _: () = assert!(size_of::<Subject>() == 192);
const _: () = assert!(size_of::<ActionRecord>() == 520);
