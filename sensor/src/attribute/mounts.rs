//! Where the node itself has a file system mounted: from the path within a file system to the path on the host.
//!
//! A container may see a file under any name; the device and the path from the file system's own root do not lie. The
//! node's mountinfo (proc_pid_mountinfo(5)) says where they are on the host.

use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Bytes read of mountinfo, which containers with many mounts on the host make long.
const READ_MAX: u64 = 4 * 1024 * 1024;
/// Time between two readings, nanoseconds.
const AGE: u64 = 1_000_000_000;

/// One mount of the node.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    device: u32,
    /// What of the file system is mounted.
    root: Vec<u8>,
    point: Vec<u8>,
}

/// The node's mounts as last read.
pub struct HostMounts {
    file: PathBuf,
    mounts: Vec<Mount>,
    read: Option<u64>,
}

impl HostMounts {
    /// Mounts that a process sees; nothing is read yet.
    pub fn new(proc: &Path, pid: u32) -> Self {
        Self { file: proc.join(pid.to_string()).join("mountinfo"), mounts: Vec::new(), read: None }
    }

    /// Whether the host has the file at a path that `wanted` agrees to, of all where it has it.
    pub fn any(&mut self, device: u32, path: &[u8], now: u64, wanted: impl Fn(&[u8]) -> bool) -> bool {
        self.refresh(now);
        let fitting = self.mounts.iter().filter(|mount| mount.device == device);
        fitting.filter_map(|mount| Some(at(mount, below(path, &mount.root)?))).any(|whole| wanted(&whole))
    }

    /// Path on the host of a file on `device` (major << 20 | minor) at `path` from its file system's root; `None` if
    /// the host does not have that part of it mounted. Of several mounts the one that shows the most is taken.
    pub fn path(&mut self, device: u32, path: &[u8], now: u64) -> Option<Vec<u8>> {
        self.refresh(now);
        let fitting = self.mounts.iter().filter(|mount| mount.device == device);
        let found = fitting.filter_map(|mount| Some((mount, below(path, &mount.root)?)));
        let (mount, rest) = found.min_by_key(|(mount, _)| mount.root.len())?;
        Some(at(mount, rest))
    }

    fn refresh(&mut self, now: u64) {
        if self.read.is_none_or(|read| now.saturating_sub(read) > AGE) {
            self.read = Some(now);
            self.mounts = read(&self.file).map(|text| parse(&text)).unwrap_or_default();
        }
    }
}

/// Where the file systems of disks are mounted: one place for each.
pub fn disks(mountinfo: &Path) -> Vec<PathBuf> {
    let text = read(mountinfo).unwrap_or_default();
    let mut seen = std::collections::HashSet::new();
    let points = text.split(|&byte| byte == b'\n').filter_map(|line| {
        let source = line.windows(3).position(|window| window == b" - ").map(|at| &line[at + 3..])?;
        let is_disk = source.split(|&byte| byte == b' ').nth(1)?.starts_with(b"/dev/");
        let mount = mount(line).filter(|mount| is_disk && seen.insert(mount.device))?;
        Some(PathBuf::from(std::ffi::OsString::from_vec(mount.point)))
    });
    points.collect()
}

/// Whether a mountinfo shows a file system (major << 20 | minor).
pub fn shows(mountinfo: &Path, device: u32) -> bool {
    let text = read(mountinfo).unwrap_or_default();
    text.split(|&byte| byte == b'\n').filter_map(mount).any(|mount| mount.device == device)
}

fn read(file: &Path) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    File::open(file).ok()?.take(READ_MAX).read_to_end(&mut text).ok()?;
    Some(text)
}

/// The path of what lies at `rest` below a mount's root.
fn at(mount: &Mount, rest: &[u8]) -> Vec<u8> {
    let point = mount.point.strip_suffix(b"/").unwrap_or(&mount.point);
    let whole = [point, rest].concat();
    if whole.is_empty() { b"/".to_vec() } else { whole }
}

/// What of `path` lies below `root`, with its leading slash; empty for `root` itself.
fn below<'a>(path: &'a [u8], root: &[u8]) -> Option<&'a [u8]> {
    let rest = path.strip_prefix(root.strip_suffix(b"/").unwrap_or(root))?;
    match rest {
        b"/" => Some(b""),
        rest if rest.is_empty() || rest.starts_with(b"/") => Some(rest),
        _ => None,
    }
}

fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|&byte| byte == b'\n').filter_map(mount).collect()
}

/// `36 35 98:0 /root /point options - type source`
fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|&byte| byte == b' ').skip(2);
    let device = std::str::from_utf8(fields.next()?).ok()?;
    let (major, minor) = device.split_once(':')?;
    let device = major.parse::<u32>().ok()?.checked_shl(20)? | (minor.parse::<u32>().ok()? & 0xf_ffff);
    Some(Mount { device, root: unescaped(fields.next()?), point: unescaped(fields.next()?) })
}

/// Spaces and the like stand as octal escapes.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        let octal =
            tail.get(..3).filter(|digits| byte == b'\\' && digits.iter().all(|d| (b'0'..=b'7').contains(d)));
        match octal {
            Some(digits) => {
                let value = digits.iter().fold(0_u32, |value, digit| value * 8 + u32::from(digit - b'0'));
                text.push(value as u8);
                rest = &tail[3..];
            }
            None => {
                text.push(byte);
                rest = tail;
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
21 1 254:1 / / rw - ext4 /dev/vda1 rw
22 21 254:16 /pods /var/lib/kubelet\\040x rw,shared:1 - ext4 /dev/vdb rw
23 21 0:50 / /run/c/rootfs rw - overlay overlay rw
24 21 254:1 /etc/hosts /run/hosts rw - ext4 /dev/vda1 rw
broken line
";

    fn mounts() -> (tempfile::TempDir, HostMounts) {
        let proc = tempfile::tempdir().expect("temporary folder");
        std::fs::create_dir(proc.path().join("1")).expect("folder");
        std::fs::write(proc.path().join("1/mountinfo"), TEXT).expect("write");
        let mounts = HostMounts::new(proc.path(), 1);
        (proc, mounts)
    }

    #[test]
    fn a_file_system_is_shown_or_not() {
        let (proc, _) = mounts();
        let mountinfo = proc.path().join("1/mountinfo");
        assert!(shows(&mountinfo, 254 << 20 | 16));
        assert!(!shows(&mountinfo, 4095 << 20 | 7));
        assert!(!shows(&proc.path().join("nothing"), 254 << 20 | 16));
    }

    #[test]
    fn files_are_found_where_the_host_has_them() {
        let (_proc, mut mounts) = mounts();
        let mut path = |major: u32, minor: u32, path: &str| {
            let found = mounts.path(major << 20 | minor, path.as_bytes(), 1)?;
            Some(String::from_utf8(found).expect("UTF-8"))
        };
        assert_eq!(path(254, 1, "/etc/hosts").as_deref(), Some("/etc/hosts"));
        assert_eq!(path(254, 1, "/").as_deref(), Some("/"));
        assert_eq!(path(254, 16, "/pods/u1/volumes/v").as_deref(), Some("/var/lib/kubelet x/u1/volumes/v"));
        assert_eq!(path(254, 16, "/podsx/u1"), None, "beside what is mounted");
        assert_eq!(path(0, 50, "/tmp/x").as_deref(), Some("/run/c/rootfs/tmp/x"));
        assert_eq!(path(0, 51, "/tmp/x"), None);
    }

    #[test]
    fn mounts_are_read_again_after_their_age() {
        let (proc, mut mounts) = mounts();
        assert!(mounts.path(254 << 20 | 1, b"/a", 1).is_some());
        std::fs::write(proc.path().join("1/mountinfo"), "").expect("write");
        assert!(mounts.path(254 << 20 | 1, b"/a", AGE).is_some());
        assert!(mounts.path(254 << 20 | 1, b"/a", 2 * AGE + 2).is_none());
    }

    #[test]
    fn disks_are_told_once_each() {
        let (proc, _) = mounts();
        let found = disks(&proc.path().join("1/mountinfo"));
        assert_eq!(found, [PathBuf::from("/"), PathBuf::from("/var/lib/kubelet x")]);
    }
}
