//! Which detections work with the hooks that hold: all of one, some of its ways, or none.

use crate::event::EventKind;
use crate::judge::rules::RuleSet;
use crate::probe::HookReport;

/// How much of a detection works here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DetectionState {
    /// Every hook that any of its rules can use is attached.
    Full,
    /// Some are missing: it still finds what the others see.
    Degraded,
    /// None is attached: it finds nothing.
    Blind,
}

impl DetectionState {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Full, Self::Degraded, Self::Blind];

    /// The name used in `doctor` and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Degraded => "degraded",
            Self::Blind => "blind",
        }
    }
}

/// One detection on this kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// The detection's id.
    pub id: String,
    /// How much of it works.
    pub state: DetectionState,
    /// Hooks that it could use and that are not attached.
    pub missing: Vec<&'static str>,
}

/// A hook by name, what it reports, and whether it is attached.
pub type HookState = (&'static str, EventKind, bool);

/// The hooks of a report, as [`coverage`] takes them.
pub fn hook_states(hooks: &[HookReport]) -> Vec<HookState> {
    hooks.iter().map(|hook| (hook.name, hook.kind, hook.result.is_ok())).collect()
}

/// All detections of these rules, in the order of their first rule.
pub fn coverage(rules: &RuleSet, hooks: &[HookState]) -> Vec<Coverage> {
    let mut detections: Vec<(&str, Vec<EventKind>)> = Vec::new();
    for rule in rules.rules() {
        let kinds = rules.kinds_of(rule);
        match detections.iter_mut().find(|(id, _)| *id == rule.id) {
            Some((_, known)) => known.extend(kinds),
            None => detections.push((&rule.id, kinds)),
        }
    }
    detections.into_iter().map(|(id, kinds)| of_detection(id, &kinds, hooks)).collect()
}

fn of_detection(id: &str, kinds: &[EventKind], hooks: &[HookState]) -> Coverage {
    let usable = || hooks.iter().filter(|(_, kind, _)| kinds.contains(kind));
    let missing: Vec<&'static str> =
        usable().filter(|(.., attached)| !attached).map(|(name, ..)| *name).collect();
    let state = match (missing.is_empty(), usable().any(|(.., attached)| *attached)) {
        (_, false) => DetectionState::Blind,
        (true, true) => DetectionState::Full,
        (false, true) => DetectionState::Degraded,
    };
    Coverage { id: id.to_owned(), state, missing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::rules::Source;

    fn rules() -> RuleSet {
        let rule = |name: &str, id: &str, condition: &str| {
            format!(
                "- rule: {name}\n  id: {id}\n  condition: {condition}\n  output: o\n  priority: INFO\n  desc: d\n"
            )
        };
        let text = rule("a", "opens", "evt.type = file_open")
            + &rule("b", "mixed", "evt.type = file_open and open.write = true")
            + &rule("c", "mixed", "evt.type = execve and proc.pid > 1")
            + &rule("d", "contract", "contract.broken in (cgroup)");
        let (set, errors) = RuleSet::load(vec![Source { name: "test.yaml".to_owned(), text }]);
        assert!(errors.is_empty(), "{}", errors[0]);
        set
    }

    fn states(hooks: &[HookState]) -> Vec<(String, &'static str, Vec<&'static str>)> {
        coverage(&rules(), hooks).into_iter().map(|one| (one.id, one.state.name(), one.missing)).collect()
    }

    #[test]
    fn a_detection_is_as_good_as_its_hooks() {
        let hooks = |exec, open, attempt| {
            [
                ("exec", EventKind::Exec, exec),
                ("file_open", EventKind::FileOpen, open),
                ("open_attempt", EventKind::FileOpen, attempt),
            ]
        };
        let all = states(&hooks(true, true, true));
        assert!(all.iter().all(|(_, state, missing)| *state == "full" && missing.is_empty()), "{all:?}");
        let some = states(&hooks(true, true, false));
        assert_eq!(some[0], ("opens".to_owned(), "degraded", vec!["open_attempt"]));
        assert_eq!(some[2], ("contract".to_owned(), "full", vec![]), "opens add nothing to the contract");
        let none = states(&hooks(true, false, false));
        assert_eq!(none[0], ("opens".to_owned(), "blind", vec!["file_open", "open_attempt"]));
        assert_eq!(none[1].1, "degraded", "its exec half still works");
        assert_eq!(states(&hooks(false, false, false))[1].1, "blind");
    }
}
