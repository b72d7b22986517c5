//! What the kernel side must tell of files for a set of rules: of each condition a *necessary* one over what the kernel knows,
//! the operation, whether a container's process does it, the file's name, its ending, the name of its folder.
//!
//! It is an upper bound: all that a rule can match is told, and more; [`needs`] may forget a part of `and`, never a part of
//! `or`. A rule of which nothing can be said asks for every file. The built-in rules have lists of their own, made by hand.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::Key;
use super::field::Field;
use super::index::of_kind;
use super::program::{Matcher, Program, Test, TextMatcher};
use super::{Rule, RuleSet, builtin};
use crate::event::EventKind;
use crate::probe::{FileName, FileOperations};

/// Names of one sort that are looked for in the kernel, at most; with more of them every file is told.
const NAMES_MAX: usize = 512;

/// All that is to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileWants {
    /// Of files with a name.
    pub names: BTreeMap<FileName, FileOperations>,
    /// Of every file.
    pub all: Vec<FileOperations>,
    /// Rules for which every file is told, by name.
    pub greedy: Vec<String>,
}

impl FileWants {
    fn add(&mut self, rule: &Rule, need: Need) {
        if need.operations.is_none() {
            return;
        }
        match need.names {
            Some(names) if self.names.len() + names.len() <= NAMES_MAX => {
                for name in names {
                    let known = self.names.entry(name).or_default();
                    *known = known.combine(need.operations, |one, other| one || other);
                }
            }
            _ => {
                if !self.all.contains(&need.operations) {
                    self.all.push(need.operations);
                }
                self.greedy.push(rule.name.clone());
            }
        }
    }
}

impl RuleSet {
    /// What the kernel side must tell of files besides its own lists, for the rules that are not built in.
    pub fn file_wants(&self) -> FileWants {
        let mut wants = FileWants::default();
        for rule in self.rules().iter().filter(|rule| !builtin::is_one(&rule.source)) {
            for kind in [EventKind::FileOpen, EventKind::FileName, EventKind::FileAttribute] {
                let left = rule.program.assuming(&|test| of_kind(test, kind));
                if matches!(left, Program::Constant(false)) || !names_kind(&rule.program) {
                    continue;
                }
                wants.add(rule, of_event(kind, needs(&left, false)));
            }
        }
        wants
    }
}

/// Whether a condition asks for kinds of event at all. One that does not would ask for everything that any process does: it is
/// judged by what is told for other reasons.
fn names_kind(program: &Program) -> bool {
    program.asks_for(Field::EvtType)
}

/// The operations that an event of a kind can be.
fn of_event(kind: EventKind, need: Need) -> Need {
    let mut operations = need.operations;
    let (mut names, is_open) = (need.names, kind == EventKind::FileOpen);
    operations.read &= is_open;
    operations.write &= is_open;
    operations.name &= kind == EventKind::FileName;
    operations.attribute &= kind == EventKind::FileAttribute;
    if kind == EventKind::FileName {
        // A rule may ask for either name of a link or rename, or for what a link leads to.
        names = None;
    }
    Need { operations, names }
}

/// An upper bound of the events for which a condition holds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Need {
    operations: FileOperations,
    /// Names of which the file must have one; `None` for any.
    names: Option<BTreeSet<FileName>>,
}

impl Need {
    fn any() -> Self {
        Self { operations: FileOperations::ALL, names: None }
    }

    fn nothing() -> Self {
        Self { operations: FileOperations::NONE, names: Some(BTreeSet::new()) }
    }

    fn named(names: impl IntoIterator<Item = Option<FileName>>) -> Self {
        let names: Option<BTreeSet<FileName>> = names.into_iter().collect();
        Self { operations: FileOperations::ALL, names }
    }

    fn only(change: impl FnOnce(&mut FileOperations)) -> Self {
        let mut need = Self::any();
        change(&mut need.operations);
        need
    }

    /// Events of both bounds: each of them alone is one already, the smaller is taken.
    fn and(self, other: Self) -> Self {
        let names = match (self.names, other.names) {
            (Some(one), Some(two)) => Some(if one.len() <= two.len() { one } else { two }),
            (one, two) => one.or(two),
        };
        Self { operations: self.operations.combine(other.operations, |one, other| one && other), names }
    }

    /// Events of either bound.
    fn or(self, other: Self) -> Self {
        if self.operations.is_none() {
            return other;
        }
        if other.operations.is_none() {
            return self;
        }
        let names = match (self.names, other.names) {
            (Some(mut one), Some(two)) => {
                one.extend(two);
                Some(one)
            }
            _ => None,
        };
        Self { operations: self.operations.combine(other.operations, |one, other| one || other), names }
    }
}

/// The bound of a condition, or of its opposite.
fn needs(program: &Program, negated: bool) -> Need {
    match program {
        Program::Constant(value) if *value != negated => Need::any(),
        Program::Constant(_) => Need::nothing(),
        Program::Not(inner) => needs(inner, !negated),
        Program::And(parts) | Program::Or(parts) => {
            let is_and = matches!(program, Program::And(_)) != negated;
            let start = if is_and { Need::any() } else { Need::nothing() };
            parts.iter().fold(start, |all, part| {
                let part = needs(part, negated);
                if is_and { all.and(part) } else { all.or(part) }
            })
        }
        Program::Made(_) => Need::any(),
        Program::Test(test) if negated => opposite(test),
        Program::Test(test) => of_test(test),
    }
}

/// Of a comparison that must not hold nothing follows, as it does not hold for a missing value either; but of booleans and
/// numbers that an open always has.
fn opposite(test: &Test) -> Need {
    match (test.field, &test.matcher) {
        (Field::OpenWrite | Field::EvtIsOpenWrite, Matcher::Bool(wanted)) => opened(!wanted),
        _ => Need::any(),
    }
}

fn of_test(test: &Test) -> Need {
    match (test.field, &test.matcher) {
        (Field::OpenWrite | Field::EvtIsOpenWrite, Matcher::Bool(wanted)) => opened(*wanted),
        // O_TRUNC and O_CREAT may stand beside O_RDONLY: of them, and of `open.truncate`, nothing follows.
        (Field::EvtArg, Matcher::Text(TextMatcher::Contains(finder)))
            if test.key == Some(Key::Name("flags".into()))
                && matches!(finder.needle(), b"O_WRONLY" | b"O_RDWR") =>
        {
            opened(true)
        }
        // The kernel's container is a process in another mount namespace: some of the host's own are, so that only
        // what is in a container is known not to be the host's.
        (Field::ContainerId, Matcher::NotText(TextMatcher::Equal(id))) if **id == *b"host" => {
            Need::only(|operations| operations.host = false)
        }
        (Field::ContainerId, Matcher::Text(TextMatcher::Equal(id))) if **id != *b"host" => {
            Need::only(|operations| operations.host = false)
        }
        (Field::FdName | Field::FilePath | Field::FsPathName, Matcher::Text(text)) => of_path(text),
        (Field::FdFilename | Field::FileName, Matcher::Text(text)) => of_name(text),
        (Field::FdDirectory, Matcher::Text(text)) => of_folder(text),
        _ => Need::any(),
    }
}

/// Opened for writing, or not. Other operations are not opens.
fn opened(for_writing: bool) -> Need {
    Need::only(|operations| {
        operations.read = !for_writing;
        operations.write = for_writing;
    })
}

fn of_path(text: &TextMatcher) -> Need {
    match text {
        TextMatcher::Equal(path) => Need::named([last_part(path)]),
        TextMatcher::In(paths) => Need::named(paths.iter().map(|path| last_part(path))),
        TextMatcher::EndsWith(end) if end.contains(&b'/') => Need::named([last_part(end)]),
        TextMatcher::EndsWith(end) => Need::named([ending(end)]),
        _ => Need::any(),
    }
}

fn of_name(text: &TextMatcher) -> Need {
    match text {
        TextMatcher::Equal(name) => Need::named([whole(name)]),
        TextMatcher::In(names) => Need::named(names.iter().map(|name| whole(name))),
        TextMatcher::EndsWith(end) => Need::named([ending(end)]),
        _ => Need::any(),
    }
}

fn of_folder(text: &TextMatcher) -> Need {
    match text {
        TextMatcher::Equal(path) => Need::named([folder(path)]),
        TextMatcher::In(paths) => Need::named(paths.iter().map(|path| folder(path))),
        _ => Need::any(),
    }
}

/// The name of a file by its path; `None` for the root folder, which has none.
fn last_part(path: &[u8]) -> Option<FileName> {
    whole(path.rsplit(|&byte| byte == b'/').next()?)
}

fn whole(name: &[u8]) -> Option<FileName> {
    let key = sensor_ebpf::abi::NameKey::name(name);
    key.map(|_| FileName::Whole(name.into()))
}

/// What names end in that end like this, from the last dot on.
fn ending(end: &[u8]) -> Option<FileName> {
    let dot = end.iter().rposition(|&byte| byte == b'.')?;
    let ending = &end[dot..];
    sensor_ebpf::abi::NameKey::ending(ending).map(|_| FileName::Ending(ending.into()))
}

/// The name of a folder by its path.
fn folder(path: &[u8]) -> Option<FileName> {
    let name = path.rsplit(|&byte| byte == b'/').next()?;
    sensor_ebpf::abi::NameKey::folder(name).map(|_| FileName::Folder(name.into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::judge::rules::{Facts, Matches, Source, Value};

    fn set_of(condition: &str) -> RuleSet {
        let quoted = serde_json::to_string(condition).expect("a text");
        let text = format!("- rule: r\n  condition: {quoted}\n  output: o\n  priority: INFO\n");
        let (set, messages) = RuleSet::load(vec![Source { name: "r.yaml".into(), text }]);
        assert!(messages.is_empty(), "{condition}: {}", messages[0]);
        set
    }

    fn wants_of(condition: &str) -> FileWants {
        set_of(condition).file_wants()
    }

    fn whole_name(name: &str) -> FileName {
        FileName::Whole(name.as_bytes().into())
    }

    #[test]
    fn names_are_found_behind_macros_and_alternatives() {
        let wants = wants_of(
            "evt.type in (open, openat) and evt.is_open_write = true and container.id != host and \
             (fd.name in (/etc/shadow, /etc/sudoers) or fd.directory = /root/.ssh or fd.name endswith /x/y.conf)",
        );
        assert!(wants.all.is_empty(), "{wants:?}");
        let folder = FileName::Folder(b".ssh"[..].into());
        let names = [whole_name("shadow"), whole_name("sudoers"), whole_name("y.conf"), folder];
        assert_eq!(wants.names.keys().cloned().collect::<BTreeSet<_>>(), BTreeSet::from(names));
        let operations = FileOperations { write: true, container: true, ..FileOperations::NONE };
        assert!(wants.names.values().all(|one| *one == operations), "{wants:?}");
    }

    #[test]
    fn what_cannot_be_bounded_asks_for_every_file() {
        for condition in [
            "evt.type = open and fd.name startswith /etc",
            "evt.type = open and (fd.name = /a or proc.name = x)",
            "evt.type = open and fd.name != /a",
            "evt.type = open and fd.name = /",
            "evt.type = open and tolower(fd.name) = /a",
            "evt.type = open and not fd.name = /a",
        ] {
            let wants = wants_of(condition);
            assert_eq!(wants.greedy, ["r"], "{condition}");
            assert_eq!(wants.all, [FileOperations { name: false, attribute: false, ..FileOperations::ALL }]);
        }
        assert_eq!(wants_of("evt.type = execve and fd.name = /a"), FileWants::default());
        assert_eq!(wants_of("proc.name = a"), FileWants::default());
        let names = wants_of("evt.type = rename and fs.path.target = /a");
        assert_eq!(
            names.all,
            [FileOperations { name: true, container: true, host: true, ..FileOperations::NONE }]
        );
    }

    #[test]
    fn a_file_may_be_cut_though_it_is_opened_for_reading() {
        let wants = wants_of("evt.type = open and open.truncate = true and fd.name = /a");
        assert!(wants.names.values().all(|operations| operations.read), "{wants:?}");
    }

    #[test]
    fn built_in_rules_have_their_own_lists() {
        let (set, _) = RuleSet::load(builtin::sources());
        assert_eq!(set.file_wants(), FileWants::default());
    }

    /// An open as the kernel sees it, and as rules do.
    #[derive(Clone, Debug)]
    struct Open {
        path: String,
        write: bool,
        contained: bool,
        process: &'static str,
    }

    impl Facts for Open {
        fn get(&self, field: Field, key: Option<&Key>) -> Value<'_> {
            let (folder, name) = self.path.rsplit_once('/').expect("a path");
            match field {
                Field::FdName | Field::FilePath | Field::FsPathName => Value::Text(self.path.as_bytes()),
                Field::FdFilename | Field::FileName => Value::Text(name.as_bytes()),
                Field::FdDirectory => Value::Text(if folder.is_empty() { b"/" } else { folder.as_bytes() }),
                Field::OpenWrite | Field::EvtIsOpenWrite => Value::Bool(self.write),
                Field::EvtIsOpenRead => Value::Bool(!self.write),
                Field::ContainerId => Value::Text(if self.contained { b"c1" } else { b"host" }),
                Field::ProcName => Value::Text(self.process.as_bytes()),
                Field::EvtArg if key.is_some() => {
                    Value::Text(if self.write { b"O_WRONLY|O_CREAT" } else { b"O_RDONLY" })
                }
                _ => Value::Missing,
            }
        }

        fn any(&self, _: Field, _: &mut dyn FnMut(&[u8]) -> bool) -> bool {
            false
        }
    }

    /// What sensor-ebpf/src/watch.rs does with the lists.
    fn is_told(wants: &FileWants, open: &Open) -> bool {
        let fits = |operations: &FileOperations| {
            let by = if open.contained { operations.container } else { operations.host };
            by && if open.write { operations.write } else { operations.read }
        };
        let (folder, name) = open.path.rsplit_once('/').expect("a path");
        let folder = folder.rsplit('/').next().unwrap_or("");
        let ending = name.rfind('.').map(|dot| &name[dot..]);
        let mut keys = vec![whole_name(name), FileName::Folder(folder.as_bytes().into())];
        keys.extend(ending.map(|ending| FileName::Ending(ending.as_bytes().into())));
        wants.all.iter().any(fits) || keys.iter().filter_map(|key| wants.names.get(key)).any(fits)
    }

    fn condition() -> impl Strategy<Value = String> {
        let part = || "(a|b|[.]c|d[.]c|e[.]d[.]c)";
        let path = || "(/(a|b|[.]c|d[.]c|e[.]d[.]c)){1,3}";
        let leaf = prop_oneof![
            (prop_oneof![Just("fd.name"), Just("file.path"), Just("fs.path.name")], path())
                .prop_map(|(field, path)| format!("{field} = {path}")),
            (path(), path()).prop_map(|(one, two)| format!("fd.name in ({one}, {two})")),
            path().prop_map(|path| format!("fd.name != {path}")),
            path().prop_map(|path| format!("fd.name startswith {path}")),
            (prop_oneof![Just("fd.name"), Just("fd.filename")], "(c|[.]c|d[.]c|e[.]d[.]c|[.]d[.]c|a)")
                .prop_map(|(field, end)| format!("{field} endswith {end}")),
            path().prop_map(|end| format!("fd.name endswith {end}")),
            path().prop_map(|path| format!("fd.directory = {path}")),
            part().prop_map(|name| format!("fd.filename = {name}")),
            (
                prop_oneof![Just("evt.is_open_write"), Just("open.write"), Just("evt.is_open_read")],
                any::<bool>()
            )
                .prop_map(|(field, value)| format!("{field} = {value}")),
            prop_oneof![Just("O_WRONLY"), Just("O_CREAT"), Just("O_RDONLY")]
                .prop_map(|flag| format!("evt.arg.flags contains {flag}")),
            (prop_oneof![Just("="), Just("!=")], prop_oneof![Just("host"), Just("c1")])
                .prop_map(|(operator, id)| format!("container.id {operator} {id}")),
            Just("proc.name = x".to_owned()),
            Just("always_true".to_owned()),
            Just("never_true".to_owned()),
        ];
        leaf.prop_recursive(4, 24, 3, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 1..4)
                    .prop_map(|all| format!("({})", all.join(" and "))),
                proptest::collection::vec(inner.clone(), 1..4)
                    .prop_map(|all| format!("({})", all.join(" or "))),
                inner.prop_map(|one| format!("not ({one})")),
            ]
        })
    }

    fn open() -> impl Strategy<Value = Open> {
        let path = "(/(a|b|[.]c|d[.]c|e[.]d[.]c)){1,3}";
        (path, any::<bool>(), any::<bool>(), prop_oneof![Just("x"), Just("y")])
            .prop_map(|(path, write, contained, process)| Open { path, write, contained, process })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn what_a_rule_matches_is_always_told(
            conditions in proptest::collection::vec(condition(), 1..4),
            opens in proptest::collection::vec(open(), 1..24),
        ) {
            let conditions: Vec<String> =
                conditions.iter().map(|one| format!("evt.type in (open, openat) and {one}")).collect();
            let mut text = String::new();
            for (index, condition) in conditions.iter().enumerate() {
                text.push_str(&format!("- rule: r{index}\n  condition: '{condition}'\n  output: o\n  priority: INFO\n"));
            }
            let (set, messages) = RuleSet::load(vec![Source { name: "r.yaml".into(), text }]);
            prop_assert!(messages.is_empty());
            let wants = set.file_wants();
            let mut matches = Matches::default();
            for open in opens {
                set.judge(EventKind::FileOpen, &open, &mut matches);
                prop_assert_eq!(&matches.rules, &set.judged_alone(EventKind::FileOpen, &open));
                prop_assert!(matches.rules.is_empty() || is_told(&wants, &open), "{conditions:?} {open:?} {wants:?}");
            }
        }
    }
}
