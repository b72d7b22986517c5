//! Keys of the kernel's keyrings, which containers do not have for themselves.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use sensor_ebpf::abi::{EventKind, KEY_VALUE_COUNT, KEY_VALUE_SERIAL};

use crate::action::{Action, current};
use crate::contained::is_contained;
use crate::emit::seen;
use crate::entries::{Way, argument, entries};
use crate::kernel::{Probed, Structure, offset};
use crate::maps::KEYS;
use crate::window::{count, crosses};

/// Nanoseconds in which keys are counted.
const WINDOW: u64 = 10_000_000_000;
/// So many of them are many.
const MANY: u32 = 16;

entries!(key_access => key_access_lsm, key_access_fentry, key_access_kprobe);

/// `security_key_permission(key_ref_t key_ref, const struct cred *cred, enum key_need_perm need_perm)`, since 5.8. Programs
/// that log somebody in search and link keyrings; who looks for keys views and reads them.
#[inline(always)]
fn key_access<W: Way>(way: &W) {
    /// `KEY_NEED_VIEW` and `KEY_NEED_READ` of include/linux/key.h.
    const VIEW: u64 = 1;
    const READ: u64 = 2;
    let key = argument!(way, key_access.key, copied_argument);
    let need = argument!(way, key_access.need) & 0xffff_ffff;
    let Some(tally) = seen(EventKind::KeyAccess) else { return };
    if !matches!(need, VIEW | READ) || !is_contained(current()) {
        tally.filtered();
        return;
    }
    let process_id = (bpf_get_current_pid_tgid() >> 32) as u32;
    let many = count(&KEYS, &process_id, WINDOW);
    if many != 1 && !crosses(many, MANY) {
        tally.filtered();
        return;
    }
    // The lowest bit of the reference says whether the process possesses the key.
    let key = Structure::<Probed>::new((key & !1) as *const u8);
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.value(KEY_VALUE_COUNT, u64::from(many));
    action.value(KEY_VALUE_SERIAL, u64::from(key.field::<u32>(offset!(key.serial))));
    action.send();
}
