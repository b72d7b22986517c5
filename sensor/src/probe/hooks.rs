//! All hooks of the object: what each reports, its ways in from best to worst, and what it cannot do without.

use sensor_ebpf::abi::EventKind;

use super::attach::Rung;

/// One hook.
#[derive(Debug)]
pub struct Hook {
    /// Its name in `doctor` and metrics.
    pub name: &'static str,
    /// What it reports.
    pub kind: EventKind,
    /// Ways in, best first.
    pub ways: &'static [Way],
    /// Kernel structures or members (`structure.` or `structure.member`) without which it would report nothing of use.
    pub needs: &'static [&'static str],
}

/// One way into a hook.
#[derive(Debug)]
pub struct Way {
    /// The rung.
    pub rung: Rung,
    /// Program in the object.
    pub program: &'static str,
    /// Tracepoint, LSM hook or function; alternatives separated by `|`. Of system calls all, see `SystemCalls::attach`.
    pub target: &'static str,
    /// The function whose parameters are checked, where it is not the target.
    pub function: Option<&'static str>,
}

const fn tracepoint(program: &'static str, target: &'static str) -> Way {
    Way { rung: Rung::TracepointBtf, program, target, function: None }
}

const fn lsm(program: &'static str, target: &'static str, function: &'static str) -> Way {
    Way { rung: Rung::Lsm, program, target, function: Some(function) }
}

const fn fentry(program: &'static str, target: &'static str) -> Way {
    Way { rung: Rung::Fentry, program, target, function: None }
}

const fn kprobe(program: &'static str, target: &'static str) -> Way {
    Way { rung: Rung::Kprobe, program, target, function: None }
}

const fn system_call(program: &'static str, target: &'static str) -> Way {
    Way { rung: Rung::SystemCall, program, target, function: None }
}

const LIFE: &[&str] = &["task_struct.tgid", "task_struct.start_boottime"];
const CGROUP: &[&str] = &["cgroup.", "cgroup_root.", "kernfs_node."];
const FILE: &[&str] =
    &["task_struct.tgid", "task_struct.start_boottime", "file.", "inode.i_ino", "dentry.", "vfsmount."];
const PATH: &[&str] =
    &["task_struct.tgid", "task_struct.start_boottime", "inode.i_ino", "dentry.", "mount.mnt", "vfsmount."];
const ENTRY: &[&str] = &["task_struct.tgid", "task_struct.start_boottime", "inode.i_ino", "dentry."];
const SUPERBLOCK: &[&str] =
    &["task_struct.tgid", "task_struct.start_boottime", "super_block.", "file_system_type.", "dentry."];

/// Tells execs whose tracepoint the kernel skipped; there is such a hook only where that can happen.
pub const EXEC_AGAIN: &str = "exec_again";

/// All hooks. Exit comes before fork and exec, so that no process is seen to start whose end would be missed.
pub const HOOKS: &[Hook] = &[
    Hook {
        name: "cgroup_create",
        kind: EventKind::CgroupCreate,
        ways: &[tracepoint("cgroup_create", "cgroup_mkdir")],
        needs: CGROUP,
    },
    Hook {
        name: "cgroup_remove",
        kind: EventKind::CgroupRemove,
        ways: &[tracepoint("cgroup_remove", "cgroup_rmdir")],
        needs: CGROUP,
    },
    Hook {
        name: "exit",
        kind: EventKind::Exit,
        ways: &[tracepoint("exit", "sched_process_exit")],
        needs: &["task_struct.tgid", "task_struct.start_boottime", "signal_struct.live"],
    },
    Hook {
        name: "fork",
        kind: EventKind::Fork,
        ways: &[tracepoint("fork", "sched_process_fork")],
        needs: &["task_struct.tgid", "task_struct.start_boottime", "task_struct.real_parent"],
    },
    Hook {
        name: "exec",
        kind: EventKind::Exec,
        ways: &[tracepoint("exec", "sched_process_exec")],
        needs: &[
            "task_struct.tgid",
            "task_struct.start_boottime",
            "linux_binprm.file",
            "file.",
            "inode.i_ino",
            "dentry.",
            "mount.mnt",
            "vfsmount.",
            "mm_struct.",
            "fs_struct.",
        ],
    },
    Hook {
        name: EXEC_AGAIN,
        kind: EventKind::Exec,
        ways: &[kprobe("exec_again", "free_bprm")],
        needs: &["task_struct.tgid", "task_struct.start_boottime", "linux_binprm.", "file.", "mm_struct."],
    },
    Hook {
        name: "cgroup_move",
        kind: EventKind::CgroupMove,
        ways: &[tracepoint("cgroup_move", "cgroup_attach_task")],
        needs: CGROUP,
    },
    Hook {
        name: "file_open",
        kind: EventKind::FileOpen,
        ways: &[
            lsm("file_open_lsm", "file_open", "security_file_open"),
            fentry("file_open_fentry", "security_file_open"),
            kprobe("file_open_kprobe", "security_file_open"),
            system_call(
                "open_system_call|handle_open_system_call",
                "open openat openat2 creat|open_by_handle_at",
            ),
        ],
        needs: FILE,
    },
    Hook {
        name: "namespace_switch",
        kind: EventKind::NamespaceSwitch,
        ways: &[
            fentry("namespace_switch_fentry", "switch_task_namespaces"),
            kprobe("namespace_switch_kprobe", "switch_task_namespaces"),
            system_call("setns_system_call|unshare_system_call", "setns|unshare"),
        ],
        needs: &["task_struct.tgid", "task_struct.start_boottime", "task_struct.nsproxy", "nsproxy.mnt_ns"],
    },
    Hook {
        name: "credential_change",
        kind: EventKind::CredentialChange,
        ways: &[
            fentry("credential_change_fentry", "commit_creds"),
            kprobe("credential_change_kprobe", "commit_creds"),
        ],
        needs: &["task_struct.tgid", "task_struct.start_boottime", "cred."],
    },
    Hook {
        name: "ptrace",
        kind: EventKind::Ptrace,
        ways: &[
            lsm("ptrace_access_lsm", "ptrace_access_check", "security_ptrace_access_check"),
            fentry("ptrace_access_fentry", "security_ptrace_access_check"),
            kprobe("ptrace_access_kprobe", "security_ptrace_access_check"),
            system_call("ptrace_system_call", "ptrace"),
        ],
        needs: LIFE,
    },
    Hook {
        name: "superblock",
        kind: EventKind::Superblock,
        ways: &[
            lsm("superblock_lsm", "sb_set_mnt_opts", "security_sb_set_mnt_opts"),
            fentry("superblock_fentry", "security_sb_set_mnt_opts"),
            kprobe("superblock_kprobe", "security_sb_set_mnt_opts"),
            system_call("mount_system_call|fsmount_system_call", "mount|fsmount"),
        ],
        needs: SUPERBLOCK,
    },
    Hook {
        name: "mount",
        kind: EventKind::Mount,
        ways: &[
            lsm("mount_lsm", "sb_mount", "security_sb_mount"),
            fentry("mount_fentry", "security_sb_mount"),
            kprobe("mount_kprobe", "security_sb_mount"),
            system_call("mount_system_call", "mount"),
        ],
        needs: PATH,
    },
    Hook {
        name: "move_mount",
        kind: EventKind::MoveMount,
        ways: &[
            lsm("move_mount_lsm", "move_mount", "security_move_mount"),
            fentry("move_mount_fentry", "security_move_mount"),
            kprobe("move_mount_kprobe", "security_move_mount"),
            system_call("move_mount_system_call", "move_mount"),
        ],
        needs: SUPERBLOCK,
    },
    Hook {
        name: "pivot_root",
        kind: EventKind::PivotRoot,
        ways: &[
            lsm("pivot_root_lsm", "sb_pivotroot", "security_sb_pivotroot"),
            fentry("pivot_root_fentry", "security_sb_pivotroot"),
            kprobe("pivot_root_kprobe", "security_sb_pivotroot"),
            system_call("pivot_root_system_call", "pivot_root"),
        ],
        needs: PATH,
    },
    Hook {
        name: "chroot",
        kind: EventKind::Chroot,
        ways: &[
            lsm("chroot_lsm", "path_chroot", "security_path_chroot"),
            fentry("chroot_fentry", "security_path_chroot"),
            kprobe("chroot_kprobe", "security_path_chroot"),
            system_call("chroot_system_call", "chroot"),
        ],
        needs: PATH,
    },
    Hook {
        name: "device_node",
        kind: EventKind::DeviceNode,
        ways: &[
            lsm("device_node_lsm", "path_mknod", "security_path_mknod"),
            fentry("device_node_fentry", "security_path_mknod"),
            kprobe("device_node_kprobe", "security_path_mknod"),
            system_call("mknod_system_call|mknodat_system_call", "mknod|mknodat"),
        ],
        needs: PATH,
    },
    Hook {
        name: "user_namespace_create",
        kind: EventKind::UserNamespaceCreate,
        ways: &[
            lsm("user_namespace_create_lsm", "userns_create", "security_create_user_ns|create_user_ns"),
            fentry("user_namespace_create_fentry", "security_create_user_ns|create_user_ns"),
            kprobe("user_namespace_create_kprobe", "security_create_user_ns|create_user_ns"),
            system_call("unshare_system_call|clone_system_call", "unshare|clone clone3"),
        ],
        needs: LIFE,
    },
    Hook {
        name: "usermode_helper",
        kind: EventKind::UsermodeHelper,
        ways: &[
            fentry("usermode_helper_fentry", "call_usermodehelper_exec"),
            kprobe("usermode_helper_kprobe", "call_usermodehelper_exec"),
        ],
        needs: &["task_struct.tgid", "task_struct.start_boottime", "subprocess_info."],
    },
    Hook {
        name: "module_load",
        kind: EventKind::ModuleLoad,
        ways: &[tracepoint("module_load", "module_load")],
        needs: &["task_struct.tgid", "task_struct.start_boottime", "module.name"],
    },
    Hook {
        name: "module_file",
        kind: EventKind::ModuleLoad,
        ways: &[
            lsm("module_file_lsm", "kernel_read_file", "security_kernel_read_file"),
            fentry("module_file_fentry", "security_kernel_read_file"),
            kprobe("module_file_kprobe", "security_kernel_read_file"),
            system_call("module_file_system_call", "finit_module kexec_file_load"),
        ],
        needs: FILE,
    },
    Hook {
        name: "module_memory",
        kind: EventKind::ModuleLoad,
        ways: &[
            lsm("module_memory_lsm", "kernel_load_data", "security_kernel_load_data"),
            fentry("module_memory_fentry", "security_kernel_load_data"),
            kprobe("module_memory_kprobe", "security_kernel_load_data"),
            system_call("module_memory_system_call", "init_module kexec_load"),
        ],
        needs: LIFE,
    },
    Hook {
        name: "perf_event_open",
        kind: EventKind::PerfEventOpen,
        ways: &[
            lsm("perf_event_open_lsm", "perf_event_open", "security_perf_event_open"),
            fentry("perf_event_open_fentry", "security_perf_event_open"),
            kprobe("perf_event_open_kprobe", "security_perf_event_open"),
            system_call("perf_event_open_system_call", "perf_event_open"),
        ],
        needs: LIFE,
    },
    Hook {
        name: "anonymous_inode",
        kind: EventKind::AnonymousInode,
        ways: &[
            lsm("anonymous_inode_lsm", "inode_init_security_anon", "security_inode_init_security_anon"),
            fentry("anonymous_inode_fentry", "security_inode_init_security_anon"),
            kprobe("anonymous_inode_kprobe", "security_inode_init_security_anon"),
            system_call("anonymous_inode_system_call", "userfaultfd io_uring_setup"),
        ],
        needs: &["task_struct.tgid", "task_struct.start_boottime", "qstr.name"],
    },
    Hook {
        name: "socket_create",
        kind: EventKind::SocketCreate,
        ways: &[
            lsm("socket_create_lsm", "socket_create", "security_socket_create"),
            fentry("socket_create_fentry", "security_socket_create"),
            kprobe("socket_create_kprobe", "security_socket_create"),
            system_call("socket_create_system_call", "socket"),
        ],
        needs: LIFE,
    },
    Hook {
        name: "unix_connect",
        kind: EventKind::UnixConnect,
        ways: &[
            lsm("unix_connect_lsm", "unix_stream_connect", "security_unix_stream_connect"),
            fentry("unix_connect_fentry", "security_unix_stream_connect"),
            kprobe("unix_connect_kprobe", "security_unix_stream_connect"),
            system_call("unix_connect_system_call", "connect"),
        ],
        needs: &[
            "task_struct.tgid",
            "task_struct.start_boottime",
            "unix_sock.",
            "unix_address.",
            "dentry.",
            "vfsmount.",
        ],
    },
    Hook {
        name: "socket_listen",
        kind: EventKind::SocketListen,
        ways: &[
            lsm("socket_listen_lsm", "socket_listen", "security_socket_listen"),
            fentry("socket_listen_fentry", "security_socket_listen"),
            kprobe("socket_listen_kprobe", "security_socket_listen"),
            system_call("socket_listen_system_call", "listen"),
        ],
        needs: &["task_struct.tgid", "task_struct.start_boottime", "socket.", "sock."],
    },
    Hook {
        name: "socket_bind",
        kind: EventKind::SocketBind,
        ways: &[
            lsm("socket_bind_lsm", "socket_bind", "security_socket_bind"),
            fentry("socket_bind_fentry", "security_socket_bind"),
            kprobe("socket_bind_kprobe", "security_socket_bind"),
            system_call("socket_bind_system_call", "bind"),
        ],
        needs: &["task_struct.tgid", "task_struct.start_boottime", "socket.", "sock.__sk_common.skc_family"],
    },
    Hook {
        name: "socket_connect",
        kind: EventKind::SocketConnect,
        ways: &[
            lsm("socket_connect_lsm", "socket_connect", "security_socket_connect"),
            fentry("socket_connect_fentry", "security_socket_connect"),
            kprobe("socket_connect_kprobe", "security_socket_connect"),
            system_call("unix_connect_system_call", "connect"),
        ],
        needs: &["task_struct.tgid", "task_struct.start_boottime", "socket.type"],
    },
    Hook {
        name: "socket_send",
        kind: EventKind::SocketSend,
        ways: &[
            lsm("socket_send_lsm", "socket_sendmsg", "security_socket_sendmsg"),
            fentry("socket_send_fentry", "security_socket_sendmsg"),
            kprobe("socket_send_kprobe", "security_socket_sendmsg"),
        ],
        needs: &[
            "task_struct.tgid",
            "task_struct.start_boottime",
            "socket.",
            "sock.__sk_common.skc_family",
            "sock.__sk_common.skc_dport",
            "tcp_sock.",
            "msghdr.",
            "iov_iter.",
            "iovec.",
        ],
    },
    Hook {
        name: "connection_failure",
        kind: EventKind::SocketConnect,
        ways: &[tracepoint("connection_failure", "inet_sock_set_state")],
        needs: &["sock.__sk_common.skc_family", "sock.__sk_common.skc_daddr", "sock.__sk_common.skc_dport"],
    },
    Hook {
        name: "signal",
        kind: EventKind::Signal,
        ways: &[
            lsm("signal_lsm", "task_kill", "security_task_kill"),
            fentry("signal_fentry", "security_task_kill"),
            kprobe("signal_kprobe", "security_task_kill"),
        ],
        needs: LIFE,
    },
    Hook {
        name: "command_change",
        kind: EventKind::CommandChange,
        ways: &[tracepoint("command_change", "task_rename")],
        needs: &["task_struct.tgid", "task_struct.start_boottime", "mm_struct.exe_file"],
    },
    Hook {
        name: "clock_change",
        kind: EventKind::ClockChange,
        ways: &[
            lsm("clock_change_lsm", "settime", "security_settime64"),
            fentry("clock_change_fentry", "security_settime64"),
            kprobe("clock_change_kprobe", "security_settime64"),
        ],
        needs: LIFE,
    },
    Hook {
        name: "clock_offset",
        kind: EventKind::ClockChange,
        ways: &[fentry("clock_offset_fentry", "do_adjtimex"), kprobe("clock_offset_kprobe", "do_adjtimex")],
        needs: &["task_struct.tgid", "task_struct.start_boottime", "__kernel_timex."],
    },
    Hook {
        name: "netlink_send",
        kind: EventKind::FilterChange,
        ways: &[
            lsm("netlink_send_lsm", "netlink_send", "security_netlink_send"),
            fentry("netlink_send_fentry", "security_netlink_send"),
            kprobe("netlink_send_kprobe", "security_netlink_send"),
        ],
        needs: &["task_struct.tgid", "task_struct.start_boottime", "sock.sk_protocol", "sk_buff."],
    },
    Hook {
        name: "socket_option",
        kind: EventKind::FilterChange,
        ways: &[
            lsm("socket_option_lsm", "socket_setsockopt", "security_socket_setsockopt"),
            fentry("socket_option_fentry", "security_socket_setsockopt"),
            kprobe("socket_option_kprobe", "security_socket_setsockopt"),
        ],
        needs: LIFE,
    },
    Hook {
        name: "key_access",
        kind: EventKind::KeyAccess,
        ways: &[
            lsm("key_access_lsm", "key_permission", "security_key_permission"),
            fentry("key_access_fentry", "security_key_permission"),
            kprobe("key_access_kprobe", "security_key_permission"),
        ],
        needs: LIFE,
    },
    Hook {
        name: "file_flags",
        kind: EventKind::FileAttribute,
        ways: &[
            fentry("file_flags_fentry", "vfs_fileattr_set"),
            kprobe("file_flags_kprobe", "vfs_fileattr_set"),
        ],
        needs: &["task_struct.tgid", "task_struct.start_boottime", "inode.i_flags", "dentry."],
    },
    Hook {
        name: "limit_change",
        kind: EventKind::LimitChange,
        ways: &[
            lsm("limit_change_lsm", "task_setrlimit", "security_task_setrlimit"),
            fentry("limit_change_fentry", "security_task_setrlimit"),
            kprobe("limit_change_kprobe", "security_task_setrlimit"),
        ],
        needs: LIFE,
    },
    Hook {
        name: "power_control",
        kind: EventKind::PowerControl,
        ways: &[
            fentry("power_control_fentry", "reboot_pid_ns"),
            kprobe("power_control_kprobe", "reboot_pid_ns"),
        ],
        needs: LIFE,
    },
    Hook {
        name: "terminal_input",
        kind: EventKind::TerminalInput,
        ways: &[
            fentry("terminal_input_fentry", "tty_ioctl"),
            kprobe("terminal_input_kprobe", "tty_ioctl"),
            system_call("terminal_input_system_call", "ioctl"),
        ],
        needs: FILE,
    },
    Hook {
        name: "filesystem_parameter",
        kind: EventKind::FilesystemParameter,
        ways: &[
            lsm("filesystem_parameter_lsm", "fs_context_parse_param", "security_fs_context_parse_param"),
            fentry("filesystem_parameter_fentry", "security_fs_context_parse_param"),
            kprobe("filesystem_parameter_kprobe", "security_fs_context_parse_param"),
            system_call("fsconfig_system_call", "fsconfig"),
        ],
        needs: &["task_struct.tgid", "task_struct.start_boottime", "fs_context.", "user_namespace.level"],
    },
    Hook {
        name: "kernel_log",
        kind: EventKind::KernelLog,
        ways: &[
            lsm("kernel_log_lsm", "syslog", "security_syslog"),
            fentry("kernel_log_fentry", "security_syslog"),
            kprobe("kernel_log_kprobe", "security_syslog"),
            system_call("kernel_log_system_call", "syslog"),
        ],
        needs: LIFE,
    },
    Hook {
        name: "file_map",
        kind: EventKind::FileMap,
        ways: &[
            fentry("file_map_fentry", "security_mmap_file"),
            kprobe("file_map_kprobe", "security_mmap_file"),
        ],
        needs: FILE,
    },
    Hook {
        name: "handle_open",
        kind: EventKind::HandleOpen,
        ways: &[
            fentry("handle_open_fentry", "do_handle_open"),
            kprobe("handle_open_kprobe", "do_handle_open"),
            system_call("handle_open_system_call", "open_by_handle_at"),
        ],
        needs: &[
            "task_struct.tgid",
            "task_struct.start_boottime",
            "files_struct.",
            "fdtable.",
            "fs_struct.",
            "file.",
            "dentry.",
        ],
    },
    Hook {
        name: "open_attempt",
        kind: EventKind::FileOpen,
        ways: &[fentry("open_attempt_fentry", "vfs_open"), kprobe("open_attempt_kprobe", "vfs_open")],
        needs: &[
            "task_struct.tgid",
            "task_struct.start_boottime",
            "file.f_flags",
            "file.f_mode",
            "inode.i_ino",
            "inode.i_writecount.counter",
            "dentry.",
            "vfsmount.",
        ],
    },
    Hook {
        name: "mount_write",
        kind: EventKind::FileOpen,
        ways: &[
            fentry("mount_write_fentry", "mnt_want_write"),
            kprobe("mount_write_kprobe", "mnt_want_write"),
        ],
        needs: &[
            "task_struct.tgid",
            "task_struct.start_boottime",
            "task_struct.nameidata",
            "nameidata.",
            "inode.i_ino",
            "dentry.",
            "vfsmount.",
        ],
    },
    Hook {
        name: "set_attribute",
        kind: EventKind::FileAttribute,
        ways: &[
            fentry("set_attribute_fentry", "security_inode_setattr"),
            kprobe("set_attribute_kprobe", "security_inode_setattr"),
        ],
        needs: &[
            "task_struct.tgid",
            "task_struct.start_boottime",
            "inode.i_ino",
            "inode.i_mode",
            "dentry.",
            "iattr.",
        ],
    },
    Hook {
        name: "set_extended",
        kind: EventKind::FileAttribute,
        ways: &[
            lsm("set_extended_lsm", "inode_setxattr", "security_inode_setxattr"),
            fentry("set_extended_fentry", "security_inode_setxattr"),
            kprobe("set_extended_kprobe", "security_inode_setxattr"),
        ],
        needs: ENTRY,
    },
    Hook {
        name: "link",
        kind: EventKind::FileName,
        ways: &[
            lsm("link_lsm", "path_link", "security_path_link"),
            fentry("link_fentry", "security_path_link"),
            kprobe("link_kprobe", "security_path_link"),
        ],
        needs: PATH,
    },
    Hook {
        name: "symlink",
        kind: EventKind::FileName,
        ways: &[
            lsm("symlink_lsm", "path_symlink", "security_path_symlink"),
            fentry("symlink_fentry", "security_path_symlink"),
            kprobe("symlink_kprobe", "security_path_symlink"),
        ],
        needs: PATH,
    },
    Hook {
        name: "rename",
        kind: EventKind::FileName,
        ways: &[
            lsm("rename_lsm", "path_rename", "security_path_rename"),
            fentry("rename_fentry", "security_path_rename"),
            kprobe("rename_kprobe", "security_path_rename"),
        ],
        needs: PATH,
    },
    Hook {
        name: "unlink",
        kind: EventKind::FileName,
        ways: &[
            lsm("unlink_lsm", "path_unlink", "security_path_unlink"),
            fentry("unlink_fentry", "security_path_unlink"),
            kprobe("unlink_kprobe", "security_path_unlink"),
        ],
        needs: PATH,
    },
    Hook {
        name: "make_folder",
        kind: EventKind::FileName,
        ways: &[
            lsm("make_folder_lsm", "path_mkdir", "security_path_mkdir"),
            fentry("make_folder_fentry", "security_path_mkdir"),
            kprobe("make_folder_kprobe", "security_path_mkdir"),
        ],
        needs: PATH,
    },
    Hook {
        name: "remove_folder",
        kind: EventKind::FileName,
        ways: &[
            lsm("remove_folder_lsm", "path_rmdir", "security_path_rmdir"),
            fentry("remove_folder_fentry", "security_path_rmdir"),
            kprobe("remove_folder_kprobe", "security_path_rmdir"),
        ],
        needs: PATH,
    },
    Hook {
        name: "working_folder",
        kind: EventKind::WorkingFolder,
        ways: &[
            fentry("working_folder_fentry", "set_fs_pwd"),
            kprobe("working_folder_kprobe", "set_fs_pwd"),
            system_call("working_folder_system_call", "chdir fchdir"),
        ],
        needs: PATH,
    },
    Hook {
        name: "bind_mount",
        kind: EventKind::BindMount,
        ways: &[
            fentry("bind_mount_fentry", "clone_mnt"),
            kprobe("bind_mount_kprobe", "clone_mnt"),
            system_call("mount_system_call", "mount"),
        ],
        needs: PATH,
    },
    Hook {
        name: "splice",
        kind: EventKind::Splice,
        ways: &[
            fentry("splice_fentry", "splice_file_to_pipe|do_splice"),
            kprobe("splice_kprobe", "splice_file_to_pipe|do_splice"),
            system_call("splice_system_call", "splice"),
        ],
        needs: FILE,
    },
    Hook {
        name: "sendfile",
        kind: EventKind::Splice,
        ways: &[
            fentry("sendfile_fentry", "do_splice_direct"),
            kprobe("sendfile_kprobe", "do_splice_direct"),
            system_call("sendfile_system_call", "sendfile sendfile64"),
        ],
        needs: FILE,
    },
    // Last, so that it does not see the sensor's own programs.
    Hook {
        name: "bpf",
        kind: EventKind::Bpf,
        ways: &[
            lsm("bpf_lsm", "bpf", "security_bpf"),
            fentry("bpf_fentry", "security_bpf"),
            kprobe("bpf_kprobe", "security_bpf"),
            system_call("bpf_system_call", "bpf"),
        ],
        needs: LIFE,
    },
];
