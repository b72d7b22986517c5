//! Keystrokes that a program puts into a terminal, as if somebody had typed them there.

use sensor_ebpf::abi::{EventKind, TERMINAL_VALUE_COMMAND};

use crate::action::Action;
use crate::contained::is_contained;
use crate::emit::seen;
use crate::entries::{Way, argument, entries};
use crate::file::File;

entries!(terminal_input => terminal_input_fentry, terminal_input_kprobe);

/// `TIOCSTI` and `TIOCLINUX` of include/uapi/asm-generic/ioctls.h.
const STI: u64 = 0x5412;
const LINUX: u64 = 0x541c;

/// Whether a command of ioctl does what typing does.
#[inline(always)]
pub fn puts_keystrokes(command: u64) -> bool {
    command == STI || command == LINUX
}

/// `tty_ioctl(struct file *file, unsigned int cmd, unsigned long arg)`, unchanged from 5.10 to 7.2; 32-bit calls of these
/// commands come here too. Whether the kernel still allows them (dev.tty.legacy_tiocsti, since 6.2) is decided behind it.
#[inline(always)]
fn terminal_input<W: Way>(way: &W) {
    let command = argument!(way, terminal_input.command) & 0xffff_ffff;
    if !puts_keystrokes(command) {
        // Not counted as seen: all that programs ask of terminals comes through here.
        return;
    }
    let file = argument!(way, terminal_input.file) as *const u8;
    let Some(tally) = seen(EventKind::TerminalInput) else { return };
    if !is_contained(crate::action::current()) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.value(TERMINAL_VALUE_COMMAND, command);
    action.file(&File::open(file));
    action.send();
}
