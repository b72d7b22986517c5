//! The wall clock.

use sensor_ebpf::abi::{CLOCK_VALUE_OFFSET, CLOCK_VALUE_SECONDS, EventKind};

use crate::action::Action;
use crate::emit::seen;
use crate::entries::{Way, argument, entries};
use crate::kernel::{Probed, Structure, offset};

entries!(clock_change => clock_change_lsm, clock_change_fentry, clock_change_kprobe);

/// `security_settime64(const struct timespec64 *ts, const struct timezone *tz)`, unchanged from 5.10 to 7.2. Who only sets
/// the time zone passes no time.
#[inline(always)]
fn clock_change<W: Way>(way: &W) {
    let time = Structure::<Probed>::new(argument!(way, clock_change.time, copied_argument) as *const u8);
    let Some(tally) = seen(EventKind::ClockChange) else { return };
    let seconds: u64 = time.field(0);
    if seconds == 0 {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.value(CLOCK_VALUE_SECONDS, seconds);
    action.send();
}

entries!(clock_offset => clock_offset_fentry, clock_offset_kprobe);

/// `do_adjtimex(struct __kernel_timex *txc)`, unchanged from 5.10 to 7.2: adjtimex(2), and clock_adjtime(2) of the wall clock.
/// It runs before the kernel looks whether the caller may. Time services slew the clock with it all day; only what moves it
/// at once is told.
#[inline(always)]
fn clock_offset<W: Way>(way: &W) {
    /// `ADJ_SETOFFSET` of include/uapi/linux/timex.h.
    const MOVES: u32 = 0x0100;
    let adjustment = Structure::<Probed>::new(argument!(way, clock_offset.adjustment) as *const u8);
    let Some(tally) = seen(EventKind::ClockChange) else { return };
    if adjustment.field::<u32>(offset!(timex.modes)) & MOVES == 0 {
        tally.filtered();
        return;
    }
    let seconds: u64 = adjustment.field(offset!(timex.seconds));
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.value(CLOCK_VALUE_OFFSET, seconds);
    action.send();
}
