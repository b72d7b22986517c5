//! How bad a finding is.

/// Severity, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Worth keeping, nothing to do.
    Info,
    /// Worth a look when there is time.
    Low,
    /// Worth a look today.
    Medium,
    /// Likely an attack.
    High,
    /// An attack; wakes somebody.
    Critical,
}

impl Severity {
    /// All, least first.
    pub const ALL: [Self; 5] = [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The name used in rules, JSON and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The severity of this name, or of a priority of Falco, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "critical" | "emergency" | "alert" => Some(Self::Critical),
            "high" | "error" => Some(Self::High),
            "medium" | "warning" => Some(Self::Medium),
            "low" | "notice" => Some(Self::Low),
            "info" | "informational" | "debug" => Some(Self::Info),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_priorities_and_order() {
        assert!(Severity::ALL.into_iter().all(|severity| Severity::parse(severity.name()) == Some(severity)));
        assert_eq!(Severity::parse("WARNING"), Some(Severity::Medium));
        assert_eq!(Severity::parse("urgent"), None);
        assert!(Severity::Critical > Severity::High);
    }
}
