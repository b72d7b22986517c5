//! Mounts of a folder within a pod's volume (`subPath`): does what is mounted lie in the pod's own folder?
//!
//! The kubelet attaches such a folder at `pods/UID/volume-subpaths/VOLUME/CONTAINER/INDEX`, and the runtime mounts it from
//! there. A symlink that is swapped in while it looks leads the mount elsewhere (CVE-2021-25741, CVE-2017-1002101).

use super::mounts::HostMounts;
use crate::event::{Action, ActionFile, EventKind};

/// The folder within a pod's folder where the kubelet attaches them.
const SUBPATHS: &[u8] = b"/volume-subpaths/";

/// Whether an action mounts something from outside a pod's folder where a folder of that pod's volume is expected. A
/// volume that is a folder of the node (hostPath) lies outside, too.
pub fn leaves_pod(action: &Action, mounts: &mut HostMounts, now: u64) -> bool {
    if !matches!(action.kind, EventKind::BindMount | EventKind::MoveMount) {
        return false;
    }
    match (&action.file, &action.other_file) {
        (Some(target), Some(source)) => leaves(&target.path, source, mounts, now),
        _ => false,
    }
}

fn leaves(target: &[u8], source: &ActionFile, mounts: &mut HostMounts, now: u64) -> bool {
    let Some(pod) = pod_folder(target) else { return false };
    // The mount itself is there when the node's mounts are read, and proves nothing.
    let inside = |path: &[u8]| {
        path.strip_prefix(pod).is_some_and(|rest| rest.starts_with(b"/") && !rest.starts_with(SUBPATHS))
    };
    !inside(&source.path) && !mounts.any(source.facts.device, &source.filesystem_path, now, inside)
}

/// The folder of the pod whose volume is mounted at a path: all before `/volume-subpaths/`, right below `pods`.
fn pod_folder(path: &[u8]) -> Option<&[u8]> {
    let at = path.windows(SUBPATHS.len()).position(|part| part == SUBPATHS)?;
    let pod = &path[..at];
    let uid = pod.iter().rposition(|&byte| byte == b'/')?;
    pod[..uid].ends_with(b"/pods").then_some(pod)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::FileFacts;

    const MOUNTS: &str = "\
21 1 254:1 / / rw - ext4 /dev/vda1 rw
22 21 254:16 / /var/lib/kubelet/plugins/csi/globalmount rw - ext4 /dev/vdb rw
23 21 254:16 / /var/lib/kubelet/pods/u1/volumes/csi/v rw - ext4 /dev/vdb rw
24 21 254:1 /etc /var/lib/kubelet/pods/u1/volume-subpaths/v/c/0 rw - ext4 /dev/vda1 rw
";
    const TARGET: &str = "/var/lib/kubelet/pods/u1/volume-subpaths/v/c/0";

    fn leave(target: &str, source: &str, device: (u32, u32), filesystem_path: &str) -> bool {
        let proc = tempfile::tempdir().expect("temporary folder");
        std::fs::create_dir(proc.path().join("1")).expect("folder");
        std::fs::write(proc.path().join("1/mountinfo"), MOUNTS).expect("write");
        let source = ActionFile {
            facts: FileFacts { device: device.0 << 20 | device.1, ..FileFacts::default() },
            path: source.into(),
            filesystem_path: filesystem_path.into(),
        };
        leaves(target.as_bytes(), &source, &mut HostMounts::new(proc.path(), 1), 1)
    }

    #[test]
    fn folders_of_the_pod_are_inside() {
        let own = "/var/lib/kubelet/pods/u1/volumes/empty/v/sub";
        assert!(!leave(TARGET, own, (254, 1), own));
        // A detached copy of a mount has no path; a disk shows where the host has it mounted.
        assert!(!leave(TARGET, "/", (254, 1), own));
        assert!(!leave(TARGET, "/", (254, 16), "/sub"));
    }

    #[test]
    fn others_are_not() {
        assert!(leave(TARGET, "/", (254, 1), "/"));
        assert!(leave(TARGET, "/etc", (254, 1), "/etc"));
        let other = "/var/lib/kubelet/pods/u2/volumes/empty/v";
        assert!(leave(TARGET, other, (254, 1), other));
        assert!(leave(TARGET, "/var/lib/kubelet/pods/u11/x", (254, 1), "/var/lib/kubelet/pods/u11/x"));
    }

    #[test]
    fn other_targets_are_of_no_pod() {
        for target in
            ["/mnt", "/var/lib/kubelet/pods/u1/volumes/v", "/srv/u1/volume-subpaths/v", "/volume-subpaths/v"]
        {
            assert!(!leave(target, "/etc", (254, 1), "/etc"), "{target}");
        }
    }
}
