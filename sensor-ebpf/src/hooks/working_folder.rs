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

/// Whether a folder is the root of its namespace's tree of mounts: of the first mount, or of one right on top of that.
#[inline(always)]
fn is_namespace_root(folder: &File) -> bool {
    let mount = Structure::<Probed>::new(folder.mount.wrapping_sub(offset!(mount.mnt) as usize));
    let root = Structure::<Probed>::new(folder.mount).pointer(offset!(vfsmount.root));
    let parent = Structure::<Probed>::new(mount.pointer(offset!(mount.parent)));
    let grandparent = parent.pointer(offset!(mount.parent));
    let below = Structure::<Probed>::new(parent.0.wrapping_add(offset!(mount.mnt) as usize));
    let on_root = mount.pointer(offset!(mount.mountpoint)) == below.pointer(offset!(vfsmount.root));
    folder.dentry == root && (parent.0 == mount.0 || grandparent == parent.0 && on_root)
}
