//! Reads files of the node that others wrote: bounded, regular files only, never through a link at the end.

use std::ffi::CString;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The node's file system as the sensor sees it: `/` natively, `/proc/1/root` in a pod.
#[derive(Clone, Debug)]
pub struct HostRoot(pub PathBuf);

impl HostRoot {
    /// A path of the node, as the sensor opens it. The path is taken as absolute, and parts that climb are left out.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let parts = path.as_ref().components().filter_map(|part| match part {
            std::path::Component::Normal(name) => Some(name),
            _ => None,
        });
        let mut full = self.0.clone();
        full.extend(parts);
        full
    }

    /// Opens a regular file. FIFOs, devices and links are refused without waiting for anybody.
    ///
    /// # Errors
    /// As the system says, or `InvalidInput` if it is no regular file.
    pub fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(self.path(path))?;
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
        }
    }

    /// Reads a regular file of at most `limit` bytes.
    ///
    /// # Errors
    /// As [`HostRoot::open`], or `FileTooLarge`.
    pub fn read(&self, path: impl AsRef<Path>, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {limit} bytes")));
        }
        Ok(bytes)
    }

    /// Looks at a file as a process with this root folder would find it: links and `..` cannot lead out of it. Nothing is
    /// opened for reading, so nobody is waited for.
    ///
    /// # Errors
    /// As openat2(2) says.
    pub fn look(&self, path: &[u8]) -> io::Result<Metadata> {
        self.inside(path, libc::O_PATH)?.metadata()
    }

    /// Opens a regular file for reading as a process with this root folder would find it: links and `..` cannot lead out of
    /// it, and nobody is waited for.
    ///
    /// # Errors
    /// As openat2(2) says, or `InvalidInput` if it is no regular file.
    pub fn open_inside(&self, path: &[u8]) -> io::Result<File> {
        let file = self.inside(path, libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY)?;
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
        }
    }

    fn inside(&self, path: &[u8], flags: libc::c_int) -> io::Result<File> {
        let root =
            OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_CLOEXEC).open(&self.0)?;
        let path = CString::new(path)?;
        // SAFETY: all bytes zero is a valid `struct open_how`.
        let mut how: libc::open_how = unsafe { std::mem::zeroed() };
        how.flags = (flags | libc::O_CLOEXEC) as u64;
        how.resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS;
        // SAFETY: the path is a C string, the structure outlives the call and its size is given.
        let descriptor = unsafe {
            libc::syscall(
                libc::SYS_openat2,
                root.as_raw_fd(),
                path.as_ptr(),
                &raw const how,
                size_of_val(&how),
            )
        };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel returned this descriptor just now and nobody else owns it.
        Ok(unsafe { File::from_raw_fd(descriptor as i32) })
    }

    /// Names in a folder, at most `limit`.
    pub fn names(&self, path: impl AsRef<Path>, limit: usize) -> Vec<std::ffi::OsString> {
        let entries = std::fs::read_dir(self.path(path)).into_iter().flatten().flatten();
        entries.take(limit).map(|entry| entry.file_name()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_within_bounds_are_read() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let root = HostRoot(folder.path().to_owned());
        std::fs::write(folder.path().join("file"), "12345").expect("write");
        std::os::unix::fs::symlink("file", folder.path().join("link")).expect("link");
        let fifo = CString::new(folder.path().join("fifo").to_str().expect("UTF-8")).expect("no NUL");
        // SAFETY: the path is a valid C string.
        assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }, 0);
        assert_eq!(root.read("/file", 5).expect("fits"), b"12345");
        assert_eq!(root.read("file", 4).expect_err("too large").kind(), io::ErrorKind::FileTooLarge);
        assert!(root.read("/link", 5).is_err());
        assert!(root.read("/fifo", 5).is_err());
        assert!(root.read("/", 5).is_err());
    }

    #[test]
    fn a_look_stays_below_the_root() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let root = HostRoot(folder.path().to_owned());
        std::fs::create_dir(folder.path().join("etc")).expect("folder");
        std::fs::write(folder.path().join("etc/passwd"), "12345").expect("write");
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).expect("link");
        for path in [&b"/etc/passwd"[..], b"/link", b"/../../etc/passwd"] {
            assert_eq!(root.look(path).expect("there").len(), 5, "{}", path.escape_ascii());
        }
        assert!(root.look(b"/etc/shadow").is_err());
        assert!(root.look(b"/etc\0").is_err());
    }

    #[test]
    fn a_path_cannot_climb_out() {
        let root = HostRoot(PathBuf::from("/proc/1/root"));
        assert_eq!(root.path("/../../etc/./shadow"), Path::new("/proc/1/root/etc/shadow"));
    }
}
