//! Programs that the kernel starts of its own accord.

use sensor_ebpf::abi::EventKind;

use crate::action::Action;
use crate::emit::seen;
use crate::entries::{Way, argument, entries};
use crate::kernel::{Probed, Structure, offset};

/// Arguments told of one call.
const ARGUMENTS: u32 = 6;

entries!(usermode_helper => usermode_helper_fentry, usermode_helper_kprobe);

/// `call_usermodehelper_exec(struct subprocess_info *sub_info, int wait)`. The subject is who made the kernel do so where
/// it waits for the program, as for core dumps and modules; a kernel thread for release agents.
#[inline(always)]
fn usermode_helper<W: Way>(way: &W) {
    let information = Structure::<Probed>::new(argument!(way, usermode_helper.information) as *const u8);
    let Some(tally) = seen(EventKind::UsermodeHelper) else { return };
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.text(information.pointer(offset!(subprocess_info.path)));
    let arguments = Structure::<Probed>::new(information.pointer(offset!(subprocess_info.argv)));
    action.other_text(arguments.pointer(0));
    let mut index = 1;
    while index < ARGUMENTS {
        let next = arguments.pointer(index * 8);
        if next.is_null() {
            break;
        }
        action.argument_text(next);
        index += 1;
    }
    action.send();
}
