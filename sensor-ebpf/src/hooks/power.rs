//! Reboots, halts and the like, of the node or of a pid namespace.

use sensor_ebpf::abi::{EventKind, POWER_VALUE_COMMAND};

use crate::action::Action;
use crate::contained::seen_in_container;
use crate::entries::{Way, argument, entries};
use crate::kernel::{Probed, Structure, offset};

entries!(power_control => power_control_fentry, power_control_kprobe);

/// `reboot_pid_ns(struct pid_namespace *pid_ns, int cmd)`, unchanged from 5.10 to 7.2: every reboot(2) that its caller is
/// allowed to make comes here first. In another pid namespace than the host's it ends that one only.
#[inline(always)]
fn power_control<W: Way>(way: &W) {
    let namespace = Structure::<Probed>::new(argument!(way, power_control.namespace) as *const u8);
    let command = argument!(way, power_control.command) & 0xffff_ffff;
    let Some(tally) = seen_in_container(EventKind::PowerControl) else { return };
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.value(POWER_VALUE_COMMAND, command);
    action.record().target_namespaces.pid = namespace.field(offset!(pid_namespace.inum));
    action.send();
}
