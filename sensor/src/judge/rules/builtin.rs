//! The rules that come with the sensor.

use super::Source;

macro_rules! embedded {
    ($($name:literal,)*) => {
        &[$(($name, include_str!(concat!("../../../rules/", $name))),)*]
    };
}

/// Whether a file is one of them, by the name that it is shown by.
pub fn is_one(name: &str) -> bool {
    name.strip_prefix("builtin/").is_some_and(|name| FILES.iter().any(|(own, _)| *own == name))
}

/// Files of sensor/rules/, in the order in which they are loaded.
const FILES: &[(&str, &str)] = embedded! {
    "00-macros.yaml",
    "10-drift.yaml",
    "20-shells.yaml",
    "21-shell-escapes.yaml",
    "22-servers.yaml",
    "30-tools.yaml",
    "40-masquerade.yaml",
    "50-privilege.yaml",
    "51-local-privilege.yaml",
    "60-contract.yaml",
    "61-escape.yaml",
    "62-escape-mounts.yaml",
    "63-escape-kernel.yaml",
    "64-escape-host.yaml",
    "65-escape-files.yaml",
    "70-persistence.yaml",
    "71-node-files.yaml",
    "72-tampering.yaml",
    "73-traces.yaml",
    "74-secrets.yaml",
    "75-tokens.yaml",
    "76-processes-of-others.yaml",
    "80-network.yaml",
    "81-processes.yaml",
    "82-network-tools.yaml",
    "83-many.yaml",
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
    use super::super::tests::Table;
    use super::super::{Matches, RuleSet};
    use super::*;
    use crate::event::EventKind;

    /// Names of macros that Falco's own files define: loading one of them must not change what the built-in rules say.
    #[test]
    fn no_built_in_rule_stands_on_a_macro_of_falcos() {
        let anew = "
- macro: spawned_process
  condition: never_true
- macro: container
  condition: never_true
- macro: shell_procs
  condition: never_true
- macro: open_read
  condition: never_true
";
        let (plain, _) = RuleSet::load(sources());
        let own = Source { name: "falco.yaml".into(), text: anew.into() };
        let (changed, _) = RuleSet::load(sources().into_iter().chain([own]).collect());
        for (one, other) in plain.rules().iter().zip(changed.rules()) {
            assert_eq!(plain.condition_of(one), changed.condition_of(other), "{}", one.name);
        }
        assert_eq!(plain.rules().len(), changed.rules().len());
    }

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

    /// Severities and ids of the findings of an exec: in a container if `container.id` says so, else on the host.
    fn found(fields: &[(&'static str, &[&'static str])]) -> Vec<(&'static str, String)> {
        let facts = Table::default()
            .with("evt.type", &["execve"])
            .with("proc.runtime_setup", &["false"])
            .with("container.id", &["c1"])
            .with("exe.drift", &["false"])
            .with("proc.is_exe_lower_layer", &["true"])
            .with("proc.is_exe_from_memfd", &["false"])
            .with("exe.deleted", &["false"])
            .with("exe.detached", &["false"])
            .with("container.duration", &["90000000000"]);
        judged(EventKind::Exec, facts, fields)
    }

    /// The same of any event, by facts that `fields` complete.
    fn judged(
        kind: EventKind,
        mut facts: Table,
        fields: &[(&'static str, &[&'static str])],
    ) -> Vec<(&'static str, String)> {
        let (set, _) = RuleSet::load(sources());
        for (field, values) in fields {
            facts = facts.with(field, values);
        }
        let mut matches = Matches::default();
        set.judge(kind, &facts, &mut matches);
        let found = matches.rules.iter().map(|&index| set.rule(index));
        found.map(|rule| (rule.severity.name(), rule.id.clone())).collect()
    }

    /// Severity of the finding of an action in a container.
    fn of_action(
        id: &str,
        kind: EventKind,
        fields: &[(&'static str, &[&'static str])],
    ) -> Option<&'static str> {
        let facts = Table::default()
            .with("evt.type", Box::leak(Box::new([kind.name()])))
            .with("proc.runtime_setup", &["false"])
            .with("container.id", &["c1"])
            .with("container.duration", &["90000000000"]);
        severity_of(id, judged(kind, facts, fields))
    }

    fn severity(id: &str, fields: &[(&'static str, &[&'static str])]) -> Option<&'static str> {
        severity_of(id, found(fields))
    }

    fn severity_of(id: &str, found: Vec<(&'static str, String)>) -> Option<&'static str> {
        found.into_iter().find(|(_, found)| found == id).map(|(severity, _)| severity)
    }

    #[test]
    fn a_miner_is_one_whatever_it_calls_itself() {
        const ARGS: (&str, &[&str]) = ("proc.args", &["-o stratum+tcp://pool:3333"]);
        for name in ["echo", "sh", "grep"] {
            let names: &'static [&'static str] = Box::leak(Box::new([name, "x"]));
            let miner = [
                ARGS,
                ("proc.names", names),
                ("exe.name", &["x"]),
                ("proc.exepath", &["/tmp/x"]),
                ("exe.drift", &["true"]),
                ("proc.is_exe_lower_layer", &["false"]),
            ];
            assert_eq!(severity("miner-exec", &miner), Some("high"), "{name}");
            let dropped = [
                ARGS,
                ("proc.names", names),
                ("exe.name", Box::leak(Box::new([name]))),
                ("proc.exepath", &["/usr/bin/echo"]),
                ("exe.drift", &["true"]),
                ("proc.is_exe_lower_layer", &["false"]),
            ];
            assert_eq!(severity("miner-exec", &dropped), Some("high"), "a dropped {name}");
            let host = [
                ARGS,
                ("proc.names", names),
                ("exe.name", Box::leak(Box::new([name]))),
                ("proc.exepath", &["/home/me/bin/x"]),
                ("container.id", &["host"]),
                ("proc.is_exe_lower_layer", &["false"]),
            ];
            assert_eq!(severity("miner-exec", &host), Some("high"), "{name} of a user of the host");
        }
        let echo =
            [ARGS, ("proc.names", &["echo"]), ("exe.name", &["echo"]), ("proc.exepath", &["/bin/echo"])];
        assert_eq!(severity("miner-exec", &echo), Some("low"));
        let busybox = [
            ARGS,
            ("proc.names", &["echo", "busybox"]),
            ("exe.name", &["busybox"]),
            ("proc.exepath", &["/bin/busybox"]),
        ];
        assert_eq!(severity("miner-exec", &busybox), Some("low"));
        let shell = [
            ARGS,
            ("proc.names", &["sh", "dash"]),
            ("exe.name", &["dash"]),
            ("proc.exepath", &["/bin/dash"]),
        ];
        assert_eq!(severity("miner-exec", &shell), None, "what it starts is the miner");
    }

    #[test]
    fn a_reverse_shell_is_excused_by_the_place_of_its_parent_only() {
        let shell = |path: &'static str, drift: &'static str, host: bool| {
            let fields: [(&'static str, &[&'static str]); 8] = [
                ("proc.names", &["sh"]),
                ("proc.stdio_inet", &["true"]),
                ("proc.stdio_peer_loopback", &["false"]),
                ("proc.pnames", &["sshd"]),
                ("proc.pname", &["sshd"]),
                ("proc.pexepath", Box::leak(Box::new([path]))),
                ("proc.pexe_drift", Box::leak(Box::new([drift]))),
                ("container.id", if host { &["host"] } else { &["c1"] }),
            ];
            severity("reverse-shell", &fields)
        };
        for host in [false, true] {
            assert_eq!(shell("/tmp/sshd", "false", host), Some("critical"));
            assert_eq!(shell("/usr/sbin/sshd", "true", host), Some("critical"));
            assert_eq!(shell("/usr/sbin/sshd", "false", host), None);
        }
    }

    #[test]
    fn an_exec_session_without_a_terminal_that_takes_credentials_is_high() {
        let session = |args: &'static str, names: &'static str, remote: &'static str, tty: &'static str| {
            let fields: [(&'static str, &[&'static str]); 6] = [
                ("proc.exec_session", &["true"]),
                ("proc.session_repeats", &["0"]),
                ("proc.tty", Box::leak(Box::new([tty]))),
                ("proc.args", Box::leak(Box::new([args]))),
                ("proc.names", Box::leak(Box::new([names]))),
                ("proc.names_remote_host", Box::leak(Box::new([remote]))),
            ];
            severity("exec-session", &fields)
        };
        let token = "/var/run/secrets/kubernetes.io/serviceaccount/token";
        assert_eq!(session(token, "cat", "false", "0"), Some("high"));
        assert_eq!(session("http://evil/x", "curl", "true", "0"), Some("high"));
        assert_eq!(session("-f http://localhost/health", "curl", "false", "0"), Some("low"), "a probe");
        assert_eq!(session("-c true", "sh", "false", "0"), Some("low"));
        assert_eq!(session("-c true", "sh", "false", "34816"), Some("medium"));
    }

    #[test]
    fn a_local_argument_does_not_hide_a_remote_one() {
        let curl = |args: &'static [&'static str], remote: &'static str| {
            let fields: [(&'static str, &[&'static str]); 4] = [
                ("proc.names", &["curl"]),
                ("proc.nargs", &["2"]),
                ("proc.arg", args),
                ("proc.names_remote_host", Box::leak(Box::new([remote]))),
            ];
            severity("ingress-tool-exec", &fields)
        };
        assert_eq!(curl(&["http://evil/x", "localhost"], "true"), Some("medium"));
        assert_eq!(curl(&["http://localhost/health"], "false"), Some("info"));
    }

    #[test]
    fn on_the_host_systemd_and_package_managers_are_known_by_their_paths() {
        let executor = |parent: &'static str| {
            let fields: [(&'static str, &[&'static str]); 7] = [
                ("container.id", &["host"]),
                ("proc.is_exe_from_memfd", &["true"]),
                ("proc.exepath", &["memfd:systemd-executor"]),
                ("proc.ppid", &["1"]),
                ("proc.apid[1]", &["1"]),
                ("proc.pexepath", Box::leak(Box::new([parent]))),
                ("proc.is_exe_lower_layer", &["false"]),
            ];
            severity("exec-memfd", &fields)
        };
        assert_eq!(executor("/usr/lib/systemd/systemd"), Some("info"));
        assert_eq!(executor("/home/me/x"), Some("high"));
        let installed = |ancestor: &'static str| {
            let fields: [(&'static str, &[&'static str]); 4] = [
                ("container.id", &["host"]),
                ("proc.exepath", &["/tmp/x"]),
                ("proc.aname", &["dpkg"]),
                ("proc.aexepath", Box::leak(Box::new([ancestor]))),
            ];
            severity("exec-writable-tmp", &fields)
        };
        assert_eq!(installed("/usr/bin/dpkg"), Some("info"));
        assert_eq!(installed("/tmp/dpkg"), Some("low"));
    }

    #[test]
    fn arguments_behind_the_program_do_not_excuse_it() {
        let loader = |args: &'static str| {
            let fields: [(&'static str, &[&'static str]); 4] = [
                ("exe.is_loader", &["true"]),
                ("proc.nargs", &["2"]),
                ("proc.args", Box::leak(Box::new([args]))),
                ("proc.pnames", &["ldd"]),
            ];
            severity("preload-env-exec", &fields)
        };
        assert_eq!(loader("/tmp/x --version"), Some("medium"));
        assert_eq!(loader("--verify /bin/x"), None);
    }

    #[test]
    fn memory_of_a_compiler_is_shared_and_no_other_excuse_counts() {
        let mapped = |path: &'static str, shared: &'static str, drift: &'static str| {
            let fields: [(&'static str, &[&'static str]); 4] = [
                ("file.path", Box::leak(Box::new([path]))),
                ("file.filesystem", &["tmpfs"]),
                ("map.shared", Box::leak(Box::new([shared]))),
                ("exe.drift", Box::leak(Box::new([drift]))),
            ];
            of_action("exec-memfd", EventKind::FileMap, &fields)
        };
        assert_eq!(mapped("memfd:doublemapper", "true", "false"), Some("info"));
        assert_eq!(mapped("memfd:doublemapper", "false", "false"), Some("high"), "a library");
        assert_eq!(mapped("memfd:doublemapper", "true", "true"), Some("high"), "a dropped program");
        assert_eq!(mapped("memfd:x/memfd:doublemapper", "true", "false"), Some("high"));
    }

    #[test]
    fn code_of_the_upper_layer_counts_by_who_maps_it() {
        let mapped = |id: &str, loader: &'static str, args: &'static str, copied: &'static str| {
            let fields: [(&'static str, &[&'static str]); 6] = [
                ("file.path", &["/tmp/x"]),
                ("file.filesystem", &["overlay"]),
                ("file.layer", &["upper"]),
                ("file.copied_up", Box::leak(Box::new([copied]))),
                ("exe.is_loader", Box::leak(Box::new([loader]))),
                ("proc.args", Box::leak(Box::new([args]))),
            ];
            of_action(id, EventKind::FileMap, &fields)
        };
        assert_eq!(mapped("drift-exec", "true", "/tmp/x", "false"), Some("high"));
        assert_eq!(mapped("drift-exec", "true", "/tmp/x --list", "false"), Some("high"));
        assert_eq!(mapped("drift-exec", "true", "--list /tmp/x", "false"), None);
        assert_eq!(mapped("drift-exec", "false", "/tmp/x", "false"), None);
        assert_eq!(mapped("preload-env-exec", "false", "app.py", "false"), Some("low"));
        for id in ["drift-exec", "preload-env-exec"] {
            assert_eq!(mapped(id, "true", "/tmp/x", "true"), None, "chown alone changes nothing");
        }
    }

    #[test]
    fn who_may_not_set_the_clock_has_not_set_it() {
        let clock = |container: &'static str, exe: &'static str, step: &'static [&'static str]| {
            let mut fields: Vec<(&'static str, &[&'static str])> = vec![
                ("container.id", Box::leak(Box::new([container]))),
                ("proc.exepath", Box::leak(Box::new([exe]))),
            ];
            fields.extend((!step.is_empty()).then_some(("clock.step", step)));
            of_action("time-tamper", EventKind::ClockChange, &fields)
        };
        assert_eq!(clock("c1", "/bin/x", &["3600"]), Some("high"));
        assert_eq!(clock("c1", "/bin/x", &[]), Some("low"));
        assert_eq!(clock("host", "/bin/x", &["-3600"]), Some("high"));
        assert_eq!(clock("host", "/bin/x", &["1"]), None);
        assert_eq!(clock("host", "/bin/x", &[]), None);
        assert_eq!(clock("host", "/usr/sbin/chronyd", &["3600"]), Some("info"));
    }

    #[test]
    fn known_faults_of_setuid_programs_are_told_of_users_only() {
        let sudo = |name: &'static str, args: &'static str, uid: &'static str| {
            let fields: [(&'static str, &[&'static str]); 5] = [
                ("exe.setuid", &["true"]),
                ("user.uid", Box::leak(Box::new([uid]))),
                ("proc.names", Box::leak(Box::new([name]))),
                ("proc.nargs", &["3"]),
                ("proc.args", Box::leak(Box::new([args]))),
            ];
            severity("suid-lpe-pattern", &fields)
        };
        for args in
            [r"-s AAAA\", r"-i -s A\", "-u#-1 id", "-u #4294967295 id", "-n -R woot woot", "--chroot=/x id"]
        {
            assert_eq!(sudo("sudo", args, "1000"), Some("high"), "{args}");
            assert_eq!(sudo("sudo", args, "0"), None, "{args}");
        }
        for args in ["-s", "-u root id", "-u #1001 id", "ls -R /etc", "systemctl restart x", r"grep \s x"] {
            assert_eq!(sudo("sudo", args, "1000"), None, "{args}");
        }
        let tuned = |value: &'static str| {
            let fields: [(&'static str, &[&'static str]); 4] = [
                ("exe.setuid", &["true"]),
                ("user.uid", &["1000"]),
                ("proc.nargs", &["1"]),
                ("proc.env[GLIBC_TUNABLES]", Box::leak(Box::new([value]))),
            ];
            severity("suid-lpe-pattern", &fields)
        };
        assert_eq!(tuned("glibc.malloc.mxfast=glibc.malloc.mxfast=A"), Some("high"));
        assert_eq!(tuned("glibc.malloc.check=1:glibc.malloc.mxfast=glibc.malloc.mxfast=A"), Some("high"));
        assert_eq!(tuned("glibc.malloc.check=1:glibc.malloc.mxfast=128"), None);
    }

    #[test]
    fn a_shell_out_of_a_tool_counts_by_how_it_came_there() {
        let shell = |parent: &'static str, command: &'static str, tty: &'static str| {
            let fields: [(&'static str, &[&'static str]); 6] = [
                ("proc.names", &["sh"]),
                ("proc.pnames", Box::leak(Box::new([parent]))),
                ("proc.pname", Box::leak(Box::new([parent]))),
                ("proc.pcmdline", Box::leak(Box::new([command]))),
                ("proc.tty", Box::leak(Box::new([tty]))),
                ("proc.stdin.type", if tty == "0" { &["pipe"] } else { &["tty"] }),
            ];
            severity("lolbin-shell-escape", &fields)
        };
        assert_eq!(shell("awk", "awk BEGIN {system(\"/bin/sh\")}", "0"), Some("medium"));
        assert_eq!(shell("awk", "awk {print $1 | \"sort\"}", "0"), Some("low"));
        assert_eq!(shell("vim", "vim -c :!/bin/sh", "0"), Some("medium"));
        assert_eq!(shell("less", "less /etc/motd", "34816"), Some("medium"));
        assert_eq!(shell("find", "find . -name *.log -exec sh -c gzip {} ;", "0"), Some("low"));
        assert_eq!(shell("find", "find . -exec /bin/sh ;", "0"), Some("medium"));
        assert_eq!(shell("nc", "nc -lk -p 31337 -e /bin/sh", "0"), Some("medium"));
        assert_eq!(shell("make", "make all", "34816"), None, "make starts shells for a living");
        assert_eq!(shell("python3", "python3 app.py", "0"), None, "another detection");
    }
}
