//! Expressions to programs: lists and macros put in, types checked, cheap parts moved to the front.

use super::error::{Code, Level, Place};
use super::event_types::{self, Known};
use super::facts::Key;
use super::falco;
use super::field::{self, Field, FieldType, Indexing};
use super::function::{self, Comparison, Made};
use super::matcher::{Mismatch, boolean, network, number, text};
use super::parser::{Check, Expression, Operand, Operator, Span, Term};
use super::program::{Matcher, Program, Test};
use super::shared::Comparisons;

/// Comparisons and macros in one compiled condition, macros put in.
const PARTS_MAX: usize = 100_000;
/// Macros within macros.
const MACROS_DEEP: usize = 32;

/// A message about a condition.
#[derive(Debug)]
pub struct CompileError {
    /// How bad it is.
    pub level: Level,
    /// What kind.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// Where, in the condition of the innermost macro of `chain`, or of the rule.
    pub span: Span,
    /// Where, if it is no part of a condition: in an exception.
    pub place: Option<Place>,
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

/// Compiles an expression. Every message about it is added to `errors`; where there is a mistake, the result is `None`.
pub fn compile(
    expression: &Expression,
    definitions: &dyn Definitions,
    comparisons: &mut Comparisons,
    errors: &mut Vec<CompileError>,
) -> Option<Program> {
    let before = errors.len();
    let mut compiler =
        Compiler { definitions, comparisons, errors, chain: Vec::new(), place: None, parts: 0 };
    let program = compiler.expression(expression);
    errors[before..].iter().all(|error| error.level != Level::Error).then_some(program)
}

struct Compiler<'a> {
    definitions: &'a dyn Definitions,
    comparisons: &'a mut Comparisons,
    errors: &'a mut Vec<CompileError>,
    chain: Vec<String>,
    place: Option<Place>,
    parts: usize,
}

impl Compiler<'_> {
    fn error(&mut self, code: Code, span: Span, message: String, help: Option<String>) -> Program {
        self.message(Level::Error, code, span, message, help)
    }

    fn message(
        &mut self,
        level: Level,
        code: Code,
        span: Span,
        message: String,
        help: Option<String>,
    ) -> Program {
        let (place, chain) = (self.place.clone(), self.chain.clone());
        self.errors.push(CompileError { level, code, message, span, place, chain, help });
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
            Expression::Placed(inner, place) => {
                let outer = self.place.replace((**place).clone());
                let program = self.expression(inner);
                self.place = outer;
                program
            }
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
            None if resolve(name).is_ok() => {
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
        if !self.has_room(check.subject.span()) {
            return Program::Constant(false);
        }
        let (Term::Field(name, span), None) = (&check.subject, &check.other) else {
            return self.comparison(check);
        };
        let (field, key, list) = match resolve(name) {
            Ok(Resolved::Field(field, key, list)) => (field, key, list),
            Ok(Resolved::Unfilled(reason)) => return self.unfilled(name, *span, reason),
            Err((message, help)) => return self.error(Code::UnknownField, *span, message, help),
        };
        let kind = if list { FieldType::List } else { field.field_type() };
        let values = self.values(&check.values);
        if field == Field::EvtType && check.operator != Operator::Exists {
            self.event_types(&values);
        }
        let parts = (field, key.clone(), list, check.operator);
        let build = || matcher(kind, check.operator, &values);
        match self.comparisons.number(parts, &values, build) {
            Ok((number, matcher)) => {
                Program::Test(Test { number, field, key, list: kind == FieldType::List, matcher })
            }
            Err(mismatch) => self.mismatch(check, field.name(), kind, mismatch),
        }
    }

    /// A comparison of what functions make of fields.
    fn comparison(&mut self, check: &Check) -> Program {
        let before = self.errors.len();
        let subject = self.made(&check.subject);
        let other = check.other.as_ref().map(|other| self.made(other));
        let (Some(subject), true) = (subject, self.errors.len() == before) else {
            return Program::Constant(false);
        };
        let values = self.values(&check.values);
        let name = function::shown(&check.subject);
        let comparison = match other {
            Some(None) => return Program::Constant(false),
            Some(Some(other)) => {
                function::relation(check.operator).map(|relation| Comparison::Other(other, relation))
            }
            None => matcher(subject.field_type(), check.operator, &values).map(Comparison::With),
        };
        match comparison {
            Ok(comparison) => Program::Made(Box::new(function::MadeTest { subject, comparison })),
            Err(mismatch) => self.mismatch(check, &name, subject.field_type(), mismatch),
        }
    }

    /// What a term stands for; `None` if it is wrong, or has no value for any event, which was reported.
    fn made(&mut self, term: &Term) -> Option<Made> {
        match term {
            Term::Field(name, span) => match resolve(name) {
                Ok(Resolved::Field(field, key, list)) => Some(Made::Field(field, key, list)),
                Ok(Resolved::Unfilled(reason)) => {
                    self.unfilled(name, *span, reason);
                    None
                }
                Err((message, help)) => {
                    self.error(Code::UnknownField, *span, message, help);
                    None
                }
            },
            Term::Text(text, _) => Some(Made::Text(text.as_bytes().into())),
            Term::Call(function, arguments, span) => {
                let arguments: Option<Vec<Made>> = arguments.iter().map(|term| self.made(term)).collect();
                match Made::call(*function, arguments?) {
                    Ok(made) => Some(made),
                    Err(message) => {
                        self.error(Code::TypeMismatch, *span, message, None);
                        None
                    }
                }
            }
        }
    }

    /// A field of Falco's that no event here fills: no comparison with it holds.
    fn unfilled(&mut self, name: &str, span: Span, reason: &str) -> Program {
        let message = format!("no event here fills `{name}`: {reason}");
        let help = "every comparison with it is false, as with a value that is missing".to_owned();
        self.message(Level::Warning, Code::UnfilledField, span, message, Some(help))
    }

    /// Says which kinds of event are not there: a rule that names only those never speaks.
    fn event_types(&mut self, values: &[(String, Span)]) {
        for (name, span) in values {
            match event_types::known(name) {
                Known::Here => {}
                Known::Unseen => {
                    let message = format!("no hook here reports `{name}`");
                    self.message(Level::Warning, Code::UnseenEvent, *span, message, None);
                }
                Known::Not(near) => {
                    let help = near.map(|near| format!("did you mean `{near}`?"));
                    self.error(Code::BadValue, *span, format!("unknown kind of event `{name}`"), help);
                }
            }
        }
    }

    fn mismatch(&mut self, check: &Check, name: &str, kind: FieldType, mismatch: Mismatch) -> Program {
        match mismatch {
            Mismatch::Operator => {
                let (operator, kind) = (check.operator.name(), kind.name());
                let message = format!("operator `{operator}` does not work on `{name}`, which is a {kind}");
                self.error(Code::BadOperator, check.operator_span, message, None)
            }
            Mismatch::Value(span, wrong) => {
                let message = format!("`{name}` is a {}, {wrong}", kind.name());
                let help = match kind {
                    FieldType::Number => Some("write a whole number, or a duration such as `30s`".to_owned()),
                    FieldType::Bool => Some("write `true` or `false`".to_owned()),
                    FieldType::Network => {
                        Some("write an address, or a network such as `10.0.0.0/8`".to_owned())
                    }
                    FieldType::Text | FieldType::List => None,
                };
                self.error(Code::TypeMismatch, span, message, help)
            }
            Mismatch::Pattern(span, message) => self.error(Code::BadPattern, span, message, None),
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

/// A comparison with values, by the type of what is compared.
fn matcher(kind: FieldType, operator: Operator, values: &[(String, Span)]) -> Result<Matcher, Mismatch> {
    match kind {
        _ if operator == Operator::Exists => Ok(Matcher::Exists),
        FieldType::Bool => boolean(operator, values),
        FieldType::Number => number(operator, values),
        FieldType::Text | FieldType::List => text(operator, values),
        FieldType::Network => network(operator, values),
    }
}

/// Message and help.
type FieldError = (String, Option<String>);

/// What a text names.
#[derive(Debug)]
pub enum Resolved {
    /// A field, its key, and whether its value is a list.
    Field(Field, Option<Key>, bool),
    /// A field of Falco's that no event here fills, and why.
    Unfilled(&'static str),
}

/// The field a text names.
pub fn resolve(text: &str) -> Result<Resolved, FieldError> {
    let (name, key) = split(text);
    // Falco writes the names of arguments behind a dot, too.
    if let Some(argument) = name.strip_prefix("evt.arg.") {
        return Ok(argument_field(argument));
    }
    let Some(field) = Field::by_name(name) else {
        if let Some(reason) = falco::unfilled(name) {
            return Ok(Resolved::Unfilled(reason));
        }
        let help = field::nearest(name).map(|near| format!("did you mean `{near}`?"));
        return Err((format!("unknown field `{name}`"), help));
    };
    let is_list = field.field_type() == FieldType::List;
    match (field.indexing(), key) {
        (Indexing::None, None) => Ok(Resolved::Field(field, None, is_list)),
        (Indexing::None, Some(_)) => Err((format!("field `{name}` takes no `[...]`"), None)),
        (Indexing::Index, None) if field.field_type() == FieldType::Text => {
            Ok(Resolved::Field(field, None, true))
        }
        (Indexing::Index, Some(key)) => match key.parse() {
            Ok(index) => Ok(Resolved::Field(field, Some(Key::Index(index)), false)),
            Err(_) => Err((format!("field `{name}` takes a number in `[...]`"), None)),
        },
        (Indexing::Name, Some(key)) if field == Field::EvtArg => Ok(argument_field(key)),
        (Indexing::Name, Some(key)) if !key.is_empty() && key.len() <= 256 => {
            Ok(Resolved::Field(field, Some(Key::Name(key.into())), false))
        }
        (Indexing::Index | Indexing::Name, _) => Err((
            format!("field `{name}` needs something in `[...]`"),
            Some(format!("write for example `{name}[1]` or `{name}[NAME]`")),
        )),
    }
}

/// An argument of the call, if events here have it.
fn argument_field(name: &str) -> Resolved {
    if falco::ARGUMENTS.contains(&name) {
        return Resolved::Field(Field::EvtArg, Some(Key::Name(name.into())), false);
    }
    Resolved::Unfilled("the hooks do not pass on this argument of the system call")
}
