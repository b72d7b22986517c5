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
}

impl FieldType {
    /// The name in messages and documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Number => "number",
            Self::Text => "text",
            Self::List => "list of text",
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
    EvtType "evt.type" Text None "Kind of event by its system call: execve, clone, procexit; cgroup_create and cgroup_remove are ours.",
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
    ProcDuration "proc.duration" Number None "Nanoseconds since the process started.",
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
    ExeDrift "exe.drift" Bool None "The executable is not from the container's image and volumes as they were at its start.",
    ExeDriftKind "exe.drift_kind" Text None "upper, volume_changed, memory, or without drift copied_up, volume, image, not_applicable.",
    ExeDeleted "exe.deleted" Bool None "The executable has no name left.",
    ExeDetached "exe.detached" Bool None "The executable's mount is in no mount namespace, or it has no folder.",
    ExeSetuid "exe.setuid" Bool None "The executable has the setuid bit.",
    ExeSetgid "exe.setgid" Bool None "The executable has the setgid bit.",
    ExeFileCapabilities "exe.file_capabilities" Bool None "The exec gained privilege without setuid and setgid: through file capabilities.",
    ExeSecure "exe.secure" Bool None "The exec gained privilege (AT_SECURE).",
    ExeFilesystem "exe.filesystem" Text None "File system of the executable: overlay, tmpfs, ext4, xfs, ...",
    ExeLinkCount "exe.link_count" Number None "Number of names the executable has.",
    ExeIsLoader "exe.is_loader" Bool None "The dynamic loader was started as a program.",
    ExePathOdd "exe.path_odd" Bool None "A part of the path begins or ends in a space, has control, invisible or direction characters, letters that look like ASCII ones beside those or in the name of a known program, or is three or more dots.",
    ExeHidden "exe.hidden" Bool None "A part of the path starts with a dot.",
    UserUid "user.uid" Number None "Real user id.",
    UserEuid "user.euid" Number None "Effective user id.",
    UserLoginuid "user.loginuid" Number None "Login user id; missing if nobody logged in.",
    GroupGid "group.gid" Number None "Real group id.",
    ThreadCapPermitted "thread.cap_permitted" List None "Names of the permitted capabilities.",
    ThreadCapEffective "thread.cap_effective" List None "Names of the effective capabilities.",
    ThreadCapInheritable "thread.cap_inheritable" List None "Names of the inheritable capabilities.",
    ContainerId "container.id" Text None "First 12 digits of the container's id; host outside containers.",
    ContainerFullId "container.full_id" Text None "The container's id.",
    ContainerName "container.name" Text None "Name of the container in its pod.",
    ContainerImage "container.image" Text None "Image name as asked for.",
    ContainerImageRepository "container.image.repository" Text None "Image name without tag and digest.",
    ContainerImageTag "container.image.tag" Text None "Tag of the image.",
    ContainerImageDigest "container.image.digest" Text None "Digest, if the image was pulled by digest.",
    ContainerPrivileged "container.privileged" Bool None "The container is privileged.",
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
