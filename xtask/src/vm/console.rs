//! Reading a guest's console: tells when its kernel is beyond hope, so that nobody waits for the time limit.

use std::sync::LazyLock;

use regex::Regex;

/// A message of the kernel (they start with the time) that says it cannot go on or has lost its sanity.
/// What programs in the guest print does not count, because it does not bear the kernel's time.
static HANG: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ((?:Kernel panic|watchdog: BUG: soft lockup|watchdog: Watchdog detected hard LOCKUP|BUG: |Oops: |Unable to handle kernel|general protection fault|double fault|stack segment|INFO: task .* blocked for more than).*)",
    )
    .ok()
});

/// The kernel's own words when `line` is one of its last.
pub fn hang_marker(line: &str) -> Option<String> {
    let found = HANG.as_ref()?.captures(line)?;
    Some(found.get(1)?.as_str().trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_kernels_last_words() {
        for (line, words) in [
            ("[    1.234567] Kernel panic - not syncing: No init\r", "Kernel panic - not syncing: No init"),
            (
                "[   80.1] watchdog: BUG: soft lockup - CPU#1 stuck",
                "watchdog: BUG: soft lockup - CPU#1 stuck",
            ),
            (
                "text[   12.345678] BUG: kernel NULL pointer dereference",
                "BUG: kernel NULL pointer dereference",
            ),
            ("[   12.345678][  T123] Oops: 0000 [#1]", "Oops: 0000 [#1]"),
        ] {
            assert_eq!(hang_marker(line).as_deref(), Some(words));
        }
    }

    #[test]
    fn takes_no_notice_of_programs_and_harmless_messages() {
        for line in
            ["BUG: in a test", "Kernel panic", "[    1.2] BUGS are not here", "[    3.4] eth0: link up", ""]
        {
            assert_eq!(hang_marker(line), None, "{line}");
        }
    }
}
