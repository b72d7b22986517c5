//! Errors of rule files, shown as a compiler shows them: place, line, caret, chain, help.

use std::fmt;
use std::sync::Arc;

/// A rule file.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name, as it is shown.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// A place in a rule file, lines and columns counted from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub source: Arc<Source>,
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
    /// Characters marked.
    pub width: usize,
}

impl Place {
    /// The start of a file.
    pub fn start(source: &Arc<Source>) -> Self {
        Self { source: Arc::clone(source), line: 1, column: 1, width: 1 }
    }
}

/// What is wrong, and the short name by which documents and tests refer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The file is not YAML, or YAML of a form that rules do not have.
    Yaml,
    /// A key that an item does not have.
    UnknownKey,
    /// A key that an item must have.
    MissingKey,
    /// A value that a key does not take.
    BadValue,
    /// A condition that cannot be parsed.
    Syntax,
    /// A field that does not exist.
    UnknownField,
    /// An operator that does not exist, or not for this field.
    BadOperator,
    /// A value that does not fit the field's type.
    TypeMismatch,
    /// A macro that is not defined.
    UnknownMacro,
    /// A macro or list that contains itself.
    Cycle,
    /// A pattern that cannot be compiled.
    BadPattern,
    /// Something is larger than its bound.
    TooLarge,
    /// A field of Falco's that no event here fills.
    UnfilledField,
    /// A kind of event of Falco's that no hook here reports.
    UnseenEvent,
    /// Events of a source that is not here, or a newer language than this one.
    Requirement,
}

impl Code {
    /// The short name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::UnknownKey => "unknown-key",
            Self::MissingKey => "missing-key",
            Self::BadValue => "bad-value",
            Self::Syntax => "syntax",
            Self::UnknownField => "unknown-field",
            Self::BadOperator => "bad-operator",
            Self::TypeMismatch => "type-mismatch",
            Self::UnknownMacro => "unknown-macro",
            Self::Cycle => "cycle",
            Self::BadPattern => "bad-pattern",
            Self::TooLarge => "too-large",
            Self::UnfilledField => "unfilled-field",
            Self::UnseenEvent => "unseen-event",
            Self::Requirement => "requirement",
        }
    }
}

/// How bad a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// The rule cannot be judged.
    Error,
    /// It is judged, but not as its author may think. Strict loading takes it for an error.
    Warning,
    /// Worth knowing.
    Note,
}

impl Level {
    /// The name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One message about a rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    /// How bad it is.
    pub level: Level,
    /// What kind.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub place: Place,
    /// How it was reached: through which macro of which rule.
    pub chain: Vec<String>,
    /// The way out.
    pub help: Option<String>,
}

impl RuleError {
    /// A mistake at a place.
    pub fn new(code: Code, place: Place, message: impl Into<String>) -> Self {
        Self { level: Level::Error, code, message: message.into(), place, chain: Vec::new(), help: None }
    }

    /// Something at a place that is worth knowing.
    pub fn note(code: Code, place: Place, message: impl Into<String>) -> Self {
        Self { level: Level::Note, ..Self::new(code, place, message) }
    }

    /// Adds the way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds "did you mean" if a known name is near.
    #[must_use]
    pub fn suggest(self, name: &str, known: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let known: Vec<String> = known.into_iter().map(|name| name.as_ref().to_owned()).collect();
        match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None => self,
        }
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = &self.place;
        let (level, code) = (self.level.name(), self.code.name());
        writeln!(formatter, "{level}[{code}]: {}", visible(&self.message))?;
        let number = place.line.to_string();
        let margin = " ".repeat(number.len());
        writeln!(formatter, "{margin}--> {}:{}:{}", visible(&place.source.name), place.line, place.column)?;
        let line = place.source.text.lines().nth(place.line - 1).unwrap_or("");
        // A window around the place, so that one long line does not fill the screen.
        let before = place.column.saturating_sub(1);
        let from = before.saturating_sub(80);
        let shown: String = line
            .chars()
            .skip(from)
            .take(160)
            .map(|c| if crate::text::is_hidden(c) { ' ' } else { c })
            .collect();
        writeln!(formatter, "{margin} |")?;
        writeln!(formatter, "{number} | {shown}")?;
        let carets = "^".repeat(place.width.clamp(1, 80));
        write!(formatter, "{margin} | {}{carets}", " ".repeat(before - from))?;
        for note in &self.chain {
            write!(formatter, "\n{margin} = {}", visible(note))?;
        }
        if let Some(help) = &self.help {
            write!(formatter, "\n{margin} = help: {}", visible(help))?;
        }
        Ok(())
    }
}

impl std::error::Error for RuleError {}

fn visible(text: &str) -> std::borrow::Cow<'_, str> {
    crate::text::printable(text.as_bytes())
}

/// The nearest of the known names, if it is near enough to be meant.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > 64 {
        return None;
    }
    let limit = (name.len() / 3).max(1);
    let distance = |known: &str| strsim::damerau_levenshtein(name, known);
    known.map(|known| (distance(known), known)).filter(|(far, _)| *far <= limit).min().map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_place_caret_chain_and_help() {
        let source =
            Arc::new(Source { name: "a.yaml".into(), text: "- rule: x\n  condition: proc.nme = a\n".into() });
        let place = Place { source, line: 2, column: 14, width: 8 };
        let mut error = RuleError::new(Code::UnknownField, place, "unknown field `proc.nme`")
            .suggest("proc.nme", ["proc.name"]);
        error.chain.push("in macro `m`, used by rule `x`".into());
        assert_eq!(
            error.to_string(),
            "error[unknown-field]: unknown field `proc.nme`\n --> a.yaml:2:14\n  |\n2 |   condition: proc.nme = a\n  |              ^^^^^^^^\n  = in macro `m`, used by rule `x`\n  = help: did you mean `proc.name`?"
        );
    }

    #[test]
    fn far_names_are_not_suggested() {
        assert_eq!(nearest("proc.nmae", ["proc.name", "fd.name"].into_iter()), Some("proc.name"));
        assert_eq!(nearest("xyz", ["proc.name"].into_iter()), None);
    }
}
