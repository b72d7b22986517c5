//! A finding: what a judge concluded, with its meaning and its evidence.

use serde_json::{Map, Value};

use super::rules::{Field, FieldType, Key, MISSING, Rule, field_text};
use crate::judge::facts::EventFacts;
use crate::threat::{Severity, Stride, ThreatSource, attack};

/// Which judge spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judge {
    /// A rule of a known technique.
    Rule,
    /// A container's contract was broken, whatever the technique.
    Contract,
}

impl Judge {
    /// The name used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Contract => "contract",
        }
    }

    /// All judges.
    pub const ALL: [Self; 2] = [Self::Rule, Self::Contract];

    /// The judge of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|judge| judge.name() == name)
    }
}

/// A finding.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Detection id.
    pub id: String,
    /// One-line title.
    pub title: String,
    /// Who concluded it.
    pub judge: Judge,
    /// How bad it is.
    pub severity: Severity,
    /// STRIDE categories, primary first.
    pub stride: Vec<Stride>,
    /// ATT&CK technique ids, old and new numbers.
    pub attack: Vec<String>,
    /// Technique ids of the Microsoft Threat Matrix for Kubernetes.
    pub ms_threat_matrix: Vec<String>,
    /// Threat sources.
    pub threat_source: Vec<ThreatSource>,
    /// The rule's name.
    pub rule: String,
    /// The entry of trusted ones that lowered its severity.
    pub trusted: Option<String>,
    /// The rule's output.
    pub message: String,
    /// What was found, by name.
    pub evidence: Map<String, Value>,
}

impl Finding {
    /// The finding of a rule that matched.
    pub fn of_rule(rule: &Rule, facts: &EventFacts<'_>) -> Self {
        let mut techniques = rule.attack.clone();
        for id in &rule.attack {
            techniques.extend(attack::also(id).map(str::to_owned));
        }
        let mut known = std::collections::BTreeSet::new();
        techniques.retain(|id| known.insert(id.clone()));
        Self {
            id: rule.id.clone(),
            title: rule.name.clone(),
            judge: rule.judge,
            severity: rule.severity,
            stride: rule.stride.clone(),
            attack: techniques,
            ms_threat_matrix: rule.ms_threat_matrix.clone(),
            threat_source: rule.threat_source.clone(),
            rule: rule.name.clone(),
            trusted: None,
            message: rule.output.render(facts),
            evidence: evidence(rule, facts),
        }
    }
}

/// The fields that the rule's output shows, and what every conclusion about an exec rests on.
fn evidence(rule: &Rule, facts: &EventFacts<'_>) -> Map<String, Value> {
    const ALWAYS: [Field; 15] = [
        Field::ContractBroken,
        Field::ContractAllowed,
        Field::ContractFound,
        Field::ExeDriftKind,
        Field::ContainerDuration,
        Field::ProcInvokedPath,
        Field::ScriptPath,
        Field::ProcPipeWriters,
        Field::ProcPipeReaders,
        Field::ProcStdioPeer,
        Field::ProcParentStdioPeer,
        Field::ProcStdinType,
        Field::ProcInExecSession,
        Field::ProcDiscoveryBurst,
        Field::ExeLinkCount,
    ];
    let mut evidence = Map::new();
    let always = ALWAYS.into_iter().map(|field| (field, None, field.field_type() == FieldType::List));
    for (field, key, list) in rule.output.fields().chain(always) {
        let value = field_text(facts, field, key, list);
        if value != MISSING {
            let name = match key {
                Some(Key::Name(name)) => format!("{}[{name}]", field.name()),
                Some(Key::Index(index)) => format!("{}[{index}]", field.name()),
                None => field.name().to_owned(),
            };
            evidence.insert(name, value.into());
        }
    }
    evidence
}
