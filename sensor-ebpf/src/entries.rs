//! The ways into a hook: one body, entered by LSM, by trampoline or by kprobe.
//!
//! Bodies read everything with helpers, so that they do not depend on how they were entered.

use core::arch::asm;

use aya_ebpf::EbpfContext;
use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use aya_ebpf::programs::{FEntryContext, LsmContext, ProbeContext};
use sensor_ebpf::abi::{RESULT_NOT_KNOWN, RUNG_FENTRY, RUNG_KPROBE, RUNG_LSM};

/// The position of an argument, as the constant that the verifier knows from the frozen map.
macro_rules! argument {
    ($way:expr, $group:ident . $field:ident) => {
        $crate::entries::argument!($way, $group.$field, argument)
    };
    ($way:expr, $group:ident . $field:ident, $read:ident) => {{
        // SAFETY: a read of an initialised static; volatile, because the loader overrides it after compilation.
        let position = unsafe { core::ptr::read_volatile(&raw const $crate::maps::ARGUMENTS.$group.$field) };
        $crate::entries::Way::$read($way, position)
    }};
}
pub(crate) use argument;

/// How a body that several hooks share was entered.
#[derive(Clone, Copy)]
pub struct Entered {
    /// A `RUNG_*` number.
    pub rung: u32,
    /// 0 or a negative error number; [`RESULT_NOT_KNOWN`] before the outcome is known.
    pub result: i32,
}

impl Entered {
    /// Before the outcome is known.
    #[inline(always)]
    pub fn by(rung: u32) -> Self {
        Self { rung, result: RESULT_NOT_KNOWN }
    }
}

/// How a hook was entered.
pub trait Way {
    /// A `RUNG_*` number.
    const RUNG: u32;

    /// The function's argument at a position; 0 if there is no such position.
    fn argument(&self, position: u32) -> u64;

    /// The same by way of a helper: for pointers to `const void`, which kernels before 6.3 do not let a trampoline load.
    fn copied_argument(&self, position: u32) -> u64;
}

/// Copies the word of a trampoline's or tracepoint's context at a position.
#[inline(always)]
pub fn copied_word(context: &impl EbpfContext, position: u32) -> u64 {
    let position = if position < 6 { position } else { 0 };
    let source = context.as_ptr().cast::<u8>().wrapping_add(position as usize * 8);
    let mut word = 0_u64;
    // SAFETY: the context lies in kernel memory; the helper checks the source and writes the whole target.
    unsafe { bpf_probe_read_kernel((&raw mut word).cast(), 8, source.cast()) };
    word
}

/// Reads the word at byte `AT` of a context. The offset must stand in the instruction itself: the verifier refuses
/// contexts that were added to, and LLVM would share one addition between all places where a word is read.
#[inline(always)]
fn word<const AT: usize>(context: &impl EbpfContext) -> u64 {
    let word: u64;
    // SAFETY: reads from the program's own context; the verifier knows how long it is and refuses what lies behind.
    unsafe {
        asm!("{word} = *(u64 *)({context} + {at})", word = out(reg) word, context = in(reg) context.as_ptr(), at = const AT);
    }
    word
}

/// Reads the word whose number is `position`, of a context where the words stand at these bytes.
macro_rules! words {
    ($context:expr, $position:expr, [$zero:expr, $one:expr, $two:expr, $three:expr, $four:expr, $five:expr]) => {
        match $position {
            0 => word::<{ $zero }>($context),
            1 => word::<{ $one }>($context),
            2 => word::<{ $two }>($context),
            3 => word::<{ $three }>($context),
            4 => word::<{ $four }>($context),
            5 => word::<{ $five }>($context),
            _ => 0,
        }
    };
}

/// Contexts of trampolines: the arguments one after the other.
macro_rules! trampoline_words {
    ($context:expr, $position:expr) => {
        words!($context, $position, [0, 8, 16, 24, 32, 40])
    };
}

/// Contexts of kprobes: the registers at the function's entry (`struct pt_regs`).
#[cfg(bpf_target_arch = "x86_64")]
macro_rules! register_words {
    ($context:expr, $position:expr) => {
        words!($context, $position, [112, 104, 96, 88, 72, 64]) // rdi rsi rdx rcx r8 r9
    };
}
#[cfg(bpf_target_arch = "aarch64")]
macro_rules! register_words {
    ($context:expr, $position:expr) => {
        words!($context, $position, [0, 8, 16, 24, 32, 40]) // x0 to x5
    };
}

impl Way for LsmContext {
    const RUNG: u32 = RUNG_LSM;

    #[inline(always)]
    fn argument(&self, position: u32) -> u64 {
        trampoline_words!(self, position)
    }

    #[inline(always)]
    fn copied_argument(&self, position: u32) -> u64 {
        copied_word(self, position)
    }
}

impl Way for FEntryContext {
    const RUNG: u32 = RUNG_FENTRY;

    #[inline(always)]
    fn argument(&self, position: u32) -> u64 {
        trampoline_words!(self, position)
    }

    #[inline(always)]
    fn copied_argument(&self, position: u32) -> u64 {
        copied_word(self, position)
    }
}

impl Way for ProbeContext {
    const RUNG: u32 = RUNG_KPROBE;

    #[inline(always)]
    fn argument(&self, position: u32) -> u64 {
        register_words!(self, position)
    }

    #[inline(always)]
    fn copied_argument(&self, position: u32) -> u64 {
        self.argument(position)
    }
}

/// Makes the programs of a hook from its body, one for each way in. Names are `HOOK_lsm`, `HOOK_fentry`, `HOOK_kprobe`;
/// targets are named by the sensor when it loads them.
macro_rules! entries {
    ($body:path => $lsm:ident, $fentry:ident, $kprobe:ident) => {
        /// Entered by LSM.
        #[aya_ebpf::macros::lsm]
        pub fn $lsm(context: aya_ebpf::programs::LsmContext) -> i32 {
            $body(&context);
            0
        }

        $crate::entries::entries!($body => $fentry, $kprobe);
    };
    ($body:path => $fentry:ident, $kprobe:ident) => {
        /// Entered by trampoline.
        #[aya_ebpf::macros::fentry]
        pub fn $fentry(context: aya_ebpf::programs::FEntryContext) -> i32 {
            $body(&context);
            0
        }

        /// Entered by kprobe.
        #[aya_ebpf::macros::kprobe]
        pub fn $kprobe(context: aya_ebpf::programs::ProbeContext) -> u32 {
            $body(&context);
            0
        }
    };
}
pub(crate) use entries;
