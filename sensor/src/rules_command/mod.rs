//! `stride-sensor rules`: reads rules without judging anything by them.

mod explain;
mod tactics;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::cli::{Exit, RulesCommand};
use crate::judge::rules::{RuleSet, cases, describe, document};
use crate::rule_files::{Loaded, counted};
use crate::run::RunError;

/// Longest file of cases.
const CASES_FILE_MAX: u64 = 16 << 20;

/// Does what the command says; gives what goes to standard output.
///
/// # Errors
/// If a file cannot be read.
pub fn run(command: &RulesCommand) -> Result<(String, Exit), RunError> {
    match command {
        RulesCommand::Check { paths, strict, json } => {
            Loaded::read(true, paths).map(|loaded| check(&loaded, *strict, *json))
        }
        RulesCommand::List { rules, json } => {
            let set = usable(rules)?;
            let text =
                if *json { format!("{:#}\n", describe::list_json(&set)) } else { describe::list(&set) };
            Ok((text, Exit::Ok))
        }
        RulesCommand::Show { id, rules } => Ok(found(id, describe::show(&usable(rules)?, id))),
        RulesCommand::Explain { id, rules } => Ok(found(id, explain::explain(&usable(rules)?, id))),
        RulesCommand::Fields => Ok((
            format!("{}\n{}\n{}", document::fields(), document::events(), document::unfilled()),
            Exit::Ok,
        )),
        RulesCommand::Test { file, rules, no_builtin_rules } => {
            let loaded = Loaded::read(!no_builtin_rules, rules)?;
            if !loaded.problems(false).is_empty() {
                return Err(RunError::Rules(loaded.told(false)));
            }
            test(&loaded.set, file)
        }
        RulesCommand::Coverage { rules, navigator } => {
            let set = usable(rules)?;
            let text =
                if *navigator { format!("{:#}\n", tactics::navigator(&set)) } else { tactics::table(&set) };
            Ok((text, Exit::Ok))
        }
    }
}

fn found(id: &str, text: Option<String>) -> (String, Exit) {
    match text {
        Some(text) => (text, Exit::Ok),
        None => {
            (format!("no rule of id or name `{id}`; `stride-sensor rules list` shows all\n"), Exit::Usage)
        }
    }
}

/// What is to be said about rule files.
fn check(loaded: &Loaded, strict: bool, json: bool) -> (String, Exit) {
    let problems = loaded.problems(strict);
    let exit = if problems.is_empty() { Exit::Ok } else { Exit::Rules };
    if json {
        return (format!("{:#}\n", describe::messages_json(&loaded.set, &loaded.messages)), exit);
    }
    let mut text: String = loaded.messages.iter().map(|message| format!("{message}\n\n")).collect();
    let count = counted(problems.len());
    let others = loaded.messages.len() - problems.len();
    let others = if others == 0 { String::new() } else { format!(", {others} warnings and notes") };
    text.push_str(&format!("{} rules, {count}{others}\n", loaded.set.rules().len()));
    (text, exit)
}

/// The rules that `run` would use; what is wrong with others is told on standard error.
fn usable(paths: &[PathBuf]) -> Result<RuleSet, RunError> {
    let loaded = Loaded::read(true, paths)?;
    if !loaded.problems(false).is_empty() {
        // Nothing is left to do when standard error is closed.
        let _ = writeln!(io::stderr(), "stride-sensor: {}", loaded.told(false));
    }
    Ok(loaded.set)
}

/// Judges a file of cases.
fn test(set: &RuleSet, file: &Path) -> Result<(String, Exit), RunError> {
    let wrong = |what: String| RunError::Rules(format!("{}: {what}", file.display()));
    let size = file.metadata().map_err(|error| wrong(error.to_string()))?.len();
    if size > CASES_FILE_MAX {
        return Err(wrong(format!("{size} bytes, at most {CASES_FILE_MAX} are read")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let outcomes = cases::run(set, &text).map_err(|error| wrong(error.to_string()))?;
    let mut report = String::new();
    let bad = outcomes.iter().filter(|outcome| !outcome.is_good());
    let mut failed = 0;
    for outcome in bad {
        failed += 1;
        report.push_str(&format!("FAILED  {}\n", outcome.case));
        for name in &outcome.missing {
            report.push_str(&format!("        did not speak: {name}\n"));
        }
        for name in &outcome.unexpected {
            report.push_str(&format!("        should not speak: {name}\n"));
        }
    }
    report.push_str(&format!("{} cases, {failed} failed\n", outcomes.len()));
    Ok((report, if failed == 0 { Exit::Ok } else { Exit::Rules }))
}
