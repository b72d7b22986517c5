//! Clamps that let the verifier prove what the code already knows. Each says which proof it serves.

use core::arch::asm;

/// Hides a value from LLVM, which would otherwise prove a clamp redundant and remove it; the verifier, which does not
/// know what LLVM knows, then rejects the access.
#[inline(always)]
pub fn opaque(value: u64) -> u64 {
    let mut value = value;
    // SAFETY: moves a register to itself. An empty block would leave two line records on one instruction, which the
    // verifier refuses.
    unsafe { asm!("{0} = {0}", inout(reg) value) };
    value
}

/// `value` masked to `MASK` (a power of two less one): for offsets into scratch space, whose size is `MASK` plus the
/// longest single read. The verifier learns the range from the mask on every kernel, while it loses the range of a
/// compared value when LLVM compares one register and uses another.
#[inline(always)]
pub fn masked<const MASK: u64>(value: u64) -> u64 {
    opaque(value) & MASK
}

/// `value` clamped to `0..=MAX` for the length of a helper's copy.
#[inline(always)]
pub fn at_most<const MAX: u64>(value: u64) -> u64 {
    let value = opaque(value);
    if value > MAX { MAX } else { value }
}
