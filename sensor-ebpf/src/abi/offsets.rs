//! Kernel structure offsets, resolved from the running kernel's BTF when loading and frozen into the object.
//!
//! One line here gives both sides the field: the object reads it, the sensor finds it. A path names members through
//! embedded structures (`seccomp.mode`); `|` separates the names a member had in different kernels, newest first.
//! Anonymous unions and structures are searched. A name that ends in `_bit` holds a bit offset, all others bytes.

/// Value of a field the running kernel's BTF does not have. Poisoned, so that using it fails when loading.
pub const MISSING: u32 = u32::MAX;

/// Where the sensor finds one field of [`Offsets`].
#[derive(Clone, Copy, Debug)]
pub struct OffsetSource {
    /// The kernel structure.
    pub structure: &'static str,
    /// Members to follow, alternatives separated by `|`; empty for the structure's size.
    pub member: &'static str,
    /// True if the value is a bit offset.
    pub bit: bool,
}

macro_rules! offsets {
    ($( $(#[$doc:meta])* $group:ident: $name:ident = $structure:literal { $( $field:ident: $member:literal, )* } )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            #[repr(C)]
            #[allow(missing_docs, reason = "each field is named after the kernel member it locates")]
            pub struct $name { $( pub $field: u32, )* }
        )*

        /// All offsets (`OFFSETS` in the object's `.rodata`), u32 after u32 in the order of [`OFFSET_SOURCES`].
        #[derive(Clone, Copy, Debug)]
        #[repr(C)]
        #[allow(missing_docs, reason = "each group is documented at its type")]
        pub struct Offsets { $( pub $group: $name, )* }

        impl Offsets {
            /// Every field poisoned with [`MISSING`].
            pub const POISONED: Self = Self { $( $group: $name { $( $field: MISSING, )* }, )* };
        }

        /// One entry for each u32 of [`Offsets`], in its order.
        pub const OFFSET_SOURCES: &[OffsetSource] = &[
            $( $( OffsetSource {
                structure: $structure,
                member: $member,
                bit: ends_with_bit(stringify!($field)),
            }, )* )*
        ];
    };
}

const fn ends_with_bit(name: &str) -> bool {
    let bytes = name.as_bytes();
    let n = bytes.len();
    n > 4 && bytes[n - 4] == b'_' && bytes[n - 3] == b'b' && bytes[n - 2] == b'i' && bytes[n - 1] == b't'
}

offsets! {
    /// `struct task_struct`
    task: TaskOffsets = "task_struct" {
        pid: "pid",
        tgid: "tgid",
        group_leader: "group_leader",
        real_parent: "real_parent",
        start_boottime: "start_boottime",
        cred: "cred",
        nsproxy: "nsproxy",
        cgroups: "cgroups",
        fs: "fs",
        files: "files",
        mm: "mm",
        signal: "signal",
        thread_pid: "thread_pid",
        comm: "comm",
        exit_code: "exit_code",
        atomic_flags: "atomic_flags",
        seccomp_mode: "seccomp.mode",
        loginuid: "loginuid",
        sessionid: "sessionid",
        flags: "flags",
        in_execve_bit: "in_execve",
        real_cred: "real_cred",
        thread_status: "thread_info.status",
        nameidata: "nameidata",
        ptraced: "ptraced",
        ptrace_entry: "ptrace_entry",
        thread_flags: "thread_info.flags",
    }
    /// `struct signal_struct`
    signal: SignalOffsets = "signal_struct" {
        live: "live",
        pids: "pids",
        tty: "tty",
        group_exit_code: "group_exit_code",
    }
    /// `struct tty_struct`
    tty: TtyOffsets = "tty_struct" {
        index: "index",
        driver: "driver",
    }
    /// `struct tty_driver`
    tty_driver: TtyDriverOffsets = "tty_driver" {
        major: "major",
        minor_start: "minor_start",
    }
    /// `struct pid`
    pid: PidOffsets = "pid" {
        level: "level",
        numbers: "numbers",
    }
    /// `struct upid`
    upid: UpidOffsets = "upid" {
        size: "",
        nr: "nr",
        ns: "ns",
    }
    /// `struct pid_namespace`
    pid_namespace: PidNamespaceOffsets = "pid_namespace" {
        inum: "ns.inum",
    }
    /// `struct nsproxy`
    nsproxy: NsproxyOffsets = "nsproxy" {
        uts_ns: "uts_ns",
        ipc_ns: "ipc_ns",
        mnt_ns: "mnt_ns",
        net_ns: "net_ns",
        time_ns: "time_ns",
        cgroup_ns: "cgroup_ns",
        pid_ns_for_children: "pid_ns_for_children",
    }
    /// `struct uts_namespace`
    uts_namespace: UtsNamespaceOffsets = "uts_namespace" {
        inum: "ns.inum",
    }
    /// `struct ipc_namespace`
    ipc_namespace: IpcNamespaceOffsets = "ipc_namespace" {
        inum: "ns.inum",
    }
    /// `struct mnt_namespace`
    mnt_namespace: MntNamespaceOffsets = "mnt_namespace" {
        inum: "ns.inum",
        tree: "mounts.rb_node",
        list_last: "list.prev",
    }
    /// `struct net`
    net: NetOffsets = "net" {
        inum: "ns.inum",
    }
    /// `struct time_namespace`
    time_namespace: TimeNamespaceOffsets = "time_namespace" {
        inum: "ns.inum",
    }
    /// `struct cgroup_namespace`
    cgroup_namespace: CgroupNamespaceOffsets = "cgroup_namespace" {
        inum: "ns.inum",
    }
    /// `struct user_namespace`
    user_namespace: UserNamespaceOffsets = "user_namespace" {
        inum: "ns.inum",
        level: "level",
    }
    /// `struct cred`
    cred: CredOffsets = "cred" {
        uid: "uid",
        gid: "gid",
        suid: "suid",
        sgid: "sgid",
        euid: "euid",
        egid: "egid",
        fsuid: "fsuid",
        fsgid: "fsgid",
        cap_inheritable: "cap_inheritable",
        cap_permitted: "cap_permitted",
        cap_effective: "cap_effective",
        cap_bset: "cap_bset",
        cap_ambient: "cap_ambient",
        user_ns: "user_ns",
    }
    /// `struct mm_struct`
    mm: MmOffsets = "mm_struct" {
        arg_start: "arg_start",
        arg_end: "arg_end",
        env_start: "env_start",
        env_end: "env_end",
        exe_file: "exe_file",
    }
    /// `struct fs_struct`
    fs: FsOffsets = "fs_struct" {
        root_mnt: "root.mnt",
        root_dentry: "root.dentry",
        pwd_mnt: "pwd.mnt",
        pwd_dentry: "pwd.dentry",
    }
    /// `struct files_struct`
    files: FilesOffsets = "files_struct" {
        fdt: "fdt",
    }
    /// `struct fdtable`
    fdtable: FdtableOffsets = "fdtable" {
        max_fds: "max_fds",
        fd: "fd",
    }
    /// `struct linux_binprm`
    binprm: BinprmOffsets = "linux_binprm" {
        file: "file",
        filename: "filename",
        interp: "interp",
        argc: "argc",
        cred: "cred",
        secureexec_bit: "secureexec",
    }
    /// `struct file`
    file: FileOffsets = "file" {
        path_mnt: "f_path.mnt",
        path_dentry: "f_path.dentry",
        inode: "f_inode",
        private_data: "private_data",
        flags: "f_flags",
        mode: "f_mode",
    }
    /// `struct inode`
    inode: InodeOffsets = "inode" {
        size_of: "",
        ino: "i_ino",
        mode: "i_mode",
        uid: "i_uid",
        nlink: "i_nlink",
        size: "i_size",
        rdev: "i_rdev",
        writecount: "i_writecount.counter",
        flags: "i_flags",
        sb: "i_sb",
        ctime: "i_ctime_sec|__i_ctime.tv_sec|i_ctime.tv_sec",
        mtime: "i_mtime_sec|__i_mtime.tv_sec|i_mtime.tv_sec",
    }
    /// `struct super_block`
    super_block: SuperBlockOffsets = "super_block" {
        dev: "s_dev",
        magic: "s_magic",
        fs_type: "s_type",
        bdev: "s_bdev",
        user_ns: "s_user_ns",
        flags: "s_flags",
        id: "s_id",
    }
    /// `struct file_system_type`
    filesystem_type: FilesystemTypeOffsets = "file_system_type" {
        name: "name",
        flags: "fs_flags",
    }
    /// `struct fs_context`
    fs_context: FsContextOffsets = "fs_context" {
        fs_type: "fs_type",
        user_ns: "user_ns",
    }
    /// `struct fs_parameter`
    fs_parameter: FsParameterOffsets = "fs_parameter" {
        key: "key",
    }
    /// `struct dentry`
    dentry: DentryOffsets = "dentry" {
        parent: "d_parent",
        inode: "d_inode",
        sb: "d_sb",
        name: "d_name.name",
        name_length: "d_name.len",
        hash_pprev: "d_hash.pprev",
    }
    /// `struct vfsmount`
    vfsmount: VfsmountOffsets = "vfsmount" {
        root: "mnt_root",
        flags: "mnt_flags",
        sb: "mnt_sb",
    }
    /// `struct mount` (fs/mount.h)
    mount: MountOffsets = "mount" {
        mnt: "mnt",
        parent: "mnt_parent",
        mountpoint: "mnt_mountpoint",
        namespace: "mnt_ns",
        node: "mnt_node",
        list: "mnt_list",
    }
    /// `struct nameidata` (fs/namei.c): the walk along a path that a task is in the middle of.
    nameidata: NameidataOffsets = "nameidata" {
        path_mnt: "path.mnt",
        path_dentry: "path.dentry",
    }
    /// `struct proc_inode` (fs/proc/internal.h)
    proc_inode: ProcInodeOffsets = "proc_inode" {
        pid: "pid",
        vfs_inode: "vfs_inode",
    }
    /// `struct iattr`
    iattr: IattrOffsets = "iattr" {
        valid: "ia_valid",
        mode: "ia_mode",
        mtime: "ia_mtime.tv_sec",
    }
    /// `struct __kernel_timex` (include/uapi/linux/timex.h)
    timex: TimexOffsets = "__kernel_timex" {
        modes: "modes",
        seconds: "time.tv_sec",
    }
    /// `struct socket`
    socket: SocketOffsets = "socket" {
        sk: "sk",
        socket_type: "type",
    }
    /// `struct sock`
    sock: SockOffsets = "sock" {
        family: "__sk_common.skc_family",
        daddr: "__sk_common.skc_daddr",
        rcv_saddr: "__sk_common.skc_rcv_saddr",
        dport: "__sk_common.skc_dport",
        num: "__sk_common.skc_num",
        v6_daddr: "__sk_common.skc_v6_daddr",
        v6_rcv_saddr: "__sk_common.skc_v6_rcv_saddr",
        peer_pid: "sk_peer_pid",
        state: "__sk_common.skc_state",
        protocol: "sk_protocol",
        user_locks_bit: "sk_userlocks",
    }
    /// `struct tcp_sock`
    tcp_sock: TcpSockOffsets = "tcp_sock" {
        bytes_sent: "bytes_sent",
    }
    /// `struct msghdr`
    message: MessageOffsets = "msghdr" {
        name: "msg_name",
        name_length: "msg_namelen",
        iterator: "msg_iter",
        flags: "msg_flags",
    }
    /// `struct iov_iter`
    iterator: IteratorOffsets = "iov_iter" {
        segments: "__iov|iov",
        start: "iov_offset",
        count: "count",
    }
    /// `struct iovec`
    segment: SegmentOffsets = "iovec" {
        base: "iov_base",
        length: "iov_len",
    }
    /// `struct sk_buff`
    sk_buff: SkBuffOffsets = "sk_buff" {
        data: "data",
        length: "len",
    }
    /// `struct key` (include/linux/key.h)
    key: KeyOffsets = "key" {
        serial: "serial",
    }
    /// `struct unix_sock`
    unix_sock: UnixSockOffsets = "unix_sock" {
        path_mnt: "path.mnt",
        path_dentry: "path.dentry",
        addr: "addr",
        peer: "peer",
    }
    /// `struct unix_address`
    unix_address: UnixAddressOffsets = "unix_address" {
        name: "name",
    }
    /// `struct subprocess_info`
    subprocess_info: SubprocessInfoOffsets = "subprocess_info" {
        path: "path",
        argv: "argv",
    }
    /// `struct module`
    module: ModuleOffsets = "module" {
        name: "name",
        taints: "taints",
    }
    /// `struct qstr`
    qstr: QstrOffsets = "qstr" {
        name: "name",
    }
    /// `struct css_set`
    css_set: CssSetOffsets = "css_set" {
        dfl_cgrp: "dfl_cgrp",
    }
    /// `struct cgroup`
    cgroup: CgroupOffsets = "cgroup" {
        kn: "kn",
        root: "root",
    }
    /// `struct cgroup_root`
    cgroup_root: CgroupRootOffsets = "cgroup_root" {
        hierarchy_id: "hierarchy_id",
    }
    /// `struct kernfs_node`
    kernfs_node: KernfsNodeOffsets = "kernfs_node" {
        id: "id",
    }
    /// `struct ovl_inode`, in the overlay module's own BTF when the module is loaded.
    overlay: OverlayOffsets = "ovl_inode" {
        vfs_inode: "vfs_inode",
        upper: "__upperdentry",
    }
}

const _: () = assert!(size_of::<Offsets>() == OFFSET_SOURCES.len() * size_of::<u32>());
