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

/// 1 if the values differ, else 0, without a branch: each branch doubles the paths that the verifier walks, and kernels
/// before 6.3 do not join them again.
#[inline(always)]
pub fn differs(one: u64, other: u64) -> u64 {
    let difference = opaque(one ^ other);
    let negative = opaque(difference.wrapping_neg());
    (difference | negative) >> 63
}

/// `value` clamped to `0..=MAX` for the length of a helper's copy.
#[inline(always)]
pub fn at_most<const MAX: u64>(value: u64) -> u64 {
    let value = opaque(value);
    if value > MAX { MAX } else { value }
}
