//! Pieces of a condition to an expression. `or` binds weakest, then `and`, then `not`.

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
}

/// A comparison as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Field name with its index.
    pub field: String,
    /// Its place.
    pub field_span: Span,
    /// Operator.
    pub operator: Operator,
    /// Its place.
    pub operator_span: Span,
    /// Values; none for `exists`.
    pub values: Vec<Operand>,
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

macro_rules! operators {
    ($($variant:ident $($name:literal)|+,)*) => {
        /// An operator.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Operator {
            $(#[doc = concat!($("`", $name, "` "),+)] $variant,)*
        }

        impl Operator {
            /// All names.
            pub const NAMES: &[&str] = &[$($($name,)+)*];

            /// The operator of this name.
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

operators! {
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

impl Operator {
    /// Whether it takes a list in parentheses.
    fn takes_list(self) -> bool {
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
    fn check(&mut self, field: String) -> Result<Expression, ParseError> {
        let field_span = self.span();
        if matches!(field.as_str(), "and" | "or") {
            return Err(self.here(format!("`{field}` has nothing before it")));
        }
        self.at += 1;
        if field.contains('.') && self.peek() == Some(&Token::Open) {
            return Err(self.here("expected an operator between field and values"));
        }
        let operator_span = self.span();
        let name = match self.peek() {
            Some(Token::Symbol(symbol)) => (*symbol).to_owned(),
            Some(Token::Word(word)) if !matches!(word.as_str(), "and" | "or") => word.clone(),
            Some(Token::Open) if is_transformer(&field) => {
                return Err(ParseError {
                    message: format!("`{field}(...)` is not supported yet"),
                    span: field_span,
                    help: Some("compare with `icontains` or `iglob` instead of changing the case".to_owned()),
                });
            }
            _ => return Ok(Expression::Macro(field, field_span)),
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
        let values = match operator {
            Operator::Exists => Vec::new(),
            _ if operator.takes_list() && self.peek() == Some(&Token::Open) => self.list()?,
            _ if operator.takes_list() => vec![self.operand(operator)?],
            _ => vec![self.operand(operator)?],
        };
        Ok(Expression::Check(Check { field, field_span, operator, operator_span, values }))
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

/// Falco's field transformers.
fn is_transformer(name: &str) -> bool {
    matches!(name, "tolower" | "toupper" | "b64" | "basename" | "len" | "val" | "join")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
                Expression::Check(check) => {
                    let values: Vec<&str> = check.values.iter().map(|value| value.text.as_str()).collect();
                    format!("{} {} {}", check.field, check.operator.name(), values.join("|"))
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
        assert_eq!(error("tolower(proc.name) = a"), ("`tolower(...)` is not supported yet".into(), 0));
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
