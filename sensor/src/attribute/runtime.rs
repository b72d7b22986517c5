//! The runtime set: inodes of the container runtime's own binaries on this node.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::host::HostRoot;
use crate::event::{Args, FileFacts};

/// Binaries of container runtimes, wherever packages put them. Only these folders of the node itself count.
const FOLDERS: [&str; 8] = [
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/usr/libexec/podman",
    "/usr/libexec/crio",
    "/opt/containerd/bin",
    "/opt/cni/bin",
];
/// Their names.
const NAMES: [&str; 19] = [
    "runc",
    "crun",
    "youki",
    "conmon",
    "conmonrs",
    "containerd",
    "containerd-shim-runc-v2",
    "containerd-shim-runc-v1",
    "containerd-shim",
    "ctr",
    "nerdctl",
    "crio",
    "podman",
    "dockerd",
    "docker-proxy",
    "kubelet",
    "kata-runtime",
    "cri-dockerd",
    "buildkitd",
];

/// Inodes of the runtime set.
pub struct RuntimeSet {
    inodes: foldhash::HashMap<(u32, u64), Stamp>,
    /// Those that came since they were last taken.
    learnt: Vec<(u32, u64)>,
    extra: Vec<PathBuf>,
}

/// What tells a binary from another file that got its inode number after it was removed, by an upgrade for example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modify_time: i64,
}

impl RuntimeSet {
    /// Looks for the known binaries, and for `extra` ones.
    pub fn discover(root: &HostRoot, extra: &[PathBuf]) -> Self {
        let known =
            FOLDERS.iter().flat_map(|folder| NAMES.iter().map(move |name| Path::new(folder).join(name)));
        let mut inodes = foldhash::HashMap::default();
        for path in known.chain(extra.iter().cloned()) {
            if let Ok(metadata) = root.path(&path).metadata()
                && metadata.is_file()
            {
                let stamp = Stamp { size: metadata.size(), modify_time: metadata.mtime() };
                inodes.insert((device_number(metadata.dev()), metadata.ino()), stamp);
            }
        }
        Self { inodes, learnt: Vec::new(), extra: extra.to_vec() }
    }

    /// Number of binaries found.
    pub fn len(&self) -> usize {
        self.inodes.len()
    }

    /// Whether none was found.
    pub fn is_empty(&self) -> bool {
        self.inodes.is_empty()
    }

    /// Device and inode of each.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u64)> {
        self.inodes.keys().copied()
    }

    /// Whether a file belongs to the set: by its inode, and by size or change of content as they were known. Whoever
    /// changes a binary changes the one or the other first, but is told by then.
    pub fn contains(&self, file: &FileFacts) -> bool {
        self.inodes
            .get(&(file.device, file.inode))
            .is_some_and(|known| known.size == file.size || known.modify_time == file.modify_time)
    }

    /// Takes in the new inode of a known binary after a package upgrade: a process in the node's own mount namespace ran
    /// it from its own place, which only root on the node can write.
    pub fn learn(&mut self, path: &[u8], file: &FileFacts) {
        if !self.is_place(path) {
            return;
        }
        let key = (file.device, file.inode);
        if self.inodes.insert(key, Stamp { size: file.size, modify_time: file.modify_time }).is_none() {
            self.learnt.push(key);
        }
    }

    /// Device and inode of those that were learnt since the last call.
    pub fn take_learnt(&mut self) -> Vec<(u32, u64)> {
        std::mem::take(&mut self.learnt)
    }

    fn is_place(&self, path: &[u8]) -> bool {
        let Some(slash) = path.iter().rposition(|&byte| byte == b'/') else { return false };
        let (folder, name) = (&path[..slash], &path[slash + 1..]);
        let known = NAMES.iter().any(|known| known.as_bytes() == name)
            && FOLDERS.iter().any(|known| known.as_bytes() == folder);
        known || self.extra.iter().any(|extra| extra.as_os_str().as_encoded_bytes() == path)
    }
}

/// What a runtime was told to make: for when the container and its state are gone before they are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The container's id.
    pub id: String,
    /// The bundle as given; `None` is the runtime's working directory.
    pub bundle: Option<PathBuf>,
}

impl Order {
    /// The order in a runtime's arguments. runc, crun and youki share the form `[OPTION]... create|run [OPTION]... ID`,
    /// the bundle being the value of `--bundle` or `-b`.
    pub fn of(args: &Args) -> Option<Self> {
        if args.truncated() {
            return None;
        }
        let words: Vec<&str> = args.iter().map(std::str::from_utf8).collect::<Result<_, _>>().ok()?;
        let command = words.iter().position(|word| matches!(*word, "create" | "run"))?;
        let (id, options) = words[command + 1..].split_last()?;
        if id.is_empty() || id.starts_with(['-', '.']) || id.contains('/') || id.len() > 255 {
            return None;
        }
        let bundle = options.iter().enumerate().find_map(|(index, word)| match *word {
            "-b" | "--bundle" => options.get(index + 1).copied(),
            word => word.strip_prefix("--bundle=").or_else(|| word.strip_prefix("-b=")),
        });
        Some(Self { id: (*id).to_owned(), bundle: bundle.map(PathBuf::from) })
    }
}

/// A device number of stat(2) in the kernel's own form.
pub fn device_number(number: u64) -> u32 {
    (libc::major(number) << 20) | (libc::minor(number) & 0xf_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_from_arguments() {
        let order = |line: &str| {
            let bytes =
                line.split(' ').flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect::<Vec<u8>>();
            Order::of(&Args { length: bytes.len() as u32, bytes, ..Args::default() })
        };
        let some =
            |id: &str, bundle: Option<&str>| Some(Order { id: id.into(), bundle: bundle.map(Into::into) });
        let containerd =
            "runc --root /run/containerd/runc/k8s.io --log x create --bundle /run/b --pid-file p c1";
        assert_eq!(order(containerd), some("c1", Some("/run/b")));
        assert_eq!(order("runc run -b /b c1"), some("c1", Some("/b")));
        assert_eq!(order("crun run --bundle=b c1"), some("c1", Some("b")));
        assert_eq!(order("runc run c1"), some("c1", None));
        for line in ["runc init", "runc exec c1 create", "runc run", "runc run ../x", "runc run --bundle"] {
            assert_eq!(order(line).filter(|order| order.id != "create"), None, "{line}");
        }
    }

    #[test]
    fn binaries_are_known_by_inode() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("usr/sbin/runc");
        std::fs::create_dir_all(path.parent().expect("has one")).expect("folder");
        std::fs::write(&path, "x").expect("write");
        let mut set =
            RuntimeSet::discover(&HostRoot(folder.path().to_owned()), &[PathBuf::from("/opt/my/shim")]);
        let metadata = path.metadata().expect("there");
        assert_eq!(set.len(), 1);
        let facts = FileFacts {
            device: device_number(metadata.dev()),
            inode: metadata.ino(),
            size: metadata.size(),
            modify_time: metadata.mtime(),
            ..FileFacts::default()
        };
        assert!(set.contains(&facts));
        assert!(set.contains(&FileFacts { modify_time: 1, ..facts }), "touched");
        assert!(
            !set.contains(&FileFacts { modify_time: 1, size: 1 << 40, ..facts }),
            "another file with its number"
        );

        let file = |inode| FileFacts { device: 1, inode, size: 9, modify_time: 9, ..FileFacts::default() };
        set.learn(b"/tmp/runc", &file(1));
        set.learn(b"/usr/bin/runcX", &file(2));
        set.learn(b"runc", &file(3));
        assert_eq!(set.len(), 1, "a name is not a place");
        set.learn(b"/usr/bin/runc", &file(4));
        set.learn(b"/opt/my/shim", &file(5));
        set.learn(b"/opt/my/shim", &file(5));
        assert!(set.contains(&file(4)) && set.contains(&file(5)));
        assert_eq!(set.take_learnt(), [(1, 4), (1, 5)]);
        assert!(set.take_learnt().is_empty());
    }
}
