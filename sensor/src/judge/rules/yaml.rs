//! Reads YAML and keeps the place of every value, so that an error inside a folded condition points at its line.

use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span as YamlSpan};

use super::error::{Code, Place, RuleError, Source};

/// Deepest nesting of a rule file.
const DEPTH: usize = 16;
/// Values in one file.
const VALUES: usize = 2_000_000;

/// A value with its place.
#[derive(Debug)]
pub struct Node {
    /// The value.
    pub value: Yaml,
    start: Marker,
    end: Marker,
}

/// A value.
#[derive(Debug)]
pub enum Yaml {
    /// A text, number or boolean as written.
    Scalar(String, ScalarStyle),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in their order.
    Mapping(Vec<(Node, Node)>),
}

/// Reads all documents of a file; each document's root is one node.
///
/// # Errors
/// If it is not YAML, or uses aliases or more depth or values than a rule file needs.
pub fn read(source: &Arc<Source>) -> Result<Vec<Node>, RuleError> {
    let mut reader = Reader { parser: Parser::new_from_str(&source.text), source, values: 0 };
    let mut documents = Vec::new();
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(documents),
            (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing, _) => {}
            (event, span) => documents.push(reader.node(event, span, 0)?),
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    source: &'a Arc<Source>,
    values: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, YamlSpan), RuleError> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(self.error(*error.marker(), error.info())),
            None => Ok((Event::StreamEnd, YamlSpan::default())),
        }
    }

    fn error(&self, marker: Marker, message: &str) -> RuleError {
        RuleError::new(Code::Yaml, place(self.source, marker, 1), format!("not valid YAML: {message}"))
    }

    fn node(&mut self, event: Event<'a>, span: YamlSpan, depth: usize) -> Result<Node, RuleError> {
        self.values += 1;
        if depth > DEPTH || self.values > VALUES {
            let message = format!("more than {DEPTH} levels or {VALUES} values");
            return Err(RuleError::new(Code::TooLarge, place(self.source, span.start, 1), message));
        }
        let mut end = span.end;
        let value = match event {
            Event::Scalar(text, style, _, _) => Yaml::Scalar(text.into_owned(), style),
            Event::Alias(_) => {
                let error =
                    RuleError::new(Code::Yaml, place(self.source, span.start, 1), "aliases are not allowed");
                return Err(error.help("write the value out, or use a rule list or macro"));
            }
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                loop {
                    let (event, span) = self.next()?;
                    if matches!(event, Event::SequenceEnd) {
                        end = span.end;
                        break Yaml::Sequence(items);
                    }
                    items.push(self.node(event, span, depth + 1)?);
                }
            }
            Event::MappingStart(..) => {
                let mut entries = Vec::new();
                loop {
                    let (event, span) = self.next()?;
                    if matches!(event, Event::MappingEnd) {
                        end = span.end;
                        break Yaml::Mapping(entries);
                    }
                    let key = self.node(event, span, depth + 1)?;
                    let (event, span) = self.next()?;
                    entries.push((key, self.node(event, span, depth + 1)?));
                }
            }
            _ => return Err(self.error(span.start, "unexpected end")),
        };
        Ok(Node { value, start: span.start, end })
    }
}

fn place(source: &Arc<Source>, marker: Marker, width: usize) -> Place {
    Place { source: Arc::clone(source), line: marker.line().max(1), column: marker.col() + 1, width }
}

impl Node {
    /// Where the value begins.
    pub fn place(&self, source: &Arc<Source>) -> Place {
        let width = match &self.value {
            Yaml::Scalar(text, _) if self.start.line() == self.end.line() => text.chars().count().max(1),
            _ => 1,
        };
        place(source, self.start, width)
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Yaml::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    /// Where the characters `start..end` of a scalar's text stand in the file. White space in the text may have been
    /// folded, so the other characters are counted; escapes of quoted scalars are skipped.
    pub fn place_within(&self, source: &Arc<Source>, start: usize, end: usize) -> Place {
        let Yaml::Scalar(text, style) = &self.value else { return self.place(source) };
        let mut before = text.chars().take(start).filter(|c| !c.is_whitespace()).count();
        let escape = match style {
            ScalarStyle::DoubleQuoted => Some('\\'),
            ScalarStyle::SingleQuoted => Some('\''),
            _ => None,
        };
        let (mut line, mut column) = (self.start.line(), self.start.col());
        let mut characters = source.text.chars().skip(self.start.index());
        if escape.is_some() {
            characters.next();
            column += 1;
        }
        let mut escaped = false;
        for character in characters {
            let skip = character.is_whitespace() || (escape == Some(character) && !escaped);
            escaped = escape == Some(character) && !escaped;
            if !skip {
                if before == 0 {
                    break;
                }
                before -= 1;
            }
            if character == '\n' {
                line += 1;
                column = 0;
            } else {
                column += 1;
            }
        }
        let width = end.saturating_sub(start).max(1);
        Place { source: Arc::clone(source), line: line.max(1), column: column + 1, width }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Arc<Source> {
        Arc::new(Source { name: "t.yaml".into(), text: text.into() })
    }

    /// Place of the word `x` in the condition of the first item.
    fn place_of_x(text: &str) -> (usize, usize) {
        let source = source(text);
        let documents = read(&source).expect("valid");
        let Yaml::Sequence(items) = &documents[0].value else { panic!("no list") };
        let Yaml::Mapping(entries) = &items[0].value else { panic!("no mapping") };
        let condition = &entries[0].1;
        let start = condition.text().expect("a scalar").chars().position(|c| c == 'x').expect("an x");
        let place = condition.place_within(&source, start, start + 1);
        (place.line, place.column)
    }

    #[test]
    fn places_in_every_style_of_scalar() {
        assert_eq!(place_of_x("- condition: a and x\n"), (1, 20));
        assert_eq!(place_of_x("- condition: a and\n    b or\n    x\n"), (3, 5));
        assert_eq!(place_of_x("- condition: >\n    a and\n\n    b or  x\n"), (4, 11));
        assert_eq!(place_of_x("- condition: |\n    a and\n      x\n"), (3, 7));
        assert_eq!(place_of_x("- condition: 'a = ''b'' and x'\n"), (1, 29));
        assert_eq!(place_of_x("- condition: \"a = \\\"b\\\" and x\"\n"), (1, 29));
    }

    #[test]
    fn bombs_and_broken_files_are_refused() {
        assert_eq!(read(&source("a: &x [1]\nb: *x")).expect_err("alias").code, Code::Yaml);
        assert_eq!(read(&source(&"[".repeat(100))).expect_err("deep").code, Code::TooLarge);
        let error = read(&source("a: [1")).expect_err("open");
        assert_eq!(error.code, Code::Yaml);
        assert!(read(&source("")).expect("empty").is_empty());
    }
}
