//! Names of users and groups, as the account files of a root folder say.
//!
//! Read only if a rule asks for names. In a container its own programs write these files: they say what a number is called there,
//! and nothing that a verdict may rest on.

use std::collections::HashMap;
use std::io::Read;

use super::host::HostRoot;

/// Longest file that is read.
const FILE_MAX: u64 = 256 * 1024;
/// Longest name that is kept; the kernel's own limit of login names is shorter.
const NAME_MAX: usize = 64;

/// Users and groups by their numbers.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    users: HashMap<u32, Box<str>>,
    groups: HashMap<u32, Box<str>>,
}

impl Accounts {
    /// Reads /etc/passwd and /etc/group as a process with this root folder finds them. A file that cannot be read has no
    /// names; `None` if the root folder itself is gone.
    pub fn read(root: &HostRoot) -> Option<Self> {
        root.look(b"/").ok()?;
        Some(Self { users: numbers(root, b"/etc/passwd"), groups: numbers(root, b"/etc/group") })
    }

    /// The name of a user id.
    pub fn user(&self, id: u32) -> Option<&str> {
        self.users.get(&id).map(AsRef::as_ref)
    }

    /// The name of a group id.
    pub fn group(&self, id: u32) -> Option<&str> {
        self.groups.get(&id).map(AsRef::as_ref)
    }
}

/// `name:password:number:...` of each line; of a number that stands twice the first line counts, as for getpwuid(3).
fn numbers(root: &HostRoot, path: &[u8]) -> HashMap<u32, Box<str>> {
    let mut bytes = Vec::new();
    let Ok(file) = root.open_inside(path) else { return HashMap::new() };
    if file.take(FILE_MAX).read_to_end(&mut bytes).is_err() {
        return HashMap::new();
    }
    let mut names = HashMap::new();
    for line in String::from_utf8_lossy(&bytes).lines() {
        let mut parts = line.split(':');
        let (name, number) =
            (parts.next().unwrap_or(""), parts.nth(1).and_then(|number| number.parse().ok()));
        if let Some(number) = number.filter(|_| !name.is_empty() && name.len() <= NAME_MAX) {
            names.entry(number).or_insert_with(|| name.into());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_root_folder() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let root = HostRoot(folder.path().to_owned());
        assert_eq!(Accounts::read(&root), Some(Accounts::default()));
        std::fs::create_dir(folder.path().join("etc")).expect("folder");
        let long = "a".repeat(100);
        let text = format!(
            "root:x:0:0::/root:/bin/sh\nother:x:0:\n\nwww-data:x:33:33:\nbroken\n:x:5:\n{long}:x:6:\nx:y:-1:\n"
        );
        std::fs::write(folder.path().join("etc/passwd"), text).expect("write");
        // Out of the root folder no link leads.
        std::os::unix::fs::symlink("../../../etc/group", folder.path().join("etc/group")).expect("link");
        let accounts = Accounts::read(&root).expect("there");
        assert_eq!((accounts.user(0), accounts.user(33)), (Some("root"), Some("www-data")));
        assert_eq!((accounts.user(5), accounts.user(6), accounts.group(0)), (None, None, None));
        assert_eq!(Accounts::read(&HostRoot(folder.path().join("gone"))), None);
    }
}
