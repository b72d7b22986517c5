//! Kernel time (CLOCK_BOOTTIME) to the wall clock.

use std::time::Duration;

use jiff::Timestamp;

/// Changes of the wall clock that are remembered.
const CHANGES: usize = 8;
/// Nanoseconds between two measurements of the distance that are a change and no inaccuracy.
const CHANGE: u128 = 500_000_000;

/// Converts nanoseconds of CLOCK_BOOTTIME to UTC.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Wall clock less boot clock in nanoseconds, as last measured.
    offset: i128,
    /// Boot times of changes, the earlier ones first, each with the distance before it: events that happened before a change
    /// are read after it.
    changes: Vec<(u64, i128)>,
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
        Self::fixed(measure())
    }

    /// A clock with a fixed distance, for tests and recorded events.
    pub fn fixed(offset: i128) -> Self {
        Self { offset, first_offset: offset, changes: Vec::new() }
    }

    /// Measures again; the wall clock may have been set since.
    pub fn refresh(&mut self) {
        self.measured(boot_nanoseconds(), measure());
    }

    fn measured(&mut self, boot_nanoseconds: u64, offset: i128) {
        if offset.abs_diff(self.offset) > CHANGE {
            self.remember(self.changes.len(), boot_nanoseconds, self.offset);
        }
        self.offset = offset;
    }

    fn remember(&mut self, index: usize, boot_nanoseconds: u64, before: i128) {
        self.changes.insert(index, (boot_nanoseconds, before));
        if self.changes.len() > CHANGES {
            self.changes.remove(0);
        }
    }

    /// The distance at a kernel time.
    fn offset_at(&self, boot_nanoseconds: u64) -> i128 {
        let after = self.changes.iter().find(|(changed, _)| boot_nanoseconds < *changed);
        after.map_or(self.offset, |(_, before)| *before)
    }

    /// Time of an event as RFC 3339, UTC, with nanoseconds.
    pub fn event_time(&self, boot_nanoseconds: u64) -> String {
        rfc3339(self.offset + i128::from(boot_nanoseconds))
    }

    /// Somebody set the wall clock to so many seconds since 1970 at a kernel time, which may lie before the last
    /// [`Clock::refresh`]. The next one measures again.
    pub fn set(&mut self, boot_nanoseconds: u64, epoch_seconds: u64) {
        let offset = i128::from(epoch_seconds) * 1_000_000_000 - i128::from(boot_nanoseconds);
        let old = self.offset_at(boot_nanoseconds);
        let later = self.changes.iter().position(|(changed, _)| boot_nanoseconds < *changed);
        match later.and_then(|index| self.changes.get_mut(index)) {
            Some((_, before)) => *before = offset,
            None => self.offset = offset,
        }
        self.remember(later.unwrap_or(self.changes.len()), boot_nanoseconds, old);
    }

    /// Start of a process, with the distance measured first.
    pub fn start_time(&self, boot_nanoseconds: u64) -> String {
        rfc3339(self.first_offset + i128::from(boot_nanoseconds))
    }

    /// Kernel time of a wall clock time in nanoseconds since the epoch; 0 if that was before the boot.
    pub fn boot_time(&self, epoch_nanoseconds: i128) -> u64 {
        u64::try_from(epoch_nanoseconds - self.offset).unwrap_or(0)
    }

    /// Seconds since the epoch of a kernel time.
    pub fn epoch_seconds(&self, boot_nanoseconds: u64) -> i64 {
        let offset = self.offset_at(boot_nanoseconds);
        i64::try_from((offset + i128::from(boot_nanoseconds)) / 1_000_000_000).unwrap_or(0)
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

/// A record has a dozen times, so this is written out: digits only, years 1970 to 9999.
fn rfc3339(nanoseconds: i128) -> String {
    const SECOND: i128 = 1_000_000_000;
    const LAST: i128 = 253_402_300_800 * SECOND - 1;
    let nanoseconds = nanoseconds.clamp(0, LAST);
    let (seconds, fraction) = ((nanoseconds / SECOND) as u64, (nanoseconds % SECOND) as u64);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let mut text = *b"0000-00-00T00:00:00.000000000Z";
    for (at, digits, value) in [
        (0, 4, year),
        (5, 2, month),
        (8, 2, day),
        (11, 2, second / 3600),
        (14, 2, second / 60 % 60),
        (17, 2, second % 60),
        (20, 9, fraction),
    ] {
        let mut left = value;
        for byte in text[at..at + digits].iter_mut().rev() {
            *byte = b'0' + (left % 10) as u8;
            left /= 10;
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Year, month and day of so many days after 1970-01-01, in the Gregorian calendar. Years begin in March here, so that
/// the leap day is the last one.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_nine_digits_and_are_utc() {
        let clock = Clock::fixed(1_700_000_000_000_000_000);
        assert_eq!(clock.event_time(5), "2023-11-14T22:13:20.000000005Z");
        assert_eq!(clock.epoch_seconds(2_000_000_000), 1_700_000_002);
        assert_eq!(clock.boot_time(1_700_000_000_000_000_005), 5);
        assert_eq!(clock.boot_time(5), 0);
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        let day = 86_400_000_000_000_i128;
        // Every day of 1970 to 2109, and around the end of what has four digits.
        for number in (0..51_000).chain(2_932_000..2_932_895) {
            let nanoseconds = number * day + number * 1_000_003;
            let expected = Timestamp::from_nanosecond(nanoseconds).map(|time| format!("{time:.9}"));
            assert_eq!(rfc3339(nanoseconds), expected.expect("within bounds"));
        }
        assert_eq!(rfc3339(-1), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(rfc3339(i128::MAX), "9999-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn a_measured_clock_gives_now() {
        let clock = Clock::new();
        let difference = clock.epoch_seconds(boot_nanoseconds()) - Timestamp::now().as_second();
        assert!(difference.abs() <= 1);
    }

    #[test]
    fn a_change_is_measured_against_the_time_before_also_when_it_is_read_late() {
        const SECOND: u64 = 1_000_000_000;
        const HOUR: i64 = 3600;
        let distance = |seconds: i64| i128::from(seconds) * i128::from(SECOND);
        // Set at 10 s, and read after a measurement.
        let mut clock = Clock::fixed(distance(1000));
        clock.measured(15 * SECOND, distance(1000 + HOUR));
        assert_eq!(clock.epoch_seconds(10 * SECOND), 1010);
        // Set at 10 s and back at 20 s; both are read at the end, with measurements at 5, 15 and 25 s.
        let mut clock = Clock::fixed(distance(1000));
        clock.measured(5 * SECOND, distance(1000) + 7);
        clock.measured(15 * SECOND, distance(1000 + HOUR));
        clock.measured(25 * SECOND, distance(1000));
        assert_eq!(clock.epoch_seconds(10 * SECOND), 1010);
        clock.set(10 * SECOND, 1010 + 3600);
        assert_eq!(clock.epoch_seconds(20 * SECOND), 1020 + HOUR);
        clock.set(20 * SECOND, 1020);
        assert_eq!(clock.epoch_seconds(30 * SECOND), 1030);
        assert_eq!(clock.epoch_seconds(12 * SECOND), 1012 + HOUR);
        assert_eq!(clock.epoch_seconds(9 * SECOND), 1009);
        // What is remembered is bounded.
        for second in 100..1000 {
            clock.set(second * SECOND, second);
        }
        assert!(clock.changes.len() <= CHANGES);
        assert_eq!(clock.epoch_seconds(2000 * SECOND), 2000);
    }
}
