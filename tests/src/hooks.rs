//! Checks of the sensor's hooks: that a forced rung was taken, and that every hook has a scenario.

use crate::scenario::Scenario;
use std::collections::BTreeMap;

/// Hooks on the life of processes and cgroups. They have one way in, and every scenario makes them fire.
const LIFE: [&str; 6] = ["cgroup_create", "cgroup_remove", "exec", "exec_again", "exit", "fork"];

/// The rungs that a hook may hold when `--attach` forces one; the first of them must hold somewhere.
fn allowed(forced: &str) -> &'static [&'static str] {
    match forced {
        // Functions that no security module is asked about have no LSM hook.
        "lsm" => &["lsm", "fentry"],
        "fentry" => &["fentry"],
        "kprobe" => &["kprobe"],
        "tracepoint" => &["system_call"],
        _ => &[],
    }
}

/// Hooks that hold another rung than the forced one. A run that never took the rung proves nothing of it.
pub fn off_the_rung(hooks: &BTreeMap<String, String>, forced: &str) -> Vec<String> {
    let rungs = allowed(forced);
    let Some(first) = rungs.first() else { return vec![format!("`{forced}` is no rung")] };
    let actions = || hooks.iter().filter(|(hook, _)| !LIFE.contains(&hook.as_str()));
    let stray = |rung: &str| !rungs.contains(&rung) && rung != "tp_btf";
    let mut complaints: Vec<String> = actions()
        .filter(|(_, rung)| stray(rung))
        .map(|(hook, rung)| format!("`{hook}` is attached by {rung} although {forced} was asked for"))
        .collect();
    if !actions().any(|(_, rung)| rung == first) {
        complaints.push(format!("no hook is attached by {first}"));
    }
    complaints
}

/// Hooks that do not hold the best rung of this kernel: a trampoline that it refuses costs more on every node, and one that it
/// preempts misses events; nothing else would tell.
pub fn not_the_best(hooks: &BTreeMap<String, String>, release: &str) -> Vec<String> {
    let actions = hooks.iter().filter(|(hook, _)| !LIFE.contains(&hook.as_str()));
    // Since 7.0 x86 has no other models of preemption than `full` and `lazy`.
    let series = release.split('.').next().and_then(|number| number.parse::<u32>().ok());
    if series.is_some_and(|series| series >= 7) {
        let preempted = actions.filter(|(_, rung)| *rung == "fentry");
        return preempted
            .map(|(hook, _)| {
                format!("`{hook}` is attached by fentry although this kernel preempts trampolines")
            })
            .collect();
    }
    let has_trampolines = hooks.values().any(|rung| rung == "fentry");
    let fallen = actions.filter(|(_, rung)| has_trampolines && *rung == "kprobe");
    fallen.map(|(hook, _)| format!("`{hook}` is attached by kprobe although others are by fentry")).collect()
}

/// Attached hooks that no scenario names among its needs: nothing would tell that they are dead.
pub fn untested(hooks: &BTreeMap<String, String>, scenarios: &[Scenario]) -> Vec<String> {
    let named =
        |hook: &str| scenarios.iter().any(|scenario| scenario.needs.hooks.iter().any(|need| need == hook));
    let untested = hooks.keys().filter(|hook| !LIFE.contains(&hook.as_str()) && !named(hook));
    untested.map(|hook| format!("no scenario needs the hook `{hook}`")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hooks(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|&(hook, rung)| (hook.to_owned(), rung.to_owned())).collect()
    }

    #[test]
    fn a_forced_rung_must_hold_everywhere() {
        let taken = hooks(&[("exec", "tp_btf"), ("file_open", "kprobe")]);
        assert!(off_the_rung(&taken, "kprobe").is_empty());
        let stray = hooks(&[("exec", "tp_btf"), ("file_open", "kprobe"), ("ptrace", "fentry")]);
        assert_eq!(
            off_the_rung(&stray, "kprobe"),
            ["`ptrace` is attached by fentry although kprobe was asked for"]
        );
        assert_eq!(off_the_rung(&hooks(&[("exec", "tp_btf")]), "lsm"), ["no hook is attached by lsm"]);
        assert_eq!(off_the_rung(&taken, "magic"), ["`magic` is no rung"]);
    }

    #[test]
    fn a_trampoline_that_was_refused_or_is_preempted_is_named() {
        let mixed = hooks(&[("exec", "tp_btf"), ("file_open", "kprobe"), ("ptrace", "fentry")]);
        let best = |release| not_the_best(&mixed, release);
        assert_eq!(best("6.1.0-49"), ["`file_open` is attached by kprobe although others are by fentry"]);
        assert_eq!(
            best("7.2.13"),
            ["`ptrace` is attached by fentry although this kernel preempts trampolines"]
        );
        assert!(not_the_best(&hooks(&[("exec", "tp_btf"), ("file_open", "kprobe")]), "6.1.0").is_empty());
    }

    #[test]
    fn a_hook_without_a_scenario_is_named() {
        let scenario = "{id: b, title: A thing, host: 'true', needs: {hooks: [ptrace]}, expect: {}}";
        let scenarios = [serde_saphyr::from_str(scenario).unwrap()];
        let attached = hooks(&[("exec", "tp_btf"), ("ptrace", "kprobe"), ("bpf", "kprobe")]);
        assert_eq!(untested(&attached, &scenarios), ["no scenario needs the hook `bpf`"]);
    }
}
