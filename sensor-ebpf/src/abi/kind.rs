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
    /// Actions that may come in numbers.
    Bulk,
}

impl RingClass {
    /// The name used in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lineage => "lineage",
            Self::Critical => "critical",
            Self::Bulk => "bulk",
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
    SocketConnect = 38 "socket_connect" Bulk "A process of a container connects to a watched address or port, or to many of them."
    Signal = 39 "signal" Bulk "A process ends or stops another one that is not of its container, or many of them."
    CommandChange = 40 "command_change" Bulk "A process gives itself the command name of a watched program or of a kernel thread."
    ClockChange = 41 "clock_change" Bulk "The wall clock was set, or moved by an offset."
    FileDestruction = 42 "file_destruction" Bulk "Processes of a container removed, renamed or emptied many files within ten seconds; told with the last one."
    ForkFlood = 43 "fork_flood" Bulk "Processes of a container are born at a rate that exhausts the node, or more than it may have."
    FilterChange = 44 "filter_change" Bulk "Rules of the packet filter or of the audit system are changed."
    KeyAccess = 45 "key_access" Bulk "A process of a container looks at keys of the kernel's keyrings."
    SelfWatch = 46 "self_watch" Critical "The sensor found that it does not see all: its own event did not come, or others were lost or kept back. Made in user space."
    LimitChange = 47 "limit_change" Bulk "A process of a container sets the resource limits of another one (prlimit)."
    DiskFill = 48 "disk_fill" Bulk "A disk of the node fills up fast and has little left; the process is of who wrote most. Made in user space."
    FileMap = 49 "file_map" Bulk "A process of a container maps a file executable that did not come with its image: from memory, or of the upper layer."
    SocketSend = 50 "socket_send" Bulk "A process of a container sends to a watched address without connecting, asks for the name of a mining pool, logs in to one, or answers for an address (ARP)."
}

// Numbers without gaps: the counters are indexed by them.
const _: () = assert!(EventKind::ALL[KINDS - 1] as usize == KINDS);
