//! Counts within windows of time: where a threat is that there are many, the kernel side counts, and tells the crossing.

use aya_ebpf::helpers::bpf_ktime_get_boot_ns;
use aya_ebpf::maps::LruHashMap;
use sensor_ebpf::abi::WindowCount;

/// Counts one more for a key, in a window of `length` nanoseconds that begins with the first one. Gives the count; 0 if there
/// is no room for the key.
#[inline(always)]
pub fn count<K>(map: &LruHashMap<K, WindowCount>, key: &K, length: u64) -> u32 {
    // SAFETY: the helper takes no arguments.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    if let Some(window) = map.get_ptr_mut(key) {
        // SAFETY: the value lives as long as the map. Two CPUs may count one less together, which does not matter.
        let window = unsafe { &mut *window };
        if now.wrapping_sub(window.start) > length {
            *window = WindowCount { start: now, count: 1, other: 0 };
        } else {
            window.count += 1;
        }
        return window.count;
    }
    match map.insert(key, WindowCount { start: now, count: 1, other: 0 }, 0) {
        Ok(()) => 1,
        Err(_) => 0,
    }
}

/// Whether a count is the first one that says "many", or many times that.
#[inline(always)]
pub fn crosses(count: u32, many: u32) -> bool {
    count != 0 && (count == many || count == many * 4 || count == many * 16 || count == many * 64)
}
