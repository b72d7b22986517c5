//! Tools under other names: a program that was dropped into a container and has the content of a known tool of it.

use std::collections::VecDeque;
use std::io::{self, Read};

use super::base_name;
use super::host::HostRoot;
use crate::event::Exec;

/// Where packages put tools that others rename to be overlooked. The last part is their name.
const TOOLS: [&str; 30] = [
    "/usr/bin/busybox",
    "/bin/busybox",
    "/usr/bin/toybox",
    "/usr/bin/bash",
    "/bin/bash",
    "/usr/bin/dash",
    "/bin/dash",
    "/usr/bin/zsh",
    "/usr/bin/ncat",
    "/usr/bin/nc.openbsd",
    "/bin/nc.openbsd",
    "/bin/nc.traditional",
    "/usr/bin/nc.traditional",
    "/usr/bin/socat",
    "/usr/bin/nmap",
    "/usr/bin/curl",
    "/usr/bin/wget",
    "/usr/bin/nsenter",
    "/usr/bin/unshare",
    "/usr/bin/tcpdump",
    "/usr/sbin/tcpdump",
    "/usr/bin/strace",
    "/usr/bin/gdb",
    "/usr/bin/perl",
    "/usr/bin/openssl",
    "/usr/bin/ssh",
    "/usr/bin/dd",
    "/bin/dd",
    "/usr/bin/base64",
    "/usr/bin/kubectl",
];
/// Largest file that is compared.
const COMPARE_MAX: u64 = 16 * 1024 * 1024;
/// Results remembered.
const REMEMBERED: usize = 256;

type FileKey = (u32, u64, i64, u64);

/// What dropped programs were found to be.
#[derive(Debug, Default)]
pub struct Likenesses {
    known: VecDeque<(FileKey, Option<&'static str>)>,
}

impl Likenesses {
    /// The tool of the container whose content a dropped program has, under another name; `None` if it is none. `root` is the
    /// container's root folder, which outlives a process that ends at once.
    pub fn tool(&mut self, root: &HostRoot, exec: &Exec) -> Option<&'static str> {
        let file = &exec.file;
        let key = (file.device, file.inode, file.change_time, file.size);
        let known = self.known.iter().find(|(known, _)| *known == key).map(|(_, tool)| *tool);
        let tool = known.unwrap_or_else(|| {
            let tool = look(root, exec);
            if self.known.len() >= REMEMBERED {
                self.known.pop_front();
            }
            self.known.push_back((key, tool));
            tool
        });
        tool.filter(|tool| base_name(tool.as_bytes()) != base_name(&exec.exe))
    }
}

fn look(root: &HostRoot, exec: &Exec) -> Option<&'static str> {
    if exec.file.size > COMPARE_MAX {
        return None;
    }
    TOOLS.into_iter().find(|tool| {
        let fits =
            root.look(tool.as_bytes()).is_ok_and(|found| found.is_file() && found.len() == exec.file.size);
        fits && same(root, &exec.exe, tool.as_bytes()).unwrap_or(false)
    })
}

/// Compares two files below a root folder.
fn same(root: &HostRoot, program: &[u8], tool: &[u8]) -> io::Result<bool> {
    let mut one = root.open_inside(program)?.take(COMPARE_MAX);
    let mut other = root.open_inside(tool)?.take(COMPARE_MAX);
    let (mut first, mut second) = ([0; 16 * 1024], [0; 16 * 1024]);
    loop {
        let count = one.read(&mut first)?;
        if count == 0 {
            return Ok(other.read(&mut second)? == 0);
        }
        if other.read_exact(&mut second[..count]).is_err() || first[..count] != second[..count] {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::FileFacts;

    #[test]
    fn a_copy_is_known_by_its_content_and_a_namesake_is_none() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let root = HostRoot(folder.path().to_owned());
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
            std::fs::write(path, text).expect("write");
        };
        write("usr/bin/ncat", "a tool");
        write("tmp/metricsd", "a tool");
        write("tmp/ncat", "a tool");
        write("tmp/other", "a tooL");
        let exec = |name: &str, inode: u64| Exec {
            exe: name.as_bytes().to_vec(),
            file: FileFacts { size: 6, inode, ..Exec::default().file },
            ..Exec::default()
        };
        let mut likenesses = Likenesses::default();
        assert_eq!(likenesses.tool(&root, &exec("/tmp/metricsd", 1)), Some("/usr/bin/ncat"));
        assert_eq!(likenesses.tool(&root, &exec("/tmp/ncat", 2)), None, "under its own name");
        assert_eq!(likenesses.tool(&root, &exec("/tmp/other", 3)), None, "other content");
        assert_eq!(likenesses.tool(&root, &exec("/tmp/gone", 1)), Some("/usr/bin/ncat"), "remembered");
        for inode in 10..1000 {
            likenesses.tool(&root, &exec("/tmp/x", inode));
        }
        assert_eq!(likenesses.known.len(), REMEMBERED);
    }
}
