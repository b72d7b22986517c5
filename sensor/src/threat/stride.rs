//! STRIDE: the six kinds of threat.

/// A kind of threat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stride {
    /// Pretending to be somebody or something else.
    Spoofing,
    /// Changing what one may not change.
    Tampering,
    /// Removing the traces of what one did.
    Repudiation,
    /// Reading what one may not read.
    InformationDisclosure,
    /// Keeping others from working.
    DenialOfService,
    /// Doing what one has no right to do.
    ElevationOfPrivilege,
}

impl Stride {
    /// All six, in the order of their letters.
    pub const ALL: [Self; 6] = [
        Self::Spoofing,
        Self::Tampering,
        Self::Repudiation,
        Self::InformationDisclosure,
        Self::DenialOfService,
        Self::ElevationOfPrivilege,
    ];

    /// The name used in rules, JSON and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spoofing => "spoofing",
            Self::Tampering => "tampering",
            Self::Repudiation => "repudiation",
            Self::InformationDisclosure => "information_disclosure",
            Self::DenialOfService => "denial_of_service",
            Self::ElevationOfPrivilege => "elevation_of_privilege",
        }
    }

    /// The kind of this name or letter.
    pub fn parse(text: &str) -> Option<Self> {
        let letter = |kind: &Self| kind.name()[..1].eq_ignore_ascii_case(text);
        Self::ALL.into_iter().find(|kind| kind.name() == text || letter(kind))
    }
}

/// STRIDE of a rule without a `stride` key, from its tags: `mitre_TACTIC`, a tactic, or a technique id. The table is in
/// docs/rules.md. Without any such tag the answer is elevation of privilege, which every attack aims at.
pub fn stride_of_tags(tags: &[String]) -> Vec<Stride> {
    let mut found = Vec::new();
    for tag in tags {
        let technique = super::attack::lookup(&tag.to_ascii_uppercase());
        let tactic = tag.strip_prefix("mitre_").unwrap_or(tag).replace('_', "-");
        let tactics = technique.map_or(&[][..], |technique| technique.tactics);
        for tactic in tactics.iter().copied().chain([tactic.as_str()]) {
            if let Some(kind) = of_tactic(tactic).filter(|kind| !found.contains(kind)) {
                found.push(kind);
            }
        }
    }
    if found.is_empty() { vec![Stride::ElevationOfPrivilege] } else { found }
}

fn of_tactic(tactic: &str) -> Option<Stride> {
    match tactic {
        "execution" | "privilege-escalation" | "lateral-movement" => Some(Stride::ElevationOfPrivilege),
        "persistence" => Some(Stride::Tampering),
        "initial-access" => Some(Stride::Spoofing),
        "defense-evasion" | "stealth" | "defense-impairment" => Some(Stride::Repudiation),
        "credential-access"
        | "discovery"
        | "collection"
        | "exfiltration"
        | "command-and-control"
        | "reconnaissance" => Some(Stride::InformationDisclosure),
        "impact" => Some(Stride::DenialOfService),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_letters() {
        for kind in Stride::ALL {
            assert_eq!(Stride::parse(kind.name()), Some(kind));
            assert_eq!(Stride::parse(&kind.name()[..1].to_uppercase()), Some(kind));
        }
        assert_eq!(Stride::parse(""), None);
        assert_eq!(Stride::parse("x"), None);
    }

    #[test]
    fn tags_give_a_kind() {
        let tags =
            |tags: &[&str]| stride_of_tags(&tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>());
        assert_eq!(tags(&["mitre_credential_access", "container"]), [Stride::InformationDisclosure]);
        assert_eq!(tags(&["T1485"]), [Stride::DenialOfService]);
        assert_eq!(tags(&["T1543", "mitre_persistence"]), [Stride::Tampering, Stride::ElevationOfPrivilege]);
        assert_eq!(tags(&["maturity_stable"]), [Stride::ElevationOfPrivilege]);
    }
}
