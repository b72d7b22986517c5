//! Storms of one system interface each, timed by the process itself, for the benchmarks.

use super::Outcome;
use super::system::{c_string, check, number, owned};
use std::ffi::OsString;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// `KIND COUNT FOLDER [contained]`: does KIND COUNT times and prints the nanoseconds that one took.
///
/// `syscall` asks for the parent's number, `open` opens and closes an ordinary file for reading, `mount` mounts and
/// unmounts a tmpfs, `connect` connects to a unix socket of its own; what they need is made in FOLDER. `contained`
/// unshares the mount namespace first, so that the sensor's filters take the process for one of a container.
pub fn storm(operands: &[OsString]) -> Outcome {
    let kind = operands[0].to_string_lossy();
    let count: u32 = number(&operands[1])?;
    let folder = Path::new(&operands[2]);
    if operands.get(3).is_some_and(|word| word == "contained") {
        // SAFETY: unshare has no memory arguments.
        check(unsafe { libc::unshare(libc::CLONE_NEWNS) }.into())?;
    }
    let nanoseconds = match &*kind {
        "syscall" => timed(count, parent)?,
        "open" => {
            let path = folder.join("file");
            std::fs::write(&path, "nothing")?;
            let path = c_string(path.as_os_str())?;
            timed(count, || {
                // SAFETY: the path is a C string.
                owned(unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) }).map(drop)
            })?
        }
        "mount" => {
            let target = folder.join("target");
            std::fs::create_dir_all(&target)?;
            let target = c_string(target.as_os_str())?;
            timed(count, || mount_and_unmount(&target))?
        }
        "connect" => connections(count, &folder.join("socket"))?,
        _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("no storm `{kind}`"))),
    };
    println!("{nanoseconds:.1}");
    Ok(0)
}

/// `SECONDS THREADS FILE...`: threads that open the files, in turn and without pause.
pub fn flood(operands: &[OsString]) -> Outcome {
    let end = Instant::now() + Duration::from_secs(number(&operands[0])?);
    let threads: u32 = number(&operands[1])?;
    let opened: u64 = std::thread::scope(|scope| {
        let opens = || {
            let mut opened = 0;
            while Instant::now() < end {
                opened +=
                    operands[2..].iter().filter(|file| std::fs::File::open(file).is_ok()).count() as u64;
            }
            opened
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(opens)).collect();
        running.into_iter().map(|thread| thread.join().unwrap_or_default()).sum()
    });
    println!("{opened} opened");
    Ok(0)
}

/// `SECONDS PROCESSES FOLDER`: processes that make a device node and remove it, again and again.
pub fn make_nodes(operands: &[OsString]) -> Outcome {
    let end = Instant::now() + Duration::from_secs(number(&operands[0])?);
    let processes: u32 = number(&operands[1])?;
    let device = libc::makedev(1, 3);
    let mut children = Vec::new();
    for index in 0..processes {
        // A folder each: making a file locks its folder, and the hooks would wait for each other.
        let folder = Path::new(&operands[2]).join(index.to_string());
        std::fs::create_dir_all(&folder)?;
        let path = c_string(folder.join("node").as_os_str())?;
        // SAFETY: the child has one thread, as the parent does, and ends with `_exit`.
        match unsafe { libc::fork() } {
            0 => {
                while Instant::now() < end {
                    // SAFETY: the path is a C string.
                    unsafe {
                        libc::mknod(path.as_ptr(), libc::S_IFCHR | 0o600, device);
                        libc::unlink(path.as_ptr());
                    }
                }
                // SAFETY: ends the process.
                unsafe { libc::_exit(0) }
            }
            child => children.push(check(child.into())?),
        }
    }
    for child in children {
        // SAFETY: waits for an own child; its status is not wanted.
        unsafe { libc::waitpid(child as libc::pid_t, std::ptr::null_mut(), 0) };
    }
    Ok(0)
}

/// Nanoseconds for each of `count` calls; the first thousandth warms caches and does not count.
fn timed(count: u32, mut call: impl FnMut() -> io::Result<()>) -> io::Result<f64> {
    for _ in 0..=count / 1000 {
        call()?;
    }
    let begin = Instant::now();
    for _ in 0..count {
        call()?;
    }
    Ok(begin.elapsed().as_nanos() as f64 / f64::from(count.max(1)))
}

#[expect(clippy::unnecessary_wraps, reason = "one of the calls that `timed` takes")]
fn parent() -> io::Result<()> {
    // SAFETY: no arguments. The library's own getppid may not be a system call everywhere.
    std::hint::black_box(unsafe { libc::syscall(libc::SYS_getppid) });
    Ok(())
}

fn mount_and_unmount(target: &std::ffi::CStr) -> io::Result<()> {
    // SAFETY: all strings are C strings, the options may be null.
    let mounted = unsafe {
        libc::mount(c"none".as_ptr(), target.as_ptr(), c"tmpfs".as_ptr(), libc::MS_NODEV, std::ptr::null())
    };
    check(mounted.into())?;
    // SAFETY: the target is a C string.
    check(unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) }.into()).map(drop)
}

fn connections(count: u32, path: &Path) -> io::Result<f64> {
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path)?;
    let result = timed(count, || {
        let stream = UnixStream::connect(path)?;
        let (accepted, _) = listener.accept()?;
        // Both are closed here, so that neither the backlog nor the descriptors grow.
        std::hint::black_box((stream.as_raw_fd(), accepted.as_raw_fd()));
        Ok(())
    });
    std::fs::remove_file(path)?;
    result
}
