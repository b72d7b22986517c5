//! Where the arguments of kernel functions stand, resolved from the running kernel's BTF when loading.
//!
//! Kernel functions gain and lose parameters between versions, but keep their names. One line here names a function
//! (`|` separates the names it had, newest first) and the parameters wanted of it, each with the structure that it
//! points to (`""` for a number). A hook whose function has no such parameter is not attached.

use super::MISSING;

/// Where the sensor finds one position of [`Arguments`].
#[derive(Clone, Copy, Debug)]
pub struct ArgumentSource {
    /// The function, alternatives separated by `|`.
    pub function: &'static str,
    /// The parameter, alternatives separated by `|`; one that the hook can do without ends in `?`.
    pub parameter: &'static str,
    /// Name of the structure it points to; empty for a number or a pointer to anything.
    pub pointee: &'static str,
}

impl ArgumentSource {
    /// The names that the parameter had.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.parameter.trim_end_matches('?').split('|')
    }

    /// Whether a hook on `function` cannot do without it.
    pub fn is_needed_by(&self, function: &str) -> bool {
        self.function == function && !self.parameter.ends_with('?')
    }
}

macro_rules! arguments {
    ($( $(#[$doc:meta])* $group:ident: $name:ident = $function:literal { $( $field:ident: $parameter:literal $pointee:literal, )* } )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            #[repr(C)]
            #[allow(missing_docs, reason = "each field is named after the kernel parameter it locates")]
            pub struct $name { $( pub $field: u32, )* }
        )*

        /// All positions (`ARGUMENTS` in the object's `.rodata`), u32 after u32 in the order of [`ARGUMENT_SOURCES`].
        #[derive(Clone, Copy, Debug)]
        #[repr(C)]
        #[allow(missing_docs, reason = "each group is documented at its type")]
        pub struct Arguments { $( pub $group: $name, )* }

        impl Arguments {
            /// Every position poisoned with [`MISSING`].
            pub const POISONED: Self = Self { $( $group: $name { $( $field: MISSING, )* }, )* };
        }

        /// One entry for each u32 of [`Arguments`], in its order.
        pub const ARGUMENT_SOURCES: &[ArgumentSource] = &[
            $( $( ArgumentSource { function: $function, parameter: $parameter, pointee: $pointee }, )* )*
        ];
    };
}

arguments! {
    /// `int security_file_open(struct file *file)`
    file_open: FileOpenArguments = "security_file_open" { file: "file" "file", }
    /// `void switch_task_namespaces(struct task_struct *p, struct nsproxy *new)`
    switch_task_namespaces: SwitchTaskNamespacesArguments = "switch_task_namespaces" {
        task: "p|tsk" "task_struct",
        new: "new" "nsproxy",
    }
    /// `int commit_creds(struct cred *new)`
    commit_creds: CommitCredsArguments = "commit_creds" { new: "new" "cred", }
    /// `int security_ptrace_access_check(struct task_struct *child, unsigned int mode)`
    ptrace_access_check: PtraceAccessCheckArguments = "security_ptrace_access_check" {
        child: "child" "task_struct",
        mode: "mode" "",
    }
    /// `int security_sb_set_mnt_opts(struct super_block *sb, void *mnt_opts, unsigned long kern_flags, unsigned long
    /// *set_kern_flags)`
    superblock: SuperblockArguments = "security_sb_set_mnt_opts" { sb: "sb" "super_block", }
    /// `int security_sb_mount(const char *dev_name, const struct path *path, const char *type, unsigned long flags,
    /// void *data)`
    mount: MountArguments = "security_sb_mount" {
        source: "dev_name" "",
        path: "path" "path",
        filesystem: "type" "",
        flags: "flags" "",
    }
    /// `int security_move_mount(const struct path *from_path, const struct path *to_path)`
    move_mount: MoveMountArguments = "security_move_mount" {
        from: "from_path" "path",
        to: "to_path" "path",
    }
    /// `int security_sb_pivotroot(const struct path *old_path, const struct path *new_path)`
    pivot_root: PivotRootArguments = "security_sb_pivotroot" {
        old: "old_path" "path",
        new: "new_path" "path",
    }
    /// `int security_path_chroot(const struct path *path)`
    chroot: ChrootArguments = "security_path_chroot" { path: "path" "path", }
    /// `int security_path_mknod(const struct path *dir, struct dentry *dentry, umode_t mode, unsigned int dev)`
    device_node: DeviceNodeArguments = "security_path_mknod" {
        folder: "dir" "path",
        entry: "dentry" "dentry",
        mode: "mode" "",
        device: "dev" "",
    }
    /// `int security_create_user_ns(const struct cred *cred)` since 6.1, `int create_user_ns(struct cred *new)` before.
    user_namespace_create: UserNamespaceCreateArguments = "security_create_user_ns|create_user_ns" {
        credentials: "cred|new" "cred",
    }
    /// `int call_usermodehelper_exec(struct subprocess_info *sub_info, int wait)`
    usermode_helper: UsermodeHelperArguments = "call_usermodehelper_exec" {
        information: "sub_info" "subprocess_info",
    }
    /// `int security_kernel_read_file(struct file *file, enum kernel_read_file_id id, bool contents)`
    kernel_read_file: KernelReadFileArguments = "security_kernel_read_file" {
        file: "file" "file",
        id: "id" "",
    }
    /// `int security_kernel_load_data(enum kernel_load_data_id id, bool contents)`
    kernel_load_data: KernelLoadDataArguments = "security_kernel_load_data" { id: "id" "", }
    /// `int security_bpf(int cmd, union bpf_attr *attr, unsigned int size)`
    bpf: BpfArguments = "security_bpf" {
        command: "cmd" "",
        attributes: "attr" "",
    }
    /// `int security_perf_event_open(struct perf_event_attr *attr, int type)`; 6.16 dropped `attr`.
    perf_event_open: PerfEventOpenArguments = "security_perf_event_open" {
        scope: "type" "",
        attributes: "attr?" "perf_event_attr",
    }
    /// `int security_inode_init_security_anon(struct inode *inode, const struct qstr *name, const struct inode
    /// *context_inode)`, since 5.12
    anonymous_inode: AnonymousInodeArguments = "security_inode_init_security_anon" { name: "name" "qstr", }
    /// `int security_socket_create(int family, int type, int protocol, int kern)`
    socket_create: SocketCreateArguments = "security_socket_create" {
        family: "family" "",
        socket_type: "type" "",
        protocol: "protocol" "",
        kernel: "kern" "",
    }
    /// `int security_fs_context_parse_param(struct fs_context *fc, struct fs_parameter *param)`
    filesystem_parameter: FilesystemParameterArguments = "security_fs_context_parse_param" {
        context: "fc" "fs_context",
        parameter: "param" "fs_parameter",
    }
    /// `int security_socket_listen(struct socket *sock, int backlog)`
    socket_listen: SocketListenArguments = "security_socket_listen" { socket: "sock" "socket", }
    /// `int security_socket_bind(struct socket *sock, struct sockaddr *address, int addrlen)`
    socket_bind: SocketBindArguments = "security_socket_bind" {
        socket: "sock" "socket",
        address: "address" "",
    }
    /// `int reboot_pid_ns(struct pid_namespace *pid_ns, int cmd)`
    power_control: PowerControlArguments = "reboot_pid_ns" {
        namespace: "pid_ns" "pid_namespace",
        command: "cmd" "",
    }
    /// `long tty_ioctl(struct file *file, unsigned int cmd, unsigned long arg)`
    terminal_input: TerminalInputArguments = "tty_ioctl" {
        file: "file" "file",
        command: "cmd" "",
    }
    /// `int security_syslog(int type)`
    kernel_log: KernelLogArguments = "security_syslog" { action: "type" "", }
    /// `int security_unix_stream_connect(struct sock *sock, struct sock *other, struct sock *newsk)`
    unix_connect: UnixConnectArguments = "security_unix_stream_connect" { other: "other" "sock", }
    /// `long do_handle_open(int mountdirfd, struct file_handle __user *ufh, int open_flag)`
    handle_open: HandleOpenArguments = "do_handle_open" {
        descriptor: "mountdirfd" "",
        handle: "ufh" "file_handle",
        flags: "open_flag" "",
    }
    /// `int vfs_open(const struct path *path, struct file *file)`
    open_attempt: OpenAttemptArguments = "vfs_open" {
        path: "path" "path",
        file: "file" "file",
    }
    /// `int mnt_want_write(struct vfsmount *m)`
    mount_write: MountWriteArguments = "mnt_want_write" { mount: "m|mnt" "vfsmount", }
    /// `int security_inode_setattr(struct dentry *dentry, struct iattr *attr)`; since 6.3 `struct mnt_idmap *idmap` stands
    /// before them.
    set_attribute: SetAttributeArguments = "security_inode_setattr" {
        entry: "dentry" "dentry",
        attributes: "attr" "iattr",
    }
    /// `int security_inode_setxattr(struct dentry *dentry, const char *name, const void *value, size_t size, int flags)`;
    /// since 5.12 the mount's user namespace, since 6.3 its id map stands before them.
    set_extended: SetExtendedArguments = "security_inode_setxattr" {
        entry: "dentry" "dentry",
        name: "name" "",
        value: "value" "",
    }
    /// `int security_path_link(struct dentry *old_dentry, const struct path *new_dir, struct dentry *new_dentry)`
    link: LinkArguments = "security_path_link" {
        old_entry: "old_dentry" "dentry",
        folder: "new_dir" "path",
        entry: "new_dentry" "dentry",
    }
    /// `int security_path_symlink(const struct path *dir, struct dentry *dentry, const char *old_name)`
    symlink: SymlinkArguments = "security_path_symlink" {
        folder: "dir" "path",
        entry: "dentry" "dentry",
        target: "old_name" "",
    }
    /// `int security_path_rename(const struct path *old_dir, struct dentry *old_dentry, const struct path *new_dir, struct
    /// dentry *new_dentry, unsigned int flags)`
    rename: RenameArguments = "security_path_rename" {
        old_folder: "old_dir" "path",
        old_entry: "old_dentry" "dentry",
        folder: "new_dir" "path",
        entry: "new_dentry" "dentry",
    }
    /// `int security_path_unlink(const struct path *dir, struct dentry *dentry)`
    unlink: UnlinkArguments = "security_path_unlink" {
        folder: "dir" "path",
        entry: "dentry" "dentry",
    }
    /// `int security_path_mkdir(const struct path *dir, struct dentry *dentry, umode_t mode)`
    make_folder: MakeFolderArguments = "security_path_mkdir" {
        folder: "dir" "path",
        entry: "dentry" "dentry",
    }
    /// `int security_path_rmdir(const struct path *dir, struct dentry *dentry)`
    remove_folder: RemoveFolderArguments = "security_path_rmdir" {
        folder: "dir" "path",
        entry: "dentry" "dentry",
    }
    /// `int security_socket_connect(struct socket *sock, struct sockaddr *address, int addrlen)`
    socket_connect: SocketConnectArguments = "security_socket_connect" {
        socket: "sock" "socket",
        address: "address" "",
        length: "addrlen" "",
    }
    /// `int security_socket_sendmsg(struct socket *sock, struct msghdr *msg, int size)`
    socket_send: SocketSendArguments = "security_socket_sendmsg" {
        socket: "sock" "socket",
        message: "msg" "msghdr",
    }
    /// `int security_task_kill(struct task_struct *p, struct kernel_siginfo *info, int sig, const struct cred *cred)`
    signal: SignalArguments = "security_task_kill" {
        target: "p" "task_struct",
        information: "info" "kernel_siginfo",
        number: "sig" "",
    }
    /// `int security_settime64(const struct timespec64 *ts, const struct timezone *tz)`
    clock_change: ClockChangeArguments = "security_settime64" { time: "ts" "timespec64", }
    /// `int do_adjtimex(struct __kernel_timex *txc)`
    clock_offset: ClockOffsetArguments = "do_adjtimex" { adjustment: "txc" "__kernel_timex", }
    /// `int security_mmap_file(struct file *file, unsigned long prot, unsigned long flags)`
    file_map: FileMapArguments = "security_mmap_file" {
        file: "file" "file",
        protection: "prot" "",
        flags: "flags" "",
    }
    /// `int security_netlink_send(struct sock *sk, struct sk_buff *skb)`
    netlink_send: NetlinkSendArguments = "security_netlink_send" {
        sock: "sk" "sock",
        buffer: "skb" "sk_buff",
    }
    /// `int security_socket_setsockopt(struct socket *sock, int level, int optname)`
    socket_option: SocketOptionArguments = "security_socket_setsockopt" {
        level: "level" "",
        option: "optname" "",
    }
    /// `int security_key_permission(key_ref_t key_ref, const struct cred *cred, enum key_need_perm need_perm)`
    key_access: KeyAccessArguments = "security_key_permission" {
        key: "key_ref" "",
        need: "need_perm" "",
    }
    /// `int vfs_fileattr_set(struct mnt_idmap *idmap, struct dentry *dentry, struct file_kattr *fa)`, since 5.13; the last
    /// one's structure was called `fileattr` before 6.17.
    file_flags: FileFlagsArguments = "vfs_fileattr_set" {
        entry: "dentry" "dentry",
        attributes: "fa" "",
    }
    /// `int security_task_setrlimit(struct task_struct *p, unsigned int resource, struct rlimit *new_rlim)`
    limit_change: LimitChangeArguments = "security_task_setrlimit" {
        target: "p" "task_struct",
        resource: "resource" "",
    }
    /// `void set_fs_pwd(struct fs_struct *fs, const struct path *path)`
    working_folder: WorkingFolderArguments = "set_fs_pwd" {
        fs: "fs" "fs_struct",
        path: "path" "path",
    }
    /// `struct mount *clone_mnt(struct mount *old, struct dentry *root, int flag)`
    clone_mount: CloneMountArguments = "clone_mnt" {
        old: "old" "mount",
        root: "root" "dentry",
        flags: "flag" "",
    }
    /// `ssize_t splice_file_to_pipe(struct file *in, struct pipe_inode_info *opipe, loff_t *offset, size_t len, unsigned int
    /// flags)` since 5.12, `long do_splice(struct file *in, loff_t *off_in, struct file *out, loff_t *off_out, size_t len,
    /// unsigned int flags)` before.
    splice: SpliceArguments = "splice_file_to_pipe|do_splice" {
        from: "in" "file",
        to: "out?" "file",
        length: "len" "",
    }
    /// `ssize_t do_splice_direct(struct file *in, loff_t *ppos, struct file *out, loff_t *opos, size_t len, unsigned int
    /// flags)`
    sendfile: SendfileArguments = "do_splice_direct" {
        from: "in" "file",
        to: "out" "file",
        length: "len" "",
    }
}

const _: () = assert!(size_of::<Arguments>() == ARGUMENT_SOURCES.len() * size_of::<u32>());
