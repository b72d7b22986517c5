//! Mounts by the new API and switches of namespace by process descriptors.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use crate::Outcome;
use crate::system::{Vector, c_string, check, execute, number, owned};

// include/uapi/linux/mount.h
const FSCONFIG_SET_STRING: libc::c_uint = 1;
const FSCONFIG_CMD_CREATE: libc::c_uint = 6;
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 4;

/// `fsmount TYPE SOURCE TARGET`: fsopen, fsconfig, fsmount, move_mount; mount(2) is not called.
pub fn fsmount(operands: &[OsString]) -> Outcome {
    let (kind, source, target) = (c_string(&operands[0])?, c_string(&operands[1])?, c_string(&operands[2])?);
    // SAFETY: the name is a C string.
    let context = descriptor(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), 0) })?;
    configure(&context, FSCONFIG_SET_STRING, Some((c"source".into(), source)))?;
    configure(&context, FSCONFIG_CMD_CREATE, None)?;
    // SAFETY: numbers only.
    let mount = descriptor(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), 0, 0) })?;
    // SAFETY: both paths are C strings.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            target.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    })?;
    Ok(0)
}

fn configure(
    context: &OwnedFd,
    command: libc::c_uint,
    parameter: Option<(CString, CString)>,
) -> io::Result<()> {
    let (key, value) = match &parameter {
        Some((key, value)) => (key.as_ptr(), value.as_ptr()),
        None => (std::ptr::null(), std::ptr::null()),
    };
    // SAFETY: both are C strings or null, as the command wants it.
    check(unsafe { libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), command, key, value, 0) })?;
    Ok(())
}

/// `pidfd-setns PID COMMAND [ARG]...`: joins the mount and pid namespaces of a process through its descriptor, then
/// runs the command in a child, which is the first in the pid namespace.
pub fn pidfd_setns(operands: &[OsString]) -> Outcome {
    let pid: libc::pid_t = number(&operands[0])?;
    // SAFETY: numbers only.
    let target = descriptor(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    let namespaces = libc::CLONE_NEWNS | libc::CLONE_NEWPID;
    // SAFETY: numbers only.
    check(unsafe { libc::setns(target.as_raw_fd(), namespaces) }.into())?;
    let arguments = Vector::new(&operands[1..])?;
    let command: &OsStr = &operands[1];
    // SAFETY: this program has one thread; the child calls execve or ends.
    let child = check(unsafe { libc::fork() }.into())? as libc::pid_t;
    if child == 0 {
        return Err(execute(command, &arguments));
    }
    let mut status = 0;
    // SAFETY: `status` is valid for writing.
    check(unsafe { libc::waitpid(child, &raw mut status, 0) }.into())?;
    Ok(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) as u8 } else { 1 })
}

fn descriptor(result: libc::c_long) -> io::Result<OwnedFd> {
    owned(result as libc::c_int)
}
