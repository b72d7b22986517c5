//! Parameters of file systems that are set up in user namespaces of containers' own.

use aya_ebpf::helpers::bpf_ktime_get_boot_ns;
use sensor_ebpf::abi::{
    EventKind, PARAMETER_VALUE_COUNT, PARAMETER_VALUE_USER_NAMESPACE_LEVEL, PARAMETERS_MANY, ParameterCount,
};

use crate::action::Action;
use crate::contained::is_contained;
use crate::emit::seen;
use crate::entries::{Entered, Way, argument, entries};
use crate::kernel::{Probed, Structure, offset};
use crate::maps::PARAMETERS;

entries!(filesystem_parameter =>
    filesystem_parameter_lsm, filesystem_parameter_fentry, filesystem_parameter_kprobe);

/// A context that was quiet this long is another one at the same address.
const QUIET: u64 = 1_000_000_000;

/// `security_fs_context_parse_param(struct fs_context *fc, struct fs_parameter *param)`: each parameter of mount(2) and
/// fsconfig. Of a context the first one is told, and the one that makes them many: CVE-2022-0185 takes hundreds.
#[inline(always)]
fn filesystem_parameter<W: Way>(way: &W) {
    let context = Structure::<Probed>::new(argument!(way, filesystem_parameter.context) as *const u8);
    let parameter = Structure::<Probed>::new(argument!(way, filesystem_parameter.parameter) as *const u8);
    let Some(mut action) = parameter_of(context, Entered::by(W::RUNG)) else { return };
    action.other_text(parameter.pointer(offset!(fs_parameter.key)));
    action.send();
}

/// Begins the record of a parameter given to a `struct fs_context`, but for its key; `None` if it is not to be told.
#[inline(always)]
pub fn parameter_of(context: Structure<Probed>, entered: Entered) -> Option<Action> {
    let tally = seen(EventKind::FilesystemParameter)?;
    let namespace = Structure::<Probed>::new(context.pointer(offset!(fs_context.user_ns)));
    let level: u32 = namespace.field(offset!(user_namespace.level));
    if level == 0 || !is_contained(crate::action::current()) {
        tally.filtered();
        return None;
    }
    let count = count(context.0 as u64);
    if count != 1 && count != PARAMETERS_MANY {
        tally.filtered();
        return None;
    }
    let mut action = Action::begin_entered(tally, entered)?;
    action.value(PARAMETER_VALUE_COUNT, u64::from(count));
    action.value(PARAMETER_VALUE_USER_NAMESPACE_LEVEL, u64::from(level));
    let kind = Structure::<Probed>::new(context.pointer(offset!(fs_context.fs_type)));
    action.text(kind.pointer(offset!(filesystem_type.name)));
    Some(action)
}

/// Which parameter of its context this is, from 1.
#[inline(always)]
fn count(context: u64) -> u32 {
    // SAFETY: the helper takes no arguments.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    let known = match PARAMETERS.get_ptr(context) {
        // SAFETY: a map's value stays readable as long as the program runs; it is copied at once.
        Some(known) => unsafe { *known },
        None => ParameterCount::default(),
    };
    let count = if now.wrapping_sub(known.last) > QUIET { 1 } else { known.count.wrapping_add(1) };
    // If there is no room every parameter is the first one of its context, which is told.
    let _ = PARAMETERS.insert(context, ParameterCount { last: now, count, reserved: 0 }, 0);
    count
}
