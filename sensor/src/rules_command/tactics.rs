//! `rules coverage`: which STRIDE categories and ATT&CK tactics the rules are about.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::{Value, json};

use crate::judge::rules::RuleSet;
use crate::threat::{Stride, attack};

/// How many detections each pair of STRIDE category and tactic has.
pub fn table(set: &RuleSet) -> String {
    let mut pairs: BTreeMap<(&str, Stride), BTreeSet<&str>> = BTreeMap::new();
    let mut all: BTreeMap<Stride, BTreeSet<&str>> = BTreeMap::new();
    for rule in set.rules() {
        for stride in &rule.stride {
            all.entry(*stride).or_default().insert(&rule.id);
            for tactic in tactics(&rule.attack) {
                pairs.entry((tactic, *stride)).or_default().insert(&rule.id);
            }
        }
    }
    let tactics: BTreeSet<&str> = pairs.keys().map(|(tactic, _)| *tactic).collect();
    let mut text = format!("{:<22}", "DETECTIONS");
    // Writing to a String cannot fail.
    for stride in Stride::ALL {
        let _ = write!(text, " {:>22}", stride.name());
    }
    text.push('\n');
    let mut row = |name: &str, count: &dyn Fn(Stride) -> usize| {
        let _ = write!(text, "{name:<22}");
        for stride in Stride::ALL {
            let _ = write!(text, " {:>22}", count(stride));
        }
        text.push('\n');
    };
    for tactic in tactics {
        row(tactic, &|stride| pairs.get(&(tactic, stride)).map_or(0, BTreeSet::len));
    }
    row("all", &|stride| all.get(&stride).map_or(0, BTreeSet::len));
    text
}

fn tactics(techniques: &[String]) -> BTreeSet<&'static str> {
    let known = techniques.iter().filter_map(|id| attack::lookup(id));
    known.flat_map(|technique| technique.tactics.iter().copied()).collect()
}

/// A layer for the ATT&CK Navigator (https://github.com/mitre-attack/attack-navigator, layer format 4.5): the score of a
/// technique is the number of its detections, its comment their ids.
pub fn navigator(set: &RuleSet) -> Value {
    let mut techniques: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for rule in set.rules() {
        for id in &rule.attack {
            techniques.entry(id).or_default().insert(&rule.id);
        }
    }
    let most = techniques.values().map(BTreeSet::len).max().unwrap_or(1);
    let technique = |(id, detections): (&&str, &BTreeSet<&str>)| {
        json!({
            "techniqueID": id,
            "score": detections.len(),
            "comment": detections.iter().copied().collect::<Vec<_>>().join(", "),
            "enabled": true,
        })
    };
    json!({
        "name": "STRIDE Sensor",
        "versions": {"layer": "4.5", "navigator": "5.1.0"},
        "domain": "enterprise-attack",
        "description": "Detections of the rules that are loaded",
        "gradient": {"colors": ["#ffffff", "#66b1ff"], "minValue": 0, "maxValue": most},
        "techniques": techniques.iter().map(technique).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::rules::builtin;

    #[test]
    fn the_built_in_rules_are_about_every_category() {
        let (set, _) = RuleSet::load(builtin::sources());
        let table = table(&set);
        let last = table.lines().last().expect("a row");
        let counts: Vec<usize> =
            last.split_whitespace().skip(1).map(|count| count.parse().expect("a number")).collect();
        assert_eq!(counts.len(), 6);
        assert!(counts.iter().all(|count| *count > 3), "{table}");
        let layer = navigator(&set);
        let escape =
            layer["techniques"].as_array().expect("a list").iter().find(|one| one["techniqueID"] == "T1611");
        assert!(escape.expect("there")["score"].as_u64() > Some(10));
    }
}
