//! The bpf system call.

use sensor_ebpf::abi::{BPF_VALUE_ATTACH_TYPE, BPF_VALUE_COMMAND, BPF_VALUE_PROGRAM_TYPE, EventKind};

use crate::action::Action;
use crate::emit::seen;
use crate::entries::{Way, argument, entries};
use crate::kernel::{Probed, Structure};

/// `BPF_PROG_LOAD` of include/uapi/linux/bpf.h.
pub const PROGRAM_LOAD: u64 = 5;
/// Where `union bpf_attr` of `BPF_PROG_LOAD` holds `prog_type`, `prog_name` and `expected_attach_type`.
pub const PROGRAM_TYPE: u32 = 0;
/// `prog_name`
pub const PROGRAM_NAME: usize = 48;
/// `expected_attach_type`
pub const ATTACH_TYPE: u32 = 68;

entries!(bpf => bpf_lsm, bpf_fentry, bpf_kprobe);

/// `security_bpf(int cmd, union bpf_attr *attr, unsigned int size)`: the attributes are in the kernel already. Loading
/// comes before every use, so it alone is told. The hook is attached last: the sensor's own programs are loaded by then.
#[inline(always)]
fn bpf<W: Way>(way: &W) {
    let command = argument!(way, bpf.command) & 0xffff_ffff;
    let attributes = Structure::<Probed>::new(argument!(way, bpf.attributes) as *const u8);
    let Some(tally) = seen(EventKind::Bpf) else { return };
    if command != PROGRAM_LOAD {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.value(BPF_VALUE_COMMAND, command);
    action.value(BPF_VALUE_PROGRAM_TYPE, u64::from(attributes.field::<u32>(PROGRAM_TYPE)));
    action.value(BPF_VALUE_ATTACH_TYPE, u64::from(attributes.field::<u32>(ATTACH_TYPE)));
    action.text(attributes.0.wrapping_add(PROGRAM_NAME));
    action.send();
}
