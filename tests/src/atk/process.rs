//! Other processes and their namespaces: attaching, entering.

use crate::Outcome;
use crate::system::{Vector, check, execute, owned};
use std::ffi::OsString;
use std::io;

/// Attaches to a process as a debugger does, and lets it go on.
pub fn ptrace_attach(operands: &[OsString]) -> Outcome {
    let process = number(&operands[0])?;
    traced(process, || Ok(0))?;
    println!("attached to {process}");
    Ok(0)
}

/// Writes TEXT into the memory of a process at ADDRESS (in hexadecimal digits), with process_vm_writev, without attaching.
pub fn write_memory(operands: &[OsString]) -> Outcome {
    let process = number(&operands[0])?;
    let text = operands[2].as_encoded_bytes();
    let own = libc::iovec { iov_base: text.as_ptr().cast_mut().cast(), iov_len: text.len() };
    let remote = libc::iovec { iov_base: address(&operands[1])?, iov_len: text.len() };
    // SAFETY: both vectors outlive the call; the kernel checks the address, which is one of the other process.
    let written =
        check(unsafe { libc::process_vm_writev(process, &raw const own, 1, &raw const remote, 1, 0) }
            as libc::c_long)?;
    println!("{written} bytes written");
    Ok(0)
}

/// Attaches to a process and writes a word of TEXT into its memory at ADDRESS (in hexadecimal digits), as debuggers do.
pub fn poke(operands: &[OsString]) -> Outcome {
    let process = number(&operands[0])?;
    let mut word = [0; size_of::<usize>()];
    let text = operands[2].as_encoded_bytes();
    let length = text.len().min(word.len());
    word[..length].copy_from_slice(&text[..length]);
    let word = std::ptr::without_provenance_mut::<libc::c_void>(usize::from_ne_bytes(word));
    traced(process, || {
        // SAFETY: the address is one of the other process, and the word is a number.
        check(unsafe { libc::ptrace(libc::PTRACE_POKEDATA, process, address(&operands[1])?, word) })
    })?;
    println!("poked {process}");
    Ok(0)
}

/// Takes a descriptor from a process: a connection, or a file that this one could not open.
pub fn steal_descriptor(operands: &[OsString]) -> Outcome {
    let process = number(&operands[0])?;
    let wanted = number(&operands[1])?;
    // SAFETY: pidfd_open takes no pointers.
    let descriptor = owned(unsafe { libc::syscall(libc::SYS_pidfd_open, process, 0) } as libc::c_int)?;
    let descriptor = std::os::fd::AsRawFd::as_raw_fd(&descriptor);
    // SAFETY: pidfd_getfd takes no pointers.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_getfd, descriptor, wanted, 0) } as libc::c_int)?;
    println!("taken");
    Ok(0)
}

/// Makes a terminal of its own and types TEXT into it from the wrong side. Kernels may forbid it; the attempt counts.
pub fn type_into_terminal(operands: &[OsString]) -> Outcome {
    use std::os::fd::AsRawFd as _;
    // SAFETY: the call takes no memory arguments.
    let master = owned(unsafe { libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY) })?;
    let mut name = [0; 64];
    // SAFETY: the descriptor is open; the name has room for `name.len()` bytes.
    unsafe {
        check(libc::grantpt(master.as_raw_fd()).into())?;
        check(libc::unlockpt(master.as_raw_fd()).into())?;
        check((-libc::ptsname_r(master.as_raw_fd(), name.as_mut_ptr(), name.len())).into())?;
    }
    // SAFETY: the name is a C string now.
    let terminal = owned(unsafe { libc::open(name.as_ptr(), libc::O_RDWR | libc::O_NOCTTY) })?;
    let mut taken = 0;
    for byte in operands[0].as_encoded_bytes() {
        // SAFETY: the request reads one byte, which outlives the call.
        taken += i32::from(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSTI, byte) } == 0);
    }
    println!("typed, {taken} taken");
    Ok(0)
}

/// Enters the mount and pid namespaces of a process through a pidfd, without opening anything in /proc, and starts a
/// program there.
pub fn pidfd_setns(operands: &[OsString]) -> Outcome {
    let process = number(&operands[0])?;
    // SAFETY: pidfd_open takes no pointers.
    let descriptor = owned(unsafe { libc::syscall(libc::SYS_pidfd_open, process, 0) } as libc::c_int)?;
    let flags = libc::CLONE_NEWNS | libc::CLONE_NEWPID;
    // SAFETY: setns takes no pointers.
    check(unsafe { libc::setns(std::os::fd::AsRawFd::as_raw_fd(&descriptor), flags) }.into())?;
    let arguments = Vector::new(&operands[1..])?;
    // SAFETY: this program has one thread, so the child may do anything.
    let child = check(unsafe { libc::fork() }.into())? as libc::pid_t;
    if child == 0 {
        return Err(execute(&operands[1], &arguments));
    }
    let mut status = 0;
    // SAFETY: waits for our child, into a local.
    check(unsafe { libc::waitpid(child, &raw mut status, 0) }.into())?;
    println!("entered {process}");
    Ok(libc::WEXITSTATUS(status) as u8)
}

/// Does something with a process while it is traced and stopped, then lets it go on.
fn traced(process: libc::pid_t, action: impl FnOnce() -> io::Result<libc::c_long>) -> io::Result<()> {
    let null = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: attaching takes no pointers.
    check(unsafe { libc::ptrace(libc::PTRACE_ATTACH, process, null, null) })?;
    let mut status = 0;
    // SAFETY: waits for the stop of the traced process, into a local.
    check(unsafe { libc::waitpid(process, &raw mut status, libc::__WALL) }.into())?;
    action()?;
    // SAFETY: detaching takes no pointers.
    check(unsafe { libc::ptrace(libc::PTRACE_DETACH, process, null, null) })?;
    Ok(())
}

/// A place in the memory of another process.
fn address(operand: &OsString) -> io::Result<*mut libc::c_void> {
    let text = operand.to_string_lossy();
    let address = usize::from_str_radix(&text, 16)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, format!("{text} is no address")))?;
    Ok(std::ptr::without_provenance_mut(address))
}

fn number(operand: &OsString) -> io::Result<libc::pid_t> {
    let text = operand.to_string_lossy();
    text.parse().map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, format!("{text} is no process id")))
}
