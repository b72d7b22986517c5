//! What this process may do, read from /proc/self/status.

use std::fs;

use crate::capability;

/// Capabilities the sensor needs, and what each is for. CAP_SYS_ADMIN stands in for the first two.
pub const NEEDED: [(&str, &str); 4] = [
    ("CAP_BPF", "load the BPF object"),
    ("CAP_PERFMON", "attach it to tracepoints and read kernel memory in it"),
    ("CAP_SYS_PTRACE", "read /proc of all processes"),
    ("CAP_DAC_READ_SEARCH", "read container specs"),
];

/// Capabilities that are missing.
#[derive(Debug, thiserror::Error)]
#[error(
    "the sensor needs {}; run it as root, or give its container these capabilities",
    .0.iter().map(|(name, what)| format!("{name} (to {what})")).collect::<Vec<_>>().join(", ")
)]
pub struct MissingPrivileges(pub Vec<(&'static str, &'static str)>);

/// Checks what is needed to load and attach.
///
/// # Errors
/// If a capability is missing without which nothing works.
pub fn check() -> Result<(), MissingPrivileges> {
    let missing = missing(effective());
    let fatal: Vec<_> =
        missing.into_iter().filter(|(name, _)| matches!(*name, "CAP_BPF" | "CAP_PERFMON")).collect();
    if fatal.is_empty() { Ok(()) } else { Err(MissingPrivileges(fatal)) }
}

/// This process's effective capabilities.
pub fn effective() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0)
}

/// Needed capabilities that a set lacks.
pub fn missing(set: u64) -> Vec<(&'static str, &'static str)> {
    let has = |name: &str| capability::bit(name).is_some_and(|bit| set >> bit & 1 != 0);
    let stand_in = has("CAP_SYS_ADMIN");
    let lacks = |name: &&'static str| !(has(name) || stand_in && matches!(*name, "CAP_BPF" | "CAP_PERFMON"));
    NEEDED.into_iter().filter(|(name, _)| lacks(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let names = |set| missing(set).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(u64::MAX), Vec::<&str>::new());
        assert_eq!(names(1 << 21), ["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"]);
        assert_eq!(names(0).len(), 4);
        let text = MissingPrivileges(missing(1 << 21)).to_string();
        assert!(text.contains("CAP_SYS_PTRACE (to read /proc of all processes)"), "{text}");
    }
}
