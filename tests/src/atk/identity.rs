//! Processes that call themselves something else.

use super::Outcome;
use super::system::{Vector, c_string, check, execute};
use std::ffi::{OsStr, OsString};

/// Sets this process's name by `prctl(PR_SET_NAME)`, then runs COMMAND in a child and waits, so the name stays.
pub fn prctl_name(operands: &[OsString]) -> Outcome {
    let name = c_string(&operands[0])?;
    // SAFETY: the name is a C string; the kernel copies at most 16 bytes of it.
    check(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0) }.into())?;
    let status = std::process::Command::new(&operands[1]).args(&operands[2..]).status()?;
    Ok(status.code().and_then(|code| code.try_into().ok()).unwrap_or(1))
}

/// Executes COMMAND with ARGV0 as its first argument.
pub fn argv0(operands: &[OsString]) -> Outcome {
    let arguments =
        std::iter::once(operands[0].as_os_str()).chain(operands[2..].iter().map(OsString::as_os_str));
    Err(execute(OsStr::new(&operands[1]), &Vector::new(arguments)?))
}
