//! Threat sources of the NSA/CISA Kubernetes Hardening Guidance, section "Threat model".

/// Where a threat comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ThreatSource {
    /// Supply chain risk.
    SupplyChainRisk,
    /// Malicious threat actor.
    MaliciousThreatActor,
    /// Insider threat.
    InsiderThreat,
}

impl ThreatSource {
    /// All three.
    pub const ALL: [Self; 3] = [Self::SupplyChainRisk, Self::MaliciousThreatActor, Self::InsiderThreat];

    /// The name used in rules and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::SupplyChainRisk => "supply_chain_risk",
            Self::MaliciousThreatActor => "malicious_threat_actor",
            Self::InsiderThreat => "insider_threat",
        }
    }

    /// The source of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.name() == text)
    }
}
