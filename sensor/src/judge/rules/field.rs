//! The fields that conditions and outputs may name. Falco's names where Falco has the field.

/// Type of a field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// `true` or `false`.
    Bool,
    /// A whole number; durations are nanoseconds.
    Number,
    /// Text, as bytes.
    Text,
    /// Several texts; an operator holds if it holds for any of them.
    List,
    /// An address as text that is compared with networks.
    Network,
}

impl FieldType {
    /// The name in messages and documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Number => "number",
            Self::Text => "text",
            Self::List => "list of text",
            Self::Network => "network",
        }
    }
}

/// Whether a field takes `[...]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indexing {
    /// It does not.
    None,
    /// A number, optional: without it the field is the list of all.
    Index,
    /// A name, which must be there.
    Name,
}

macro_rules! fields {
    ($($variant:ident $name:literal $kind:ident $indexing:ident $description:literal,)*) => {
        /// A field.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Field {
            $(#[doc = $description] $variant,)*
        }

        impl Field {
            /// All fields, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in rules.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The type. An indexed field that is written without index is a list.
            pub fn field_type(self) -> FieldType {
                match self { $(Self::$variant => FieldType::$kind,)* }
            }

            /// Whether it takes `[...]`.
            pub fn indexing(self) -> Indexing {
                match self { $(Self::$variant => Indexing::$indexing,)* }
            }

            /// One sentence for the documentation.
            pub fn description(self) -> &'static str {
                match self { $(Self::$variant => $description,)* }
            }

            /// The field of this name.
            pub fn by_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

fields! {
    EvtType "evt.type" List None "Kind of event by the system call that Falco names it for, or by our own name; an event that several calls lead to has the names of all.",
    EvtNum "evt.num" Number None "Always 1, so that Falco's macro never_true, which asks for 0, is what it says; events are numbered in the log.",
    EvtDir "evt.dir" Text None "Always <: events are told once, when their outcome is known or decided.",
    EvtSource "evt.source" Text None "Always syscall.",
    EvtCategory "evt.category" Text None "file, net, process, or other.",
    EvtRes "evt.res" Text None "Outcome as a word: SUCCESS or the name of the error, such as EACCES. Of a hook that runs before the outcome is known SUCCESS, as nothing refused it so far.",
    EvtRawres "evt.rawres" Number None "Outcome as a number: 0 or a negative error number; 0 where evt.res is SUCCESS, also of calls that give a descriptor.",
    EvtFailed "evt.failed" Bool None "It was refused.",
    EvtArgs "evt.args" Text None "What an action is about in words, as evt.text.",
    EvtArg "evt.arg" Text Name "An argument by Falco's name, also written evt.arg.NAME: flags, request, domain, type, name, filename, path, oldpath, newpath, linkpath, target, sig, res.",
    EvtIsOpenRead "evt.is_open_read" Bool None "The file was opened for reading.",
    EvtIsOpenWrite "evt.is_open_write" Bool None "The file was opened for writing.",
    EvtIsOpenExec "evt.is_open_exec" Bool None "The open made a file that may be executed.",
    EvtHostname "evt.hostname" Text None "Name of the node.",
    EvtTime "evt.time" Number None "Nanoseconds since boot.",
    ProcPid "proc.pid" Number None "Process id on the host.",
    ProcVpid "proc.vpid" Number None "Process id in its own pid namespace.",
    ProcPpid "proc.ppid" Number None "Process id of the parent.",
    ProcName "proc.name" Text None "Command name (comm), at most 15 bytes.",
    ProcExe "proc.exe" Text None "First argument (argv[0]).",
    ProcExepath "proc.exepath" Text None "Path of the executable, from the process's root.",
    ProcArgs "proc.args" Text None "Arguments behind the first, joined by spaces.",
    ProcArg "proc.arg" List None "Each argument behind the first.",
    ProcNamesRemoteHost "proc.names_remote_host" Bool None "An argument names a host other than this one: in a URL, as host:path, host/path or host.",
    ProcCmdline "proc.cmdline" Text None "Command name and arguments, joined by spaces.",
    ProcNargs "proc.nargs" Number None "Number of arguments behind the first.",
    ProcArgsLength "proc.args_length" Number None "Bytes of all arguments in memory.",
    ProcArgsTruncated "proc.args_truncated" Bool None "Only head and tail of the arguments are there.",
    ProcCwd "proc.cwd" Text None "Working folder.",
    ProcCwdForeign "proc.cwd_foreign" Bool None "The working folder lies on a mount of another mount namespace.",
    ProcLeakedFolder "proc.leaked_folder" Number None "Descriptor above 2 that the program was given and that is a folder of another mount namespace.",
    ProcNames "proc.names" List None "Names the program goes by: command name, base names of executable, first argument and script.",
    ProcPname "proc.pname" Text None "Command name of the parent's program.",
    ProcPexe "proc.pexe" Text None "First argument of the parent's program.",
    ProcPexepath "proc.pexepath" Text None "Path of the parent's executable.",
    ProcPexeDrift "proc.pexe_drift" Bool None "The parent's executable is not from its container's image and volumes as they were at its start; false on the host.",
    ProcPcmdline "proc.pcmdline" Text None "Command line of the parent.",
    ProcPnames "proc.pnames" List None "Names the parent's program goes by.",
    ProcAname "proc.aname" Text Index "Command name of an ancestor: [1] is the parent; without index any ancestor.",
    ProcAexepath "proc.aexepath" Text Index "Executable of an ancestor.",
    ProcApid "proc.apid" Number Index "Process id of an ancestor; needs an index.",
    ProcSid "proc.sid" Number None "Session id.",
    ProcTty "proc.tty" Number None "Controlling terminal as a device number, 0 for none.",
    ProcServerPort "proc.server_port" Number None "The TCP port on which the process, or one that it descends from within four generations, listens; none if it serves nothing.",
    ProcServerGeneration "proc.server_generation" Number None "How many generations it is from the process that listens, which is 0.",
    ProcHabitAge "proc.habit_age" Number None "Of an exec by a server: the age of the container, in nanoseconds, when its servers first started this program with these arguments.",
    ProcDuration "proc.duration" Number None "Nanoseconds since the process started.",
    ProcExeline "proc.exeline" Text None "All arguments joined by spaces, the first included.",
    ProcCmdnargs "proc.cmdnargs" Number None "Number of arguments behind the first.",
    ProcCmdlenargs "proc.cmdlenargs" Number None "Bytes of the arguments behind the first, without spaces between them.",
    ProcAexe "proc.aexe" Text Index "First argument (argv[0]) of an ancestor.",
    ProcPpidDuration "proc.ppid.duration" Number None "Nanoseconds since the parent started.",
    ProcExeInoCtime "proc.exe_ino.ctime" Number None "When the executable was last changed, content or attributes, in nanoseconds since the epoch.",
    ProcExeInoMtime "proc.exe_ino.mtime" Number None "When the content of the executable was last changed, in nanoseconds since the epoch.",
    ProcEnv "proc.env" Text Name "Environment variable; only those that steer loaders, interpreters and shells are captured.",
    ProcIsExeUpperLayer "proc.is_exe_upper_layer" Bool None "The executable lies in the container's upper layer.",
    ProcIsExeLowerLayer "proc.is_exe_lower_layer" Bool None "The executable lies in the image.",
    ProcIsExeFromMemfd "proc.is_exe_from_memfd" Bool None "The executable was never on a disk (memfd_create).",
    ProcIsExeWritable "proc.is_exe_writable" Bool None "Others than root may write the executable.",
    ProcExeIno "proc.exe_ino" Number None "Inode number of the executable.",
    ProcStdinType "proc.stdin.type" Text None "What standard input is: file, pipe, unix, ipv4, ipv6, tty, char, dir, block, closed.",
    ProcStdoutType "proc.stdout.type" Text None "What standard output is.",
    ProcStderrType "proc.stderr.type" Text None "What standard error is.",
    ProcIsScript "proc.is_script" Bool None "A script was started; the executable is its interpreter.",
    ProcInvokedPath "proc.invoked_path" Text None "Path as passed to execve.",
    ProcNoNewPrivileges "proc.no_new_privileges" Bool None "no_new_privs is set.",
    ProcSeccomp "proc.seccomp" Number None "Seccomp mode: 0 off, 1 strict, 2 filter.",
    ProcRuntimeSetup "proc.runtime_setup" Bool None "The container runtime at work, up to and without the container's first program.",
    ProcContainerEntrypoint "proc.container_entrypoint" Bool None "This is the container's first program.",
    ProcExecSession "proc.exec_session" Bool None "The runtime brought this program into a running container: kubectl exec, a probe.",
    ProcInExecSession "proc.in_exec_session" Bool None "The program descends from one that was brought in, or is it.",
    ProcSessionRepeats "proc.session_repeats" Number None "Earlier exec sessions of this container with the same arguments and no terminal: probes.",
    ProcStdioInet "proc.stdio_inet" Bool None "Standard input, output or error is a connected internet socket.",
    ProcStdioPeer "proc.stdio_peer" Text None "Its other end, as address:port.",
    ProcStdioPeerLoopback "proc.stdio_peer_loopback" Bool None "Its other end is on loopback.",
    ProcParentStdioInet "proc.parent_stdio_inet" Bool None "The parent's standard input, output or error is a connected internet socket.",
    ProcParentStdioPeer "proc.parent_stdio_peer" Text None "Its other end.",
    ProcParentStdioPeerLoopback "proc.parent_stdio_peer_loopback" Bool None "Its other end is on loopback.",
    ProcPipeWriters "proc.pipe_writers" List None "Names of programs whose output is this program's input.",
    ProcPipeReaders "proc.pipe_readers" List None "Names of programs whose input is this program's output.",
    ProcDiscoveryBurst "proc.discovery_burst" Number None "Different discovery commands of this session within 30 s, this one included.",
    ScriptPath "script.path" Text None "Path of the script, made absolute with the working folder.",
    ExeName "exe.name" Text None "Base name of the executable's path. Unlike proc.names it is not what the program calls itself.",
    ScriptChanged "script.changed" Bool None "Of a script that a server started: it was changed since the container's start.",
    ExeDrift "exe.drift" Bool None "The executable is not from the container's image and volumes as they were at its start.",
    ExeDriftKind "exe.drift_kind" Text None "upper, volume_changed, memory, or without drift copied_up, volume, image, not_applicable.",
    ExeSameAs "exe.same_as" Text None "Of a program that was dropped into a container: path of the tool of the container whose content it has under another name.",
    ExeDeleted "exe.deleted" Bool None "The executable has no name left.",
    ExeDetached "exe.detached" Bool None "The executable's mount is in no mount namespace, or it has no folder.",
    ExeSetuid "exe.setuid" Bool None "The executable has the setuid bit.",
    ExeSetgid "exe.setgid" Bool None "The executable has the setgid bit.",
    ExeFileCapabilities "exe.file_capabilities" Bool None "The exec gained privilege without setuid and setgid: through file capabilities.",
    ExeGrantedCapabilities "exe.granted_capabilities" List None "Capabilities that the program's file gave to a process that is not root.",
    ExeSecure "exe.secure" Bool None "The exec gained privilege (AT_SECURE).",
    ExeFilesystem "exe.filesystem" Text None "File system of the executable: overlay, tmpfs, ext4, xfs, ...",
    ExeLinkCount "exe.link_count" Number None "Number of names the executable has.",
    ExeIsLoader "exe.is_loader" Bool None "The dynamic loader was started as a program; of an action: to run another one, not to list its libraries.",
    ExePathOdd "exe.path_odd" Bool None "A part of the path begins or ends in a space, has control, invisible or direction characters, letters that look like ASCII ones beside those or in the name of a known program, or is three or more dots.",
    ExeHidden "exe.hidden" Bool None "A part of the path starts with a dot.",
    UserName "user.name" Text None "Name of the user, as the accounts of the process's own file system say: /etc/passwd of the container or of the node.",
    UserLoginname "user.loginname" Text None "Name of the login user, as the node's accounts say.",
    GroupName "group.name" Text None "Name of the group, as the accounts of the process's own file system say.",
    UserUid "user.uid" Number None "Real user id.",
    UserEuid "user.euid" Number None "Effective user id.",
    UserLoginuid "user.loginuid" Number None "Login user id; missing if nobody logged in.",
    GroupGid "group.gid" Number None "Real group id.",
    ThreadCapPermitted "thread.cap_permitted" List None "Names of the permitted capabilities.",
    ThreadCapEffective "thread.cap_effective" List None "Names of the effective capabilities.",
    ThreadCapInheritable "thread.cap_inheritable" List None "Names of the inheritable capabilities.",
    EvtResult "evt.result" Number None "Outcome of an action: 0 or a negative error number; missing where the hook runs before it is known.",
    EvtText "evt.text" Text None "What an action is about in words: a name, a type, a device, what was passed.",
    EvtRung "evt.rung" Text None "How the hook was entered: tp_btf, lsm, fentry, kprobe, system_call.",
    ThreadCompat "thread.compat" Bool None "The thread came by a 32-bit system call.",
    FdName "fd.name" Text None "Of a file its path; of a connection address:port of its other end; of a unix socket its path.",
    FdDirectory "fd.directory" Text None "Folder of the file.",
    FdFilename "fd.filename" Text None "Last part of the file's path.",
    FdType "fd.type" Text None "file, directory, ipv4, ipv6, unix, pipe.",
    FdTypechar "fd.typechar" Text None "f file, d directory, 4 IPv4, 6 IPv6, u unix socket, p pipe.",
    FdNum "fd.num" Number None "-1 of an open that was refused, else 0: the number itself is not known.",
    FdIno "fd.ino" Number None "Inode number of the file.",
    FdIp "fd.ip" Text None "Address of the other end.",
    FdRip "fd.rip" Text None "Address of the other end.",
    FdSip "fd.sip" Text None "Address of the server: of a connection the other end.",
    FdPort "fd.port" Number None "Port of the other end.",
    FdRport "fd.rport" Number None "Port of the other end.",
    FdSport "fd.sport" Number None "Port of the server: of a connection the other end, of a socket that listens its own.",
    FdNet "fd.net" Network None "Address of the other end, compared with networks such as 10.0.0.0/8.",
    FdRnet "fd.rnet" Network None "Address of the other end, compared with networks.",
    FdSnet "fd.snet" Network None "Address of the server, compared with networks.",
    FdL4proto "fd.l4proto" Text None "tcp or udp.",
    FdConnected "fd.connected" Bool None "Of a datagram: false, as only those are told whose socket is not connected to where they go.",
    FdNameChanged "fd.name_changed" Bool None "Of a datagram: it goes elsewhere than the ones before.",
    FsPathName "fs.path.name" Text None "Path of the file that is opened, removed or changed; of a rename or link the old one.",
    FsPathSource "fs.path.source" Text None "Of a rename or link: the old path.",
    FsPathTarget "fs.path.target" Text None "Of a rename or link: the new path; of a symbolic link what it leads to.",
    FilePath "file.path" Text None "Path of the file an action is about, from the process's root.",
    FileHostPath "file.host_path" Text None "Its path on the host; missing if the host does not have its file system mounted.",
    FileHostPaths "file.host_paths" List None "Its path on the host, the other one of a link or rename, and the one it had before it was linked or renamed.",
    FileNames "file.names" List None "The last parts of its paths: of a link or rename the old and the new one.",
    FileOwnPod "file.own_pod" Bool None "The file lies in the folder that the kubelet keeps for the process's own pod.",
    FilePodUid "file.pod_uid" Text None "Uid of the pod in whose folder on the node (/var/lib/kubelet/pods) the file lies.",
    FileHabitAge "file.habit_age" Number None "Of a watched file that is opened in a container: the age of the container, in nanoseconds, when this program first opened one of this name.",
    FileName "file.name" Text None "Last part of that path.",
    FileFilesystemPath "file.filesystem_path" Text None "Its path from the root of its own file system, wherever that is mounted; told where the hook says more than a name.",
    FileFilesystem "file.filesystem" Text None "File system of the file: overlay, ext4, proc, sysfs, cgroup, tmpfs, ...",
    FileType "file.type" Text None "regular, directory, symlink, char, block, fifo, socket.",
    FileInode "file.inode" Number None "Inode number of the file.",
    FileDevice "file.device" Text None "Device of its file system, as major:minor.",
    FileForeignMount "file.foreign_mount" Bool None "The file lies on a mount that is not in the process's mount namespace.",
    FileOutsideRoot "file.outside_root" Bool None "The file lies outside the process's root.",
    FileSetuid "file.setuid" Bool None "The file has the setuid or setgid bit.",
    FileUid "file.uid" Number None "Owner of the file.",
    FileLayer "file.layer" Text None "upper, lower, or none outside overlay file systems.",
    FileMemfd "file.memfd" Bool None "The file was never on a disk: memfd_create and the like.",
    FileCopiedUp "file.copied_up" Bool None "Of a file of the upper layer that is mapped executable: the image has it with the same content.",
    MapShared "map.shared" Bool None "The mapping of a file is shared with all that map it.",
    MapProtection "map.protection" List None "What the mapping of a file allows: read, write, exec.",
    FileInOwnCgroup "file.in_own_cgroup" Bool None "The file of a cgroup file system belongs to the container's own cgroup or one below it.",
    FileRuntime "file.is_runtime" Bool None "The file is a binary of the container runtime.",
    FileOnRootFilesystem "file.on_root_filesystem" Bool None "The file lies on the same file system as the process's root folder.",
    OtherFilePath "other_file.path" Text None "Path of a second file: what is mounted, where the old root is put, what a link leads to.",
    OtherFileFilesystem "other_file.filesystem" Text None "Its file system.",
    OtherFileType "other_file.type" Text None "Its type.",
    OtherFileHostPath "other_file.host_path" Text None "Its path on the host; told of what is mounted in a second place.",
    AttributeChanged "attribute.changed" List None "What changes of a file: mode, owner, group, size, modify_time, capabilities, flags.",
    AttributePrivileged "attribute.privileged" Bool None "The new mode has setuid, or setgid with the right of the group to run it.",
    AttributeExecutable "attribute.executable" Bool None "The new mode lets the file be executed, and the old one did not.",
    AttributeBackdated "attribute.backdated" Bool None "The time of its last change of content is set to more than a day before the last change of any kind.",
    AttributeCapabilities "attribute.capabilities" List None "Capabilities that a file lends whoever runs it (permitted).",
    NameOperation "name.operation" Text None "What is done with a name: link, symlink (to evt.text), rename (to other_file), unlink, make_folder, remove_folder.",
    SpliceLength "splice.length" Number None "Bytes of a file that are to go into a pipe or socket.",
    OpenWrite "open.write" Bool None "The file was opened for writing.",
    OpenCreated "open.created" Bool None "The open made the file.",
    OpenTruncate "open.truncate" Bool None "The open cuts the file to nothing (O_TRUNC).",
    OpenMadeExecutable "open.made_executable" Bool None "The open made a file that may be executed.",
    OpenPath "open.o_path" Bool None "The file was opened as a place only (O_PATH).",
    NamespaceChanged "namespace.changed" List None "Namespaces that a switch changed: mount, uts, ipc, pid, network, cgroup, time, user.",
    NamespaceToHost "namespace.to_host" List None "Those that are now the host's own.",
    MountFilesystem "mount.filesystem" Text None "Type of the file system that is set up or mounted.",
    MountSource "mount.source" Text None "What is mounted: the device's name, or what was passed to mount(2).",
    MountPoint "mount.point" Text None "Where it is mounted; of a superblock only if mount(2) asked for it.",
    MountBind "mount.bind" Bool None "mount(2) makes a bind mount.",
    MountNode "mount.node" Text None "Device of the device node that is mounted in a second place, as major:minor; missing for others.",
    MountOntoItself "mount.onto_itself" Bool None "What is mounted in a second place is what is there already.",
    MountLeavesPod "mount.leaves_pod" Bool None "A folder within a pod's volume (subPath) is mounted from outside the pod's folder on the node.",
    MountRemount "mount.remount" Bool None "mount(2) changes a mount's flags.",
    MountReadonly "mount.readonly" Bool None "Read-only.",
    SuperblockBlockBacked "superblock.block_backed" Bool None "The data of the file system lies on a block device.",
    SuperblockDevice "superblock.device" Text None "Device number of the file system, as major:minor.",
    SuperblockNodeRoot "superblock.node_root" Bool None "That device holds the node's own root folder.",
    SuperblockUserNamespaceLevel "superblock.user_namespace_level" Number None "Depth of the user namespace that owns the file system; 0 for the host's.",
    DeviceType "device.type" Text None "Of a device node that is made or opened: block or char.",
    DevicePath "device.path" Text None "Path of the node; as it was passed where nothing better is known.",
    DeviceNumber "device.number" Text None "Its device, as major:minor.",
    UserNamespaceLevel "user_namespace.level" Number None "Depth of the user namespace that is created or entered.",
    HelperArgs "helper.args" Text None "Arguments of a program that the kernel starts, the first included; its path is evt.text.",
    ModuleSource "module.source" Text None "loaded: the module is in the kernel; file: one is read from a file; memory: from memory (init_module).",
    ModuleTaints "module.taints" Number None "Why the module taints the kernel, as bits: 12 out of tree, 13 not signed.",
    BpfProgramType "bpf.program_type" Text None "Type of a BPF program that is loaded: socket_filter, kprobe, tracing, xdp, ...; other if it has no name here.",
    PerfScope "perf.scope" Text None "What a performance event wants: open, cpu (all tasks of a processor), kernel, tracepoint.",
    SocketRaw "socket.raw" Text None "A socket below the transport layer: packet, icmp, raw.",
    SocketFamily "socket.family" Number None "Address family of a socket (AF_*).",
    ParameterCount "parameter.count" Number None "Which parameter of its file system this is; the file system's type is evt.text.",
    ListenPort "listen.port" Number None "Port that a process begins to listen on; 0 if the kernel is still to choose it.",
    ListenLoopback "listen.loopback" Bool None "It listens on the loopback address only.",
    ConnectAddress "connect.address" Text None "Address that a process of a container connects to, or sends to without connecting.",
    ConnectPort "connect.port" Number None "Port of it.",
    ConnectUdp "connect.udp" Bool None "It is a datagram socket: UDP.",
    ConnectLoopback "connect.loopback" Bool None "The address is a loopback one.",
    ConnectNode "connect.node" Bool None "The address is one of the node's own, loopback included.",
    ConnectApiServer "connect.api_server" Bool None "Address and port are those of the API server, as the environment of pods names it.",
    ConnectMany "connect.many" Number None "Different addresses and ports to which the container connected within a minute; told when there are 64, 256, 1024 and 4096.",
    ConnectFailed "connect.failed" Number None "Of these, percent of connections that failed.",
    SendProtocol "send.protocol" Text None "What a process of a container sends, if it is told for that: stratum (the login of a miner), dns (a question for the name of a mining pool), arp (an ARP reply).",
    SendName "send.name" Text None "The name that DNS is asked for.",
    SendClaimed "send.claimed_address" Text None "The address that an ARP reply claims.",
    SignalName "signal.name" Text None "A signal to another process: KILL, TERM, STOP, SEGV, ABRT, QUIT.",
    SignalMany "signal.many" Number None "Processes that the sender signalled within five seconds; told when there are 20, 80, 320 and 1280.",
    FilterSystem "filter.system" Text None "Whose rules are changed: nf_tables, iptables, audit.",
    KeyCount "key.count" Number None "Keys that a process looked at within ten seconds; told of the first one, and when there are 16, 64, 256 and 1024.",
    ProcHostNetwork "proc.host_network" Bool None "Of an action: the process is in the host's network namespace.",
    AttributeFlags "attribute.flags" List None "Flags that a file gets or loses: immutable, append.",
    SelfProblem "self.problem" Text None "What the sensor found of itself: canary_missing, events_flooded (by this process), events_lost, hook_silent, lists_changed.",
    SelfAmount "self.amount" Number None "How many events were lost, or a flooding process may send in a second, or nanoseconds since the last own event came.",
    SelfKind "self.kind" Text None "The kind of events with which a process floods the sensor.",
    DiskFree "disk.free" Number None "Percent of a disk that are free, where it fills up; its mount point is evt.text.",
    DiskGrowth "disk.growth" Number None "Bytes by which its free space fell within a minute.",
    ForkCount "fork.count" Number None "Processes born in a container within three seconds; told when there are 3000, 12000 and more.",
    ForkRefused "fork.refused" Number None "Forks that a container's cgroup refused since the last look, because it had all the processes it may have.",
    ClockStep "clock.step" Number None "Seconds by which the wall clock was set forward; negative if back. Missing if the kernel refuses it.",
    DestructionCount "destruction.count" Number None "Files that a container removed, renamed or emptied within ten seconds; told when there are 200, 800, 3200 and 12800.",
    FileOlderThanContainer "file.older_than_container" Bool None "The file was last changed before the container was created.",
    TargetIsSensor "target.is_sensor" Bool None "The other process is this sensor.",
    PowerCommand "power.command" Text None "What reboot(2) is asked for: restart, halt, power_off, restart2, suspend, kexec, other.",
    PowerHost "power.host" Bool None "It is asked in the host's pid namespace; elsewhere it ends the namespace only.",
    SocketAlgorithm "socket.algorithm" Text None "Name of the algorithm that a socket of the kernel's cryptography is bound to; its type is evt.text.",
    KernelLogAction "kernel_log.action" Text None "What is done with the kernel's log: read, read_all, read_clear, clear.",
    UnixPeerPid "unix.peer_pid" Number None "Process id of who listens on a unix socket.",
    UnixPeerExepath "unix.peer_exepath" Text None "Executable of who listens on a unix socket, if it still has its process id.",
    UnixPeerRuntime "unix.peer_is_runtime" Bool None "Who listens on a unix socket runs a binary of the container runtime, known by inode.",
    PtraceAttach "ptrace.attach" Bool None "Access as strong as attaching: writing memory, taking descriptors.",
    PtraceProcFile "ptrace.proc_file" Bool None "The access is asked for by opening a file in /proc, not by ptrace, process_vm_readv, process_vm_writev or pidfd_getfd.",
    CgroupContainerId "cgroup.container_id" Text None "Container whose cgroup a process was moved to; host if it is none's. The cgroup's path is evt.text.",
    TargetPid "target.pid" Number None "Process id of the other process.",
    TargetName "target.name" Text None "Command name of the other process.",
    TargetExepath "target.exepath" Text None "Executable of the other process.",
    TargetContainerId "target.container_id" Text None "Container of the other process; host outside containers.",
    TargetRelated "target.related" Bool None "One of both processes started the other.",
    TargetSameContainer "target.same_container" Bool None "Both processes were born in the same container, or both on the host.",
    ContractBroken "contract.broken" List None "What of its container's contract a process breaks: mount_namespace, pid_namespace, network_namespace, ipc_namespace, uts_namespace, cgroup_namespace, time_namespace, user_namespace, cgroup, user_namespace_level, capabilities, seccomp, no_new_privileges, root, security_label, credentials. Told once of each process and program.",
    ContractAllowed "contract.allowed" Text None "What the contract says of that.",
    ContractFound "contract.found" Text None "What was found.",
    CredentialGained "credential.gained" List None "Capabilities that a credential change added to the permitted or effective set.",
    CredentialRoot "credential.becomes_root" Bool None "A credential change made the real, effective or file system user id 0.",
    CredentialInExec "credential.in_exec" Bool None "The credential change is part of an exec.",
    CredentialAllowed "credential.allowed" Bool None "The old credentials allowed the change: CAP_SETUID, or a saved or other user id of 0.",
    CredentialNamespace "credential.same_user_namespace" Bool None "The change stays in one user namespace.",
    ContainerId "container.id" Text None "First 12 digits of the container's id; host outside containers.",
    ContainerFullId "container.full_id" Text None "The container's id.",
    ContainerName "container.name" Text None "Name of the container in its pod.",
    ContainerImage "container.image" Text None "Image name as asked for.",
    ContainerImageRepository "container.image.repository" Text None "Image name without tag and digest.",
    ContainerImageTag "container.image.tag" Text None "Tag of the image.",
    ContainerImageDigest "container.image.digest" Text None "Digest, if the image was pulled by digest.",
    ContainerPrivileged "container.privileged" Bool None "The container is privileged.",
    ContainerStartTs "container.start_ts" Number None "When the container's cgroup was created, in nanoseconds since boot.",
    ContainerType "container.type" Text None "Runtime: containerd, cri-o, docker, podman, runc, crun.",
    ContainerDuration "container.duration" Number None "Nanoseconds since the container's cgroup was created.",
    K8sNsName "k8s.ns.name" Text None "Namespace of the pod.",
    K8sPodName "k8s.pod.name" Text None "Name of the pod.",
    K8sPodUid "k8s.pod.uid" Text None "Uid of the pod.",
}

/// The field whose name is nearest, if any is near.
pub fn nearest(name: &str) -> Option<&'static str> {
    super::error::nearest(name, Field::ALL.iter().map(|field| field.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_by_its_name() {
        for field in Field::ALL {
            assert_eq!(Field::by_name(field.name()), Some(*field));
            assert!(field.description().ends_with('.') || field.description().ends_with("..."));
        }
        assert_eq!(nearest("proc.exepat"), Some("proc.exepath"));
    }
}
