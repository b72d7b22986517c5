//! Time and memory of processes, as the kernel counts them.

use anyhow::{Context as _, Result};
use std::mem::MaybeUninit;
use std::time::Duration;

/// User and system time of this process's children that have ended, and theirs.
pub fn children_time() -> Duration {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: getrusage fills the whole structure that it is given.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr());
        usage.assume_init()
    };
    let time = |value: libc::timeval| Duration::new(value.tv_sec as u64, value.tv_usec as u32 * 1000);
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// Time on a processor of all threads that a process has now, from schedstat (nanoseconds).
pub fn thread_time(process: u32) -> Result<Duration> {
    let mut sum = 0;
    for thread in std::fs::read_dir(format!("/proc/{process}/task")).context("the process ended")? {
        // A thread may end between both looks.
        let Ok(text) = std::fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        sum += text.split_whitespace().next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(sum))
}

/// Waits until a process hardly works any more: the sensor has read what a storm left in the rings.
pub fn wait_until_idle(process: u32) -> Result<()> {
    for _ in 0..100 {
        let before = thread_time(process)?;
        std::thread::sleep(Duration::from_millis(200));
        if thread_time(process)?.saturating_sub(before) < Duration::from_millis(10) {
            return Ok(());
        }
    }
    Ok(())
}

/// A line of /proc/PID/status in MiB: `VmRSS` for what a process holds now, `VmHWM` for the most it ever held.
pub fn memory(process: u32, line: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let value = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let value = value.with_context(|| format!("no {line}"))?;
    let kibibytes: f64 = value.trim().trim_end_matches(" kB").parse().with_context(|| line.to_owned())?;
    Ok(kibibytes / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_time_and_memory() {
        // The kernel adds a running thread's time at its next tick only; a young one may still stand at zero.
        let end = std::time::Instant::now() + Duration::from_secs(10);
        while thread_time(std::process::id()).unwrap().is_zero() {
            assert!(std::time::Instant::now() < end);
            std::thread::yield_now();
        }
        assert!(memory(std::process::id(), "VmHWM").unwrap() > 0.1);
    }
}
