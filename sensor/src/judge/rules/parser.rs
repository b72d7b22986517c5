//! Pieces of a condition to an expression. `or` binds weakest, then `and`, then `not`.

use super::error::Place;
use super::lexer::{Spanned, Token, lex};

/// Place in a condition, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First character.
    pub start: usize,
    /// One behind the last.
    pub end: usize,
}

/// An expression as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// All hold.
    And(Vec<Expression>),
    /// One holds.
    Or(Vec<Expression>),
    /// The other does not hold.
    Not(Box<Expression>),
    /// A macro.
    Macro(String, Span),
    /// A comparison.
    Check(Check),
    /// An expression that stands elsewhere: in an exception.
    Placed(Box<Expression>, Box<Place>),
}

/// A comparison as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is compared: a field, or what is made of fields.
    pub subject: Term,
    /// Operator.
    pub operator: Operator,
    /// Its place.
    pub operator_span: Span,
    /// Values; none for `exists`, or where it is compared with `other`.
    pub values: Vec<Operand>,
    /// What is made of fields, on the right.
    pub other: Option<Term>,
}

/// What has a value for each event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// A field name with its index.
    Field(String, Span),
    /// A text in quotes, as `join` takes.
    Text(String, Span),
    /// What a function makes of its arguments.
    Call(Function, Vec<Term>, Span),
}

impl Term {
    /// Its place.
    pub fn span(&self) -> Span {
        match self {
            Self::Field(_, span) | Self::Text(_, span) | Self::Call(_, _, span) => *span,
        }
    }
}

/// A value as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operand {
    /// Its text, or the name of a list.
    pub text: String,
    /// Whether it was quoted; a quoted text is never the name of a list.
    pub quoted: bool,
    /// Its place.
    pub span: Span,
}

impl Operand {
    /// A bare word.
    pub fn bare(text: String, span: Span) -> Self {
        Self { text, quoted: false, span }
    }
}

macro_rules! names {
    ($(#[$meta:meta])* $type:ident: $($variant:ident $($name:literal)|+,)*) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $type {
            $(#[doc = concat!($("`", $name, "` "),+)] $variant,)*
        }

        impl $type {
            /// All names.
            #[allow(dead_code, reason = "not every kind of name is suggested")]
            pub const NAMES: &[&str] = &[$($($name,)+)*];

            /// The one of this name.
            pub fn by_name(name: &str) -> Option<Self> {
                match name { $($($name)|+ => Some(Self::$variant),)* _ => None }
            }

            /// Its first name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => [$($name),+][0],)* }
            }
        }
    };
}

names! {
    /// An operator.
    Operator:
    Equal "=" | "==",
    NotEqual "!=",
    Less "<",
    LessEqual "<=",
    Greater ">",
    GreaterEqual ">=",
    In "in",
    Intersects "intersects",
    Contains "contains",
    IgnoreCaseContains "icontains",
    BytesContain "bcontains",
    StartsWith "startswith",
    BytesStartWith "bstartswith",
    EndsWith "endswith",
    Glob "glob",
    IgnoreCaseGlob "iglob",
    Regex "regex",
    PathMatch "pmatch",
    Exists "exists",
}

names! {
    /// A function of values: Falco's transformers.
    Function:
    Value "val",
    Lower "tolower",
    Upper "toupper",
    Base64 "b64",
    BaseName "basename",
    Length "len",
    Join "join",
    Concatenate "concat",
}

impl Operator {
    /// Whether it takes a list in parentheses.
    pub fn takes_list(self) -> bool {
        matches!(self, Self::In | Self::Intersects | Self::PathMatch)
    }
}

/// A place where a condition cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong.
    pub message: String,
    /// Where.
    pub span: Span,
    /// The way out.
    pub help: Option<String>,
}

/// Deepest nesting of parentheses and `not`.
const DEPTH: usize = 128;

/// Parses a condition.
///
/// # Errors
/// At the first place that cannot be understood.
pub fn parse(text: &str) -> Result<Expression, ParseError> {
    let tokens = lex(text).map_err(|error| ParseError {
        message: error.message.to_owned(),
        span: Span { start: error.start, end: error.end },
        help: None,
    })?;
    let mut parser = Parser { tokens, at: 0, end: text.chars().count() };
    let expression = parser.or(0)?;
    match parser.peek() {
        None => Ok(expression),
        Some(Token::Close) => Err(parser.here("this parenthesis closes nothing")),
        Some(_) => Err(parser.here("expected `and`, `or` or the end of the condition")),
    }
}

struct Parser {
    tokens: Vec<Spanned>,
    at: usize,
    end: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|spanned| &spanned.token)
    }

    fn span(&self) -> Span {
        let end = Span { start: self.end, end: self.end + 1 };
        self.tokens.get(self.at).map_or(end, |spanned| Span { start: spanned.start, end: spanned.end })
    }

    fn here(&self, message: impl Into<String>) -> ParseError {
        ParseError { message: message.into(), span: self.span(), help: None }
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(word)) if word == keyword);
        self.at += usize::from(found);
        found
    }

    fn or(&mut self, depth: usize) -> Result<Expression, ParseError> {
        self.series("or", depth, Self::and, Expression::Or)
    }

    fn and(&mut self, depth: usize) -> Result<Expression, ParseError> {
        self.series("and", depth, Self::not, Expression::And)
    }

    fn series(
        &mut self,
        keyword: &str,
        depth: usize,
        part: fn(&mut Self, usize) -> Result<Expression, ParseError>,
        whole: fn(Vec<Expression>) -> Expression,
    ) -> Result<Expression, ParseError> {
        let first = part(self, depth)?;
        let mut parts = vec![first];
        while self.keyword(keyword) {
            parts.push(part(self, depth)?);
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { whole(parts) })
    }

    fn not(&mut self, depth: usize) -> Result<Expression, ParseError> {
        if depth > DEPTH {
            return Err(self.here(format!("nested deeper than {DEPTH}")));
        }
        if self.keyword("not") {
            return Ok(Expression::Not(Box::new(self.not(depth + 1)?)));
        }
        match self.peek() {
            Some(Token::Open) => {
                let open = self.span();
                self.at += 1;
                let inner = self.or(depth + 1)?;
                if self.peek() != Some(&Token::Close) {
                    let message = "this parenthesis is not closed".to_owned();
                    return Err(ParseError { message, span: open, help: None });
                }
                self.at += 1;
                Ok(inner)
            }
            Some(Token::Word(word)) => {
                let word = word.clone();
                self.check(word)
            }
            Some(Token::Quoted(_)) => Err(self.here("expected a field or a macro, not a quoted text")),
            Some(_) => Err(self.here("expected a field or a macro")),
            None => Err(self.here("the condition ends where a field or a macro is expected")),
        }
    }

    /// A comparison, or a macro if no operator follows.
    fn check(&mut self, word: String) -> Result<Expression, ParseError> {
        let span = self.span();
        if matches!(word.as_str(), "and" | "or") {
            return Err(self.here(format!("`{word}` has nothing before it")));
        }
        let call = self.call(0)?;
        if call.is_none() {
            self.at += 1;
            if word.contains('.') && self.peek() == Some(&Token::Open) {
                return Err(self.here("expected an operator between field and values"));
            }
        }
        let operator_span = self.span();
        let name = match self.peek() {
            Some(Token::Symbol(symbol)) => (*symbol).to_owned(),
            Some(Token::Word(word)) if !matches!(word.as_str(), "and" | "or") => word.clone(),
            _ if call.is_some() => return Err(self.here(format!("expected an operator after `{word}(...)`"))),
            _ => return Ok(Expression::Macro(word, span)),
        };
        let Some(operator) = Operator::by_name(&name) else {
            let near = super::error::nearest(&name, Operator::NAMES.iter().copied());
            return Err(ParseError {
                message: format!("unknown operator `{name}`"),
                span: operator_span,
                help: near.map(|near| format!("did you mean `{near}`?")),
            });
        };
        self.at += 1;
        let subject = call.unwrap_or(Term::Field(word, span));
        let (mut values, mut other) = (Vec::new(), None);
        if operator != Operator::Exists {
            other = self.call(0)?;
            if other.is_none() {
                values = match self.peek() {
                    Some(Token::Open) if operator.takes_list() => self.list()?,
                    _ => vec![self.operand(operator)?],
                };
            }
        }
        Ok(Expression::Check(Check { subject, operator, operator_span, values, other }))
    }

    /// `function(...)`, if that is what comes.
    fn call(&mut self, depth: usize) -> Result<Option<Term>, ParseError> {
        let span = self.span();
        let Some(Token::Word(name)) = self.peek() else { return Ok(None) };
        let Some(function) = Function::by_name(name) else { return Ok(None) };
        if self.tokens.get(self.at + 1).map(|spanned| &spanned.token) != Some(&Token::Open) {
            return Ok(None);
        }
        if depth > DEPTH {
            return Err(self.here(format!("nested deeper than {DEPTH}")));
        }
        self.at += 2;
        let mut arguments = Vec::new();
        self.arguments(depth, &mut arguments)?;
        let end = self.tokens.get(self.at - 1).map_or(span.end, |spanned| spanned.end);
        let takes = match function {
            Function::Join => 2..=64,
            Function::Concatenate => 1..=64,
            _ => 1..=1,
        };
        if !takes.contains(&arguments.len()) {
            let message = match takes.end() {
                1 => format!("`{}` takes one argument", function.name()),
                most => format!("`{}` takes {} to {most} arguments", function.name(), takes.start()),
            };
            return Err(ParseError { message, span: Span { start: span.start, end }, help: None });
        }
        Ok(Some(Term::Call(function, arguments, Span { start: span.start, end })))
    }

    /// Arguments up to the parenthesis that closes them. Falco writes the second one of `join` as a list in parentheses.
    fn arguments(&mut self, depth: usize, arguments: &mut Vec<Term>) -> Result<(), ParseError> {
        loop {
            if let Some(call) = self.call(depth + 1)? {
                arguments.push(call);
                continue;
            }
            let span = self.span();
            match self.peek() {
                Some(Token::Close) => {
                    self.at += 1;
                    return Ok(());
                }
                Some(Token::Comma) => self.at += 1,
                Some(Token::Open) if depth <= DEPTH => {
                    self.at += 1;
                    self.arguments(depth + 1, arguments)?;
                }
                Some(Token::Word(field)) => {
                    arguments.push(Term::Field(field.clone(), span));
                    self.at += 1;
                }
                Some(Token::Quoted(text)) => {
                    arguments.push(Term::Text(text.clone(), span));
                    self.at += 1;
                }
                _ => return Err(self.here("expected a field, `,` or `)`")),
            }
        }
    }

    fn operand(&mut self, operator: Operator) -> Result<Operand, ParseError> {
        let span = self.span();
        let operand = match self.peek() {
            Some(Token::Word(text)) => Operand { text: text.clone(), quoted: false, span },
            Some(Token::Quoted(text)) => Operand { text: text.clone(), quoted: true, span },
            Some(Token::Open) => {
                let help =
                    (operator == Operator::Equal).then(|| "use `in` to compare with a list".to_owned());
                return Err(ParseError {
                    message: format!("`{}` takes one value", operator.name()),
                    span,
                    help,
                });
            }
            _ => return Err(self.here(format!("expected a value after `{}`", operator.name()))),
        };
        self.at += 1;
        Ok(operand)
    }

    fn list(&mut self) -> Result<Vec<Operand>, ParseError> {
        let open = self.span();
        self.at += 1;
        let mut values = Vec::new();
        loop {
            let span = self.span();
            match self.peek() {
                Some(Token::Close) => {
                    self.at += 1;
                    return Ok(values);
                }
                Some(Token::Comma) => self.at += 1,
                Some(Token::Word(text)) => {
                    values.push(Operand { text: text.clone(), quoted: false, span });
                    self.at += 1;
                }
                Some(Token::Quoted(text)) => {
                    values.push(Operand { text: text.clone(), quoted: true, span });
                    self.at += 1;
                }
                Some(_) => return Err(self.here("expected a value, `,` or `)` in this list")),
                None => {
                    let message = "this list is not closed".to_owned();
                    return Err(ParseError { message, span: open, help: None });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn term(one: &Term) -> String {
        match one {
            Term::Field(name, _) => name.clone(),
            Term::Text(text, _) => format!("'{text}'"),
            Term::Call(function, arguments, _) => {
                format!("{}({})", function.name(), arguments.iter().map(term).collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// The expression with all its parentheses.
    fn shape(text: &str) -> String {
        fn show(expression: &Expression) -> String {
            let join = |parts: &[Expression], word: &str| {
                format!("({})", parts.iter().map(show).collect::<Vec<_>>().join(word))
            };
            match expression {
                Expression::And(parts) => join(parts, " and "),
                Expression::Or(parts) => join(parts, " or "),
                Expression::Not(inner) => format!("not {}", show(inner)),
                Expression::Macro(name, _) => name.clone(),
                Expression::Placed(inner, _) => show(inner),
                Expression::Check(check) => {
                    let mut values: Vec<String> =
                        check.values.iter().map(|value| value.text.clone()).collect();
                    values.extend(check.other.iter().map(term));
                    format!("{} {} {}", term(&check.subject), check.operator.name(), values.join("|"))
                        .trim_end()
                        .to_owned()
                }
            }
        }
        show(&parse(text).expect("valid"))
    }

    fn error(text: &str) -> (String, usize) {
        let error = parse(text).expect_err("invalid");
        (error.message, error.span.start)
    }

    #[test]
    fn precedence() {
        assert_eq!(shape("a or b and not c and d"), "(a or (b and not c and d))");
        assert_eq!(shape("not a and b"), "(not a and b)");
        assert_eq!(shape("not (a and b) or not not c"), "(not (a and b) or not not c)");
    }

    #[test]
    fn comparisons() {
        assert_eq!(shape("proc.name = sh"), "proc.name = sh");
        assert_eq!(shape("proc.name in (sh, 'b c', list)"), "proc.name in sh|b c|list");
        assert_eq!(shape("proc.name in ()"), "proc.name in");
        assert_eq!(shape("proc.env[A] exists and x"), "(proc.env[A] exists and x)");
        assert_eq!(shape("a.b pmatch (/x, /y) or a.b pmatch /z"), "(a.b pmatch /x|/y or a.b pmatch /z)");
        assert_eq!(shape("container.duration < 30s"), "container.duration < 30s");
        assert_eq!(shape("a.b == and.c"), "a.b = and.c");
    }

    #[test]
    fn functions_stand_on_both_sides() {
        assert_eq!(shape("tolower(proc.name) in (a, b)"), "tolower(proc.name) in a|b");
        assert_eq!(
            shape("proc.name = val(proc.pname) or len(proc.args)>3"),
            "(proc.name = val(proc.pname) or len(proc.args) > 3)"
        );
        assert_eq!(
            shape("join('/', (fd.directory, basename(fd.name))) = 'x'"),
            "join('/', fd.directory, basename(fd.name)) = x"
        );
        assert_eq!(shape("len and val"), "(len and val)");
    }

    #[test]
    fn mistakes_have_their_place() {
        assert_eq!(error("a and"), ("the condition ends where a field or a macro is expected".into(), 5));
        assert_eq!(error("a b c"), ("unknown operator `b`".into(), 2));
        assert_eq!(error("(a or b"), ("this parenthesis is not closed".into(), 0));
        assert_eq!(error("a)"), ("this parenthesis closes nothing".into(), 1));
        assert_eq!(error("proc.name ="), ("expected a value after `=`".into(), 11));
        assert_eq!(error("proc.name in (a"), ("this list is not closed".into(), 13));
        assert_eq!(error("proc.name = (a, b)"), ("`=` takes one value".into(), 12));
        assert_eq!(error("and a"), ("`and` has nothing before it".into(), 0));
        assert_eq!(error(""), ("the condition ends where a field or a macro is expected".into(), 0));
        assert_eq!(error("tolower(proc.name)"), ("expected an operator after `tolower(...)`".into(), 18));
        assert_eq!(error("tolower(a.b, c.d) = a"), ("`tolower` takes one argument".into(), 0));
        assert_eq!(error("a.b = val(a.c"), ("expected a field, `,` or `)`".into(), 13));
        assert!(error(&"tolower(".repeat(100_000)).0.contains("nested deeper"));
        assert_eq!(error("proc.name startwith a"), ("unknown operator `startwith`".into(), 10));
        assert!(error(&"(".repeat(100_000)).0.contains("nested deeper"));
        assert!(error(&"not ".repeat(100_000)).0.contains("nested deeper"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}") {
            let _ = parse(&text);
        }

        #[test]
        fn no_mixture_of_words_panics(words in proptest::collection::vec("and|or|not|in|=|\\(|\\)|,|a\\.b|'x'|x|exists", 0..60)) {
            let _ = parse(&words.join(" "));
        }
    }
}
