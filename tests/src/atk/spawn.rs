//! Unusual ways of starting processes: very fast, from a thread, reparented, many at once.

use super::Outcome;
use super::system::{Vector, c_string, check, execute, number};
use std::ffi::OsString;
use std::io;
use std::time::Duration;

/// Starts COMMAND COUNT times, one after the other, by `posix_spawn` (a vfork), and waits for each.
///
/// COMMAND is a path, not searched for. Fails when one could not be started; their exit codes do not matter.
pub fn fast(operands: &[OsString]) -> Outcome {
    let count: u32 = number(&operands[0])?;
    let path = c_string(&operands[1])?;
    let arguments = Vector::new(&operands[1..])?;
    let environment = Vector::environment()?;
    for _ in 0..count {
        let mut process: libc::pid_t = 0;
        // SAFETY: the path is a C string, both vectors are NULL-terminated, null actions and attributes are allowed.
        let error = unsafe {
            libc::posix_spawn(
                &raw mut process,
                path.as_ptr(),
                std::ptr::null(),
                std::ptr::null(),
                arguments.as_ptr().cast(),
                environment.as_ptr().cast(),
            )
        };
        if error != 0 {
            return Err(io::Error::from_raw_os_error(error));
        }
        wait(process)?;
    }
    Ok(0)
}

/// Executes COMMAND from a thread that is not the leader: the thread takes over the process id.
pub fn thread_exec(operands: &[OsString]) -> Outcome {
    let operands = operands.to_vec();
    let thread = std::thread::spawn(move || match Vector::new(&operands) {
        Ok(arguments) => execute(&operands[0], &arguments),
        Err(error) => error,
    });
    Err(thread.join().unwrap_or_else(|_| io::Error::other("the thread panicked")))
}

/// Forks twice with a new session, ends the parents, and executes COMMAND SECONDS later as an orphan.
pub fn double_fork(operands: &[OsString]) -> Outcome {
    let seconds: u64 = number(&operands[0])?;
    if fork()? != 0 {
        return Ok(0);
    }
    // SAFETY: setsid has no arguments.
    check(unsafe { libc::setsid() }.into())?;
    if fork()? != 0 {
        return Ok(0);
    }
    std::thread::sleep(Duration::from_secs(seconds));
    Err(execute(&operands[1], &Vector::new(&operands[1..])?))
}

/// Forks COUNT workers that sleep SECONDS, as a cluster of server processes does, and waits for them.
pub fn fork_workers(operands: &[OsString]) -> Outcome {
    let count: u32 = number(&operands[0])?;
    let seconds: u64 = number(&operands[1])?;
    let mut workers = Vec::new();
    for _ in 0..count {
        match fork()? {
            0 => {
                std::thread::sleep(Duration::from_secs(seconds));
                std::process::exit(0);
            }
            worker => workers.push(worker),
        }
    }
    for worker in workers {
        wait(worker)?;
    }
    Ok(0)
}

fn fork() -> io::Result<libc::pid_t> {
    // SAFETY: this program has only one thread at each call, so the child may go on using everything.
    Ok(check(unsafe { libc::fork() }.into())? as libc::pid_t)
}

fn wait(process: libc::pid_t) -> io::Result<()> {
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    check(unsafe { libc::waitpid(process, &raw mut status, 0) }.into()).map(drop)
}
