//! Rule files to items: lists, macros, rules. Later items of a name replace earlier ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::{Code, Place, RuleError, Source};
use super::yaml::{self, Node, Yaml};

/// Largest rule file.
pub const FILE_MAX: usize = 16 * 1024 * 1024;

/// A condition or output with its place.
#[derive(Clone, Debug)]
pub struct Text {
    /// Its text.
    pub text: String,
    node: Arc<Node>,
    source: Arc<Source>,
}

impl Text {
    /// Where its characters `start..end` stand.
    pub fn place(&self, start: usize, end: usize) -> Place {
        self.node.place_within(&self.source, start, end)
    }
}

/// A list as written.
#[derive(Debug)]
pub struct ListItem {
    /// Items, which may be names of lists.
    pub items: Vec<String>,
    /// Where its name stands.
    pub place: Place,
}

/// A macro as written.
#[derive(Debug)]
pub struct MacroItem {
    /// Its condition.
    pub condition: Text,
}

/// A rule as written.
#[derive(Clone, Debug)]
pub struct RuleItem {
    /// Its name.
    pub name: String,
    /// Where its name stands.
    pub place: Place,
    /// Its condition.
    pub condition: Text,
    /// Its output.
    pub output: Text,
    /// What it is about.
    pub desc: String,
    /// All other keys with scalar or list values, by name.
    pub keys: BTreeMap<String, (Vec<String>, Place)>,
    /// Whether it is judged.
    pub enabled: bool,
}

/// All items of all files.
#[derive(Debug, Default)]
pub struct Items {
    /// Lists by name.
    pub lists: BTreeMap<String, ListItem>,
    /// Macros by name.
    pub macros: BTreeMap<String, MacroItem>,
    /// Rules in the order of their first definition.
    pub rules: Vec<RuleItem>,
}

/// Keys of a rule, ours behind Falco's.
const RULE_KEYS: [&str; 17] = [
    "rule",
    "desc",
    "condition",
    "output",
    "priority",
    "tags",
    "enabled",
    "source",
    "warn_evttypes",
    "skip-if-unknown-filter",
    "id",
    "severity",
    "stride",
    "attack",
    "ms_threat_matrix",
    "threat_source",
    "judge",
];
/// Keys of Falco's that this version does not have.
const NOT_YET: [&str; 4] = ["exceptions", "append", "override", "capture"];

/// Reads one file into `items`; what is wrong is added to `errors`, what is right is kept.
pub fn load(source: &Arc<Source>, items: &mut Items, errors: &mut Vec<RuleError>) {
    if source.text.len() > FILE_MAX {
        let message = format!("file of {} bytes, at most {FILE_MAX} are read", source.text.len());
        errors.push(RuleError::new(Code::TooLarge, Place::start(source), message));
        return;
    }
    match yaml::read(source) {
        Err(error) => errors.push(error),
        Ok(documents) => {
            for document in documents {
                Loader { source, items, errors }.document(document);
            }
        }
    }
}

struct Loader<'a> {
    source: &'a Arc<Source>,
    items: &'a mut Items,
    errors: &'a mut Vec<RuleError>,
}

type Entries = Vec<(String, Place, Node)>;

impl Loader<'_> {
    fn error(&mut self, code: Code, place: Place, message: impl Into<String>) {
        self.errors.push(RuleError::new(code, place, message));
    }

    fn document(&mut self, document: Node) {
        let place = document.place(self.source);
        match document.value {
            Yaml::Sequence(nodes) => {
                for node in nodes {
                    self.item(node);
                }
            }
            Yaml::Scalar(text, _) if text.is_empty() => {}
            _ => self.error(Code::Yaml, place, "a rule file is a list of items, each beginning with `- `"),
        }
    }

    fn item(&mut self, node: Node) {
        let place = node.place(self.source);
        let Yaml::Mapping(pairs) = node.value else {
            return self.error(
                Code::Yaml,
                place,
                "an item is a mapping that begins with `rule:`, `macro:` or `list:`",
            );
        };
        let mut entries: Entries = Vec::new();
        for (key, value) in pairs {
            let place = key.place(self.source);
            let name = key.text().unwrap_or("").to_owned();
            if entries.iter().any(|(known, ..)| *known == name) {
                self.error(Code::BadValue, place, format!("key `{name}` stands twice"));
                continue;
            }
            entries.push((name, place, value));
        }
        let has = |name: &str| entries.iter().any(|(key, ..)| key == name);
        if has("rule") {
            self.rule(entries);
        } else if has("macro") {
            self.macro_item(entries);
        } else if has("list") {
            self.list(entries);
        } else if !has("required_engine_version") && !has("required_plugin_versions") {
            let error = RuleError::new(Code::UnknownKey, place, "this item is neither rule, macro nor list");
            self.errors.push(error.help("begin it with `- rule:`, `- macro:` or `- list:`"));
        }
    }

    /// Reports keys that an item does not have.
    fn check_keys(&mut self, entries: &Entries, known: &[&str]) {
        for (name, place, _) in entries {
            if known.contains(&name.as_str()) {
                continue;
            }
            if NOT_YET.contains(&name.as_str()) {
                let error = RuleError::new(
                    Code::NotSupported,
                    place.clone(),
                    format!("key `{name}` is not supported yet"),
                );
                self.errors
                    .push(error.help("define the item again: a later definition replaces an earlier one"));
            } else {
                let error = RuleError::new(Code::UnknownKey, place.clone(), format!("unknown key `{name}`"));
                self.errors.push(error.suggest(name, known));
            }
        }
    }

    fn list(&mut self, mut entries: Entries) {
        self.check_keys(&entries, &["list", "items"]);
        let Some((name, place)) = self.name(&mut entries, "list") else { return };
        let Some((key_place, node)) = take(&mut entries, "items") else {
            return self.error(Code::MissingKey, place, format!("list `{name}` has no `items`"));
        };
        if let Some(items) = self.texts(&key_place, &node, "items") {
            self.items.lists.insert(name, ListItem { items, place });
        }
    }

    fn macro_item(&mut self, mut entries: Entries) {
        self.check_keys(&entries, &["macro", "condition"]);
        let Some((name, place)) = self.name(&mut entries, "macro") else { return };
        match self.scalar(&mut entries, "condition") {
            Some(condition) => {
                self.items.macros.insert(name, MacroItem { condition });
            }
            None => self.error(Code::MissingKey, place, format!("macro `{name}` has no `condition`")),
        }
    }

    fn rule(&mut self, mut entries: Entries) {
        self.check_keys(&entries, &RULE_KEYS);
        let Some((name, place)) = self.name(&mut entries, "rule") else { return };
        let condition = self.scalar(&mut entries, "condition");
        let output = self.scalar(&mut entries, "output");
        let desc = self.scalar(&mut entries, "desc").map(|desc| desc.text);
        let enabled = self.enabled(&mut entries);
        let known = self.items.rules.iter().position(|rule| rule.name == name);
        let mut rule = match (known, condition, output) {
            (_, Some(condition), Some(output)) => RuleItem {
                name: name.clone(),
                place: place.clone(),
                condition,
                output,
                desc: String::new(),
                keys: BTreeMap::new(),
                enabled: true,
            },
            // A rule that was defined before may be changed in single keys, above all switched off.
            (Some(known), condition, output) => {
                let mut rule = self.items.rules[known].clone();
                rule.condition = condition.unwrap_or(rule.condition);
                rule.output = output.unwrap_or(rule.output);
                rule
            }
            (None, condition, _) => {
                let missing = if condition.is_none() { "condition" } else { "output" };
                return self.error(Code::MissingKey, place, format!("rule `{name}` has no `{missing}`"));
            }
        };
        rule.desc = desc.unwrap_or(rule.desc);
        rule.enabled = enabled.unwrap_or(rule.enabled);
        for key in [
            "priority",
            "severity",
            "id",
            "tags",
            "stride",
            "attack",
            "ms_threat_matrix",
            "threat_source",
            "judge",
            "source",
        ] {
            if let Some((key_place, node)) = take(&mut entries, key)
                && let Some(values) = self.texts(&key_place, &node, key)
            {
                rule.keys.insert(key.to_owned(), (values, node.place(self.source)));
            }
        }
        match known {
            Some(known) => self.items.rules[known] = rule,
            None => self.items.rules.push(rule),
        }
    }

    fn name(&mut self, entries: &mut Entries, key: &str) -> Option<(String, Place)> {
        let (place, node) = take(entries, key)?;
        match node.text().filter(|name| !name.is_empty() && name.len() <= 256) {
            Some(name) => Some((name.to_owned(), node.place(self.source))),
            None => {
                self.error(Code::BadValue, place, format!("`{key}` takes a name"));
                None
            }
        }
    }

    fn scalar(&mut self, entries: &mut Entries, key: &str) -> Option<Text> {
        let (place, node) = take(entries, key)?;
        let Some(text) = node.text().map(str::to_owned) else {
            self.error(Code::BadValue, place, format!("`{key}` takes a text"));
            return None;
        };
        Some(Text { text, node: Arc::new(node), source: Arc::clone(self.source) })
    }

    fn enabled(&mut self, entries: &mut Entries) -> Option<bool> {
        let (_, node) = take(entries, "enabled")?;
        match node.text() {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => {
                self.error(Code::BadValue, node.place(self.source), "`enabled` takes true or false");
                None
            }
        }
    }

    /// A text, or a list of texts.
    fn texts(&mut self, place: &Place, node: &Node, key: &str) -> Option<Vec<String>> {
        let texts = match &node.value {
            Yaml::Scalar(text, _) if key != "items" => Some(vec![text.clone()]),
            Yaml::Sequence(nodes) => nodes.iter().map(|node| node.text().map(str::to_owned)).collect(),
            _ => None,
        };
        if texts.is_none() {
            self.error(Code::BadValue, place.clone(), format!("`{key}` takes a list of texts"));
        }
        texts
    }
}

fn take(entries: &mut Entries, key: &str) -> Option<(Place, Node)> {
    let at = entries.iter().position(|(name, ..)| name == key)?;
    let (_, place, node) = entries.swap_remove(at);
    Some((place, node))
}
