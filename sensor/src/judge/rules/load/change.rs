//! How an item changes an earlier one: `override`, and the older `append: true`.

use std::collections::BTreeMap;

use super::{Entries, Loader, take};
use crate::judge::rules::error::{Code, RuleError};
use crate::judge::rules::yaml::Yaml;

/// What happens to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Its value takes the place of the earlier one.
    Replace,
    /// Its value is added behind the earlier one.
    Append,
}

/// What happens to the keys of an item; of one that defines, nothing.
#[derive(Debug, Default)]
pub(super) struct Change(BTreeMap<String, How>);

impl Change {
    /// What happens to a key.
    pub(super) fn of(&self, key: &str) -> Option<How> {
        self.0.get(key).copied()
    }

    /// Whether the item changes another one at all.
    pub(super) fn is_any(&self) -> bool {
        !self.0.is_empty()
    }
}

impl Loader<'_> {
    /// Takes `override` and `append` out of an item. `None` if they are wrong, which is reported: the item is then left
    /// out, as it would mean something else.
    pub(super) fn change(
        &mut self,
        entries: &mut Entries,
        appendable: &[&str],
        replaceable: &[&str],
    ) -> Option<Change> {
        let before = self.errors.len();
        let mut change = Change::default();
        let is_old_way = self.flag(entries, "append") == Some(true);
        let Some((place, node)) = take(entries, "override") else {
            if is_old_way {
                let keys =
                    entries.iter().map(|(key, ..)| key).filter(|key| appendable.contains(&key.as_str()));
                change.0.extend(keys.map(|key| (key.clone(), How::Append)));
            }
            return (self.errors.len() == before).then_some(change);
        };
        if is_old_way {
            self.error(Code::BadValue, place.clone(), "`append` and `override` do not go together");
        }
        let Yaml::Mapping(pairs) = &node.value else {
            self.error(Code::BadValue, place, "`override` takes keys, each with `append` or `replace`");
            return None;
        };
        for (key, value) in pairs {
            let (name, place) = (key.text().unwrap_or(""), key.place(self.source));
            let how = match value.text() {
                Some("append") if appendable.contains(&name) => How::Append,
                Some("replace") if appendable.contains(&name) || replaceable.contains(&name) => How::Replace,
                Some("append") if replaceable.contains(&name) => {
                    self.error(Code::BadValue, place, format!("`{name}` can be replaced, not appended to"));
                    continue;
                }
                Some("append" | "replace") => {
                    let known: Vec<&str> = appendable.iter().chain(replaceable).copied().collect();
                    let error = RuleError::new(Code::BadValue, place, format!("`{name}` cannot be changed"));
                    self.errors.push(error.suggest(name, known));
                    continue;
                }
                _ => {
                    self.error(Code::BadValue, value.place(self.source), "expected `append` or `replace`");
                    continue;
                }
            };
            if entries.iter().any(|(key, ..)| key == name) {
                change.0.insert(name.to_owned(), how);
            } else {
                self.error(Code::MissingKey, place, format!("`override` names `{name}`, which is not given"));
            }
        }
        // A key that is given and not named would silently keep its old value.
        for (name, place, _) in entries.iter() {
            let is_changeable = appendable.contains(&name.as_str()) || replaceable.contains(&name.as_str());
            if is_changeable && !change.0.contains_key(name) && self.errors.len() == before {
                let message = format!("`{name}` is given, but not named under `override`");
                self.errors.push(RuleError::new(Code::MissingKey, place.clone(), message));
            }
        }
        (self.errors.len() == before).then_some(change)
    }
}
