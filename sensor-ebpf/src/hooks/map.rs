//! Code that comes into a process without an exec: files that are mapped executable although no image brought them.

use sensor_ebpf::abi::{EventKind, MAP_VALUE_FLAGS, MAP_VALUE_PROTECTION, MappedKey};

use crate::action::{Action, current, is_in_exec};
use crate::contained::is_contained;
use crate::emit::seen;
use crate::entries::{Way, argument, entries};
use crate::file::{File, OVERLAY_MAGIC, TMPFS_MAGIC};
use crate::kernel::{Probed, Structure, offset};
use crate::maps::MAPPED;

/// `PROT_EXEC` of include/uapi/asm-generic/mman-common.h.
const EXECUTABLE: u64 = 4;
/// `HUGETLBFS_MAGIC` of include/uapi/linux/magic.h.
const HUGETLBFS_MAGIC: u64 = 0x9584_58f6;

entries!(file_map => file_map_fentry, file_map_kprobe);

/// `security_mmap_file(struct file *file, unsigned long prot, unsigned long flags)`, unchanged from 5.10 to 7.2; anonymous
/// memory has no file. LSM is no way in: its hook has another argument between them.
#[inline(always)]
fn file_map<W: Way>(way: &W) {
    let file = argument!(way, file_map.file, copied_argument) as *const u8;
    let protection = argument!(way, file_map.protection);
    let flags = argument!(way, file_map.flags);
    let Some(tally) = seen(EventKind::FileMap) else { return };
    let task = current();
    // What the kernel maps of a new program, the exec tells.
    if protection & EXECUTABLE == 0 || file.is_null() || !is_contained(task) || is_in_exec(task) {
        tally.filtered();
        return;
    }
    let file = File::open(file);
    if !is_from_elsewhere(&file) || !is_news(&file) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.value(MAP_VALUE_PROTECTION, protection);
    action.value(MAP_VALUE_FLAGS, flags);
    action.file(&file);
    action.send();
}

/// Whether a regular file is none of an image: in memory without a name, or in the upper layer of an overlay file system.
#[inline(always)]
fn is_from_elsewhere(file: &File) -> bool {
    let magic: u64 = file.super_block().field(offset!(super_block.magic));
    file.is_regular()
        && match magic {
            TMPFS_MAGIC | HUGETLBFS_MAGIC => file.is_unlinked(),
            OVERLAY_MAGIC => file.is_upper(),
            _ => false,
        }
}

/// Whether the current task's program maps a file for the first time, or again after it changed, which a new file with the
/// inode number of an old one did too. The program itself is none: the exec told it.
#[inline(always)]
fn is_news(file: &File) -> bool {
    let memory = Structure::<Probed>::new(current().pointer(offset!(task.mm)));
    let program = Structure::<Probed>::new(memory.pointer(offset!(mm.exe_file)));
    let program = Structure::<Probed>::new(program.pointer(offset!(file.inode)));
    if program.0 == file.inode {
        return false;
    }
    let key = MappedKey { file: file.key(), program: program.field(offset!(inode.ino)) };
    let changed: i64 = Structure::<Probed>::new(file.inode).field(offset!(inode.ctime));
    if let Some(last) = MAPPED.get_ptr(key) {
        // SAFETY: the value lives as long as the map; it is a number that is written as a whole.
        if unsafe { *last } == changed {
            return false;
        }
    }
    // Without room the file is told again when it is mapped again.
    let _ = MAPPED.insert(key, changed, 0);
    true
}
