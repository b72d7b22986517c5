//! Sockets, terminals, kernel code and the rarely used parts of the kernel.

use sensor_ebpf::abi::{
    BPF_VALUE_ATTACH_TYPE, BPF_VALUE_COMMAND, BPF_VALUE_PROGRAM_TYPE, EventKind, KERNEL_LOG_VALUE_ACTION,
    MODULE_FROM_FILE, MODULE_FROM_MEMORY, MODULE_VALUE_ID, MODULE_VALUE_SOURCE, PERF_VALUE_CONFIG,
    PERF_VALUE_SCOPE, PERF_VALUE_TYPE, SOCKET_VALUE_FAMILY, SOCKET_VALUE_PROTOCOL, SOCKET_VALUE_TYPE,
    TERMINAL_VALUE_COMMAND,
};

use crate::action::{Action, current};
use crate::contained::{is_contained, seen_in_container};
use crate::emit::seen;
use crate::file::File;
use crate::hooks::connect::connects_to;
use crate::hooks::listen::listens;
use crate::hooks::programs::{ATTACH_TYPE, PROGRAM_LOAD, PROGRAM_NAME, PROGRAM_TYPE};
use crate::hooks::surface::{
    ALGORITHM_NAME, ALGORITHM_TYPE, FAMILY_ALG, PERF_CONFIG, PERF_TYPE, clears, is_watched_socket,
    reads_or_clears,
};
use crate::hooks::terminal::puts_keystrokes;
use crate::hooks::unix::{connects, listener_pid};
use crate::kernel::{Probed, Structure, UserMemory, offset};
use crate::system_call::{SystemCall, system_calls};

system_calls! {
    /// perf_event_open
    perf_event_open_system_call => perf_event_open;
    /// userfaultfd, io_uring_setup
    anonymous_inode_system_call => anonymous_inode;
    /// socket
    socket_create_system_call => socket_create;
    /// bind
    socket_bind_system_call => socket_bind;
    /// listen
    socket_listen_system_call => socket_listen;
    /// connect
    unix_connect_system_call => unix_connect;
    /// ioctl
    terminal_input_system_call => terminal_input;
    /// syslog
    kernel_log_system_call => kernel_log;
    /// bpf
    bpf_system_call => bpf;
    /// finit_module, kexec_file_load
    module_file_system_call => module_file;
    /// init_module, kexec_load
    module_memory_system_call => module_memory;
}

/// `perf_event_open(struct perf_event_attr *attr, pid_t pid, ...)`
#[inline(always)]
fn perf_event_open(call: &SystemCall) {
    let Some(tally) = seen_in_container(EventKind::PerfEventOpen) else { return };
    let attributes = Structure::<UserMemory>::new(call.pointer::<0>());
    let Some(mut action) = Action::begin_entered(tally, call.entered()) else { return };
    let kind: u32 = attributes.field(PERF_TYPE);
    let every_process = call.argument::<1>() as u32 == u32::MAX;
    let of_kernel = attributes.field::<u64>(PERF_FLAGS) & PERF_EXCLUDE_KERNEL == 0;
    action.value(PERF_VALUE_SCOPE, perf_scope(kind, every_process, of_kernel));
    action.value(PERF_VALUE_TYPE, u64::from(kind));
    action.value(PERF_VALUE_CONFIG, attributes.field(PERF_CONFIG));
    action.send();
}

/// The widest of the scopes that the better ways tell one by one: `PERF_SECURITY_*` of include/linux/security.h.
#[inline(always)]
fn perf_scope(kind: u32, every_process: bool, of_kernel: bool) -> u64 {
    const OPEN: u64 = 0;
    const CPU: u64 = 1;
    const KERNEL: u64 = 2;
    const TRACEPOINT: u64 = 3;
    /// `PERF_TYPE_TRACEPOINT` of include/uapi/linux/perf_event.h.
    const TYPE_TRACEPOINT: u32 = 2;
    match kind {
        _ if every_process => CPU,
        TYPE_TRACEPOINT => TRACEPOINT,
        _ if of_kernel => KERNEL,
        _ => OPEN,
    }
}

/// Where `struct perf_event_attr` holds its flags.
const PERF_FLAGS: u32 = 40;
/// `exclude_kernel` among them.
const PERF_EXCLUDE_KERNEL: u64 = 1 << 5;

/// The name of the new file is that of its kind, as the better ways tell it.
#[inline(always)]
fn anonymous_inode(call: &SystemCall) {
    let file = call.opened_file();
    let Some(tally) = seen_in_container(EventKind::AnonymousInode) else { return };
    if file.is_null() {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin_entered(tally, call.entered()) else { return };
    action.text(Structure::<Probed>::new(File::open(file).dentry).pointer(offset!(dentry.name)));
    action.send();
}

/// `socket(int family, int type, int protocol)`
#[inline(always)]
fn socket_create(call: &SystemCall) {
    let Some(tally) = seen(EventKind::SocketCreate) else { return };
    let family = call.argument::<0>();
    if !is_watched_socket(family, call.argument::<1>()) || !is_contained(current()) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin_entered(tally, call.entered()) else { return };
    action.value(SOCKET_VALUE_FAMILY, family);
    action.value(SOCKET_VALUE_TYPE, call.argument::<1>());
    action.value(SOCKET_VALUE_PROTOCOL, call.argument::<2>());
    action.send();
}

/// `bind(int fd, struct sockaddr *address, int length)`: the address is the caller's memory.
#[inline(always)]
fn socket_bind(call: &SystemCall) {
    let Some(tally) = seen(EventKind::SocketBind) else { return };
    let sock = Structure::<Probed>::new(call.socket::<0>().pointer(offset!(socket.sk)));
    let family = u64::from(sock.field::<u16>(offset!(sock.family)));
    if family != FAMILY_ALG || !is_contained(current()) {
        tally.filtered();
        return;
    }
    let address = call.pointer::<1>();
    let Some(mut action) = Action::begin_entered(tally, call.entered()) else { return };
    action.value(SOCKET_VALUE_FAMILY, family);
    action.user_text(address.wrapping_add(ALGORITHM_TYPE));
    action.other_user_text(address.wrapping_add(ALGORITHM_NAME));
    action.send();
}

#[inline(always)]
fn socket_listen(call: &SystemCall) {
    let socket = call.socket::<0>();
    if !call.failed() && !socket.0.is_null() {
        listens(socket, call.entered());
    }
}

/// The peer of a stream is the socket that the listener will accept, with the listener's path. Who listens was copied to
/// the caller's own.
#[inline(always)]
fn unix_connect(call: &SystemCall) {
    /// `AF_UNIX` of include/linux/socket.h.
    const FAMILY_UNIX: u16 = 1;
    let socket = call.socket::<0>();
    let sock = Structure::<Probed>::new(socket.pointer(offset!(socket.sk)));
    if sock.field::<u16>(offset!(sock.family)) != FAMILY_UNIX {
        let address = Structure::<UserMemory>::new(call.pointer::<1>());
        connects_to(socket, address, call.argument::<2>() & 0xffff_ffff, call.entered());
        return;
    }
    if call.failed() || sock.field::<u16>(offset!(sock.family)) != FAMILY_UNIX {
        return;
    }
    let peer = Structure::new(sock.pointer(offset!(unix_sock.peer)));
    connects(peer, listener_pid(sock), call.entered());
}

/// `ioctl(int fd, unsigned int command, ...)`
#[inline(always)]
fn terminal_input(call: &SystemCall) {
    let command = call.argument::<1>();
    if !puts_keystrokes(command) {
        // Not counted as seen: all that programs ask of devices comes through here.
        return;
    }
    let Some(tally) = seen(EventKind::TerminalInput) else { return };
    if !is_contained(current()) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin_entered(tally, call.entered()) else { return };
    action.value(TERMINAL_VALUE_COMMAND, command);
    action.file(&File::open(call.file::<0>()));
    action.send();
}

/// `syslog(int type, char *buffer, int length)`
#[inline(always)]
fn kernel_log(call: &SystemCall) {
    let kind = call.argument::<0>();
    let Some(tally) = seen(EventKind::KernelLog) else { return };
    if !(reads_or_clears(kind) && is_contained(current()) || clears(kind)) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin_entered(tally, call.entered()) else { return };
    action.value(KERNEL_LOG_VALUE_ACTION, kind);
    action.send();
}

/// `bpf(int command, union bpf_attr *attributes, unsigned int size)`
#[inline(always)]
fn bpf(call: &SystemCall) {
    let command = call.argument::<0>();
    let Some(tally) = seen(EventKind::Bpf) else { return };
    if command != PROGRAM_LOAD {
        tally.filtered();
        return;
    }
    let attributes = Structure::<UserMemory>::new(call.pointer::<1>());
    let Some(mut action) = Action::begin_entered(tally, call.entered()) else { return };
    action.value(BPF_VALUE_COMMAND, command);
    action.value(BPF_VALUE_PROGRAM_TYPE, u64::from(attributes.field::<u32>(PROGRAM_TYPE)));
    action.value(BPF_VALUE_ATTACH_TYPE, u64::from(attributes.field::<u32>(ATTACH_TYPE)));
    action.user_text(attributes.0.wrapping_add(PROGRAM_NAME));
    action.send();
}

/// `READING_MODULE` of include/linux/kernel_read_file.h, the same number as `LOADING_MODULE`.
const MODULE: u64 = 2;

/// `finit_module(int fd, ...)` and `kexec_file_load(int kernel_fd, ...)`
#[inline(always)]
fn module_file(call: &SystemCall) {
    let Some(tally) = seen(EventKind::ModuleLoad) else { return };
    if is_forbidden(call) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin_entered(tally, call.entered()) else { return };
    action.value(MODULE_VALUE_SOURCE, MODULE_FROM_FILE);
    action.value(MODULE_VALUE_ID, MODULE);
    action.file(&File::open(call.file::<0>()));
    action.send();
}

/// `init_module(void *image, ...)` and `kexec_load(...)`
#[inline(always)]
fn module_memory(call: &SystemCall) {
    let Some(tally) = seen(EventKind::ModuleLoad) else { return };
    if is_forbidden(call) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin_entered(tally, call.entered()) else { return };
    action.value(MODULE_VALUE_SOURCE, MODULE_FROM_MEMORY);
    action.value(MODULE_VALUE_ID, MODULE);
    action.send();
}

/// Whether the caller lacks the capability, in which case the better ways see nothing either.
#[inline(always)]
fn is_forbidden(call: &SystemCall) -> bool {
    /// `EPERM` of include/uapi/asm-generic/errno-base.h.
    const NOT_PERMITTED: i64 = -1;
    call.result == NOT_PERMITTED
}
