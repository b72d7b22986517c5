//! Code that is loaded into the kernel: modules and kexec images.

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use sensor_ebpf::abi::{
    EventKind, MODULE_FROM_FILE, MODULE_FROM_MEMORY, MODULE_LOADED, MODULE_VALUE_ID, MODULE_VALUE_SOURCE,
    MODULE_VALUE_TAINTS, RUNG_TRACEPOINT_BTF,
};

use crate::action::Action;
use crate::emit::seen;
use crate::entries::{Way, argument, entries};
use crate::file::File;
use crate::kernel::{Probed, Structure, offset};

/// `module_load(struct module *mod)`: the module is in the kernel and about to run.
#[btf_tracepoint(function = "module_load")]
pub fn module_load(context: BtfTracePointContext) -> i32 {
    let module = Structure::<Probed>::new(context.arg(0));
    let Some(tally) = seen(EventKind::ModuleLoad) else { return 0 };
    let Some(mut action) = Action::begin(tally, RUNG_TRACEPOINT_BTF) else { return 0 };
    action.value(MODULE_VALUE_SOURCE, MODULE_LOADED);
    action.value(MODULE_VALUE_TAINTS, module.field(offset!(module.taints)));
    action.text(module.0.wrapping_add(offset!(module.name) as usize));
    action.send();
    0
}

entries!(module_file => module_file_lsm, module_file_fentry, module_file_kprobe);

/// `security_kernel_read_file(struct file *file, enum kernel_read_file_id id, bool contents)`
#[inline(always)]
fn module_file<W: Way>(way: &W) {
    let file = argument!(way, kernel_read_file.file) as *const u8;
    let id = argument!(way, kernel_read_file.id) & 0xffff_ffff;
    let Some(tally) = seen(EventKind::ModuleLoad) else { return };
    if !is_code(id) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.value(MODULE_VALUE_SOURCE, MODULE_FROM_FILE);
    action.value(MODULE_VALUE_ID, id);
    action.file(&File::open(file));
    action.send();
}

entries!(module_memory => module_memory_lsm, module_memory_fentry, module_memory_kprobe);

/// `security_kernel_load_data(enum kernel_load_data_id id, bool contents)`: `init_module`, the old `kexec_load`.
#[inline(always)]
fn module_memory<W: Way>(way: &W) {
    let id = argument!(way, kernel_load_data.id) & 0xffff_ffff;
    let Some(tally) = seen(EventKind::ModuleLoad) else { return };
    if !is_code(id) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.value(MODULE_VALUE_SOURCE, MODULE_FROM_MEMORY);
    action.value(MODULE_VALUE_ID, id);
    action.send();
}

/// Modules, compressed or not, and kexec images: 2 to 4 in all kernels. 1 is firmware; policies and certificates follow.
#[inline(always)]
fn is_code(id: u64) -> bool {
    id.wrapping_sub(2) < 3
}
