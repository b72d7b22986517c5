//! Parts of the kernel that escapes and exploits start from, a call or two each.

use super::Outcome;
use super::system::{c_string, check, number, owned};
use std::ffi::OsString;
use std::io;
use std::os::fd::AsRawFd as _;

/// Loads a BPF program of two instructions: r0 = 0; exit.
pub fn bpf_load(operands: &[OsString]) -> Outcome {
    let program_type: u32 = match operands[0].to_str() {
        Some("socket_filter") => 1,
        Some("kprobe") => 2,
        Some("xdp") => 6,
        _ => number(&operands[0])?,
    };
    let instructions: [u64; 2] = [0x0000_0000_0000_00b7, 0x0000_0000_0000_0095];
    let license = c"GPL";
    let mut attributes = [0_u64; 16];
    attributes[0] = u64::from(program_type) | 2 << 32;
    attributes[1] = instructions.as_ptr() as u64;
    attributes[2] = license.as_ptr() as u64;
    attributes[6] = u64::from_ne_bytes(*b"atk_prog");
    // Kernels before 5.11 count programs as locked memory; newer ones do not care if it fails.
    let all = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the limit outlives the call.
    unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const all) };
    // SAFETY: the attributes, and what they point to, outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, 5, attributes.as_ptr(), 128) };
    owned(result as libc::c_int)?;
    println!("loaded");
    Ok(0)
}

/// Opens a software performance event: of what this process does in user space, or of all tasks of a processor.
pub fn perf(operands: &[OsString]) -> Outcome {
    let (pid, cpu) = if operands[0] == "cpu0" { (-1, 0) } else { (0, -1) };
    let mut attributes = [0_u64; 16];
    attributes[0] = 1 | 128 << 32; // PERF_TYPE_SOFTWARE, size; the config is PERF_COUNT_SW_CPU_CLOCK
    if pid == 0 {
        attributes[5] = 1 << 5; // exclude_kernel
    }
    // SAFETY: the attributes outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_perf_event_open, attributes.as_ptr(), pid, cpu, -1, 0) };
    owned(result as libc::c_int)?;
    println!("opened");
    Ok(0)
}

/// Makes keys of its own, and describes and reads them and their neighbours by serial number, as who looks for keys does.
pub fn scan_keys(operands: &[OsString]) -> Outcome {
    /// `KEYCTL_DESCRIBE` and `KEYCTL_READ` of include/uapi/linux/keyctl.h, and the process's own keyring.
    const DESCRIBE: libc::c_int = 6;
    const READ: libc::c_int = 11;
    const PROCESS_KEYRING: libc::c_int = -2;
    let count: u32 = number(&operands[0])?;
    let mut seen = 0;
    for index in 0..count {
        let name = c_string(&OsString::from(format!("key{index}")))?;
        let mut text = [0_u8; 256];
        // SAFETY: names and payload outlive the calls, and the buffer has the length that is given.
        unsafe {
            let key = libc::syscall(
                libc::SYS_add_key,
                c"user".as_ptr(),
                name.as_ptr(),
                c"secret".as_ptr(),
                6,
                PROCESS_KEYRING,
            );
            for call in [DESCRIBE, READ] {
                seen += i32::from(libc::syscall(libc::SYS_keyctl, call, key, text.as_mut_ptr(), 256, 0) > 0);
            }
        }
    }
    println!("looked {seen}");
    Ok(0)
}

/// Creates a userfaultfd of the kind that needs no privilege.
pub fn userfaultfd(_: &[OsString]) -> Outcome {
    const USER_MODE_ONLY: libc::c_int = 1;
    // SAFETY: the call takes no memory arguments.
    let create =
        |flags: libc::c_int| owned(unsafe { libc::syscall(libc::SYS_userfaultfd, flags) } as libc::c_int);
    // Before 5.11 there is no such kind, and none needs privilege.
    create(USER_MODE_ONLY).or_else(|_| create(0))?;
    println!("created");
    Ok(0)
}

/// Opens a socket of the kernel's cryptography.
pub fn afalg(_: &[OsString]) -> Outcome {
    // SAFETY: the call takes no memory arguments.
    owned(unsafe { libc::socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0) })?;
    println!("opened");
    Ok(0)
}

/// Binds a socket of the kernel's cryptography to an algorithm; what the kernel says to it does not matter.
pub fn afalg_bind(operands: &[OsString]) -> Outcome {
    // `struct sockaddr_alg`: family, type (14), feature, mask, name (64).
    let mut address = [0_u8; 88];
    address[..2].copy_from_slice(&(libc::AF_ALG as u16).to_ne_bytes());
    for (operand, place) in operands.iter().zip([2..15, 24..87]) {
        let bytes = operand.as_encoded_bytes();
        let length = bytes.len().min(place.len());
        address[place][..length].copy_from_slice(&bytes[..length]);
    }
    // SAFETY: the call takes no memory arguments.
    let socket = owned(unsafe { libc::socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0) })?;
    // SAFETY: the address outlives the call and its length is given.
    let result = unsafe { libc::bind(socket.as_raw_fd(), address.as_ptr().cast(), address.len() as u32) };
    println!("bound: {result}");
    Ok(0)
}

/// Asks for a restart or halt, in a pid namespace of its own only: there it ends that one.
pub fn reboot(operands: &[OsString]) -> Outcome {
    // `PROC_PID_INIT_INO` of include/linux/proc_ns.h
    const HOST: &str = "pid:[4026531836]";
    if std::fs::read_link("/proc/self/ns/pid")?.as_os_str() == HOST {
        return Err(io::Error::other("this is the host's pid namespace: the machine would go down"));
    }
    let command = match operands[0].to_str() {
        Some("RESTART") => libc::LINUX_REBOOT_CMD_RESTART,
        Some("HALT") => libc::LINUX_REBOOT_CMD_HALT,
        _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "RESTART or HALT")),
    };
    // SAFETY: the command takes no memory arguments.
    check(unsafe { libc::reboot(command) }.into())?;
    Ok(0)
}

/// Loads a module from memory.
pub fn init_module(operands: &[OsString]) -> Outcome {
    let module = std::fs::read(&operands[0])?;
    // SAFETY: the module and the empty parameters outlive the call.
    check(unsafe { libc::syscall(libc::SYS_init_module, module.as_ptr(), module.len(), c"".as_ptr()) })?;
    println!("loaded");
    Ok(0)
}

/// Loads a module from a file.
pub fn finit_module(operands: &[OsString]) -> Outcome {
    let file = std::fs::File::open(&operands[0])?;
    // SAFETY: the empty parameters outlive the call.
    check(unsafe { libc::syscall(libc::SYS_finit_module, file.as_raw_fd(), c"".as_ptr(), 0) })?;
    println!("loaded");
    Ok(0)
}

/// Unloads a module.
pub fn delete_module(operands: &[OsString]) -> Outcome {
    let name = c_string(&operands[0])?;
    // SAFETY: the name is a C string.
    check(unsafe { libc::syscall(libc::SYS_delete_module, name.as_ptr(), 0) })?;
    Ok(0)
}

/// Opens a folder by a forged handle of inode INODE, on the file system of FILE.
pub fn handle(operands: &[OsString]) -> Outcome {
    #[repr(C)]
    struct Handle {
        length: u32,
        kind: i32,
        bytes: [u32; 32],
    }
    let path = c_string(&operands[0])?;
    let inode: u32 = number(&operands[1])?;
    // SAFETY: the path is a C string.
    let mount = owned(unsafe { libc::open(path.as_ptr(), libc::O_RDONLY) })?;
    // 1: inode and generation; a generation of 0 matches any on ext4 and tmpfs takes its own kind.
    let mut handle = Handle { length: 8, kind: 1, bytes: [0; 32] };
    handle.bytes[0] = inode;
    // SAFETY: the handle outlives the call.
    let result = unsafe {
        libc::syscall(libc::SYS_open_by_handle_at, mount.as_raw_fd(), &raw mut handle, libc::O_RDONLY)
    };
    match owned(result as libc::c_int) {
        Ok(_) => println!("opened"),
        Err(error) => println!("refused: {error}"),
    }
    Ok(0)
}

/// Opens a file by io_uring, without a system call of open.
pub fn uring_open(operands: &[OsString]) -> Outcome {
    const OPENAT: u64 = 18;
    const OFFSET_ENTRIES: libc::off_t = 0x1000_0000;
    const GET_EVENTS: libc::c_uint = 1;
    let path = c_string(&operands[0])?;
    let mut parameters = [0_u32; 30];
    // SAFETY: the parameters are as long as the kernel's structure.
    let result = unsafe { libc::syscall(libc::SYS_io_uring_setup, 4, parameters.as_mut_ptr()) };
    let ring = owned(result as libc::c_int)?;
    let map = |length: usize, offset| {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        // SAFETY: a new mapping of the ring.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), length, access, flags, ring.as_raw_fd(), offset) };
        if at == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(at.cast::<u8>()) }
    };
    // `struct io_uring_params`: sq_off begins at word 10 (head, tail, mask, entries, flags, dropped, array), cq_off at 20.
    let (tail, array) = (parameters[11] as usize, parameters[16] as usize);
    let (entries, results) = (parameters[0] as usize, parameters[25] as usize);
    let submissions = map(array + entries * 4, 0)?;
    let queue = map(entries * 64, OFFSET_ENTRIES)?.cast::<u64>();
    let completions = map(results + parameters[1] as usize * 16, 0x800_0000)?;
    // SAFETY: all places lie within the mappings; nobody else uses the ring before it is entered.
    unsafe {
        queue.write(OPENAT | (libc::AT_FDCWD as u32 as u64) << 32);
        queue.add(2).write(path.as_ptr() as u64);
        submissions.add(array).cast::<u32>().write(0);
        submissions.add(tail).cast::<u32>().write_volatile(1);
        check(libc::syscall(libc::SYS_io_uring_enter, ring.as_raw_fd(), 1, 1, GET_EVENTS, 0, 0))?;
        let result = completions.add(results + 8).cast::<i32>().read_volatile();
        if result < 0 {
            return Err(io::Error::from_raw_os_error(-result));
        }
    }
    println!("opened");
    Ok(0)
}

/// Moves the wall clock by SECONDS at once, without setting it to a time; with `slew` little by little.
pub fn adjust_clock(operands: &[OsString]) -> Outcome {
    let seconds: f64 = number(&operands[0])?;
    // SAFETY: zeros are a valid `struct timex`.
    let mut change: libc::timex = unsafe { std::mem::zeroed() };
    if operands.get(1).is_some_and(|word| word == "slew") {
        change.modes = libc::ADJ_OFFSET_SINGLESHOT;
        change.offset = (seconds * 1e6) as libc::c_long;
    } else {
        // The kernel wants microseconds that are not negative.
        change.modes = libc::ADJ_SETOFFSET;
        change.time.tv_sec = seconds.floor() as _;
        change.time.tv_usec = ((seconds - seconds.floor()) * 1e6) as _;
    }
    // SAFETY: the structure outlives the call.
    check(unsafe { libc::adjtimex(&raw mut change) }.into())?;
    println!("adjusted");
    Ok(0)
}
