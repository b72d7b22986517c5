//! Mounts by the new API.

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use crate::Outcome;
use crate::system::{c_string, check, number, owned};

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

/// Gives COUNT parameters of 200 bytes to a context of file system TYPE; what the kernel says to them does not matter.
pub fn fsconfig_flood(operands: &[OsString]) -> Outcome {
    let kind = c_string(&operands[0])?;
    let count: u32 = number(&operands[1])?;
    // SAFETY: the name is a C string.
    let context = descriptor(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), 0) })?;
    let value = CString::new([b'A'; 200])?;
    let refused = (0..count)
        .filter(|_| configure(&context, FSCONFIG_SET_STRING, Some((c"a".into(), value.clone()))).is_err())
        .count();
    println!("{count} parameters, {refused} refused");
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

fn descriptor(result: libc::c_long) -> io::Result<OwnedFd> {
    owned(result as libc::c_int)
}
