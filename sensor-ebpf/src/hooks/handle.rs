//! Opens by handle, which pass all folders by.

use aya_ebpf::helpers::generated::bpf_probe_read_user;
use sensor_ebpf::abi::{EventKind, HANDLE_VALUE_FLAGS, HANDLE_VALUE_START, HANDLE_VALUE_TYPE};

use crate::action::{Action, current};
use crate::contained::is_contained;
use crate::emit::seen;
use crate::entries::{Entered, Way, argument, entries};
use crate::file::{DESCRIPTORS, File, descriptor as file_of};
use crate::kernel::{Probed, Structure, offset};

entries!(handle_open => handle_open_fentry, handle_open_kprobe);

/// `do_handle_open(int mountdirfd, struct file_handle __user *ufh, int open_flag)`; both system calls, native and
/// 32-bit, come through here.
#[inline(always)]
fn handle_open<W: Way>(way: &W) {
    let descriptor = argument!(way, handle_open.descriptor) as u32;
    let handle = argument!(way, handle_open.handle) as *const u8;
    let flags = argument!(way, handle_open.flags) & 0xffff_ffff;
    opened_by_handle(descriptor, handle, flags, Entered::by(W::RUNG));
}

/// An open by a `struct file_handle` of user memory, relative to the mount of a descriptor or of the working folder.
#[inline(always)]
pub fn opened_by_handle(descriptor: u32, handle: *const u8, flags: u64, entered: Entered) {
    let Some(tally) = seen(EventKind::HandleOpen) else { return };
    let task = current();
    if !is_contained(task) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin_entered(tally, entered) else { return };
    // `struct file_handle`: length, type, then the handle.
    let mut words = [0_u64; 2];
    // SAFETY: the helper checks the source and writes the whole target.
    unsafe { bpf_probe_read_user(words.as_mut_ptr().cast(), 16, handle.cast()) };
    action.value(HANDLE_VALUE_TYPE, words[0] >> 32);
    action.value(HANDLE_VALUE_START, words[1]);
    action.value(HANDLE_VALUE_FLAGS, flags);
    if descriptor < DESCRIPTORS {
        action.file(&File::open(file_of(task, descriptor)));
    } else {
        let fs = Structure::<Probed>::new(task.pointer(offset!(task.fs)));
        action.file(&File::entry(fs.pointer(offset!(fs.pwd_mnt)), fs.pointer(offset!(fs.pwd_dentry))));
    }
    action.send();
}
