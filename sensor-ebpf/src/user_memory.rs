//! Arguments and environment of a new program, read from its fresh stack.

use aya_ebpf::helpers::generated::{bpf_probe_read_user, bpf_probe_read_user_str};
use sensor_ebpf::abi::{ARGS_HEAD_MAX, ARGS_TAIL_MAX, ENVIRONMENT_MAX};

use crate::bounds::{at_most, opaque};
use crate::emit::{ExecScratch, READ_MAX};

/// Variables looked at in one call of [`search_variables`].
const STEPS: u32 = 32;
/// Calls: 2,048 variables, or as many pieces of [`ENVIRONMENT_MAX`] bytes.
const CALLS: u32 = 64;

/// State of the search for environment variables.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Search {
    /// User address of the next variable.
    next: u64,
    /// End of the environment.
    end: u64,
    /// Where in the scratch data the next kept variable goes.
    position: u32,
    /// Where the first one went.
    start: u32,
    /// 1 once all was searched, 2 if it ended early.
    done: u32,
    /// Reserved.
    reserved: u32,
}

/// Copies `start..end` of user memory to `position`: the head, and the tail if it is longer. Gives the bytes of both,
/// and whether a read failed.
#[inline(always)]
pub fn copy_args(scratch: &mut ExecScratch, position: u64, start: u64, end: u64) -> (u32, u32, bool) {
    let length = end.wrapping_sub(start);
    if end <= start {
        return (0, 0, false);
    }
    let head = at_most::<{ ARGS_HEAD_MAX as u64 }>(length);
    if !copy::<ARGS_HEAD_MAX>(scratch, position, start, head) {
        return (0, 0, true);
    }
    if length <= ARGS_HEAD_MAX as u64 {
        return (head as u32, 0, false);
    }
    let tail = at_most::<{ ARGS_TAIL_MAX as u64 }>(length - ARGS_HEAD_MAX as u64);
    if !copy::<ARGS_TAIL_MAX>(scratch, position + head, end.wrapping_sub(tail), tail) {
        return (head as u32, 0, true);
    }
    (head as u32, tail as u32, false)
}

/// Clamps once more, on the very register that the helper takes: the one clamped before may be another. Where the work
/// space has room for it by a mask, which the verifier of every kernel understands.
#[inline(always)]
fn again_at_most<const MAX: usize>(length: u64) -> u64 {
    let length = opaque(length);
    if 2 * MAX <= READ_MAX {
        return length & (2 * MAX as u64 - 1);
    }
    if length > MAX as u64 { MAX as u64 } else { length }
}

#[inline(always)]
fn copy<const MAX: usize>(scratch: &mut ExecScratch, position: u64, address: u64, length: u64) -> bool {
    let length = again_at_most::<MAX>(length);
    let target = scratch.at(position);
    // SAFETY: the scratch space has room for the longest read at any position; the helper checks the user address.
    unsafe { bpf_probe_read_user(target.cast(), length as u32, address as *const _) == 0 }
}

/// Keeps the variables that begin like those that steer loaders, interpreters and shells; the others, which may hold
/// secrets, never leave the kernel. Gives the bytes kept and whether the search ended early.
#[inline(always)]
pub fn copy_environment(scratch: &mut ExecScratch, position: u64, start: u64, end: u64) -> (u32, bool) {
    let search =
        Search { next: start, end, position: position as u32, start: position as u32, done: 0, reserved: 0 };
    // SAFETY: a plain write to the map; volatile, so that the callee, which has a pointer of its own, sees it.
    unsafe { core::ptr::write_volatile(&raw mut scratch.search, search) };
    let mut calls = 0;
    while calls < CALLS {
        if search_variables(STEPS) != 0 {
            break;
        }
        calls += 1;
    }
    // SAFETY: a plain read of what the callee wrote.
    let search = unsafe { core::ptr::read_volatile(&raw const scratch.search) };
    (search.position.wrapping_sub(search.start), search.done != 1)
}

/// Looks at up to `steps` variables; not zero once the search has ended.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn search_variables(steps: u32) -> u32 {
    let Some(scratch) = ExecScratch::mine() else { return 1 };
    let mut step = 0;
    while step < STEPS {
        if step >= steps || !search_variable(scratch) {
            return 1;
        }
        step += 1;
    }
    0
}

/// One variable; false once the search has ended.
#[inline(always)]
fn search_variable(scratch: &mut ExecScratch) -> bool {
    let search = &mut scratch.search;
    let (next, position) = (search.next, search.position);
    if next >= search.end {
        search.done = 1;
        return false;
    }
    if position.wrapping_sub(search.start) >= ENVIRONMENT_MAX as u32 {
        search.done = 2;
        return false;
    }
    let target = scratch.at(u64::from(position));
    // SAFETY: the scratch space has room for the longest read at any position; the helper checks the user address.
    let read = unsafe { bpf_probe_read_user_str(target.cast(), ENVIRONMENT_MAX as u32, next as *const _) };
    let search = &mut scratch.search;
    if read <= 0 {
        search.done = 2;
        return false;
    }
    let read = read as u32 & (2 * ENVIRONMENT_MAX as u32 - 1);
    search.next = next + u64::from(read);
    // SAFETY: at least one byte was written there, and eight lie within the scratch space.
    let first = unsafe { core::ptr::read_unaligned(target.cast::<u64>()) };
    if read > 4 && wanted(first) {
        search.position = position + read;
    }
    true
}

/// Whether a variable begins as one that user space asks for. The first eight bytes are what is cheap to compare for the
/// verifier; decode drops what is not one of the exact names. Bytes behind the end of a shorter variable do no harm: its
/// NUL is among the eight, and no name has one.
#[inline(always)]
fn wanted(first: u64) -> bool {
    const ENV: u64 = u32::from_le_bytes(*b"ENV=") as u64;
    const NAMES: [&[u8; 8]; 28] = [
        b"LD_PRELO",
        b"LD_AUDIT",
        b"LD_LIBRA",
        b"LD_TRACE",
        b"LD_DEBUG",
        b"LD_BIND_",
        b"LD_PROFI",
        b"LD_ORIGI",
        b"LD_DYNAM",
        b"LD_HWCAP",
        b"GCONV_PA",
        b"GLIBC_TU",
        b"PYTHONPA",
        b"PYTHONST",
        b"PYTHONHO",
        b"PYTHONIN",
        b"NODE_OPT",
        b"NODE_PAT",
        b"PERL5LIB",
        b"PERL5OPT",
        b"RUBYLIB=",
        b"RUBYOPT=",
        b"BASH_ENV",
        b"HISTFILE",
        b"HISTSIZE",
        b"HISTCONT",
        b"HISTIGNO",
        b"DOTNET_S",
    ];
    if first & 0xffff_ffff == ENV {
        return true;
    }
    let mut index = 0;
    while index < NAMES.len() {
        if first == u64::from_le_bytes(*NAMES[index]) {
            return true;
        }
        index += 1;
    }
    false
}
