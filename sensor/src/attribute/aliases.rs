//! Names that files had before: who links or renames a file and opens it by the new name opens the same file.

use std::collections::{HashMap, VecDeque};

use crate::event::FileFacts;

/// Files remembered.
const FILES: usize = 1024;

/// A file by what stays while it has other names: a number that is free again goes to the next file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileStamp {
    device: u32,
    inode: u64,
    size: u64,
    modify_time: i64,
}

impl FileStamp {
    /// Of what an inode says.
    pub fn of(facts: &FileFacts) -> Self {
        Self { device: facts.device, inode: facts.inode, size: facts.size, modify_time: facts.modify_time }
    }
}

/// The first path on the node under which a file was seen.
#[derive(Debug, Default)]
pub struct Aliases {
    paths: HashMap<FileStamp, Vec<u8>>,
    order: VecDeque<FileStamp>,
}

impl Aliases {
    /// A file of this path gets another name. The path that it had first stays.
    pub fn note(&mut self, file: FileStamp, path: &[u8]) {
        if self.paths.contains_key(&file) {
            return;
        }
        if self.order.len() >= FILES
            && let Some(oldest) = self.order.pop_front()
        {
            self.paths.remove(&oldest);
        }
        self.order.push_back(file);
        self.paths.insert(file, path.to_vec());
    }

    /// The path that a file had before it got another name.
    pub fn path(&self, file: FileStamp) -> Option<&[u8]> {
        self.paths.get(&file).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(inode: u64, modify_time: i64) -> FileStamp {
        FileStamp { device: 1, inode, size: 5, modify_time }
    }

    #[test]
    fn the_first_name_stays_and_the_number_of_files_is_bounded() {
        let mut aliases = Aliases::default();
        aliases.note(file(1, 7), b"/etc/shadow");
        aliases.note(file(1, 7), b"/etc/s2");
        assert_eq!(aliases.path(file(1, 7)), Some(&b"/etc/shadow"[..]));
        for inode in 2..=FILES as u64 + 1 {
            aliases.note(file(inode, 7), b"/x");
        }
        assert_eq!(aliases.path(file(1, 7)), None, "the oldest goes");
        assert_eq!((aliases.paths.len(), aliases.order.len()), (FILES, FILES));
    }

    /// Seen in a guest: a removed program's number went to a file in /var/tmp, which then counted as a program of the node.
    #[test]
    fn a_number_that_another_file_got_is_no_alias() {
        let mut aliases = Aliases::default();
        aliases.note(file(1, 7), b"/usr/local/bin/kubectl");
        assert_eq!(aliases.path(file(1, 8)), None);
    }
}
