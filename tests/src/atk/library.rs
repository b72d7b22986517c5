//! What language runtimes do with native libraries: unpack one and map it executable, without executing it.

use super::Outcome;
use super::system::check;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

/// Copies LIBRARY to TARGET, maps it readable and executable, and prints its first bytes' format.
pub fn unpack_and_map(operands: &[OsString]) -> Outcome {
    std::fs::copy(&operands[0], &operands[1])?;
    map_executable(&File::open(&operands[1])?, libc::MAP_PRIVATE)
}

/// Maps a file readable and executable, and prints its first bytes' format.
pub fn map_executable(file: &File, sharing: libc::c_int) -> Outcome {
    let length = file.metadata()?.len() as usize;
    // SAFETY: a new mapping at an address that the kernel chooses; nothing else is touched.
    let address = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            length,
            libc::PROT_READ | libc::PROT_EXEC,
            sharing,
            file.as_raw_fd(),
            0,
        )
    };
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping is `length` bytes long and the file keeps its size while this process runs.
    let start = unsafe { std::slice::from_raw_parts(address.cast::<u8>(), length.min(4)) };
    let format = if start == b"\x7fELF" { "mapped an ELF library\n" } else { "mapped data\n" };
    io::Write::write_all(&mut io::stdout(), format.as_bytes())?;
    // SAFETY: the mapping made above, not used any more.
    check(unsafe { libc::munmap(address, length) }.into())?;
    Ok(0)
}
