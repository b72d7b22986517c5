//! The names that `evt.type` takes: those of the system calls that Falco names events by, and our own of what the hooks see.
//!
//! A hook below the system calls does not know which of several calls led to it, so that an event has the names of all that
//! lead there: an open by io_uring or by a 32-bit program too is `open`, `openat` and `openat2`.

use sensor_ebpf::abi::{MODULE_FROM_FILE, MODULE_FROM_MEMORY, MODULE_VALUE_SOURCE};

use crate::action::Action;
use crate::action_words::name_operation;
use crate::event::EventKind;

/// What is known of a name.
#[derive(Debug, PartialEq, Eq)]
pub enum Known {
    /// Events here have it.
    Here,
    /// Falco has it, no hook here reports it.
    Unseen,
    /// Nobody has it; the nearest that somebody has.
    Not(Option<&'static str>),
}

/// What is known of a name.
pub fn known(name: &str) -> Known {
    if EventKind::ALL.iter().any(|kind| names(*kind).any(|known| known == name)) {
        return Known::Here;
    }
    let mut others = OTHERS.split_ascii_whitespace();
    if others.any(|other| other == name) {
        return Known::Unseen;
    }
    let here = EventKind::ALL.iter().flat_map(|kind| names(*kind));
    Known::Not(super::error::nearest(name, here.chain(OTHERS.split_ascii_whitespace())))
}

/// All names that events of a kind can have; the first is the one that is shown where nothing more is known.
pub fn names(kind: EventKind) -> impl Iterator<Item = &'static str> {
    own(kind).into_iter().chain(calls(kind).split_ascii_whitespace())
}

/// The name that is shown of a kind.
pub fn shown(kind: EventKind) -> &'static str {
    names(kind).next().unwrap_or("")
}

/// Whether the names of an event depend on more than its kind.
pub fn depends_on_action(kind: EventKind) -> bool {
    !alternatives(kind).is_empty()
}

/// Of a kind whose names depend on what was done: the names of each of the things that are done.
fn alternatives(kind: EventKind) -> &'static [&'static str] {
    match kind {
        EventKind::FileName => &[
            "link linkat",
            "symlink symlinkat",
            "rename renameat renameat2",
            "unlink unlinkat",
            "mkdir mkdirat",
            "rmdir unlinkat",
        ],
        EventKind::ModuleLoad => &["finit_module kexec_file_load", "init_module kexec_load"],
        EventKind::AnonymousInode => &["io_uring_setup", "userfaultfd"],
        _ => &[],
    }
}

/// The names of an event of a kind for which [`depends_on_action`] holds.
pub fn names_of(action: &Action) -> impl Iterator<Item = &'static str> {
    let done = match action.kind {
        EventKind::FileName => match name_operation(action) {
            Some("make_folder") => "mkdir",
            Some("remove_folder") => "rmdir",
            other => other.unwrap_or(""),
        },
        EventKind::ModuleLoad => match action.values[MODULE_VALUE_SOURCE] {
            MODULE_FROM_FILE => "finit_module",
            MODULE_FROM_MEMORY => "init_module",
            // The kernel tells of a module that it has by now; the call was told before.
            _ => "",
        },
        _ if action.text.windows(8).any(|part| part == b"io_uring") => "io_uring_setup",
        _ => "userfaultfd",
    };
    names_with(action.kind, done)
}

/// The names of an event of a kind that has a name.
pub fn names_with(kind: EventKind, name: &str) -> impl Iterator<Item = &'static str> {
    let has_name = |names: &&&str| names.split_ascii_whitespace().any(|known| known == name);
    let names = match alternatives(kind) {
        [] => calls(kind),
        alternatives => alternatives.iter().find(has_name).copied().unwrap_or(""),
    };
    own(kind).into_iter().chain(names.split_ascii_whitespace())
}

/// Our own name; programs' lives have Falco's alone.
fn own(kind: EventKind) -> Option<&'static str> {
    (!matches!(kind, EventKind::Exec | EventKind::Fork | EventKind::Exit)).then(|| kind.name())
}

/// Falco's names of a kind, or of all that events of it may be.
fn calls(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Fork => "clone clone3 fork vfork",
        EventKind::Exec => "execve execveat",
        EventKind::Exit => "procexit",
        EventKind::FileOpen => "open openat openat2 creat",
        EventKind::HandleOpen => "open_by_handle_at",
        EventKind::NamespaceSwitch => "setns unshare",
        EventKind::CredentialChange => {
            "setuid setgid setresuid setresgid setreuid setregid setfsuid setfsgid capset"
        }
        EventKind::ModuleLoad => "init_module finit_module kexec_load kexec_file_load",
        EventKind::AnonymousInode => "userfaultfd io_uring_setup",
        EventKind::DeviceNode => "mknod mknodat",
        EventKind::SocketCreate => "socket",
        EventKind::UnixConnect | EventKind::SocketConnect => "connect",
        EventKind::SocketSend => "sendto sendmsg sendmmsg",
        EventKind::SocketListen => "listen",
        EventKind::SocketBind => "bind",
        EventKind::KernelLog => "syslog",
        EventKind::FileAttribute => {
            "chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat setxattr lsetxattr fsetxattr utimensat truncate ftruncate"
        }
        EventKind::FileName => {
            "link linkat symlink symlinkat rename renameat renameat2 unlink unlinkat mkdir mkdirat rmdir"
        }
        EventKind::WorkingFolder => "chdir fchdir",
        EventKind::Splice => "splice sendfile",
        EventKind::FilesystemParameter => "fsconfig",
        EventKind::PowerControl => "reboot",
        EventKind::TerminalInput => "ioctl",
        EventKind::Signal => "kill tkill tgkill",
        EventKind::CommandChange => "prctl",
        EventKind::ClockChange => "settimeofday clock_settime adjtimex clock_adjtime",
        EventKind::KeyAccess => "keyctl add_key request_key",
        EventKind::LimitChange => "prlimit prlimit64",
        EventKind::FileMap => "mmap mprotect",
        // Our own names are those of the system calls here, or no call leads there.
        EventKind::Mount
        | EventKind::MoveMount
        | EventKind::PivotRoot
        | EventKind::Chroot
        | EventKind::Ptrace
        | EventKind::Bpf
        | EventKind::PerfEventOpen
        | EventKind::CgroupCreate
        | EventKind::CgroupRemove
        | EventKind::Superblock
        | EventKind::UserNamespaceCreate
        | EventKind::UsermodeHelper
        | EventKind::BindMount
        | EventKind::CgroupMove
        | EventKind::Sweep
        | EventKind::FileDestruction
        | EventKind::ForkFlood
        | EventKind::FilterChange
        | EventKind::SelfWatch
        | EventKind::DiskFill => "",
    }
}

/// System calls of Linux (arch/x86/entry/syscalls, 6.17) and Falco's further kinds of event.
const OTHERS: &str = "\
    _llseek _sysctl accept accept4 access acct add_key adjtimex afs_syscall alarm arch_prctl asyncevent \
    bdflush bind bpf brk cachestat capget capset chdir chmod chown chown32 chroot clock_adjtime clock_getres \
    clock_gettime clock_nanosleep clock_settime clone clone3 close close_range connect container \
    copy_file_range cpu_hotplug creat create_module delete_module drop dup dup2 dup3 epoll_create \
    epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd \
    eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64 fallocate fanotify_init \
    fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync \
    fgetxattr finit_module flistxattr flock fork fremovexattr fsconfig fsetxattr fsmount fsopen fspick fstat \
    fstat64 fstatat64 fstatfs fsync ftruncate ftruncate64 futex futex_requeue futex_wait futex_waitv \
    futex_wake futimesat generic get_kernel_syms get_mempolicy get_robust_list get_thread_area getcpu getcwd \
    getdents getdents64 getegid geteuid getgid getgid32 getgroups getitimer getpeername getpgid getpgrp \
    getpid getpmsg getppid getpriority getrandom getresgid getresuid getrlimit getrusage getsid getsockname \
    getsockopt gettid gettimeofday getuid getuid32 getxattr getxattrat group_added group_deleted infra_event \
    init_module inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy \
    io_getevents io_pgetevents io_setup io_submit io_uring_enter io_uring_register io_uring_setup ioctl \
    ioperm iopl ioprio_get ioprio_set ipc k8s kcmp kexec_file_load kexec_load keyctl kill landlock_add_rule \
    landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listmount \
    listxattr listxattrat llistxattr lookup_dcookie lremovexattr lseek lsetxattr lsm_get_self_attr \
    lsm_list_modules lsm_set_self_attr lstat lstat64 madvise map_shadow_stack mbind membarrier memfd_create \
    memfd_secret mesos migrate_pages mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 \
    modify_ldt mount mount_setattr move_mount move_pages mprotect mq_getsetattr mq_notify mq_open \
    mq_timedreceive mq_timedsend mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall \
    munmap name_to_handle_at nanosleep newfstatat nfsservctl nice notification oldolduname olduname open \
    open_by_handle_at open_tree open_tree_attr openat openat2 page_fault pause perf_event_open personality \
    pidfd_getfd pidfd_open pidfd_send_signal pipe pipe2 pivot_root pkey_alloc pkey_free pkey_mprotect \
    pluginevent poll ppoll prctl pread pread64 preadv preadv2 prlimit prlimit64 process_madvise \
    process_mrelease process_vm_readv process_vm_writev procexit procinfo pselect6 ptrace putpmsg pwrite \
    pwrite64 pwritev pwritev2 query_module quotactl quotactl_fd read readahead readlink readlinkat readv \
    reboot recvfrom recvmmsg recvmsg remap_file_pages removexattr removexattrat rename renameat renameat2 \
    request_key restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo \
    rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo scapevent sched_get_priority_max \
    sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler \
    sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield \
    seccomp security select semctl semget semop semtimedop sendfile sendfile64 sendmmsg sendmsg sendto \
    set_mempolicy set_mempolicy_home_node set_robust_list set_thread_area set_tid_address setdomainname \
    setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups sethostname setitimer setns setpgid \
    setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 \
    setrlimit setsid setsockopt settimeofday setuid setuid32 setxattr setxattrat sgetmask shmat shmctl shmdt \
    shmget shutdown sigaction sigaltstack signal signaldeliver signalfd signalfd4 sigpending sigreturn \
    sigsuspend socket socketcall socketpair splice ssetmask stat stat64 statfs statmount statx swapoff \
    swapon switch symlink symlinkat sync sync_file_range syncfs syscall sysfs sysinfo syslog tee tgkill time \
    timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime \
    timerfd_settime times tkill tracer truncate truncate64 tty tuxcall umask umount umount2 uname unknown \
    unlink unlinkat unshare uselib user_added user_deleted userfaultfd ustat utime utimensat utimes vfork \
    vhangup vmsplice vserver wait4 waitid waitpid write writev";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known() {
        for name in
            ["open", "openat2", "execveat", "file_open", "ptrace", "connect", "socket_send", "procexit"]
        {
            assert_eq!(known(name), Known::Here, "{name}");
        }
        assert_eq!(known("dup2"), Known::Unseen);
        assert_eq!(known("exec"), Known::Not(None));
        assert_eq!(known("opnat"), Known::Not(Some("openat")));
    }

    #[test]
    fn what_was_done_decides_the_names() {
        let with = |name| names_with(EventKind::FileName, name).collect::<Vec<_>>();
        assert_eq!(with("linkat"), ["file_name", "link", "linkat"]);
        assert_eq!(with("file_name"), ["file_name"]);
        for kind in EventKind::ALL {
            let all: Vec<&str> = names(kind).collect();
            assert!(
                alternatives(kind).iter().flat_map(|some| some.split(' ')).all(|name| all.contains(&name))
            );
        }
    }

    #[test]
    fn every_kind_is_shown_by_a_name_that_is_its_own_alone() {
        for kind in EventKind::ALL {
            let shown = shown(kind);
            let others = EventKind::ALL.iter().filter(|other| **other != kind);
            assert_eq!(others.flat_map(|other| names(*other)).find(|name| *name == shown), None, "{shown}");
        }
    }
}
