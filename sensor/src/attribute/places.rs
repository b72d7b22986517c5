//! Places of the node that the kernel side watches: which inodes they are now.
//!
//! A place is found anew when it appears, is replaced, or is gone, so that a folder that did not exist when the sensor
//! started is watched soon after it does.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;

use super::host::HostRoot;
use super::runtime::device_number;

/// Nanoseconds between two rounds.
const AGE: u64 = 5_000_000_000;

/// The places and their inodes.
pub struct Places {
    root: HostRoot,
    wanted: Vec<(&'static str, u32)>,
    known: HashMap<(u32, u64), u32>,
    looked: Option<u64>,
}

impl Places {
    /// Places by path on the node, each with its mask; nothing is looked at yet.
    pub fn new(root: HostRoot, wanted: Vec<(&'static str, u32)>) -> Self {
        Self { root, wanted, known: HashMap::new(), looked: None }
    }

    /// A file of the node got another name: if that is one of the places, they are looked at again at once.
    pub fn renamed(&mut self, path: &[u8]) {
        if self.wanted.iter().any(|(place, _)| place.as_bytes() == path) {
            self.looked = None;
        }
    }

    /// Inodes (device, number) whose mask changed since the last call; a mask of 0 is of one that is no place any more.
    pub fn take_changed(&mut self, now: u64) -> Vec<(u32, u64, u32)> {
        if self.looked.is_some_and(|looked| now.saturating_sub(looked) < AGE) {
            return Vec::new();
        }
        self.looked = Some(now);
        let mut found = HashMap::with_capacity(self.wanted.len());
        for (path, mask) in &self.wanted {
            if let Ok(metadata) = self.root.look(path.as_bytes()) {
                *found.entry((device_number(metadata.dev()), metadata.ino())).or_insert(0) |= mask;
            }
        }
        let gone = self.known.keys().filter(|key| !found.contains_key(*key)).map(|key| (key.0, key.1, 0));
        let new = found.iter().filter(|(key, mask)| self.known.get(*key) != Some(*mask));
        let changed = gone.chain(new.map(|(key, mask)| (key.0, key.1, *mask))).collect();
        self.known = found;
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_that_come_and_go_are_told_once() {
        let node = tempfile::tempdir().expect("temporary folder");
        let path = |name: &str| node.path().join(name);
        std::fs::create_dir_all(path("usr/bin")).expect("folder");
        std::os::unix::fs::symlink("usr/bin", path("bin")).expect("link");
        let wanted = vec![("/bin", 1), ("/usr/bin", 2), ("/etc/new", 4)];
        let mut places = Places::new(HostRoot(node.path().to_owned()), wanted);
        let inode = |name: &str| path(name).metadata().expect("there").ino();
        let told = |changed: Vec<(u32, u64, u32)>| {
            changed.into_iter().map(|(_, inode, mask)| (inode, mask)).collect::<Vec<_>>()
        };
        assert_eq!(told(places.take_changed(1)), [(inode("usr/bin"), 3)], "one folder by two paths");
        assert_eq!(places.take_changed(2), [], "not yet again");
        std::fs::create_dir_all(path("etc/new")).expect("folder");
        assert_eq!(told(places.take_changed(AGE + 1)), [(inode("etc/new"), 4)]);
        let old = inode("etc/new");
        std::fs::rename(path("etc/new"), path("etc/old")).expect("rename");
        places.renamed(b"/etc/other");
        assert_eq!(places.take_changed(AGE + 2), []);
        places.renamed(b"/etc/new");
        assert_eq!(told(places.take_changed(AGE + 3)), [(old, 0)]);
    }
}
