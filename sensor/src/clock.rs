//! Kernel time (CLOCK_BOOTTIME) to the wall clock.

use std::time::Duration;

use jiff::Timestamp;

/// Converts nanoseconds of CLOCK_BOOTTIME to UTC.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Wall clock less boot clock in nanoseconds, as last measured.
    offset: i128,
    /// The same as first measured: start times of processes are identities and must not move with a clock step.
    first_offset: i128,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// Measures the distance of both clocks now.
    pub fn new() -> Self {
        let offset = measure();
        Self { offset, first_offset: offset }
    }

    /// A clock with a fixed distance, for tests and recorded events.
    pub fn fixed(offset: i128) -> Self {
        Self { offset, first_offset: offset }
    }

    /// Measures again; the wall clock may have been set since.
    pub fn refresh(&mut self) {
        self.offset = measure();
    }

    /// Time of an event as RFC 3339, UTC, with nanoseconds.
    pub fn event_time(&self, boot_nanoseconds: u64) -> String {
        rfc3339(self.offset + i128::from(boot_nanoseconds))
    }

    /// Start of a process, with the distance measured first.
    pub fn start_time(&self, boot_nanoseconds: u64) -> String {
        rfc3339(self.first_offset + i128::from(boot_nanoseconds))
    }

    /// Seconds since the epoch of a kernel time.
    pub fn epoch_seconds(&self, boot_nanoseconds: u64) -> i64 {
        i64::try_from((self.offset + i128::from(boot_nanoseconds)) / 1_000_000_000).unwrap_or(0)
    }
}

/// Nanoseconds of CLOCK_BOOTTIME now.
pub fn boot_nanoseconds() -> u64 {
    read(libc::CLOCK_BOOTTIME).as_nanos() as u64
}

fn measure() -> i128 {
    let wall = Timestamp::now().as_nanosecond();
    wall - i128::from(boot_nanoseconds())
}

fn read(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is ours and lives through the call; both clocks exist on every supported kernel.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn rfc3339(nanoseconds: i128) -> String {
    let time = Timestamp::from_nanosecond(nanoseconds).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{time:.9}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_nine_digits_and_are_utc() {
        let clock = Clock::fixed(1_700_000_000_000_000_000);
        assert_eq!(clock.event_time(5), "2023-11-14T22:13:20.000000005Z");
        assert_eq!(clock.epoch_seconds(2_000_000_000), 1_700_000_002);
    }

    #[test]
    fn a_measured_clock_gives_now() {
        let clock = Clock::new();
        let difference = clock.epoch_seconds(boot_nanoseconds()) - Timestamp::now().as_second();
        assert!(difference.abs() <= 1);
    }
}
