//! Files, messages and precedence.

use std::path::Path;

use super::*;

fn parse(text: &str) -> Result<Layer, String> {
    file::parse(Path::new("sensor.yaml"), text).map_err(|error| error.to_string())
}

fn here() -> Surroundings {
    Surroundings { node_name: None, hostname: Some("node-1".to_owned()) }
}

const FULL: &str = "\
rules: [/etc/stride/rules, extra.yaml]
builtin_rules: false
strict_rules: true
scope: containers
output: none
log_dir: /var/log/stride
log: events
metrics: off
attach: tracepoint
duration: 30s
node: aks-1
log_rotation:
  file_bytes: 1MiB
  total_bytes: 10485760
  sync_interval: 500ms
queues: {findings: 100, telemetry: 200}
process_table: {entries: 2048, exited_grace: 5s}
containers: {entries: 64, state_directories: [/run/x]}
host_root: /host
runtime_paths: [/opt/runc]
";

#[test]
fn every_key_is_read() {
    let config = Config::merge(Layer::default(), parse(FULL).unwrap(), &here()).unwrap();
    insta::assert_debug_snapshot!(config);
}

#[test]
fn an_empty_file_means_the_defaults() {
    for text in ["", "# only a comment\n", "---\n", "{}"] {
        assert_eq!(parse(text), Ok(Layer::default()), "{text:?}");
    }
    let config = Config::merge(Layer::default(), Layer::default(), &here()).unwrap();
    assert_eq!(config.metrics, Some(([127, 0, 0, 1], 9464).into()));
    assert_eq!(
        (config.output, config.scope, config.log),
        (OutputFormat::Text, Scope::All, LogContent::Findings)
    );
    assert_eq!((config.log_dir, config.duration, config.node.as_str()), (None, None, "node-1"));
}

#[test]
fn flags_win_over_the_file() {
    let flags = Layer {
        metrics: Some(MetricsAddress::On(([0, 0, 0, 0], 1).into())),
        rules: Some(vec!["mine.yaml".into()]),
        node: Some("flag".to_owned()),
        ..Layer::default()
    };
    let config = Config::merge(flags, parse(FULL).unwrap(), &here()).unwrap();
    assert_eq!(config.metrics, Some(([0, 0, 0, 0], 1).into()));
    assert_eq!(config.rules, [PathBuf::from("mine.yaml")]);
    assert_eq!((config.node.as_str(), config.scope), ("flag", Scope::Containers));
}

#[test]
fn the_node_is_named_by_flag_then_variable_then_host() {
    let all = Surroundings { node_name: Some("variable".to_owned()), ..here() };
    let name = |given: Option<&str>, around: &Surroundings| node(given.map(str::to_owned), around);
    assert_eq!(name(Some("given"), &all), "given");
    assert_eq!(name(None, &all), "variable");
    assert_eq!(name(None, &here()), "node-1");
    let empty = Surroundings { node_name: Some(String::new()), ..here() };
    assert_eq!(name(None, &empty), "node-1");
    let nowhere = Config::merge(Layer::default(), Layer::default(), &Surroundings::default());
    assert!(nowhere.unwrap_err().to_string().contains("NODE_NAME"));
}

#[test]
fn all_wrong_values_are_named_at_once() {
    let text = "\
scope: container
output: xml
metrics: localhost
duration: 30
log_rotation:
  file_bytes: 1KiB
  sync_interval: -1s
queues:
  findings: 1
";
    insta::assert_snapshot!(parse(text).unwrap_err());
}

#[test]
fn unknown_keys_and_broken_yaml_are_named_with_their_place() {
    let cases = [
        "scope: all\nlogdir: /x\n",
        "log_rotation:\n  file_bytess: 1MiB\n",
        "colour: true\n",
        "rules: /etc/rules\n",
        "builtin_rules: perhaps\n",
        "scope: all\nscope: host\n",
        "rules: [a\nscope: all\n",
        "queues: 7\n",
        "queues: {findings: -3}\n",
        "- a\n",
        "a: *b\n",
        "\"\\e[2Jx\": 1\n",
    ];
    let messages: Vec<String> =
        cases.iter().map(|text| format!("{text:?}\n  {}", parse(text).unwrap_err())).collect();
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn a_file_that_is_absent_binary_or_huge_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sensor.yaml");
    let error = || Layer::from_file(&path).unwrap_err().to_string();
    assert!(error().contains("sensor.yaml") && error().contains("No such file"));
    std::fs::write(&path, b"scope: all\nnode: \xff\n").unwrap();
    assert!(error().ends_with("sensor.yaml: line 2 is not valid UTF-8"), "{}", error());
    std::fs::write(&path, " ".repeat(2 << 20)).unwrap();
    assert!(error().contains("longer than 1 MiB"));
    std::fs::write(&path, FULL).unwrap();
    assert!(Layer::from_file(&path).is_ok());
}

#[test]
fn contradictions_are_refused_together() {
    let text = "log: events\nbuiltin_rules: false\nlog_rotation: {file_bytes: 2MiB, total_bytes: 1MiB}\nnode: \"a b\"\n";
    let error = Config::merge(Layer::default(), parse(text).unwrap(), &here()).unwrap_err();
    insta::assert_snapshot!(error);
}

#[test]
fn the_sinks_follow_the_settings() {
    let config = Config::merge(Layer::default(), parse(FULL).unwrap(), &here()).unwrap();
    let sinks = config.sinks();
    assert!(sinks.stdout.is_none() && sinks.http.is_none());
    let log = sinks.forensic.unwrap();
    assert_eq!(
        (log.directory.to_str(), log.telemetry, log.file_bytes),
        (Some("/var/log/stride"), true, 1 << 20)
    );
    assert_eq!(sinks.queues, QueueConfig { findings: 100, telemetry: 200 });
}

#[test]
fn trusted_entries_are_read() {
    let text = "trusted:\n  - {name: a, detections: [imds-connect], severity: silent, pod: {namespace: kube-system, image: 'mcr.microsoft.com/*'}}\n  - name: b\n    detections: [shadow-read]\n    severity: info\n    host: {exe: /usr/sbin/waagent, unit: walinuxagent.service, descendants: true}\n";
    let layer = file::parse(Path::new("c.yaml"), text).expect("valid");
    let entries = layer.trusted.expect("there");
    assert_eq!(
        entries.iter().map(|entry| entry.severity).collect::<Vec<_>>(),
        [None, Some(crate::threat::Severity::Info)]
    );
    let host = crate::judge::trust::TrustedSubject::Host {
        exe: "/usr/sbin/waagent".into(),
        unit: Some("walinuxagent.service".to_owned()),
        descendants: true,
    };
    assert_eq!(entries[1].subject, host);
}

#[test]
fn a_trusted_entry_that_trusts_too_much_or_nobody_is_refused() {
    for (entry, problem) in [
        (
            "{name: a, detections: [x], severity: silent, pod: {namespace: default}}",
            "c.yaml:1:11: trusted.pod: a namespace alone trusts",
        ),
        ("{name: a, detections: [x], severity: silent}", "trusted.pod: an entry needs either"),
        (
            "{name: a, detections: [], severity: silent, host: {exe: /x}}",
            "trusted.detections: must name from 1",
        ),
        (
            "{name: a, detections: [x], severity: loud, host: {exe: /x}}",
            "trusted.severity: must be silent, info",
        ),
        (
            "{name: a, detections: [x], severity: info, host: {exe: x}}",
            "trusted.host.exe: must be an absolute path",
        ),
        ("{name: '', detections: [x], severity: info, host: {exe: /x}}", "trusted.name: texts must have"),
        ("{name: a, detections: [x], severity: info, host: {exe: /x, comm: y}}", "unknown key `comm`"),
    ] {
        let error = file::parse(Path::new("c.yaml"), &format!("trusted: [{entry}]"));
        let text = error.expect_err(entry).to_string();
        assert!(text.contains(problem), "{text}");
    }
}

/// A detection that does not exist would be trusted by nobody's notice.
#[test]
fn the_trusted_ones_of_aks_are_valid_and_name_detections_that_exist() {
    let text = include_str!("../../../deploy/aks-trusted.yaml");
    let layer = file::parse(Path::new("aks-trusted.yaml"), text).expect("valid");
    let sources = crate::judge::rules::builtin::sources();
    let (rules, _) = crate::judge::rules::RuleSet::load(sources);
    let known: std::collections::BTreeSet<&str> = rules.rules().iter().map(|rule| rule.id.as_str()).collect();
    let entries = layer.trusted.expect("there");
    assert!(entries.len() > 10);
    for id in entries.iter().flat_map(|entry| &entry.detections) {
        assert!(known.contains(id.as_str()), "{id}");
    }
}
