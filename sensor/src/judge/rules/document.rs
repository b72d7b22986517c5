//! Tables of the language for docs/rules.md and `rules fields`, made from the code.

use std::fmt::Write;

use super::field::{FieldType, Indexing};
use super::{Field, event_types, falco};
use crate::event::EventKind;

/// All fields that events fill.
pub fn fields() -> String {
    let mut table = String::from("| field | type | meaning |\n| --- | --- | --- |\n");
    for field in Field::ALL {
        let name = field.name();
        let brackets = match field.indexing() {
            Indexing::None => String::new(),
            // A number without index is no list.
            Indexing::Index if field.field_type() == FieldType::Number => "[N]".to_owned(),
            Indexing::Index => format!("`, `{name}[N]"),
            Indexing::Name => "[NAME]".to_owned(),
        };
        let kind = match field.field_type() {
            FieldType::List => "list",
            kind => kind.name(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(table, "| `{name}{brackets}` | {kind} | {} |", field.description());
    }
    table
}

/// Falco's fields that no event fills, by the reason.
pub fn unfilled() -> String {
    let mut table = String::from("| why | fields |\n| --- | --- |\n");
    let mut last = "";
    for (name, reason) in falco::all_unfilled() {
        if reason != last {
            let end = if last.is_empty() { "" } else { " |\n" };
            let _ = write!(table, "{end}| {reason} | `{name}`");
            last = reason;
        } else {
            let _ = write!(table, ", `{name}`");
        }
    }
    table.push_str(" |\n");
    table
}

/// Kinds of event with their names.
pub fn events() -> String {
    let mut table = String::from("| names in `evt.type` | what it is |\n| --- | --- |\n");
    for kind in EventKind::ALL {
        let names: Vec<String> = event_types::names(kind).map(|name| format!("`{name}`")).collect();
        let _ = writeln!(table, "| {} | {} |", names.join(", "), kind.description());
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The document says what the code does. `UPDATE_DOCS=1 cargo test` writes it.
    #[test]
    fn the_document_has_the_tables() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/rules.md");
        let before = std::fs::read_to_string(path).expect("docs/rules.md");
        let mut text = before.clone();
        for (name, table) in [("fields", fields()), ("unfilled", unfilled()), ("events", events())] {
            let (begin, end) = (format!("<!-- {name}: begin -->\n"), format!("<!-- {name}: end -->"));
            let from = text.find(&begin).expect("a mark") + begin.len();
            let to = text.find(&end).expect("a mark");
            text.replace_range(from..to, &format!("\n{table}\n"));
        }
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &text).expect("written");
        } else {
            assert!(
                text == before,
                "docs/rules.md is stale: UPDATE_DOCS=1 cargo test -p stride-sensor document"
            );
        }
    }
}
