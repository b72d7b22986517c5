//! Pages of files that go into pipes and sockets without a copy: whoever then writes to them by a fault of the kernel
//! writes to the file's pages (CVE-2022-0847, CVE-2026-31431).

use sensor_ebpf::abi::{EventKind, SPLICE_VALUE_LENGTH};

use crate::action::{Action, current};
use crate::contained::is_contained;
use crate::emit::{Tally, seen};
use crate::entries::{Entered, Way, argument, entries};
use crate::file::{File, is_privileged};
use crate::hooks::open::MODE_WRITE;
use crate::kernel::{Probed, Structure, offset};

/// Programs that copy splice much; those that aim at one place of a page splice a few bytes.
pub const FEW: u64 = 16;

entries!(splice => splice_fentry, splice_kprobe);

/// `splice_file_to_pipe(struct file *in, struct pipe_inode_info *opipe, loff_t *offset, size_t len, unsigned int flags)`:
/// splice(2), io_uring, and sendfile(2) to a pipe. Before it was there `do_splice(struct file *in, loff_t *off_in, struct
/// file *out, loff_t *off_out, size_t len, unsigned int flags)`, which knows pipes by their file.
#[inline(always)]
fn splice<W: Way>(way: &W) {
    let from = argument!(way, splice.from) as *const u8;
    let to = argument!(way, splice.to) as *const u8;
    let length = argument!(way, splice.length);
    let Some(tally) = seen(EventKind::Splice) else { return };
    splices(tally, [from, to], length, FEW, Entered::by(W::RUNG));
}

entries!(sendfile => sendfile_fentry, sendfile_kprobe);

/// `do_splice_direct(struct file *in, loff_t *ppos, struct file *out, loff_t *opos, size_t len, unsigned int flags)`,
/// unchanged from 5.10 to 7.2: sendfile(2) to sockets, and to all before 5.12. Servers send short files with it, so few bytes mean nothing.
#[inline(always)]
fn sendfile<W: Way>(way: &W) {
    let from = argument!(way, sendfile.from) as *const u8;
    let to = argument!(way, sendfile.to) as *const u8;
    let length = argument!(way, sendfile.length);
    let Some(tally) = seen(EventKind::Splice) else { return };
    splices(tally, [from, to], length, 0, Entered::by(W::RUNG));
}

/// Tells a container's splice of a file that lends privilege, of a binary of the runtime, and of at most `few` bytes of a
/// file that is not open for writing.
#[inline(always)]
pub fn splices(tally: Tally, [from, to]: [*const u8; 2], length: u64, few: u64, entered: Entered) {
    let source = File::open(from);
    if !source.is_regular() || File::open(to).is_regular() || !is_contained(current()) {
        tally.filtered();
        return;
    }
    let mode: u32 = Structure::<Probed>::new(from).field(offset!(file.mode));
    let aimed = length <= few && mode & MODE_WRITE == 0;
    if !(aimed || is_privileged(source.mode()) || source.is_watched()) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin_entered(tally, entered) else { return };
    action.value(SPLICE_VALUE_LENGTH, length);
    action.file(&source);
    action.filesystem_path(&source);
    action.send();
}
