//! Is it a threat? The judges read attributed events and say which rule or contract was broken.

pub mod action_facts;
pub mod contract;
pub mod facts;
mod finding;
pub mod fold;
mod hosts;
mod lookalike;
pub mod rules;
pub mod trust;

pub use finding::{Finding, Judge};

use crate::attribute::Attributed;
use contract::ContractJudge;
pub use contract::HostStanding;
use facts::{Buffers, EventFacts};
use rules::{Matches, RuleSet};
use trust::Trust;

/// All judges.
pub struct Judges {
    rules: RuleSet,
    contract: ContractJudge,
    trust: Trust,
    node: String,
    buffers: Buffers,
    matches: Matches,
}

impl Judges {
    /// Judges with these rules, on a node whose own processes stand there.
    pub fn new(rules: RuleSet, trust: Trust, node: &str, host: HostStanding) -> Self {
        Self {
            rules,
            trust,
            contract: ContractJudge::new(host),
            node: node.to_owned(),
            buffers: Buffers::default(),
            matches: Matches::default(),
        }
    }

    /// Hands each finding about an event to `found`. Nothing is allocated where nothing is found.
    pub fn judge(&mut self, attributed: &Attributed<'_>, mut found: impl FnMut(Finding)) {
        let kind = attributed.event.kind();
        if self.rules.is_idle(kind) {
            return;
        }
        let breaches = self.contract.judge(attributed);
        let facts = EventFacts::new(attributed, breaches, &self.node, &mut self.buffers);
        self.rules.judge(kind, &facts, &mut self.matches);
        for &index in &self.matches.rules {
            let finding = Finding::of_rule(self.rules.rule(index), &facts);
            if let Some(finding) = self.trust.apply(finding, attributed) {
                found(finding);
            }
        }
    }

    /// Judges by other rules from now on; gives those before.
    pub fn replace_rules(&mut self, rules: RuleSet) -> RuleSet {
        std::mem::replace(&mut self.rules, rules)
    }

    /// What is legitimate by identity.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The rules.
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }
}
