//! The rules that come with the sensor.

use super::Source;

macro_rules! embedded {
    ($($name:literal,)*) => {
        &[$(($name, include_str!(concat!("../../../rules/", $name))),)*]
    };
}

/// Files of sensor/rules/, in the order in which they are loaded.
const FILES: &[(&str, &str)] = embedded! {
    "00-macros.yaml",
    "10-drift.yaml",
    "20-shells.yaml",
    "30-tools.yaml",
    "40-masquerade.yaml",
    "50-privilege.yaml",
    "60-contract.yaml",
    "61-escape.yaml",
    "62-escape-mounts.yaml",
    "63-escape-kernel.yaml",
};

/// The built-in rule files.
pub fn sources() -> Vec<Source> {
    FILES
        .iter()
        .map(|(name, text)| Source { name: format!("builtin/{name}"), text: (*text).to_owned() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::RuleSet;
    use super::*;

    #[test]
    fn all_built_in_rules_load() {
        let (set, errors) = RuleSet::load(sources());
        let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert!(errors.is_empty(), "{}", text.join("\n\n"));
        for rule in set.rules() {
            assert!(
                !rule.stride.is_empty() && !rule.attack.is_empty() && !rule.threat_source.is_empty(),
                "{}",
                rule.name
            );
            assert!(!rule.desc.is_empty() && rule.id != rule.name, "{}", rule.name);
        }
    }
}
