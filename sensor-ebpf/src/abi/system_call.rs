//! How the programs of system calls are found.

/// Index of the program of the 32-bit system call 0; those of native calls stand before, by their number. Kernels have
/// fewer than 500 system calls.
pub const SYSTEM_CALL_COMPAT: u32 = 512;
