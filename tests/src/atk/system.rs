//! The few system interfaces that all sub-commands share: C strings, argument vectors, error codes.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;

/// A NULL-terminated vector of C strings as `execve` wants it.
pub struct Vector {
    pointers: Vec<*const libc::c_char>,
    // Owns what `pointers` points into.
    _strings: Vec<CString>,
}

impl Vector {
    /// Copies the strings; one with a NUL byte inside is an error of kind `InvalidInput`.
    pub fn new<S: AsRef<OsStr>>(strings: impl IntoIterator<Item = S>) -> io::Result<Self> {
        let strings =
            strings.into_iter().map(|string| c_string(string.as_ref())).collect::<io::Result<Vec<_>>>()?;
        let mut pointers: Vec<_> = strings.iter().map(|string| string.as_ptr()).collect();
        pointers.push(std::ptr::null());
        Ok(Self { pointers, _strings: strings })
    }

    /// The environment of this process, `NAME=VALUE` each.
    pub fn environment() -> io::Result<Self> {
        Self::new(std::env::vars_os().map(|(name, value)| {
            let mut entry = name;
            entry.push("=");
            entry.push(value);
            entry
        }))
    }

    /// The vector for a system call; valid as long as `self`.
    pub fn as_ptr(&self) -> *const *const libc::c_char {
        self.pointers.as_ptr()
    }
}

/// Copies to a C string; a NUL byte inside is an error of kind `InvalidInput`.
pub fn c_string(string: &OsStr) -> io::Result<CString> {
    CString::new(string.as_bytes()).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

/// Turns the -1 convention into a result.
pub fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Takes ownership of a descriptor that a system call just returned.
pub fn owned(result: libc::c_int) -> io::Result<OwnedFd> {
    let descriptor: RawFd = check(result.into())? as RawFd;
    // SAFETY: the kernel returned this descriptor to the caller just now and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Replaces this process; returns only when that failed.
pub fn execute(path: &OsStr, arguments: &Vector) -> io::Error {
    let environment = match Vector::environment() {
        Ok(environment) => environment,
        Err(error) => return error,
    };
    let path = match c_string(path) {
        Ok(path) => path,
        Err(error) => return error,
    };
    // SAFETY: the path is a C string and both vectors are NULL-terminated and outlive the call.
    unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}

/// An operand as a number, or an error that names it.
pub fn number<T: std::str::FromStr>(operand: &OsStr) -> io::Result<T> {
    operand.to_str().and_then(|text| text.parse().ok()).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("`{}` is not a number in range", operand.display()),
        )
    })
}
