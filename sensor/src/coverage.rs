//! Which detections work with the hooks that hold: all of one, some of its ways, or none.

use crate::event::EventKind;
use crate::judge::rules::RuleSet;
use crate::probe::{HookReport, Rung};

/// How much of a detection works here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DetectionState {
    /// Every hook that any of its rules can use is attached.
    Full,
    /// Some are missing, or see system calls only: it still finds what they and the others see.
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
    /// Hooks that it uses and that see less than they could.
    pub weak: Vec<&'static str>,
}

/// How well a hook is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It sees all that it is there for.
    Full,
    /// It sees system calls that return: nothing of io_uring, nothing that is refused.
    Weak,
    /// It is not attached.
    None,
}

/// A hook by name, what it reports, and how well it is attached.
pub type HookState = (&'static str, EventKind, Hold);

/// The hooks of a report, as [`coverage`] takes them.
pub fn hook_states(hooks: &[HookReport]) -> Vec<HookState> {
    let hold = |hook: &HookReport| match &hook.result {
        Ok(attached) if attached.rung == Rung::SystemCall => Hold::Weak,
        Ok(_) => Hold::Full,
        Err(_) => Hold::None,
    };
    hooks.iter().map(|hook| (hook.name, hook.kind, hold(hook))).collect()
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
    let names = |wanted: Hold| -> Vec<&'static str> {
        usable().filter(|(.., hold)| *hold == wanted).map(|(name, ..)| *name).collect()
    };
    let (missing, weak) = (names(Hold::None), names(Hold::Weak));
    let state = if usable().all(|(.., hold)| *hold == Hold::None) {
        DetectionState::Blind
    } else if missing.is_empty() && weak.is_empty() {
        DetectionState::Full
    } else {
        DetectionState::Degraded
    };
    Coverage { id: id.to_owned(), state, missing, weak }
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
        let (yes, no) = (Hold::Full, Hold::None);
        let all = states(&hooks(yes, yes, yes));
        assert!(all.iter().all(|(_, state, missing)| *state == "full" && missing.is_empty()), "{all:?}");
        let some = states(&hooks(yes, yes, no));
        assert_eq!(some[0], ("opens".to_owned(), "degraded", vec!["open_attempt"]));
        assert_eq!(some[2], ("contract".to_owned(), "full", vec![]), "opens add nothing to the contract");
        let none = states(&hooks(yes, no, no));
        assert_eq!(none[0], ("opens".to_owned(), "blind", vec!["file_open", "open_attempt"]));
        assert_eq!(none[1].1, "degraded", "its exec half still works");
        let weak = coverage(&rules(), &hooks(yes, Hold::Weak, no));
        assert_eq!((weak[0].state, &weak[0].weak[..]), (DetectionState::Degraded, &["file_open"][..]));
        assert_eq!(states(&hooks(no, no, no))[1].1, "blind");
    }
}
