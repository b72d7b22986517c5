//! The kinds of records, and the ring each of them travels in.

macro_rules! kinds {
    ($($variant:ident = $number:literal $name:literal $class:ident $doc:literal)*) => {
        /// What a record tells. The number is part of the ABI: never reuse one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum EventKind {
            $(#[doc = $doc] $variant = $number,)*
        }

        /// Number of kinds.
        pub const KINDS: usize = [$($number,)*].len();

        impl EventKind {
            /// All kinds, in the order of their numbers.
            pub const ALL: [Self; KINDS] = [$(Self::$variant,)*];

            /// The kind of a number read from a record; `None` for one this version does not know.
            pub const fn from_number(number: u16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The name used in JSON, metrics and documents.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The ring it travels in.
            pub const fn class(self) -> RingClass {
                match self {
                    $(Self::$variant => RingClass::$class,)*
                }
            }

            /// One sentence for documents.
            pub const fn description(self) -> &'static str {
                match self {
                    $(Self::$variant => $doc,)*
                }
            }
        }
    };
}

/// A ring. Each has its own room, so that a flood of one class cannot push out another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RingClass {
    /// The life of processes and cgroups, in the order in which it happened.
    Lineage,
    /// Rare actions of high value.
    Critical,
}

impl RingClass {
    /// The name used in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lineage => "lineage",
            Self::Critical => "critical",
        }
    }
}

/// Number of slots in maps that are indexed by kind. Slot 0 is never used, so that a zeroed record is no valid one.
pub const KIND_SLOTS: usize = KINDS + 1;

kinds! {
    Fork = 1 "fork" Lineage "A new process (threads are filtered in the kernel)."
    Exec = 2 "exec" Lineage "A process replaced its program."
    Exit = 3 "exit" Lineage "The last thread of a process ended."
    CgroupCreate = 4 "cgroup_create" Lineage "A cgroup was created."
    CgroupRemove = 5 "cgroup_remove" Lineage "A cgroup was removed."
    FileOpen = 6 "file_open" Critical "A file was opened, or an open was refused in a way worth telling."
    Mount = 7 "mount" Critical "mount(2): a new mount, a bind mount, a remount, a change of propagation."
    MoveMount = 8 "move_mount" Critical "A mount was attached somewhere: the second half of the new mount API."
    Superblock = 9 "superblock" Critical "A file system was set up, whichever mount API asked for it."
    PivotRoot = 10 "pivot_root" Critical "The root mount of a namespace was replaced."
    Chroot = 11 "chroot" Critical "A process changed its root folder."
    NamespaceSwitch = 12 "namespace_switch" Critical "A process entered other namespaces: setns, unshare."
    CredentialChange = 13 "credential_change" Critical "A process's credentials became stronger or moved to another user namespace."
    UserNamespaceCreate = 14 "user_namespace_create" Critical "A user namespace was created."
    HandleOpen = 15 "handle_open" Critical "A file was opened by handle, past all folders (open_by_handle_at)."
    Ptrace = 16 "ptrace" Critical "A process asked for access to another: attach, memory, descriptors, magic links."
    ModuleLoad = 17 "module_load" Critical "A kernel module or a kexec image was loaded."
    Bpf = 18 "bpf" Critical "The bpf system call was used."
    PerfEventOpen = 19 "perf_event_open" Critical "A performance event was opened."
    AnonymousInode = 20 "anonymous_inode" Critical "A userfaultfd or an io_uring was created."
    DeviceNode = 21 "device_node" Critical "A device node was made."
    SocketCreate = 22 "socket_create" Critical "A socket of a watched family was created."
    UnixConnect = 23 "unix_connect" Critical "A process connected to a unix socket."
    UsermodeHelper = 24 "usermode_helper" Critical "The kernel starts a program of its own accord."
    KernelLog = 25 "kernel_log" Critical "The kernel's log was read or cleared by syslog(2)."
    FileAttribute = 26 "file_attribute" Critical "A file is made setuid, is given capabilities, or is a binary of the container runtime that is changed."
    FileName = 27 "file_name" Critical "A file gets, changes or loses a name: link, symlink, rename, unlink."
    WorkingFolder = 28 "working_folder" Critical "A process of a container moves to a working folder outside its mount namespace."
    BindMount = 29 "bind_mount" Critical "A bind mount, with what the kernel found at its source."
    Splice = 30 "splice" Critical "Pages of a file that others may run or read are put into a pipe or socket."
    CgroupMove = 31 "cgroup_move" Critical "A process was moved to another cgroup."
    Sweep = 32 "sweep" Critical "The sweep over /proc found a process of a container changed, without an event that tells how. Made in user space."
    FilesystemParameter = 33 "filesystem_parameter" Critical "A parameter was given to a file system that is set up in a container's own user namespace: the first one, and the 128th."
    SocketListen = 34 "socket_listen" Critical "A process of a container begins to listen on a TCP port."
    PowerControl = 35 "power_control" Critical "A process of a container asked for a reboot or halt, of the node or of its pid namespace."
    TerminalInput = 36 "terminal_input" Critical "A process of a container put keystrokes into a terminal."
    SocketBind = 37 "socket_bind" Critical "A process of a container chose the algorithm of a socket of the kernel's cryptography."
}

// Numbers without gaps: the counters are indexed by them.
const _: () = assert!(EventKind::ALL[KINDS - 1] as usize == KINDS);
