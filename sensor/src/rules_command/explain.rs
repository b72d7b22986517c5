//! `rules explain`: what a rule asks in the end, and what must be there for it to speak.

use std::fmt::Write;

use crate::judge::rules::{Rule, RuleSet, event_types};
use crate::probe::HOOKS;

/// All rules of a detection id, or the one of this name; `None` if there is neither.
pub fn explain(set: &RuleSet, id: &str) -> Option<String> {
    let rules: Vec<&Rule> = set.rules().iter().filter(|rule| rule.id == id || rule.name == id).collect();
    let mut text = String::new();
    for rule in &rules {
        let kinds = set.kinds_of(rule);
        let hooks: Vec<&str> =
            HOOKS.iter().filter(|hook| kinds.contains(&hook.kind)).map(|hook| hook.name).collect();
        let fields: Vec<&str> = set.fields_of(rule).into_iter().map(|field| field.name()).collect();
        let lines = [
            ("id", rule.id.clone()),
            ("severity", rule.severity.name().to_owned()),
            ("defined", rule.defined.clone()),
            ("events", kinds.iter().map(|kind| event_types::shown(*kind)).collect::<Vec<_>>().join(", ")),
            ("hooks", hooks.join(", ")),
            ("fields", fields.join(", ")),
            ("asks", set.condition_of(rule)),
        ];
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", rule.name);
        for (name, value) in lines {
            let _ = writeln!(text, "  {name:<9} {value}");
        }
        text.push('\n');
    }
    (!rules.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::rules::Source;

    #[test]
    fn macros_lists_and_exceptions_are_put_in() {
        let text = "
- list: shells
  items: [sh, bash]
- macro: shell
  condition: proc.name in (shells)
- rule: R
  id: r
  condition: evt.type = execve and shell and not tolower(proc.exepath) startswith /opt
  output: o
  priority: INFO
  exceptions: [{name: e, fields: [proc.pname], values: [[cron]]}]
";
        let (set, _) = RuleSet::load(vec![Source { name: "r.yaml".into(), text: text.into() }]);
        insta::assert_snapshot!(explain(&set, "r").expect("there"));
        assert_eq!(explain(&set, "x"), None);
    }
}
