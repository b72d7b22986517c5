//! What a process can have come to by what was seen of it: credentials beyond that were not given by the kernel's own rules.

use crate::event::{Credentials, Exec};

/// CAP_SETUID as a bit.
const SETUID: u64 = 1 << 7;
/// S_ISUID and S_ISGID of include/uapi/linux/stat.h.
const SET_ID: u32 = 0o6000;

/// The strongest credentials seen of a process, and the user namespace in which they count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownCredentials {
    /// As the last event that told them said.
    pub credentials: Credentials,
    /// Inode number of the user namespace.
    pub user_namespace: u32,
}

impl KnownCredentials {
    /// Of a program that was just started.
    pub fn of_exec(exec: &Exec) -> Self {
        Self { credentials: exec.credentials, user_namespace: exec.namespaces.user }
    }

    /// Whether a process that executed nothing since holds more. The permitted set never grows without an exec, and user 0
    /// comes back only to who kept it among his ids or may choose any (credentials(7), capabilities(7)).
    pub fn is_exceeded_by(&self, now: &Credentials, user_namespace: u32) -> bool {
        if user_namespace != self.user_namespace {
            return false;
        }
        self.becomes_root(now) || (now.permitted | now.effective) & !self.credentials.permitted != 0
    }

    /// Whether the program that a process executed runs with more than it can have been given: neither the file gives
    /// privilege, nor was the process root, which gets its bounding set back at each exec.
    pub fn is_exceeded_by_exec(&self, exec: &Exec) -> bool {
        let known = &self.credentials;
        let was_root = known.uid == 0 || known.euid == 0 || known.suid == 0;
        if exec.namespaces.user != self.user_namespace
            || was_root
            || known.permitted & SETUID != 0
            || exec.secure
            || exec.file.mode & SET_ID != 0
        {
            return false;
        }
        let inherited = known.permitted | known.inheritable | known.ambient;
        self.becomes_root(&exec.credentials) || exec.credentials.permitted & !inherited != 0
    }

    fn becomes_root(&self, now: &Credentials) -> bool {
        let known = &self.credentials;
        let kept = [known.uid, known.euid, known.suid, known.fsuid].contains(&0);
        let is_root = now.uid == 0 || now.euid == 0 || now.fsuid == 0;
        is_root && !kept && known.permitted & SETUID == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMESPACE: u32 = 4_026_531_837;

    fn user(uid: u32, permitted: u64) -> Credentials {
        Credentials {
            uid,
            euid: uid,
            suid: uid,
            fsuid: uid,
            permitted,
            effective: permitted,
            ..Credentials::default()
        }
    }

    fn known(uid: u32, permitted: u64) -> KnownCredentials {
        KnownCredentials { credentials: user(uid, permitted), user_namespace: NAMESPACE }
    }

    fn exec(credentials: Credentials) -> Exec {
        let mut exec = Exec { credentials, ..Exec::default() };
        exec.namespaces.user = NAMESPACE;
        exec
    }

    #[test]
    fn what_was_overwritten_in_place_is_more_than_was_known() {
        assert!(known(65532, 0).is_exceeded_by(&user(0, 0), NAMESPACE));
        assert!(known(65532, 0).is_exceeded_by(&user(65532, 1 << 21), NAMESPACE));
        assert!(
            known(0, 1).is_exceeded_by(&user(0, 3), NAMESPACE),
            "root, too, gets no new capability without an exec"
        );
        assert!(!known(0, 3).is_exceeded_by(&user(1000, 1), NAMESPACE), "less is the life of a daemon");
        assert!(!known(1000, SETUID).is_exceeded_by(&user(0, SETUID), NAMESPACE), "may choose any user");
        let kept = KnownCredentials {
            credentials: Credentials { suid: 0, ..user(1000, 0) },
            user_namespace: NAMESPACE,
        };
        assert!(!kept.is_exceeded_by(&user(0, 0), NAMESPACE), "kept as the saved id");
        assert!(
            !known(1000, 0).is_exceeded_by(&user(0, u64::MAX), 7),
            "all capabilities in a namespace of its own"
        );
    }

    #[test]
    fn an_exec_gives_privilege_by_its_file_or_to_root_only() {
        assert!(known(65532, 0).is_exceeded_by_exec(&exec(user(0, 0))));
        assert!(known(65532, 0).is_exceeded_by_exec(&exec(user(65532, 1))));
        assert!(!known(0, 0).is_exceeded_by_exec(&exec(user(0, 0xff))), "root gets its bounding set back");
        let su = Exec { secure: true, ..exec(Credentials { uid: 65532, ..user(0, 0xff) }) };
        assert!(!known(65532, 0).is_exceeded_by_exec(&su));
        let ambient = KnownCredentials {
            credentials: Credentials { inheritable: 1, ambient: 1, ..user(1000, 1) },
            user_namespace: NAMESPACE,
        };
        assert!(!ambient.is_exceeded_by_exec(&exec(user(1000, 1))));
    }
}
