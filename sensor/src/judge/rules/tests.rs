//! Rule files as users write them: what loads, what matches, and what each mistake says.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Facts from a table: single values as text, lists as several.
#[derive(Default)]
pub(super) struct Table(BTreeMap<&'static str, Vec<&'static [u8]>>);

impl Table {
    pub(super) fn with(mut self, field: &'static str, values: &[&'static str]) -> Self {
        self.0.insert(field, values.iter().map(|value| value.as_bytes()).collect());
        self
    }
}

impl Facts for Table {
    fn get(&self, field: Field, key: Option<&Key>) -> Value<'_> {
        let name = match key {
            Some(Key::Name(name)) => format!("{}[{name}]", field.name()),
            Some(Key::Index(index)) => format!("{}[{index}]", field.name()),
            None => field.name().to_owned(),
        };
        let Some(value) = self.0.get(name.as_str()).and_then(|values| values.first()) else {
            return Value::Missing;
        };
        let text = std::str::from_utf8(value).unwrap_or("");
        match field.field_type() {
            FieldType::Bool => Value::Bool(text == "true"),
            FieldType::Number => Value::Number(text.parse().expect("a number")),
            FieldType::Text | FieldType::List | FieldType::Network => Value::Text(value),
        }
    }

    fn any(&self, field: Field, visit: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.0.get(field.name()).is_some_and(|values| values.iter().any(|value| visit(value)))
    }
}

fn source(name: &str, text: &str) -> Source {
    Source { name: name.to_owned(), text: text.to_owned() }
}

fn load(text: &str) -> (RuleSet, Vec<RuleError>) {
    RuleSet::load(vec![source("test.yaml", text)])
}

/// Names of the rules that match an exec.
fn matching(set: &RuleSet, facts: &Table) -> Vec<String> {
    let mut matches = Matches::default();
    set.judge(EventKind::Exec, facts, &mut matches);
    matches.rules.iter().map(|&index| set.rule(index).name.clone()).collect()
}

/// Whether a condition holds for some facts.
fn holds(condition: &str, facts: &Table) -> bool {
    let quoted = serde_json::to_string(condition).expect("a text");
    let (set, errors) =
        load(&format!("- rule: r\n  condition: {quoted}\n  output: o\n  priority: INFO\n  desc: d\n"));
    assert!(errors.is_empty(), "{}", errors[0]);
    !matching(&set, facts).is_empty()
}

#[test]
fn every_operator() {
    let facts = Table::default()
        .with("proc.name", &["python3.11"])
        .with("proc.pid", &["42"])
        .with("proc.exepath", &["/usr/bin/python3.11"])
        .with("exe.drift", &["true"])
        .with("proc.names", &["python3.11", "script.py"])
        .with("proc.env[LD_PRELOAD]", &["/tmp/x.so"])
        .with("container.duration", &["5000000000"]);
    for condition in [
        "proc.name = python3.11",
        "proc.name == 'python3.11'",
        "proc.name != sh",
        "proc.pid > 41 and proc.pid >= 42 and proc.pid < 43 and proc.pid <= 42 and proc.pid != 41",
        "proc.pid in (1, 42, 3)",
        "proc.name in (sh, python3.11)",
        "proc.names in (script.py, other)",
        "proc.names intersects (other, script.py)",
        "proc.names != sh",
        "proc.names endswith .py",
        "proc.name contains thon and proc.name icontains THON",
        "proc.name startswith py and proc.name endswith 11",
        "proc.name glob 'py*[0-9]' and proc.name iglob 'PY*'",
        "proc.name regex 'python[0-9.]+'",
        "proc.exepath pmatch (/etc, /usr/bin) and proc.exepath pmatch /usr",
        "proc.exepath pmatch (/usr/*/python*)",
        "proc.env[LD_PRELOAD] exists and proc.env[LD_PRELOAD] startswith /tmp",
        "exe.drift = true and exe.drift != false and not exe.drift = false",
        "container.duration < 30s and container.duration > 4s",
        "proc.name bcontains 7974 and proc.name bstartswith 7079",
        "not user.uid exists",
    ] {
        assert!(holds(condition, &facts), "{condition}");
    }
    for condition in [
        "proc.name = python",
        "proc.name regex 'python'",
        "proc.names in (sh)",
        "proc.names != script.py",
        "proc.exepath pmatch (/usr/bi)",
        "proc.env[LD_AUDIT] exists",
        "user.uid = 0",
        "user.uid != 0",
        "proc.cwd != /",
        "proc.pid in ()",
    ] {
        assert!(!holds(condition, &facts), "{condition}");
    }
}

#[test]
fn ten_mistakes_are_ten_errors_at_their_places() {
    let text = "\
- list: shells
  items: [sh, bash]
- macro: loop
  condition: proc.name = a or loop2
- macro: loop2
  condition: not loop
- rule: one
  desc: unknown field, unknown operator is another rule
  condition: >
    evt.type = execve and
    proc.exepat = /bin/sh
  output: out %proc.nam
  priority: WARNING
- rule: two
  desc: d
  condition: proc.name startwith a
  output: o
  priority: WARNING
- rule: three
  desc: d
  condition: proc.pid = many
  output: o
  priority: LOUD
- rule: four
  desc: d
  condition: proc.name in (shells) and shels
  output: o
  priority: INFO
- rule: five
  desc: d
  condition: proc.name regex '(a'
  output: o
  priority: INFO
- rule: six
  desc: d
  condition: loop
  output: o
  priority: INFO
- rule: seven
  condition: proc.name = a
  ouput: o
  priority: INFO
- rule: good
  desc: d
  condition: proc.name = good
  output: o
  priority: INFO
";
    let (set, errors) = load(text);
    insta::assert_snapshot!(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n"));
    assert_eq!(set.rules().iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>(), ["good"]);
}

#[test]
fn broken_yaml_and_strange_items_are_errors() {
    for (text, code) in [
        ("- rule: [", Code::Yaml),
        ("rule: x", Code::Yaml),
        ("- a", Code::Yaml),
        ("- foo: 1", Code::UnknownKey),
        ("- list: a\n  items: [a]\n- list: b", Code::MissingKey),
        ("- macro: m\n  condition: [a]", Code::BadValue),
        ("- rule: r\n  rule: s", Code::BadValue),
        ("- list: a\n  items: [b]\n- list: b\n  items: [a]", Code::Cycle),
        (
            "- rule: r\n  condition: proc.name = a\n  output: o\n  priority: INFO\n  exceptions: a",
            Code::BadValue,
        ),
        ("- rule: r\n  condition: evt.type = opnat\n  output: o\n  priority: INFO", Code::BadValue),
        ("- list: l\n  append: true\n  items: [a]", Code::BadValue),
        ("- macro: m\n  condition: a.b = c\n  override: {items: append}", Code::BadValue),
        ("- rule: r\n  override: {priority: append}\n  priority: INFO", Code::BadValue),
        ("- rule: r\n  override: {priority: replace}", Code::MissingKey),
        ("- rule: r\n  override: {priority: replace}\n  priority: INFO\n  desc: d", Code::MissingKey),
        (
            "- rule: r\n  condition: proc.name = a\n  output: o\n  priority: INFO\n  stride: [x]",
            Code::BadValue,
        ),
        (
            "- rule: r\n  condition: proc.name = a\n  output: o\n  priority: INFO\n  attack: [T1]",
            Code::BadValue,
        ),
        ("- rule: r\n  condition: exe.drift = maybe\n  output: o\n  priority: INFO", Code::TypeMismatch),
        ("- rule: r\n  condition: proc.pid contains 1\n  output: o\n  priority: INFO", Code::BadOperator),
        ("- rule: r\n  condition: proc.name[1] = a\n  output: o\n  priority: INFO", Code::UnknownField),
        ("- rule: r\n  condition: proc.env = a\n  output: o\n  priority: INFO", Code::UnknownField),
        ("- rule: r\n  condition: proc.name\n  output: o\n  priority: INFO", Code::Syntax),
        (
            "- rule: r\n  enabled: perhaps\n  condition: proc.name = a\n  output: o\n  priority: INFO",
            Code::BadValue,
        ),
    ] {
        let (_, errors) = load(text);
        assert_eq!(errors.first().map(|error| error.code), Some(code), "{text}\n{errors:?}");
    }
}

#[test]
fn later_files_change_what_earlier_ones_say() {
    let first = "
- macro: young
  condition: container.duration < 30s
- list: names
  items: [a]
- rule: r
  desc: d
  condition: young and proc.name in (names)
  output: o
  priority: INFO
- rule: off
  desc: d
  condition: proc.name = a
  output: o
  priority: INFO
";
    let second = "
- macro: young
  condition: container.duration < 1s
- list: names
  items: [b]
- rule: off
  enabled: false
- rule: r
  priority: CRITICAL
";
    let facts = |name, age| Table::default().with("proc.name", &[name]).with("container.duration", &[age]);
    let (set, errors) = RuleSet::load(vec![source("1", first), source("2", second)]);
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(matching(&set, &facts("b", "1")), ["r"]);
    assert!(matching(&set, &facts("a", "1")).is_empty());
    assert!(matching(&set, &facts("b", "2000000000")).is_empty());
    assert_eq!(set.rules()[0].severity, Severity::Critical);
    assert_eq!(set.disabled(), ["off"]);
}

/// Facts with a command name and a path.
fn run(name: &'static str, path: &'static str) -> Table {
    Table::default().with("proc.name", &[name]).with("proc.exepath", &[path])
}

const CHANGEABLE: &str = "
- list: names
  items: [a]
- macro: known
  condition: proc.name in (names)
- rule: r
  desc: first
  condition: known
  output: o
  priority: INFO
  tags: [one]
";

#[test]
fn items_are_changed_by_override_and_by_append() {
    for second in [
        "
- list: names
  items: [b]
  override: {items: append}
- macro: known
  condition: and not proc.exepath = /no
  override: {condition: append}
- rule: r
  desc: second
  condition: or proc.name = c
  tags: [two]
  priority: ERROR
  output: new
  override: {desc: append, condition: append, tags: append, priority: replace, output: replace}
",
        "
- list: names
  append: true
  items: [b]
- macro: known
  append: true
  condition: and not proc.exepath = /no
- rule: r
  append: true
  condition: or proc.name = c
  tags: [two]
- rule: r
  priority: ERROR
",
    ] {
        let (set, errors) = RuleSet::load(vec![source("1", CHANGEABLE), source("2", second)]);
        assert!(errors.is_empty(), "{}", errors[0]);
        for (name, path, expected) in [
            ("a", "/x", true),
            ("b", "/x", true),
            ("b", "/no", false),
            ("c", "/no", true),
            ("d", "/x", false),
        ] {
            assert_eq!(!matching(&set, &run(name, path)).is_empty(), expected, "{name} {path}");
        }
        let rule = &set.rules()[0];
        assert_eq!(rule.severity, Severity::High);
        assert_eq!(rule.tags, ["one", "two"]);
    }
}

#[test]
fn what_is_appended_keeps_its_own_place() {
    let second = "- macro: known\n  override: {condition: append}\n  condition: and\n    proc.nam = x\n";
    let (_, errors) = RuleSet::load(vec![source("1", CHANGEABLE), source("2", second)]);
    let error = errors.first().expect("a mistake");
    assert_eq!((error.place.source.name.as_str(), error.place.line, error.place.column), ("2", 4, 5));
}

#[test]
fn exceptions_silence_what_they_name() {
    let first = "
- list: tools
  items: [curl, wget]
- rule: r
  desc: d
  condition: proc.name startswith ''
  output: o
  priority: INFO
  exceptions:
    - name: pairs
      fields: [proc.name, proc.exepath]
      comps: [=, startswith]
      values:
        - [a, /opt]
        - [b, '(/usr, /bin)']
    - name: names
      fields: proc.name
      values: [tools, x]
    - name: usual
      fields: [proc.name, proc.exepath]
      values:
        - [e, [/e1, /e2]]
    - name: later
      fields: [proc.name]
";
    let second = "
- rule: r
  exceptions:
    - name: later
      values: [[late]]
    - name: new
      fields: proc.exepath
      comps: pmatch
      values: [/srv]
  override: {exceptions: append}
";
    let (set, errors) = RuleSet::load(vec![source("1", first), source("2", second)]);
    assert!(errors.is_empty(), "{}", errors[0]);
    for (name, path, expected) in [
        ("a", "/opt/a", false),
        ("a", "/usr/a", true),
        ("b", "/usr/b", false),
        ("b", "/bin/b", false),
        ("b", "/opt/b", true),
        ("curl", "/x", false),
        ("x", "/x", false),
        ("e", "/e2", false),
        ("e", "/e3", true),
        ("late", "/x", false),
        ("y", "/srv/y", false),
        ("y", "/x", true),
    ] {
        assert_eq!(!matching(&set, &run(name, path)).is_empty(), expected, "{name} {path}");
    }
}

#[test]
fn wrong_exceptions_are_named_at_their_place() {
    let rule = |exception: &str| {
        format!(
            "- rule: r\n  condition: proc.name = a\n  output: o\n  priority: INFO\n  exceptions:\n    - {exception}"
        )
    };
    for (exception, message) in [
        ("{name: e, fields: [proc.name], values: [[a, b]]}", "2 values for the 1 fields of exception `e`"),
        ("{name: e, fields: [proc.name], comps: [=, =]}", ""),
        ("{name: e, fields: [proc.name], comps: [is], values: [[a]]}", "unknown operator `is`"),
        ("{name: e, fields: [proc.nam], values: [[a]]}", "unknown field `proc.nam`"),
        ("{fields: [proc.name], values: [[a]]}", "an exception needs a `name`"),
        ("{name: e, values: [[a]]}", "exception `e` has no `fields`"),
        ("{name: e, fields: proc.pid, values: [x]}", "`proc.pid` is a number, `x` is not"),
    ] {
        let (_, errors) = load(&rule(exception));
        let expected = if message.is_empty() { "exception `e` has 1 fields, but 2 `comps`" } else { message };
        let error = errors.first().expect(exception);
        assert_eq!((error.message.as_str(), error.place.line), (expected, 6), "{exception}");
    }
}

#[test]
fn functions_make_values() {
    let facts = Table::default()
        .with("proc.name", &["Bash"])
        .with("proc.pname", &["bash"])
        .with("proc.exepath", &["/usr/bin/Bash"])
        .with("proc.args", &["aGVsbG8="])
        .with("proc.names", &["Bash", "SH"])
        .with("proc.pid", &["7"])
        .with("proc.ppid", &["6"]);
    for condition in [
        "tolower(proc.name) = bash and toupper(proc.name) in (x, BASH)",
        "tolower(proc.name) = val(proc.pname) and proc.name != val(proc.pname)",
        "basename(proc.exepath) = val(proc.name)",
        "basename(tolower(proc.exepath)) = bash",
        "b64(proc.args) = hello and not b64(proc.exepath) exists",
        "len(proc.name) = 4 and len(proc.names) > 1 and len(proc.name) in (3, 4)",
        "join('-', proc.name, proc.pname) = Bash-bash",
        "concat(proc.name, proc.pid) = Bash7",
        "join(',', (proc.names)) = 'Bash,SH'",
        "tolower(proc.names) = sh and tolower(proc.names) != zsh",
        "proc.pid > val(proc.ppid) and not proc.pid <= val(proc.ppid)",
        "proc.exepath endswith val(proc.name)",
        "not tolower(proc.cwd) = x and not tolower(proc.cwd) != x",
    ] {
        assert!(holds(condition, &facts), "{condition}");
    }
    for (condition, message) in [
        ("tolower('x') = a", "`tolower` takes a field, not a text"),
        ("join(proc.name, proc.pname) = a", "`join` takes a text in quotes first"),
        ("tolower(proc.nam) = a", "unknown field `proc.nam`"),
        ("len(proc.name) = a", "`len(...)` is a number, `a` is not"),
        ("proc.name glob val(proc.pname)", "operator `glob` does not work on `proc.name`, which is a text"),
    ] {
        let (_, errors) =
            load(&format!("- rule: r\n  condition: {condition}\n  output: o\n  priority: INFO\n"));
        assert_eq!(errors.first().map(|error| error.message.as_str()), Some(message), "{condition}");
    }
}

#[test]
fn networks_and_quoted_items() {
    let text = "
- list: private
  items: ['\"10.0.0.0/8\"', '\"192.168.0.0/16\"']
- rule: r
  desc: d
  condition: fd.net != \"127.0.0.0/8\" and not fd.snet in (private)
  output: o
  priority: INFO
";
    let (set, errors) = load(text);
    assert!(errors.is_empty(), "{}", errors[0]);
    let to = |address| Table::default().with("fd.net", &[address]).with("fd.snet", &[address]);
    assert_eq!(matching(&set, &to("1.1.1.1")), ["r"]);
    for address in ["10.1.2.3", "192.168.0.9", "127.0.0.1", "::ffff:10.0.0.1"] {
        assert!(matching(&set, &to(address)).is_empty(), "{address}");
    }
    let (_, errors) = load("- rule: r\n  condition: fd.net = 10.0.0\n  output: o\n  priority: INFO\n");
    assert_eq!(errors[0].message, "`fd.net` is a network, `10.0.0` is not");
}

#[test]
fn what_cannot_be_seen_is_a_warning_and_the_rule_works() {
    let text = "
- required_engine_version: 0.58.0
- required_plugin_versions: [{name: container, version: 0.4.0}]
- rule: r
  desc: d
  condition: evt.type in (execve, dup2) and not proc.sname = x
  output: sid=%proc.sname name=%proc.name arg=%evt.arg.mode
  priority: INFO
- rule: audit
  desc: d
  condition: ka.verb = create
  output: o
  priority: INFO
  source: k8s_audit
- rule: newer
  desc: d
  condition: proc.newest = a
  output: o
  priority: INFO
  skip-if-unknown-filter: true
- rule: off
  desc: d
  condition: proc.nam = a
  output: o
  priority: INFO
  enabled: false
";
    let (set, messages) = load(text);
    let shown: Vec<String> = messages
        .iter()
        .map(|message| {
            format!(
                "{} {} {}: {}",
                message.level.name(),
                message.place.line,
                message.code.name(),
                message.message
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
    assert_eq!(matching(&set, &run("a", "/a")), ["r"]);
    assert_eq!(set.rules().len(), 1);
}

#[test]
fn events_have_the_names_of_all_calls_that_lead_to_them() {
    let text = "
- rule: opens
  desc: d
  condition: evt.type in (open, openat, openat2) or evt.type = creat
  output: o
  priority: INFO
- rule: no open
  desc: d
  condition: evt.type != openat
  output: o
  priority: INFO
- rule: links
  desc: d
  condition: evt.type in (link, linkat)
  output: o
  priority: INFO
";
    let (set, errors) = load(text);
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(set.kinds_of(&set.rules()[0]), [EventKind::FileOpen]);
    assert!(!set.kinds_of(&set.rules()[1]).contains(&EventKind::FileOpen));
    assert_eq!(set.kinds_of(&set.rules()[2]), [EventKind::FileName]);
    let judged = |kind, facts: &Table| {
        let mut matches = Matches::default();
        set.judge(kind, facts, &mut matches);
        matches.rules.iter().map(|&index| set.rule(index).name.clone()).collect::<Vec<_>>()
    };
    let link = Table::default().with("evt.type", &["file_name", "link", "linkat"]);
    assert_eq!(judged(EventKind::FileName, &link), ["no open", "links"]);
    let rename = Table::default().with("evt.type", &["file_name", "rename"]);
    assert_eq!(judged(EventKind::FileName, &rename), ["no open"]);
}

/// The path of a rule file of Falco's, if one is there to be tried.
#[test]
fn rules_of_falco_load_unmodified() {
    let Ok(path) = std::env::var("FALCO_RULES") else { return };
    let text = std::fs::read_to_string(&path).expect("readable");
    let wanted = text.lines().filter(|line| line.starts_with("- rule:")).count();
    let (set, messages) = RuleSet::load(vec![Source { name: path, text }]);
    let errors: Vec<String> =
        messages.iter().filter(|message| message.level == Level::Error).map(ToString::to_string).collect();
    assert!(errors.is_empty(), "{}", errors.join("\n\n"));
    assert_eq!(set.rules().len() + set.disabled().len(), wanted);
}

#[test]
fn the_first_rule_of_an_id_speaks() {
    let rule = |name: &str, id: &str, value: &str| {
        format!(
            "- rule: {name}\n  id: {id}\n  desc: d\n  condition: proc.name startswith {value}\n  output: o\n  priority: INFO\n"
        )
    };
    let text = [rule("ab", "x", "ab"), rule("a", "x", "a"), rule("other", "y", "a")].concat();
    let (set, errors) = load(&text);
    assert!(errors.is_empty());
    assert_eq!(matching(&set, &Table::default().with("proc.name", &["abc"])), ["ab", "other"]);
    assert_eq!(matching(&set, &Table::default().with("proc.name", &["ac"])), ["a", "other"]);
}

#[test]
fn rules_are_asked_only_for_their_kinds_of_event() {
    let text = "
- rule: exec
  desc: d
  condition: evt.type in (execve, execveat) and proc.name exists
  output: o
  priority: INFO
- rule: not exec
  desc: d
  condition: not evt.type = execve
  output: o
  priority: INFO
";
    let (set, errors) = load(text);
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(set.kinds_of(&set.rules()[0]), [EventKind::Exec]);
    let others = EventKind::ALL.into_iter().filter(|kind| *kind != EventKind::Exec);
    assert_eq!(set.kinds_of(&set.rules()[1]), others.collect::<Vec<_>>());
}

#[test]
fn stride_follows_from_tags_and_severity_from_priority() {
    let text = "
- rule: r
  desc: d
  condition: proc.name = a
  output: o
  priority: ERROR
  tags: [container, mitre_credential_access, T1555]
";
    let (set, errors) = load(text);
    assert!(errors.is_empty(), "{errors:?}");
    let rule = &set.rules()[0];
    assert_eq!((rule.id.as_str(), rule.severity), ("r", Severity::High));
    assert_eq!(rule.stride, [Stride::InformationDisclosure]);
}

#[test]
fn large_sets_and_deep_macros_are_bounded() {
    let mut text = String::from("- macro: m0\n  condition: proc.name = a and proc.name = b\n");
    for level in 1..40 {
        text.push_str(&format!("- macro: m{level}\n  condition: m{0} and m{0}\n", level - 1));
    }
    text.push_str("- rule: r\n  desc: d\n  condition: m30\n  output: o\n  priority: INFO\n");
    let (_, errors) = load(&text);
    assert_eq!(errors.first().map(|error| error.code), Some(Code::TooLarge));

    // Nothing but names: there is no comparison and no item to count, only work.
    let mut text = String::from("- macro: m0\n  condition: always_true\n- list: l0\n  items: []\n");
    for level in 1..25 {
        let below = level - 1;
        text.push_str(&format!("- macro: m{level}\n  condition: m{below} and m{below}\n"));
        text.push_str(&format!("- list: l{level}\n  items: [l{below}, l{below}]\n"));
    }
    text.push_str(
        "- rule: r\n  desc: d\n  condition: m24 and proc.name in (l5)\n  output: o\n  priority: INFO\n",
    );
    let (_, errors) = load(&text);
    assert!(errors.len() > 1 && errors.iter().all(|error| error.code == Code::TooLarge));

    let items: Vec<String> = (0..100_000).map(|number| format!("item{number}")).collect();
    let text = format!(
        "- list: l\n  items: [{}]\n- rule: r\n  desc: d\n  condition: proc.name in (l)\n  output: o\n  priority: INFO\n",
        items.join(", ")
    );
    let (set, errors) = load(&text);
    assert!(errors.is_empty());
    assert_eq!(matching(&set, &Table::default().with("proc.name", &["item99999"])), ["r"]);
}

proptest! {
    #[test]
    fn no_file_panics(text in "(- (rule|macro|list): [a-z]{1,3}\n  (condition|items|output): [a-z=() .\"'\\[\\]%&*!|>-]{0,30}\n){0,5}") {
        let _ = load(&text);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = load(&text);
    }
}
