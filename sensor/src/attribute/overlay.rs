//! Is a file in a container's upper layer really another than the image's? `chown` and `chmod` copy it up unchanged.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::host::HostRoot;
use crate::event::FileFacts;

/// Largest file that is compared; larger ones count as different.
const COMPARE_MAX: u64 = 64 * 1024 * 1024;
/// Results remembered.
const REMEMBERED: usize = 1024;
/// Bytes compared within one second of the wall clock; beyond, files count as different until the next.
const BUDGET: u64 = 256 * 1024 * 1024;

/// Result of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The image has a file of this path with the same content.
    Same,
    /// It has one with another content.
    Different,
    /// It has none.
    NotInImage,
    /// Could not be compared.
    Unknown,
}

type FileKey = (u32, u64, i64, u64);

/// Compares files of upper layers with the image's.
pub struct Overlays {
    root: HostRoot,
    proc: PathBuf,
    known: foldhash::HashMap<FileKey, Comparison>,
    order: VecDeque<FileKey>,
    budget: u64,
    second: u64,
}

impl Overlays {
    /// Nothing compared yet.
    pub fn new(root: HostRoot, proc: PathBuf) -> Self {
        Self {
            root,
            proc,
            known: foldhash::HashMap::default(),
            order: VecDeque::new(),
            budget: BUDGET,
            second: 0,
        }
    }

    /// Compares a file in the upper layer of the container with this root folder, from which its path begins.
    pub fn compare(&mut self, container_root: &Path, file: &FileFacts, path: &[u8]) -> Comparison {
        let key = (file.device, file.inode, file.change_time, file.size);
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let second = crate::clock::boot_nanoseconds() / 1_000_000_000;
        if second != self.second {
            (self.second, self.budget) = (second, BUDGET);
        }
        let began = wall_seconds();
        let result = self.look(container_root, file, path);
        if !is_settled(file.change_time, began) {
            return result;
        }
        if self.order.len() >= REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.known.insert(key, result);
        self.order.push_back(key);
        result
    }

    fn look(&mut self, container_root: &Path, file: &FileFacts, path: &[u8]) -> Comparison {
        use std::os::unix::ffi::OsStrExt;
        let text = std::fs::read_to_string(self.proc.join("1/mountinfo"))
            .or_else(|_| std::fs::read_to_string(self.proc.join("self/mountinfo")))
            .unwrap_or_default();
        let Some(layers) = layers(&text, container_root) else { return Comparison::Unknown };
        let path = Path::new(std::ffi::OsStr::from_bytes(path));
        let upper = below(&self.root, &layers.upper, path);
        for lower in &layers.lower {
            let lower = below(&self.root, lower, path);
            let Ok(metadata) = lower.symlink_metadata() else { continue };
            if metadata.file_type().is_char_device() && metadata.rdev() == 0 {
                return Comparison::NotInImage;
            }
            if !metadata.is_file() || metadata.len() != file.size {
                return Comparison::Different;
            }
            if metadata.len() > COMPARE_MAX || metadata.len() > self.budget {
                return Comparison::Different;
            }
            self.budget -= metadata.len();
            return match same_content(&upper, &lower, metadata.len()) {
                Ok(true) => Comparison::Same,
                Ok(false) => Comparison::Different,
                Err(_) => Comparison::Unknown,
            };
        }
        Comparison::NotInImage
    }
}

/// Whether a file that is changed again after `now` has another change time. It comes in whole seconds, so one that
/// was changed in this second may be another file in the same; the second before is left out because the kernel's clock
/// for files lags by a tick.
fn is_settled(change_time: i64, now: i64) -> bool {
    change_time < now - 1
}

fn wall_seconds() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn below(root: &HostRoot, layer: &Path, path: &Path) -> PathBuf {
    root.path(layer.join(path.strip_prefix("/").unwrap_or(path)))
}

/// Layers of one overlay mount, topmost lower layer first.
#[derive(Debug, PartialEq, Eq)]
struct Layers {
    upper: PathBuf,
    lower: Vec<PathBuf>,
}

/// Finds the overlay mounted at a folder in the text of mountinfo (proc_pid_mountinfo(5)).
fn layers(mountinfo: &str, folder: &Path) -> Option<Layers> {
    let line = mountinfo.lines().rev().find(|line| {
        let point = line.split(' ').nth(4).map(unescape);
        point.is_some_and(|point| Path::new(&point) == folder) && line.contains(" - overlay ")
    })?;
    let options = line.rsplit(' ').next()?;
    let mut layers = Layers { upper: PathBuf::new(), lower: Vec::new() };
    for option in split_unescaped(options, ',') {
        if let Some(upper) = option.strip_prefix("upperdir=") {
            layers.upper = PathBuf::from(plain(upper));
        } else if let Some(lower) = option.strip_prefix("lowerdir+=") {
            layers.lower.push(PathBuf::from(plain(lower)));
        } else if let Some(lower) = option.strip_prefix("lowerdir=") {
            layers.lower.extend(split_unescaped(lower, ':').iter().map(|path| PathBuf::from(plain(path))));
        }
    }
    (!layers.lower.is_empty() && layers.upper.is_absolute()).then_some(layers)
}

/// Splits where the separator is not behind a backslash.
fn split_unescaped(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, character) in text.char_indices() {
        if character == separator && !escaped {
            parts.push(&text[start..at]);
            start = at + 1;
        }
        escaped = character == '\\' && !escaped;
    }
    parts.push(&text[start..]);
    parts
}

/// A path without mountinfo's octal escapes and overlay's backslashes.
fn plain(text: &str) -> String {
    unescape(text).replace("\\:", ":").replace("\\,", ",").replace("\\\\", "\\")
}

fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

fn same_content(one: &Path, other: &Path, length: u64) -> std::io::Result<bool> {
    let mut files = [File::open(one)?, File::open(other)?];
    if files[0].metadata()?.len() != length {
        return Ok(false);
    }
    let mut buffers = [vec![0; 64 * 1024], vec![0; 64 * 1024]];
    let mut left = length;
    while left > 0 {
        let count = left.min(buffers[0].len() as u64) as usize;
        for (file, buffer) in files.iter_mut().zip(&mut buffers) {
            file.read_exact(&mut buffer[..count])?;
        }
        if buffers[0][..count] != buffers[1][..count] {
            return Ok(false);
        }
        left -= count as u64;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::FileFacts;

    fn node(upper: &str, lower: Option<&str>) -> (tempfile::TempDir, Overlays) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let root = folder.path();
        for path in ["proc/1", "layers/up/bin", "layers/one/bin", "layers/two/bin"] {
            std::fs::create_dir_all(root.join(path)).expect("folder");
        }
        let line = "40 1 0:30 / /bundle/rootfs rw - overlay overlay rw,lowerdir=/layers/one:/layers/two,upperdir=/layers/up,workdir=/w\n";
        std::fs::write(root.join("proc/1/mountinfo"), line).expect("write");
        std::fs::write(root.join("layers/up/bin/x"), upper).expect("write");
        if let Some(lower) = lower {
            std::fs::write(root.join("layers/two/bin/x"), lower).expect("write");
        }
        let overlays = Overlays::new(HostRoot(root.to_owned()), root.join("proc"));
        (folder, overlays)
    }

    fn facts(size: usize) -> FileFacts {
        FileFacts { size: size as u64, ..FileFacts::default() }
    }

    #[test]
    fn content_decides() {
        for (upper, lower, expected) in [
            ("same", Some("same"), Comparison::Same),
            ("evil", Some("same"), Comparison::Different),
            ("longer", Some("same"), Comparison::Different),
            ("new", None, Comparison::NotInImage),
        ] {
            let (_folder, mut overlays) = node(upper, lower);
            assert_eq!(
                overlays.compare(Path::new("/bundle/rootfs"), &facts(upper.len()), b"/bin/x"),
                expected,
                "{upper}"
            );
        }
    }

    #[test]
    fn a_rewrite_within_one_second_is_seen() {
        let (folder, mut overlays) = node("same", Some("same"));
        let mut fresh = facts(4);
        fresh.change_time = wall_seconds();
        let root = Path::new("/bundle/rootfs");
        assert_eq!(overlays.compare(root, &fresh, b"/bin/x"), Comparison::Same);
        std::fs::write(folder.path().join("layers/up/bin/x"), "evil").expect("write");
        assert_eq!(overlays.compare(root, &fresh, b"/bin/x"), Comparison::Different);

        assert!(is_settled(5, 7) && !is_settled(6, 7) && !is_settled(8, 7));
        let settled = facts(4);
        assert_eq!(overlays.compare(root, &settled, b"/bin/x"), Comparison::Different);
        std::fs::write(folder.path().join("layers/up/bin/x"), "same").expect("write");
        assert_eq!(overlays.compare(root, &settled, b"/bin/x"), Comparison::Different, "remembered");
    }

    #[test]
    fn another_mount_is_unknown_and_results_are_bounded() {
        let (_folder, mut overlays) = node("x", None);
        assert_eq!(overlays.compare(Path::new("/elsewhere"), &facts(1), b"/bin/x"), Comparison::Unknown);
        for inode in 0..3000 {
            let file = FileFacts { inode, ..facts(1) };
            overlays.compare(Path::new("/bundle/rootfs"), &file, b"/bin/x");
        }
        assert!(overlays.known.len() <= REMEMBERED && overlays.order.len() <= REMEMBERED);
    }

    #[test]
    fn escapes_and_the_new_form_of_lower_layers() {
        let text =
            "1 1 0:1 / /a\\040b rw - overlay o rw,lowerdir+=/x\\:y,lowerdir+=/z,upperdir=/u,workdir=/w";
        let found = layers(text, Path::new("/a b")).expect("found");
        assert_eq!(found, Layers { upper: "/u".into(), lower: vec!["/x:y".into(), "/z".into()] });
        assert_eq!(layers("", Path::new("/")), None);
        assert_eq!(
            layers("1 1 0:1 / /a rw - overlay o rw,lowerdir=/l", Path::new("/a")),
            None,
            "no upper layer"
        );
    }
}
