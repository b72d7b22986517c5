//! Execution of files without a name: memfd, `O_TMPFILE`, unlinked, and through a descriptor. Their code in a process.

use super::Outcome;
use super::library::map_executable;
use super::system::{Vector, c_string, check, execute, owned};
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, IntoRawFd as _, RawFd};
use std::os::unix::fs::OpenOptionsExt as _;

/// `memfd_create(NAME)`, copy, `execveat(fd, "", AT_EMPTY_PATH)`.
pub fn memfd_exec(operands: &[OsString]) -> Outcome {
    let file = memfd(&operands[0], &operands[1])?;
    Err(execute_descriptor(file.as_raw_fd(), &operands[1..]))
}

/// As [`memfd_exec`], but through the magic link `/proc/self/fd/N`, as `fexecve` does on old systems.
pub fn memfd_procfd(operands: &[OsString]) -> Outcome {
    let file = memfd(OsStr::new("procfd"), &operands[0])?;
    Err(execute_through_proc(&file, operands))
}

/// Puts LIBRARY into a memfd NAME and maps it executable: privately as a loader does, or shared as compilers do.
pub fn map_memory(operands: &[OsString]) -> Outcome {
    let sharing = if operands[0] == "shared" { libc::MAP_SHARED } else { libc::MAP_PRIVATE };
    map_executable(&memfd(&operands[1], &operands[2])?, sharing)
}

/// Creates an `O_TMPFILE` file in DIRECTORY, copies BINARY to it and executes it.
pub fn otmpfile_exec(operands: &[OsString]) -> Outcome {
    let writer =
        OpenOptions::new().write(true).mode(0o700).custom_flags(libc::O_TMPFILE).open(&operands[0])?;
    io::copy(&mut File::open(&operands[1])?, &mut &writer)?;
    let reader = reopen(&writer)?;
    drop(writer);
    Err(execute_descriptor(reader.as_raw_fd(), &operands[1..]))
}

/// Copies BINARY to PATH, opens it, unlinks it and executes what has no name any more.
pub fn unlink_exec(operands: &[OsString]) -> Outcome {
    std::fs::copy(&operands[1], &operands[0])?;
    let file = File::open(&operands[0])?;
    std::fs::remove_file(&operands[0])?;
    Err(execute_descriptor(file.as_raw_fd(), &operands[1..]))
}

/// Executes an ordinary file through `/proc/self/fd/N`.
pub fn descriptor_exec(operands: &[OsString]) -> Outcome {
    Err(execute_through_proc(&File::open(&operands[0])?, operands))
}

fn memfd(name: &OsStr, binary: &OsStr) -> io::Result<File> {
    let name = c_string(name)?;
    // SAFETY: the name is a C string.
    let descriptor = owned(unsafe { libc::memfd_create(name.as_ptr(), 0) })?;
    let mut file = File::from(descriptor);
    io::copy(&mut File::open(binary)?, &mut file)?;
    // A descriptor that is open for writing makes the exec fail with ETXTBSY.
    reopen(&file)
}

/// A second, read-only descriptor of the same file, which works for files without a name too.
fn reopen(file: &File) -> io::Result<File> {
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

fn execute_descriptor(descriptor: RawFd, arguments: &[OsString]) -> io::Error {
    let (arguments, environment) = match (Vector::new(arguments), Vector::environment()) {
        (Ok(arguments), Ok(environment)) => (arguments, environment),
        (Err(error), _) | (_, Err(error)) => return error,
    };
    // SAFETY: the path is an empty C string, both vectors are NULL-terminated and outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_execveat,
            descriptor,
            c"".as_ptr(),
            arguments.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    check(result).err().unwrap_or_else(|| io::Error::other("execveat returned"))
}

fn execute_through_proc(file: &File, arguments: &[OsString]) -> io::Error {
    // The new program image must still be reachable while the kernel opens it: keep the descriptor.
    // SAFETY: F_DUPFD has no memory arguments.
    let descriptor = match owned(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD, 3) }) {
        Ok(descriptor) => descriptor.into_raw_fd(),
        Err(error) => return error,
    };
    let error = match Vector::new(arguments) {
        Ok(vector) => execute(OsStr::new(&format!("/proc/self/fd/{descriptor}")), &vector),
        Err(error) => error,
    };
    // SAFETY: `into_raw_fd` above gave up the ownership of this descriptor; it is taken back here.
    drop(unsafe { File::from_raw_fd(descriptor) });
    error
}
