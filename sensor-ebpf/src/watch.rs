//! Whether user space wants to hear of an operation on a file: by the file's name, by its inode, by a folder above it.
//!
//! Names are those of folder entries, never what a process passed: symlinks, `..`, descriptors and bind mounts lead to the
//! same entry. A file that gets another name stays watched, by its inode.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use sensor_ebpf::abi::{
    InodeKey, NameKey, WATCH_ANY_FOLDER, WATCH_ANY_TYPE, WATCH_BELOW, WATCH_EVERYWHERE, WATCH_HOST,
    WATCH_NAME_MAX, WATCH_NO_OVERLAY, WATCH_READ, WATCH_SEEN_FROM_ABOVE,
};

use crate::action::current;
use crate::bounds::{differs, opaque};
use crate::contained::is_contained;
use crate::file::{File, OVERLAY_MAGIC, TMPFS_MAGIC};
use crate::kernel::{Probed, Structure, offset};
use crate::maps::{RENAMED_PLACES, WATCHED_ALL, WATCHED_NAMES, WATCHED_PLACES};

/// The mask that one of the maps holds for a key; 0 if it has none.
macro_rules! mask_of {
    ($map:expr, $key:expr) => {
        match $map.get_ptr($key) {
            // SAFETY: the value lives as long as the map; it is a number that is written as a whole.
            Some(mask) => unsafe { *mask },
            None => 0,
        }
    };
}

/// Folders looked at above a file.
const LEVELS: u32 = 24;
/// `PROC_SUPER_MAGIC`, `SYSFS_MAGIC` and `CGROUP2_SUPER_MAGIC` of include/uapi/linux/magic.h: nobody's files.
const PROC_MAGIC: u64 = 0x9fa0;
const SYSFS_MAGIC: u64 = 0x6265_6572;
const CGROUP_MAGIC: u64 = 0x6367_7270;

/// The mask of what is told of every file.
#[inline(always)]
fn of_all() -> u32 {
    mask_of!(WATCHED_ALL, 0)
}

/// Whether opens are told of files of any type.
#[inline(always)]
pub fn is_any_type_wanted() -> bool {
    of_all() & WATCH_ANY_TYPE != 0
}

/// Whether the current task's `operations` on a file are told.
#[inline(always)]
pub fn is_wanted(file: &File, operations: u32) -> bool {
    watched_operations(file.dentry as u64, file.mount as u64, operations) != 0
}

/// The same of a file that gets another name: it stays watched under that one.
#[inline(always)]
pub fn is_wanted_and_followed(file: &File, operations: u32) -> bool {
    let mask = watched_as(file.dentry as u64) & !WATCH_NO_OVERLAY;
    if mask != 0 {
        // Without room the name alone is watched; the map pushes out the least used.
        let _ = RENAMED_PLACES.insert(file.key(), mask, 0);
    }
    is_wanted(file, operations)
}

/// Of `operations` (`WATCH_*`) by the current task on a `struct dentry *`, seen through a `struct vfsmount *` or 0, those
/// that are told. A global function, which the verifier checks apart.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn watched_operations(dentry: u64, mount: u64, operations: u32) -> u32 {
    let file = File::entry(mount as *const u8, dentry as *const u8);
    let contained = is_contained(current());
    let entry = Structure::<Probed>::new(file.dentry);
    let super_block = Structure::<Probed>::new(entry.pointer(offset!(dentry.sb)));
    let magic: u64 = super_block.field(offset!(super_block.magic));
    let wanted = if contained { operations } else { operations << WATCH_HOST };
    let all = of_all();
    if all & wanted != 0 {
        return all & wanted;
    }
    if matches!(magic, PROC_MAGIC | SYSFS_MAGIC | CGROUP_MAGIC) {
        let mask = if all & WATCH_EVERYWHERE != 0 { watched_as(dentry) } else { 0 };
        return if mask & WATCH_EVERYWHERE != 0 { mask & wanted } else { 0 };
    }
    let own_overlay = magic == OVERLAY_MAGIC && contained;
    let mut mask = watched_as(dentry);
    if mask & WATCH_NO_OVERLAY != 0 && own_overlay {
        mask = 0;
    }
    mask |= mask_of!(RENAMED_PLACES, file.key());
    if mask & wanted != 0 || own_overlay {
        return mask & wanted;
    }
    if !contained && operations == WATCH_READ {
        // The host's own processes read all day; names tell what they must not.
        return 0;
    }
    let above = watched_above(dentry, mount) & wanted;
    if above != 0 || magic != TMPFS_MAGIC || mount == 0 {
        return above;
    }
    // A file system in memory, mounted as a volume, as secrets are: it counts as lying where it is mounted.
    let mount = Structure::<Probed>::new((mount as *const u8).wrapping_sub(offset!(mount.mnt) as usize));
    let parent = mount.pointer(offset!(mount.parent)).wrapping_add(offset!(mount.mnt) as usize);
    watched_above(mount.pointer(offset!(mount.mountpoint)) as u64, parent as u64) & wanted
}

/// The mask of a `struct dentry *` by its name, by its ending, and by the name of its folder.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn watched_as(dentry: u64) -> u32 {
    let entry = Structure::<Probed>::new(dentry as *const u8);
    let name = entry.pointer(offset!(dentry.name));
    let length: u32 = entry.field(offset!(dentry.name_length));
    let mut mask = 0;
    if length < WATCH_NAME_MAX as u32 {
        let mut key = NameKey::default();
        // SAFETY: the key has room for what is read; the helper checks the name.
        let read = unsafe {
            bpf_probe_read_kernel_str((&raw mut key.words).cast(), WATCH_NAME_MAX as u32, name.cast())
        };
        if read > 0 {
            mask |= mask_of!(WATCHED_NAMES, key);
        }
    }
    mask |= mask_of!(WATCHED_NAMES, NameKey::of_ending(ending(name, length)));
    let folder = Structure::<Probed>::new(entry.pointer(offset!(dentry.parent)));
    let words: [u64; 2] = Structure::<Probed>::new(folder.pointer(offset!(dentry.name))).field(0);
    if words[0] as u8 == b'.' || of_all() & WATCH_ANY_FOLDER != 0 {
        let length: u32 = folder.field(offset!(dentry.name_length));
        if length <= 16 {
            let first = kept(words[0], length);
            let second = if length > 8 { kept(words[1], length - 8) } else { 0 };
            mask |= mask_of!(WATCHED_NAMES, NameKey::of_folder([first, second]));
        }
    }
    mask
}

/// The first `length` bytes of a word, in memory order; all if it is 8 or more.
#[inline(always)]
fn kept(word: u64, length: u32) -> u64 {
    if length >= 8 { word } else { word & !(u64::MAX << (8 * (length & 7))) }
}

/// The end of a name from its last dot on, if that lies within its last eight bytes; else 0.
#[inline(always)]
fn ending(name: *const u8, length: u32) -> u64 {
    // Of a shorter name all bytes, moved to the end of the word.
    let short = 8_u32.saturating_sub(length);
    let start = name.wrapping_add(length.saturating_sub(8) as usize);
    let word = Structure::<Probed>::new(start).field::<u64>(0) << (8 * (short & 7));
    let mut ending = 0;
    // Without branches: each would double the paths that the verifier walks.
    let mut at = 0;
    while at < 8 {
        let is_dot = 1 - differs((word >> (8 * at)) & 0xff, u64::from(b'.'));
        let chosen = opaque(is_dot.wrapping_neg());
        ending = (ending & !chosen) | ((word >> (8 * at)) & chosen);
        at += 1;
    }
    ending
}

/// The masks of a `struct dentry *` itself and of the folders above it, up to the root of its file system.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn watched_above(dentry: u64, mount: u64) -> u32 {
    let device = {
        let entry = Structure::<Probed>::new(dentry as *const u8);
        Structure::<Probed>::new(entry.pointer(offset!(dentry.sb))).field::<u32>(offset!(super_block.dev))
    };
    let root = Structure::<Probed>::new(mount as *const u8).pointer(offset!(vfsmount.root)) as u64;
    let mut mask = 0;
    let mut entry = dentry;
    // All ones once the walk is above what the mount shows.
    let mut passed = 0_u64;
    let mut shift = 0;
    let mut level = 0;
    while level < LEVELS {
        let current = Structure::<Probed>::new(entry as *const u8);
        let inode = Structure::<Probed>::new(current.pointer(offset!(dentry.inode)));
        let key = InodeKey { inode: inode.field(offset!(inode.ino)), device, reserved: 0 };
        let found = mask_of!(WATCHED_PLACES, key);
        if found & WATCH_SEEN_FROM_ABOVE == 0 || passed == 0 {
            mask |= found >> shift;
        }
        passed |= opaque((1 - differs(entry, root)).wrapping_neg());
        let parent = current.pointer(offset!(dentry.parent)) as u64;
        if parent == entry || parent == 0 {
            break;
        }
        entry = parent;
        shift = WATCH_BELOW;
        level += 1;
    }
    mask
}
