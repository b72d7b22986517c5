//! Rule files to items: lists, macros, rules. Later items of a name replace or change earlier ones.

mod change;
mod exception;
mod rule;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use rule::RuleItem;
pub use text::Text;

use super::error::{Code, Place, RuleError, Source};
use super::yaml::{self, Node, Yaml};
use change::How;

/// Largest rule file.
pub const FILE_MAX: usize = 16 * 1024 * 1024;

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

/// The newest version of Falco's engine whose language this is.
const ENGINE_VERSION: (u32, u32, u32) = (0, 57, 0);

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
        } else if has("required_engine_version") {
            self.engine_version(&entries);
        } else if has("required_plugin_versions") {
            let message = "plugins of Falco are not loaded here; fields of containers and pods are built in";
            self.errors.push(RuleError::note(Code::Requirement, place, message));
        } else {
            let error = RuleError::new(Code::UnknownKey, place, "this item is neither rule, macro nor list");
            self.errors.push(error.help("begin it with `- rule:`, `- macro:` or `- list:`"));
        }
    }

    /// Says if rules were written for a newer engine than the one whose language this is.
    fn engine_version(&mut self, entries: &Entries) {
        let Some((_, _, node)) = entries.iter().find(|(key, ..)| key == "required_engine_version") else {
            return;
        };
        let mut numbers = node.text().unwrap_or("").split('.').map(|part| part.parse::<u32>().ok());
        let mut next = || numbers.next().unwrap_or(Some(0));
        // A single number is an old way to count: up to 57 they are the same as the middle one of three.
        let version = match (next(), next(), next()) {
            (Some(major), Some(minor), Some(patch)) => Some((major, minor, patch)),
            _ => None,
        };
        let place = node.place(self.source);
        match version {
            None => {
                self.error(Code::BadValue, place, "`required_engine_version` takes a version, such as 0.57.0")
            }
            Some((number, 0, 0)) if number > 0 && number <= ENGINE_VERSION.1 => {}
            Some(version) if version > ENGINE_VERSION => {
                let (major, minor, patch) = ENGINE_VERSION;
                let message =
                    format!("these rules ask for a newer language than that of {major}.{minor}.{patch}");
                self.errors.push(RuleError::note(Code::Requirement, place, message));
            }
            Some(_) => {}
        }
    }

    /// Reports keys that an item does not have.
    fn check_keys(&mut self, entries: &Entries, known: &[&str]) {
        for (name, place, _) in entries {
            if !known.contains(&name.as_str()) {
                let error = RuleError::new(Code::UnknownKey, place.clone(), format!("unknown key `{name}`"));
                self.errors.push(error.suggest(name, known));
            }
        }
    }

    fn list(&mut self, mut entries: Entries) {
        self.check_keys(&entries, &["list", "items", "append", "override"]);
        let Some((name, place)) = self.name(&mut entries, "list") else { return };
        let Some(change) = self.change(&mut entries, &["items"], &[]) else { return };
        let Some((key_place, node)) = take(&mut entries, "items") else {
            return self.error(Code::MissingKey, place, format!("list `{name}` has no `items`"));
        };
        let Some(items) = self.texts(&key_place, &node, "items") else { return };
        match (change.of("items"), self.items.lists.get_mut(&name)) {
            (None, _) => {
                self.items.lists.insert(name, ListItem { items, place });
            }
            (Some(How::Replace), Some(list)) => list.items = items,
            (Some(How::Append), Some(list)) => list.items.extend(items),
            (Some(_), None) => self.not_there("list", &name, place),
        }
    }

    fn macro_item(&mut self, mut entries: Entries) {
        self.check_keys(&entries, &["macro", "condition", "append", "override"]);
        let Some((name, place)) = self.name(&mut entries, "macro") else { return };
        let Some(change) = self.change(&mut entries, &["condition"], &[]) else { return };
        let Some(condition) = self.scalar(&mut entries, "condition") else {
            return self.error(Code::MissingKey, place, format!("macro `{name}` has no `condition`"));
        };
        match (change.of("condition"), self.items.macros.get_mut(&name)) {
            (None, _) => {
                self.items.macros.insert(name, MacroItem { condition });
            }
            (Some(How::Replace), Some(item)) => item.condition = condition,
            (Some(How::Append), Some(item)) => item.condition.append(condition),
            (Some(_), None) => self.not_there("macro", &name, place),
        }
    }

    /// Something is to be changed that was not defined before.
    fn not_there(&mut self, kind: &str, name: &str, place: Place) {
        let message = format!("there is no {kind} `{name}` to change");
        let error = RuleError::new(Code::BadValue, place, message);
        self.errors.push(error.help("it must be defined in an earlier file, or above in this one"));
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
        let text = Text::of(node, self.source);
        if text.is_none() {
            self.error(Code::BadValue, place, format!("`{key}` takes a text"));
        }
        text
    }

    /// `true` or `false`.
    fn flag(&mut self, entries: &mut Entries, key: &str) -> Option<bool> {
        let (_, node) = take(entries, key)?;
        match node.text() {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => {
                self.error(Code::BadValue, node.place(self.source), format!("`{key}` takes true or false"));
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
