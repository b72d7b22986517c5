//! What the `rules` command shows: checks, lists, single rules.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{FILE_MAX, Rule, RuleError, RuleSet, Source};

/// Why rule files cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file or folder is not readable.
    #[error("cannot read rules from {path}: {source}")]
    Read {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is no text.
    #[error("{path} is not UTF-8 at byte {at}")]
    NotText {
        /// The file.
        path: PathBuf,
        /// The first byte that is not.
        at: usize,
    },
    /// A file is too large.
    #[error("{path} has {size} bytes, at most {FILE_MAX} are read")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size: u64,
    },
}

/// Reads rule files; of a folder all `.yaml` and `.yml` files in the order of their names.
///
/// # Errors
/// All files that cannot be read.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Source>, Vec<ReadError>> {
    let (mut sources, mut errors) = (Vec::new(), Vec::new());
    for path in paths {
        match files(path) {
            Ok(files) => {
                for file in files {
                    match read_one(&file) {
                        Ok(source) => sources.push(source),
                        Err(error) => errors.push(error),
                    }
                }
            }
            Err(source) => errors.push(ReadError::Read { path: path.clone(), source }),
        }
    }
    if errors.is_empty() { Ok(sources) } else { Err(errors) }
}

fn files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !path.metadata()?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        // A ConfigMap's folder holds its files behind links whose names begin with two dots.
        let hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && file.extension().is_some_and(|end| end == "yaml" || end == "yml") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn read_one(path: &Path) -> Result<Source, ReadError> {
    let failed = |source| ReadError::Read { path: path.to_owned(), source };
    let size = path.metadata().map_err(failed)?.len();
    if size > FILE_MAX as u64 {
        return Err(ReadError::TooLarge { path: path.to_owned(), size });
    }
    let bytes = fs::read(path).map_err(failed)?;
    let text = String::from_utf8(bytes).map_err(|error| ReadError::NotText {
        path: path.to_owned(),
        at: error.utf8_error().valid_up_to(),
    })?;
    Ok(Source { name: path.display().to_string(), text })
}

/// A table of all rules.
pub fn list(set: &RuleSet) -> String {
    let mut text = format!("{:<32} {:<9} {:<24} {:<34} RULE\n", "ID", "SEVERITY", "STRIDE", "ATT&CK");
    for rule in set.rules() {
        let stride = rule.stride.first().map_or("", |stride| stride.name());
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<32} {:<9} {stride:<24} {:<34} {}",
            rule.id,
            rule.severity.name(),
            rule.attack.join(","),
            rule.name
        );
    }
    for name in set.disabled() {
        let _ = writeln!(text, "{:<32} disabled  {name}", "-");
    }
    text
}

/// The same as JSON.
pub fn list_json(set: &RuleSet) -> Value {
    let disabled: Vec<Value> =
        set.disabled().iter().map(|name| json!({"rule": name, "enabled": false})).collect();
    set.rules().iter().map(one_json).chain(disabled).collect()
}

fn one_json(rule: &Rule) -> Value {
    json!({
        "id": rule.id,
        "rule": rule.name,
        "enabled": true,
        "desc": rule.desc,
        "severity": rule.severity.name(),
        "stride": rule.stride.iter().map(|stride| stride.name()).collect::<Vec<_>>(),
        "attack": rule.attack,
        "ms_threat_matrix": rule.ms_threat_matrix,
        "threat_source": rule.threat_source.iter().map(|source| source.name()).collect::<Vec<_>>(),
        "tags": rule.tags,
        "condition": rule.condition,
        "defined": rule.defined,
    })
}

/// What is to be said about rule files, as JSON.
pub fn messages_json(set: &RuleSet, messages: &[RuleError]) -> Value {
    let message = |message: &RuleError| {
        json!({
            "level": message.level.name(),
            "code": message.code.name(),
            "message": message.message,
            "file": message.place.source.name,
            "line": message.place.line,
            "column": message.place.column,
            "chain": message.chain,
            "help": message.help,
        })
    };
    json!({
        "rules": set.rules().len(),
        "disabled": set.disabled(),
        "messages": messages.iter().map(message).collect::<Vec<_>>(),
    })
}

/// All rules of a detection id, or the one of this name; `None` if there is neither.
pub fn show(set: &RuleSet, id: &str) -> Option<String> {
    let rules: Vec<&Rule> = set.rules().iter().filter(|rule| rule.id == id || rule.name == id).collect();
    let mut text = String::new();
    for rule in &rules {
        let names = |names: Vec<&str>| names.join(", ");
        let lines = [
            ("id", rule.id.clone()),
            ("severity", rule.severity.name().to_owned()),
            ("stride", names(rule.stride.iter().map(|stride| stride.name()).collect())),
            ("attack", rule.attack.join(", ")),
            ("ms_threat_matrix", rule.ms_threat_matrix.join(", ")),
            ("threat_source", names(rule.threat_source.iter().map(|source| source.name()).collect())),
            ("defined", rule.defined.clone()),
            ("about", rule.desc.split_whitespace().collect::<Vec<_>>().join(" ")),
            ("condition", rule.condition.split_whitespace().collect::<Vec<_>>().join(" ")),
        ];
        let _ = writeln!(text, "{}", rule.name);
        for (name, value) in lines {
            let _ = writeln!(text, "  {name:<17} {value}");
        }
        text.push('\n');
    }
    (!rules.is_empty()).then_some(text)
}
