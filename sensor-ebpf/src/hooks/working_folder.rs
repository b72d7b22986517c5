//! Working folders outside a container: a descriptor of the host that leaked into it (CVE-2024-21626).

use sensor_ebpf::abi::EventKind;

use crate::action::{Action, current};
use crate::contained::is_contained;
use crate::emit::seen;
use crate::entries::{Way, argument, entries};
use crate::file::File;
use crate::kernel::{Probed, Structure, offset};

entries!(working_folder => working_folder_fentry, working_folder_kprobe);

/// `set_fs_pwd(struct fs_struct *fs, const struct path *path)`, unchanged from 5.10 to 7.2.
///
/// setns moves a task to the root of the namespace that it is about to enter, which looks the same as a chdir straight
/// there. That one is left to the next exec, whose record has the working folder too.
#[inline(always)]
fn working_folder<W: Way>(way: &W) {
    let fs = argument!(way, working_folder.fs) as *const u8;
    let path = argument!(way, working_folder.path) as *const u8;
    let Some(tally) = seen(EventKind::WorkingFolder) else { return };
    let task = current();
    let folder = File::path(path);
    // A copy that setns prepares is not the task's own yet.
    let own = fs == task.pointer(offset!(task.fs));
    if !own || !is_contained(task) || !folder.is_foreign_to(task) || is_namespace_root(&folder) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.file(&folder);
    action.filesystem_path(&folder);
    action.send();
}

/// Mounts that may lie on top of one another at the root of a namespace: the kernel's first one, that of the initial RAM
/// disk, and the node's own.
const ROOTS: u32 = 4;

/// Whether a folder is the root of its namespace's tree of mounts: of the first mount, or of one right on top of that.
#[inline(always)]
pub fn is_namespace_root(folder: &File) -> bool {
    let mut vfsmount = Structure::<Probed>::new(folder.mount);
    let mut dentry = folder.dentry;
    let mut level = 0;
    while level < ROOTS {
        if dentry != vfsmount.pointer(offset!(vfsmount.root)) {
            return false;
        }
        let mount = Structure::<Probed>::new(vfsmount.0.wrapping_sub(offset!(mount.mnt) as usize));
        let parent = mount.pointer(offset!(mount.parent));
        if parent == mount.0 {
            return true;
        }
        dentry = mount.pointer(offset!(mount.mountpoint));
        vfsmount = Structure::new(parent.wrapping_add(offset!(mount.mnt) as usize));
        level += 1;
    }
    false
}
