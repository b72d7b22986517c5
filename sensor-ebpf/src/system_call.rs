//! The last way into hooks: the return of a system call, where a kernel allows nothing but tracepoints.
//!
//! One program is attached, and looks only at the call's number; it hands over to the program of that call, if there is
//! one. What a call did is read from the kernel's own structures (the file of the descriptor that it gave, the newest
//! mount), and from the caller's memory only where the kernel keeps nothing.

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use sensor_ebpf::abi::{RUNG_SYSTEM_CALL, SYSTEM_CALL_COMPAT};

use crate::action::current;
use crate::entries::{Entered, copied_word};
use crate::file::descriptor;
use crate::kernel::{Probed, Structure, Typed, offset};
use crate::maps::SYSTEM_CALLS;

/// `sys_exit(struct pt_regs *regs, long ret)`, unchanged from 5.10 to 7.2.
#[btf_tracepoint(function = "sys_exit")]
pub fn system_call(context: BtfTracePointContext) -> i32 {
    let registers = Structure::<Typed>::new(context.arg(0));
    // The mark of the x32 ABI is left out; its own calls, from 512 on, are not looked at.
    let number = registers.field::<u64>(registers::NUMBER) & !X32;
    if number >= u64::from(SYSTEM_CALL_COMPAT) {
        return 0;
    }
    let index = number as u32 + SYSTEM_CALL_COMPAT * compat();
    // SAFETY: every program in the map takes the same context; nothing here needs to be dropped.
    unsafe { SYSTEM_CALLS.tail_call(&context, index) };
    0
}

/// `__X32_SYSCALL_BIT` of arch/x86/include/uapi/asm/unistd.h.
const X32: u64 = 0x4000_0000;

/// A system call that returns to its caller.
pub struct SystemCall {
    registers: Structure<Probed>,
    compat: u32,
    /// What it gives: a number or descriptor, or a negative error number.
    pub result: i64,
}

impl SystemCall {
    /// The call of a tracepoint's context.
    #[inline(always)]
    pub fn of(context: &BtfTracePointContext) -> Self {
        // Copied, so that it is a plain number: where an argument lies depends on the call, and older verifiers know no
        // bounds of what is added to a typed pointer then.
        let registers = copied_word(context, 0) as *const u8;
        Self { registers: Structure::new(registers), compat: compat(), result: context.arg(1) }
    }

    /// The argument at a position from 0 to 5. Of a 32-bit call it is a 32-bit number.
    #[inline(always)]
    pub fn argument<const POSITION: usize>(&self) -> u64 {
        let at = registers::ARGUMENTS[POSITION]
            + self.compat
                * (registers::COMPAT_ARGUMENTS[POSITION].wrapping_sub(registers::ARGUMENTS[POSITION]));
        self.registers.field::<u64>(at) & (u64::MAX >> (32 * self.compat))
    }

    /// An argument that points to the caller's memory.
    #[inline(always)]
    pub fn pointer<const POSITION: usize>(&self) -> *const u8 {
        self.argument::<POSITION>() as *const u8
    }

    /// Whether the call failed.
    #[inline(always)]
    pub fn failed(&self) -> bool {
        self.result < 0
    }

    /// How bodies are entered by it.
    #[inline(always)]
    pub fn entered(&self) -> Entered {
        let result = if self.result < 0 { self.result as i32 } else { 0 };
        Entered { rung: RUNG_SYSTEM_CALL, result }
    }

    /// The `struct file *` of the descriptor that it gives; null if it failed.
    #[inline(always)]
    pub fn opened_file(&self) -> *const u8 {
        if self.failed() { core::ptr::null() } else { descriptor(current(), self.result as u32) }
    }

    /// The `struct file *` of a descriptor among the arguments; null if there is none.
    #[inline(always)]
    pub fn file<const POSITION: usize>(&self) -> *const u8 {
        descriptor(current(), self.argument::<POSITION>() as u32)
    }

    /// The `struct socket` of a descriptor among the arguments; null if it is none.
    #[inline(always)]
    pub fn socket<const POSITION: usize>(&self) -> Structure<Probed> {
        const TYPE_SOCKET: u32 = 0o140_000;
        let file = self.file::<POSITION>();
        let is_socket = crate::file::File::open(file).mode() & crate::file::TYPE_MASK == TYPE_SOCKET;
        let private = Structure::<Probed>::new(file).pointer(offset!(file.private_data));
        Structure::new(if is_socket { private } else { core::ptr::null() })
    }
}

/// 1 if the current thread is in a 32-bit system call, else 0.
#[cfg(bpf_target_arch = "x86_64")]
#[inline(always)]
fn compat() -> u32 {
    /// `TS_COMPAT` of arch/x86/include/asm/thread_info.h is bit 1.
    const COMPAT_BIT: u32 = 1;
    (current().field::<u32>(offset!(task.thread_status)) >> COMPAT_BIT) & 1
}

/// 1 if the current thread is a 32-bit one, else 0.
#[cfg(bpf_target_arch = "aarch64")]
#[inline(always)]
fn compat() -> u32 {
    /// `TIF_32BIT` of arch/arm64/include/asm/thread_info.h.
    const THREAD_32_BIT: u32 = 22;
    (current().field::<u64>(offset!(task.thread_flags)) >> THREAD_32_BIT) as u32 & 1
}

/// Where `struct pt_regs` holds the arguments of system calls (arch/x86/include/asm/ptrace.h, entry_64.S, and
/// entry_64_compat.S).
#[cfg(bpf_target_arch = "x86_64")]
mod registers {
    /// `orig_ax`
    pub const NUMBER: u32 = 120;
    /// `di`, `si`, `dx`, `r10`, `r8`, `r9`
    pub const ARGUMENTS: [u32; 6] = [112, 104, 96, 56, 72, 64];
    /// `bx`, `cx`, `dx`, `si`, `di`, `bp`
    pub const COMPAT_ARGUMENTS: [u32; 6] = [40, 88, 96, 104, 112, 32];
}

/// Where `struct pt_regs` holds the arguments of system calls (arch/arm64/include/asm/ptrace.h): the first one's own
/// register holds the result by now.
#[cfg(bpf_target_arch = "aarch64")]
mod registers {
    /// `regs[8]`
    pub const NUMBER: u32 = 64;
    /// `orig_x0`, then `regs[1]` to `regs[5]`
    pub const ARGUMENTS: [u32; 6] = [272, 8, 16, 24, 32, 40];
    /// The same; 32-bit calls have no programs on this architecture.
    pub const COMPAT_ARGUMENTS: [u32; 6] = ARGUMENTS;
}

/// Makes the programs of system calls from their bodies.
macro_rules! system_calls {
    ($($(#[$doc:meta])* $program:ident => $body:path;)*) => {$(
        $(#[$doc])*
        #[aya_ebpf::macros::btf_tracepoint(function = "sys_exit")]
        pub fn $program(context: aya_ebpf::programs::BtfTracePointContext) -> i32 {
            $body(&$crate::system_call::SystemCall::of(&context));
            0
        }
    )*};
}
pub(crate) use system_calls;
