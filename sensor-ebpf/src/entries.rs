//! The ways into a hook: one body, entered by LSM, by trampoline or by kprobe.
//!
//! Bodies read everything with helpers, so that they do not depend on how they were entered.

use aya_ebpf::EbpfContext;
use aya_ebpf::programs::{FEntryContext, FExitContext, LsmContext, ProbeContext, RetProbeContext};
use sensor_ebpf::abi::{RUNG_FENTRY, RUNG_KPROBE, RUNG_LSM};

/// The position of an argument, as the constant that the verifier knows from the frozen map.
macro_rules! argument {
    ($way:expr, $group:ident . $field:ident) => {{
        // SAFETY: a read of an initialised static; volatile, because the loader overrides it after compilation.
        let position = unsafe { core::ptr::read_volatile(&raw const $crate::maps::ARGUMENTS.$group.$field) };
        $crate::entries::Way::argument($way, position)
    }};
}
pub(crate) use argument;

/// How a hook was entered.
pub trait Way {
    /// A `RUNG_*` number.
    const RUNG: u32;

    /// The function's argument at a position; 0 if there is no such position.
    fn argument(&self, position: u32) -> u64;
}

/// Reads word `N` of a context that is an array of the function's arguments. The offset must be a constant of the
/// instruction: the verifier refuses contexts that were added to.
#[inline(always)]
fn word<const N: usize>(context: &impl EbpfContext) -> u64 {
    // SAFETY: the verifier knows how many arguments the function has and refuses others.
    unsafe { core::ptr::read_volatile(context.as_ptr().cast::<u64>().add(N)) }
}

macro_rules! words {
    ($context:expr, $position:expr) => {
        match $position {
            0 => word::<0>($context),
            1 => word::<1>($context),
            2 => word::<2>($context),
            3 => word::<3>($context),
            4 => word::<4>($context),
            5 => word::<5>($context),
            _ => 0,
        }
    };
}

impl Way for LsmContext {
    const RUNG: u32 = RUNG_LSM;

    #[inline(always)]
    fn argument(&self, position: u32) -> u64 {
        words!(self, position)
    }
}

impl Way for FEntryContext {
    const RUNG: u32 = RUNG_FENTRY;

    #[inline(always)]
    fn argument(&self, position: u32) -> u64 {
        words!(self, position)
    }
}

impl Way for FExitContext {
    const RUNG: u32 = RUNG_FENTRY;

    #[inline(always)]
    fn argument(&self, position: u32) -> u64 {
        words!(self, position)
    }
}

impl Way for ProbeContext {
    const RUNG: u32 = RUNG_KPROBE;

    #[inline(always)]
    fn argument(&self, position: u32) -> u64 {
        let argument = match position {
            0 => self.arg(0),
            1 => self.arg(1),
            2 => self.arg(2),
            3 => self.arg(3),
            4 => self.arg(4),
            5 => self.arg(5),
            _ => None,
        };
        argument.unwrap_or(0)
    }
}

/// The value a probed function returned.
#[inline(always)]
pub fn returned(context: &RetProbeContext) -> u64 {
    context.ret::<u64>()
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
