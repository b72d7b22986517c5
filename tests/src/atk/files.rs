//! Files: binaries that run, pages that are shared, modes and capabilities that lend privilege, mounts that follow links.

use super::Outcome;
use super::system::{c_string, check, number, owned};
use std::ffi::{CStr, OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long to wait for a process, and then for its end.
const PATIENCE: Duration = Duration::from_secs(20);

/// `exe-overwrite-watch NAME`: takes hold of the executable of the first process of that name and opens it for writing by
/// the descriptor. Says which errors it got. It never writes, and asks for truncation only where the mount forbids it.
pub fn overwrite_watch(operands: &[OsString]) -> Outcome {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let Some(place) = executable_of(&operands[0])? else { continue };
        let path = format!("/proc/self/fd/{}", place.as_raw_fd());
        match File::options().write(true).open(&path) {
            Err(error) if error.raw_os_error() == Some(libc::ETXTBSY) => println!("refused: ETXTBSY"),
            Err(error) if error.raw_os_error() == Some(libc::EROFS) => {
                println!("refused: EROFS");
                let truncated = File::options().write(true).truncate(true).open(&path);
                println!("refused with O_TRUNC: {}", truncated.is_err());
            }
            Err(error) => println!("refused: {error}"),
            Ok(_) => println!("opened"),
        }
        return Ok(0);
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "no such process"))
}

/// An O_PATH descriptor of the executable of a process with this command name.
fn executable_of(name: &OsStr) -> io::Result<Option<OwnedFd>> {
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let mut command = String::new();
        // Processes come and go, and not every entry is one.
        let Ok(mut file) = File::open(entry.path().join("comm")) else { continue };
        if file.read_to_string(&mut command).is_err() || OsStr::new(command.trim_end()) != name {
            continue;
        }
        let exe = c_string(entry.path().join("exe").as_os_str())?;
        // SAFETY: the path is a C string.
        let descriptor = owned(unsafe { libc::open(exe.as_ptr(), libc::O_PATH | libc::O_CLOEXEC) });
        if let Ok(descriptor) = descriptor {
            return Ok(Some(descriptor));
        }
    }
    Ok(None)
}

/// `splice1 FILE [sendfile]`: one byte of a file that is open for reading only goes into a pipe, and from there nowhere.
pub fn splice_one(operands: &[OsString]) -> Outcome {
    let file = File::open(&operands[0])?;
    let mut ends = [0; 2];
    // SAFETY: the array has room for two descriptors.
    check(unsafe { libc::pipe(ends.as_mut_ptr()) }.into())?;
    let (_reader, writer) = (owned(ends[0])?, owned(ends[1])?);
    let (from, to, nowhere) = (file.as_raw_fd(), writer.as_raw_fd(), std::ptr::null_mut());
    // SAFETY: both descriptors are open; no offsets are passed.
    let spliced = check(unsafe {
        match operands.get(1) {
            Some(_) => libc::sendfile(to, from, nowhere, 1),
            None => libc::splice(from, nowhere, to, nowhere, 1, 0),
        }
    } as libc::c_long)?;
    println!("spliced {spliced}");
    Ok(0)
}

/// `setuid-create PATH`: makes a file that is setuid from its first moment; chmod is not called.
pub fn create_setuid(operands: &[OsString]) -> Outcome {
    File::options().write(true).create_new(true).mode(0o4755).open(&operands[0])?;
    println!("created");
    Ok(0)
}

/// `file-capability FILE BIT`: gives a file one capability, effective from the start, as setcap(8) does.
pub fn set_capability(operands: &[OsString]) -> Outcome {
    /// `VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE` of include/uapi/linux/capability.h.
    const REVISION: u32 = 0x0200_0001;
    let bit: u32 = number(&operands[1])?;
    let set = 1_u64 << (bit & 63);
    let words = [REVISION, set as u32, 0, (set >> 32) as u32, 0];
    let path = c_string(&operands[0])?;
    let (name, value, size) = (c"security.capability", words.as_ptr().cast(), size_of_val(&words));
    // SAFETY: path and name are C strings, the value is as long as said.
    check(unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), value, size, 0) }.into())?;
    println!("capable");
    Ok(0)
}

/// `fake-runc SOURCE TARGET [open_tree]`: hides a file as a container runtime without the repair does: SOURCE, which is what it takes
/// for /dev/null, is mounted over TARGET by its path, in a mount namespace of its own.
pub fn fake_runtime(operands: &[OsString]) -> Outcome {
    // SAFETY: no memory is passed.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) }.into())?;
    mount(None, c"/", libc::MS_REC | libc::MS_PRIVATE)?;
    bind(operands)?;
    println!("hidden");
    Ok(0)
}

/// `fake-kubelet SOURCE TARGET [open_tree]`: mounts a folder of a volume by its path, as kubelets before CVE-2021-25741 did.
pub fn fake_kubelet(operands: &[OsString]) -> Outcome {
    std::fs::create_dir_all(Path::new(&operands[1]))?;
    bind(operands)?;
    println!("mounted");
    Ok(0)
}

/// A bind mount of the first operand at the second, by the new mount API if a third says so.
fn bind(operands: &[OsString]) -> io::Result<()> {
    /// `OPEN_TREE_CLONE` of include/uapi/linux/mount.h.
    const CLONE: libc::c_uint = 1;
    /// `MOVE_MOUNT_F_EMPTY_PATH` of the same file.
    const EMPTY_PATH: libc::c_uint = 4;
    let (source, target) = (c_string(&operands[0])?, c_string(&operands[1])?);
    if operands.len() < 3 {
        return mount(Some(&source), &target, libc::MS_BIND);
    }
    // SAFETY: the path is a C string.
    let tree = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, source.as_ptr(), CLONE) };
    let tree = owned(tree as libc::c_int)?;
    // SAFETY: both paths are C strings.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            target.as_ptr(),
            EMPTY_PATH,
        )
    })?;
    Ok(())
}

fn mount(source: Option<&CStr>, target: &CStr, flags: libc::c_ulong) -> io::Result<()> {
    let (source, nothing) = (source.map_or(std::ptr::null(), CStr::as_ptr), std::ptr::null());
    // SAFETY: source and target are C strings, or not looked at; type and data are not looked at.
    check(unsafe { libc::mount(source, target.as_ptr(), nothing, flags, nothing.cast()) }.into())?;
    Ok(())
}
