//! Expressions to programs: lists and macros put in, types checked, patterns built, cheap parts moved to the front.

use std::sync::Arc;

use regex::bytes::RegexBuilder;

use super::error::Code;
use super::facts::Key;
use super::field::{self, Field, FieldType, Indexing};
use super::parser::{Check, Expression, Operand, Operator, Span};
use super::program::{Matcher, Program, Test, TextMatcher};

/// Comparisons and macros in one compiled condition, macros put in.
const PARTS_MAX: usize = 100_000;
/// Macros within macros.
const MACROS_DEEP: usize = 32;
/// Memory of one compiled pattern.
const PATTERN_MAX: usize = 1 << 20;

/// A mistake in a condition.
#[derive(Debug)]
pub struct CompileError {
    /// What kind.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// Where, in the condition of the innermost macro of `chain`, or of the rule.
    pub span: Span,
    /// Macros it was reached through, outermost first.
    pub chain: Vec<String>,
    /// The way out.
    pub help: Option<String>,
}

/// What conditions may refer to.
pub trait Definitions {
    /// A macro's expression. `None` if there is no such macro; `Some(None)` if its condition could not be parsed, which
    /// was reported already.
    fn macro_expression(&self, name: &str) -> Option<Option<&Expression>>;
    /// A list's items, with lists inside it put in.
    fn list(&self, name: &str) -> Option<&[String]>;
    /// Names of all macros.
    fn macro_names(&self) -> Vec<&str>;
    /// Names of all lists.
    fn list_names(&self) -> Vec<&str>;
}

/// Compiles an expression. Every mistake in it is added to `errors`; where there is one, the result is `None`.
pub fn compile(
    expression: &Expression,
    definitions: &dyn Definitions,
    errors: &mut Vec<CompileError>,
) -> Option<Program> {
    let before = errors.len();
    let mut compiler = Compiler { definitions, errors, chain: Vec::new(), parts: 0 };
    let program = compiler.expression(expression);
    (errors.len() == before).then_some(program)
}

struct Compiler<'a> {
    definitions: &'a dyn Definitions,
    errors: &'a mut Vec<CompileError>,
    chain: Vec<String>,
    parts: usize,
}

impl Compiler<'_> {
    fn error(&mut self, code: Code, span: Span, message: String, help: Option<String>) -> Program {
        self.errors.push(CompileError { code, message, span, chain: self.chain.clone(), help });
        Program::Constant(false)
    }

    /// Counts a comparison or a macro, and says whether there is room for it. A macro that names another one twice
    /// doubles the work on each level, so that compiling must stop as soon as there is too much.
    fn has_room(&mut self, span: Span) -> bool {
        self.parts += 1;
        if self.parts == PARTS_MAX + 1 {
            let message = format!("more than {PARTS_MAX} comparisons and macros");
            self.error(Code::TooLarge, span, message, None);
        }
        self.parts <= PARTS_MAX
    }

    fn expression(&mut self, expression: &Expression) -> Program {
        match expression {
            Expression::And(parts) => {
                let parts = parts.iter().map(|part| self.expression(part)).collect();
                series(parts, true)
            }
            Expression::Or(parts) => {
                let parts = parts.iter().map(|part| self.expression(part)).collect();
                series(parts, false)
            }
            Expression::Not(inner) => match self.expression(inner) {
                Program::Constant(value) => Program::Constant(!value),
                Program::Not(inner) => *inner,
                inner => Program::Not(Box::new(inner)),
            },
            Expression::Macro(name, span) => self.named(name, *span),
            Expression::Check(check) => self.check(check),
        }
    }

    fn named(&mut self, name: &str, span: Span) -> Program {
        if !self.has_room(span) {
            return Program::Constant(false);
        }
        if matches!(name, "always_true" | "never_true") && self.definitions.macro_expression(name).is_none() {
            return Program::Constant(name == "always_true");
        }
        if self.chain.iter().any(|outer| outer == name) {
            let path = self.chain.join(" -> ");
            return self.error(
                Code::Cycle,
                span,
                format!("macro `{name}` contains itself: {path} -> {name}"),
                None,
            );
        }
        if self.chain.len() >= MACROS_DEEP {
            return self.error(
                Code::TooLarge,
                span,
                format!("macros nested deeper than {MACROS_DEEP}"),
                None,
            );
        }
        match self.definitions.macro_expression(name) {
            Some(Some(expression)) => {
                self.chain.push(name.to_owned());
                let program = self.expression(expression);
                self.chain.pop();
                program
            }
            Some(None) => Program::Constant(false),
            None if Field::by_name(split(name).0).is_some() => {
                let help = format!("write for example `{name} = ...` or `{name} exists`");
                self.error(Code::Syntax, span, format!("field `{name}` needs an operator"), Some(help))
            }
            None => {
                let help = self.help_for_macro(name);
                self.error(Code::UnknownMacro, span, format!("unknown macro `{name}`"), help)
            }
        }
    }

    /// A macro of nearly this name, or a list, which stands where a macro was expected.
    fn help_for_macro(&self, name: &str) -> Option<String> {
        let nearest = super::error::nearest;
        if let Some(near) = nearest(name, self.definitions.macro_names().into_iter()) {
            return Some(format!("did you mean `{near}`?"));
        }
        let list = nearest(name, self.definitions.list_names().into_iter())?;
        Some(format!("`{list}` is a list, which needs a field: write for example `proc.name in ({list})`"))
    }

    fn check(&mut self, check: &Check) -> Program {
        if !self.has_room(check.field_span) {
            return Program::Constant(false);
        }
        let (field, key, list) = match resolve(&check.field) {
            Ok(resolved) => resolved,
            Err((message, help)) => return self.error(Code::UnknownField, check.field_span, message, help),
        };
        let kind = if list { FieldType::List } else { field.field_type() };
        let values = self.values(&check.values);
        let matcher = match kind {
            _ if check.operator == Operator::Exists => Ok(Matcher::Exists),
            FieldType::Bool => boolean(check.operator, &values),
            FieldType::Number => number(check.operator, &values),
            FieldType::Text | FieldType::List => text(check.operator, &values),
        };
        match matcher {
            Ok(matcher) => Program::Test(Test { field, key, list: kind == FieldType::List, matcher }),
            Err(Mismatch::Operator) => {
                let (operator, name, kind) = (check.operator.name(), field.name(), kind.name());
                let message = format!("operator `{operator}` does not work on `{name}`, which is a {kind}");
                self.error(Code::BadOperator, check.operator_span, message, None)
            }
            Err(Mismatch::Value(span, wrong)) => {
                let message = format!("`{}` is a {}, {wrong}", field.name(), kind.name());
                let help = match kind {
                    FieldType::Number => Some("write a whole number, or a duration such as `30s`".to_owned()),
                    FieldType::Bool => Some("write `true` or `false`".to_owned()),
                    FieldType::Text | FieldType::List => None,
                };
                self.error(Code::TypeMismatch, span, message, help)
            }
            Err(Mismatch::Pattern(span, message)) => self.error(Code::BadPattern, span, message, None),
        }
    }

    /// Values with the items of lists in the place of their names.
    fn values(&self, operands: &[Operand]) -> Vec<(String, Span)> {
        let mut values = Vec::with_capacity(operands.len());
        for operand in operands {
            match self.definitions.list(&operand.text).filter(|_| !operand.quoted) {
                Some(items) => values.extend(items.iter().map(|item| (item.clone(), operand.span))),
                None => values.push((operand.text.clone(), operand.span)),
            }
        }
        values
    }
}

/// Parts of `and` or `or`: constants folded, parts of the same kind merged, cheap ones first.
pub fn series(parts: Vec<Program>, is_and: bool) -> Program {
    let mut kept: Vec<Program> = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Program::Constant(value) if value == is_and => {}
            Program::Constant(value) => return Program::Constant(value),
            Program::And(inner) if is_and => kept.extend(inner),
            Program::Or(inner) if !is_and => kept.extend(inner),
            other => kept.push(other),
        }
    }
    kept.sort_by_key(Program::cost);
    match kept.len() {
        0 => Program::Constant(is_and),
        1 => kept.swap_remove(0),
        _ if is_and => Program::And(kept.into()),
        _ => Program::Or(kept.into()),
    }
}

/// Splits `name[key]`.
fn split(text: &str) -> (&str, Option<&str>) {
    match text.split_once('[') {
        Some((name, rest)) => (name, rest.strip_suffix(']').or(Some(""))),
        None => (text, None),
    }
}

/// Message and help.
type FieldError = (String, Option<String>);

/// The field a text names, its key, and whether its value is a list.
pub fn resolve(text: &str) -> Result<(Field, Option<Key>, bool), FieldError> {
    let (name, key) = split(text);
    let Some(field) = Field::by_name(name) else {
        let help = field::nearest(name).map(|near| format!("did you mean `{near}`?"));
        return Err((format!("unknown field `{name}`"), help));
    };
    let is_list = field.field_type() == FieldType::List;
    match (field.indexing(), key) {
        (Indexing::None, None) => Ok((field, None, is_list)),
        (Indexing::None, Some(_)) => Err((format!("field `{name}` takes no `[...]`"), None)),
        (Indexing::Index, None) if field.field_type() == FieldType::Text => Ok((field, None, true)),
        (Indexing::Index, Some(key)) => match key.parse() {
            Ok(index) => Ok((field, Some(Key::Index(index)), false)),
            Err(_) => Err((format!("field `{name}` takes a number in `[...]`"), None)),
        },
        (Indexing::Name, Some(key)) if !key.is_empty() && key.len() <= 256 => {
            Ok((field, Some(Key::Name(key.into())), false))
        }
        (Indexing::Index | Indexing::Name, _) => Err((
            format!("field `{name}` needs something in `[...]`"),
            Some(format!("write for example `{name}[1]` or `{name}[NAME]`")),
        )),
    }
}

enum Mismatch {
    Operator,
    Value(Span, String),
    Pattern(Span, String),
}

fn only(values: &[(String, Span)]) -> Result<(&str, Span), Mismatch> {
    match values {
        [(text, span)] => Ok((text, *span)),
        [(_, span), ..] => Err(Mismatch::Value(*span, "this is a list".to_owned())),
        [] => Err(Mismatch::Operator),
    }
}

fn boolean(operator: Operator, values: &[(String, Span)]) -> Result<Matcher, Mismatch> {
    let (text, span) = only(values)?;
    let value = match text {
        "true" => true,
        "false" => false,
        _ => return Err(Mismatch::Value(span, format!("`{text}` is neither true nor false"))),
    };
    match operator {
        Operator::Equal | Operator::In => Ok(Matcher::Bool(value)),
        Operator::NotEqual => Ok(Matcher::Bool(!value)),
        _ => Err(Mismatch::Operator),
    }
}

/// A number, or a duration in nanoseconds.
fn parse_number(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: i64 = text[..digits].parse().ok()?;
    let unit = match &text[digits..] {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    number.checked_mul(unit)
}

fn number(operator: Operator, values: &[(String, Span)]) -> Result<Matcher, Mismatch> {
    let parse = |(text, span): (&str, Span)| {
        parse_number(text).ok_or_else(|| Mismatch::Value(span, format!("`{text}` is not")))
    };
    let compare =
        |less, equal, greater| Ok(Matcher::Number { other: parse(only(values)?)?, less, equal, greater });
    match operator {
        Operator::Equal => compare(false, true, false),
        Operator::NotEqual => compare(true, false, true),
        Operator::Less => compare(true, false, false),
        Operator::LessEqual => compare(true, true, false),
        Operator::Greater => compare(false, false, true),
        Operator::GreaterEqual => compare(false, true, true),
        Operator::In | Operator::Intersects => {
            let numbers = values.iter().map(|(text, span)| parse((text, *span)));
            let mut numbers = numbers.collect::<Result<Vec<i64>, _>>()?;
            numbers.sort_unstable();
            Ok(Matcher::NumberIn(numbers.into()))
        }
        _ => Err(Mismatch::Operator),
    }
}

fn text(operator: Operator, values: &[(String, Span)]) -> Result<Matcher, Mismatch> {
    let bytes = |text: &str| -> Box<[u8]> { text.as_bytes().into() };
    let matcher = match operator {
        Operator::Equal => TextMatcher::Equal(bytes(only(values)?.0)),
        Operator::NotEqual => return Ok(Matcher::NotText(TextMatcher::Equal(bytes(only(values)?.0)))),
        Operator::In | Operator::Intersects => match values {
            [(text, _)] => TextMatcher::Equal(bytes(text)),
            _ => TextMatcher::In(Arc::new(values.iter().map(|(text, _)| bytes(text)).collect())),
        },
        Operator::Contains => {
            let finder = memchr::memmem::Finder::new(only(values)?.0.as_bytes()).into_owned();
            TextMatcher::Contains(Box::new(finder))
        }
        Operator::IgnoreCaseContains => {
            let (text, span) = only(values)?;
            pattern(&format!("(?i){}", regex::escape(text)), span)?
        }
        Operator::StartsWith => TextMatcher::StartsWith(bytes(only(values)?.0)),
        Operator::EndsWith => TextMatcher::EndsWith(bytes(only(values)?.0)),
        Operator::BytesContain | Operator::BytesStartWith => {
            let (text, span) = only(values)?;
            let bytes = hexadecimal(text).ok_or_else(|| {
                Mismatch::Value(span, format!("`{text}` is not made of pairs of hexadecimal digits"))
            })?;
            if operator == Operator::BytesContain {
                TextMatcher::Contains(Box::new(memchr::memmem::Finder::new(&bytes).into_owned()))
            } else {
                TextMatcher::StartsWith(bytes.into())
            }
        }
        Operator::Glob | Operator::IgnoreCaseGlob => {
            let (text, span) = only(values)?;
            let case = if operator == Operator::Glob { "" } else { "(?i)" };
            pattern(&format!("{case}\\A(?s:{})\\z", glob(text)), span)?
        }
        Operator::Regex => {
            let (text, span) = only(values)?;
            pattern(&format!("\\A(?:{text})\\z"), span)?
        }
        Operator::PathMatch => path_match(values)?,
        Operator::Less
        | Operator::LessEqual
        | Operator::Greater
        | Operator::GreaterEqual
        | Operator::Exists => {
            return Err(Mismatch::Operator);
        }
    };
    Ok(Matcher::Text(matcher))
}

fn path_match(values: &[(String, Span)]) -> Result<TextMatcher, Mismatch> {
    let Some((_, span)) = values.first() else { return Ok(TextMatcher::Below(Box::new([]))) };
    if values.iter().any(|(text, _)| text.contains(['*', '?', '['])) {
        let globs: Vec<String> = values.iter().map(|(text, _)| glob(text.trim_end_matches('/'))).collect();
        return pattern(&format!("\\A(?s:{})(?:/|\\z)", globs.join("|")), *span);
    }
    Ok(TextMatcher::Below(values.iter().map(|(text, _)| text.as_bytes().into()).collect()))
}

fn pattern(text: &str, span: Span) -> Result<TextMatcher, Mismatch> {
    let built = RegexBuilder::new(text).unicode(false).size_limit(PATTERN_MAX).build();
    let built = built.or_else(|_| RegexBuilder::new(text).size_limit(PATTERN_MAX).build());
    built.map(|pattern| TextMatcher::Pattern(Box::new(pattern))).map_err(|error| {
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or("").trim_start_matches("error: ");
        Mismatch::Pattern(span, format!("this pattern cannot be compiled: {reason}"))
    })
}

/// A shell pattern that a whole text must match; one that cannot be built, for its size, matches nothing.
pub fn glob_pattern(text: &str) -> regex::bytes::Regex {
    let built = |text: &str| RegexBuilder::new(text).unicode(false).size_limit(PATTERN_MAX).build();
    let pattern = built(&format!("\\A(?s:{})\\z", glob(text)));
    let nothing = || built("[^\\x00-\\xff]").or_else(|_| regex::bytes::Regex::new("a\\Ab"));
    pattern.or_else(|_| nothing()).expect("a constant pattern")
}

/// A shell pattern as a regular expression: `*`, `?`, `[...]`, as fnmatch(3) without special slashes.
fn glob(text: &str) -> String {
    let mut pattern = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '*' => pattern.push_str(".*"),
            '?' => pattern.push('.'),
            '[' => {
                let rest = characters.as_str();
                match rest.get(1..).and_then(|tail| tail.find(']')).map(|end| end + 1) {
                    Some(end) => {
                        let class = rest[..end].replace('\\', "\\\\").replace('[', "\\[");
                        let class =
                            class.strip_prefix('!').map_or(class.clone(), |class| format!("^{class}"));
                        pattern.push_str(&format!("[{class}]"));
                        characters = rest[end + 1..].chars();
                    }
                    None => pattern.push_str("\\["),
                }
            }
            '\\' => pattern.push_str(&regex::escape(&characters.next().unwrap_or('\\').to_string())),
            _ => pattern.push_str(&regex::escape(&character.to_string())),
        }
    }
    pattern
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    digits
        .filter(|digits| digits.len() % 2 == 0)
        .map(|digits| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_are_whole_patterns() {
        let matches = |text: &str, value: &str| {
            let pattern = format!("\\A(?s:{})\\z", glob(text));
            RegexBuilder::new(&pattern).build().expect("valid").is_match(value.as_bytes())
        };
        assert!(matches("/dev/fd/*", "/dev/fd/3"));
        assert!(!matches("/dev/fd/*", "x/dev/fd/3"));
        assert!(matches("a?c[0-9]", "abc7"));
        assert!(matches("a[!b]c", "axc") && !matches("a[!b]c", "abc"));
        assert!(matches("a.b", "a.b") && !matches("a.b", "axb"));
        assert!(matches("a[", "a[") && matches("\\*", "*"));
    }

    #[test]
    fn durations_are_numbers() {
        assert_eq!(parse_number("30s"), Some(30_000_000_000));
        assert_eq!(parse_number("-5"), Some(-5));
        assert_eq!(parse_number("5 s"), None);
        assert_eq!(parse_number("9223372036854775807h"), None);
        assert_eq!(parse_number("s"), None);
    }
}
