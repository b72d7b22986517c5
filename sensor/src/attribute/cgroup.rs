//! What the path of a cgroup says: which container, which runtime, which pod.

/// What a cgroup path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupName {
    /// Container id.
    pub container_id: String,
    /// Bytes of the path up to and with the container's own cgroup; what follows is made inside the container.
    pub length: usize,
    /// Pod uid, if the path is a kubelet's.
    pub pod_uid: Option<String>,
}

/// Longest id taken from a path; runtimes use 64 hexadecimal digits.
const ID_MAX: usize = 128;

/// Reads a cgroup path below its hierarchy's root. Knows the names that kubelet, containerd, CRI-O, docker and podman
/// give with the cgroupfs and the systemd driver.
pub fn parse(path: &[u8]) -> Option<CgroupName> {
    let path_text = std::str::from_utf8(path).ok()?;
    let mut at = 0;
    let mut pod_uid = None;
    for part in path_text.split('/') {
        let end = at + part.len();
        if let Some(uid) = pod_uid_of(part) {
            pod_uid = Some(uid);
        }
        if let Some(id) = container_id_of(part) {
            return Some(CgroupName { container_id: id.to_owned(), length: end, pod_uid });
        }
        at = end + 1;
    }
    None
}

/// The container id in one part of a path.
fn container_id_of(part: &str) -> Option<&str> {
    let part = part.strip_suffix(".scope").unwrap_or(part);
    // runc's cgroupfs driver with a systemd-like path: `slice:cri-containerd:id`.
    if let Some((_, id)) = part.rsplit_once(':') {
        return is_id(id).then_some(id);
    }
    // The monitor beside a container is part of the runtime.
    if part.contains("-conmon-") {
        return None;
    }
    for prefix in ["cri-containerd-", "crio-", "docker-", "libpod-", "nerdctl-"] {
        if let Some(id) = part.strip_prefix(prefix) {
            return is_id(id).then_some(id);
        }
    }
    is_hexadecimal(part, 64).then_some(part)
}

fn pod_uid_of(part: &str) -> Option<String> {
    let part = part.split(':').next().unwrap_or(part);
    let part = part.strip_suffix(".slice").unwrap_or(part);
    let uid = match part.rsplit_once("-pod") {
        Some((before, uid)) if before.starts_with("kubepods") => uid,
        _ => part.strip_prefix("pod")?,
    };
    let plausible = (1..=64).contains(&uid.len())
        && uid.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    plausible.then(|| uid.replace('_', "-"))
}

fn is_hexadecimal(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// What a runtime accepts as an id (runc: letters, digits and `_+-.`).
fn is_id(text: &str) -> bool {
    (12..=ID_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const UID: &str = "8f2e1c3a-7d4b-4a9e-9c55-0a1b2c3d4e5f";

    fn check(path: &str, pod_uid: Option<&str>) {
        let path = path.replace("ID", ID);
        let name = parse(path.as_bytes()).unwrap_or_else(|| panic!("{path} names a container"));
        assert_eq!(name.container_id, ID, "{path}");
        assert_eq!(name.pod_uid.as_deref(), pod_uid, "{path}");
    }

    #[test]
    fn every_runtimes_form_is_known() {
        let systemd = "8f2e1c3a_7d4b_4a9e_9c55_0a1b2c3d4e5f";
        check(&format!("/kubepods/besteffort/pod{UID}/ID"), Some(UID));
        check(&format!("/kubepods/pod{UID}/ID/nested/deeper"), Some(UID));
        check(
            &format!(
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{systemd}.slice/cri-containerd-ID.scope"
            ),
            Some(UID),
        );
        check(&format!("/kubepods.slice/kubepods-pod{systemd}.slice/crio-ID.scope/container"), Some(UID));
        check(&format!("/kubepods-besteffort-pod{systemd}.slice:cri-containerd:ID"), Some(UID));
        check("/system.slice/docker-ID.scope", None);
        check("/docker/ID", None);
        check("/machine.slice/libpod-ID.scope", None);
        check("/system.slice/containerd.service/kubepods-x:cri-containerd:ID", None);
    }

    #[test]
    fn the_containers_own_cgroup_ends_at_its_length() {
        let path = format!("/docker/{ID}/a/b");
        let name = parse(path.as_bytes()).expect("names a container");
        assert_eq!(&path[..name.length], format!("/docker/{ID}"));
    }

    #[test]
    fn what_is_no_container_is_none() {
        for path in [
            "/",
            "",
            "/system.slice/sshd.service",
            "/user.slice/user-0.slice/session-1.scope",
            "/machine.slice/libpod-conmon-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope",
            "/crio-conmon-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope",
            "/kubepods/besteffort/pod8f2e",
            "/docker/0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF",
            "/a:b:c",
        ] {
            assert_eq!(parse(path.as_bytes()), None, "{path}");
        }
        assert_eq!(parse(b"/docker/\xff\xfe"), None);
    }

    proptest! {
        #[test]
        fn no_path_panics(path in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&path);
        }

        #[test]
        fn lengths_are_within(path in "[a-f0-9/:.pod-]{0,300}") {
            if let Some(name) = parse(path.as_bytes()) {
                prop_assert!(name.length <= path.len());
            }
        }
    }
}
