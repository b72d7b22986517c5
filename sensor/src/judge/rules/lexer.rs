//! Cuts a condition into words, quoted texts and punctuation.

/// A piece of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A bare word: field, keyword, macro, list, number or text.
    Word(String),
    /// A quoted text, without its quotes.
    Quoted(String),
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
    /// `=`, `==`, `!=`, `<`, `<=`, `>` or `>=`.
    Symbol(&'static str),
}

/// A piece with its place in the condition, in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned {
    /// The piece.
    pub token: Token,
    /// First character.
    pub start: usize,
    /// One behind the last.
    pub end: usize,
}

/// A place where the text cannot be cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LexError {
    /// What is wrong.
    pub message: &'static str,
    /// First character.
    pub start: usize,
    /// One behind the last.
    pub end: usize,
}

/// Cuts a condition into pieces.
///
/// # Errors
/// At a quote that is not closed, or a `!` that is not part of `!=`.
pub fn lex(text: &str) -> Result<Vec<Spanned>, LexError> {
    let characters: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&character) = characters.get(at) {
        let start = at;
        let next = characters.get(at + 1);
        let token = match character {
            _ if character.is_whitespace() => {
                at += 1;
                continue;
            }
            // A comment reaches to the end of its line; in a folded text, which has no lines left, it would hide the rest.
            '#' => match characters[at..].iter().position(|&character| character == '\n') {
                Some(length) => {
                    at += length;
                    continue;
                }
                None => {
                    return Err(LexError {
                        message: "a comment needs a condition that keeps its lines: begin it with `|`",
                        start,
                        end: at + 1,
                    });
                }
            },
            '(' => Token::Open,
            ')' => Token::Close,
            ',' => Token::Comma,
            '=' if next == Some(&'=') => Token::Symbol("=="),
            '=' => Token::Symbol("="),
            '!' if next == Some(&'=') => Token::Symbol("!="),
            '!' => {
                return Err(LexError { message: "`!` is no operator here; write `not`", start, end: at + 1 });
            }
            '<' if next == Some(&'=') => Token::Symbol("<="),
            '<' => Token::Symbol("<"),
            '>' if next == Some(&'=') => Token::Symbol(">="),
            '>' => Token::Symbol(">"),
            '"' | '\'' => {
                let (text, end) = quoted(&characters, at)?;
                at = end;
                tokens.push(Spanned { token: Token::Quoted(text), start, end });
                continue;
            }
            _ => {
                let end = word_end(&characters, at);
                let word = characters[at..end].iter().collect();
                at = end;
                tokens.push(Spanned { token: Token::Word(word), start, end });
                continue;
            }
        };
        at += match token {
            Token::Symbol(symbol) => symbol.len(),
            _ => 1,
        };
        tokens.push(Spanned { token, start, end: at });
    }
    Ok(tokens)
}

/// A quoted text. A backslash before the quote takes it literally; before anything else it stays, for patterns.
fn quoted(characters: &[char], start: usize) -> Result<(String, usize), LexError> {
    let quote = characters[start];
    let mut text = String::new();
    let mut at = start + 1;
    while let Some(&character) = characters.get(at) {
        match (character, characters.get(at + 1)) {
            ('\\', Some(&escaped)) if escaped == quote => {
                text.push(escaped);
                at += 2;
            }
            // Both stay, for patterns; the second escapes nothing.
            ('\\', Some('\\')) => {
                text.push_str("\\\\");
                at += 2;
            }
            _ if character == quote => return Ok((text, at + 1)),
            _ => {
                text.push(character);
                at += 1;
            }
        }
    }
    Err(LexError { message: "this quote is not closed", start, end: start + 1 })
}

/// The end of a bare word. In `name[...]` everything up to the bracket belongs to it.
fn word_end(characters: &[char], start: usize) -> usize {
    let mut at = start;
    let mut bracket = false;
    while let Some(&character) = characters.get(at) {
        match character {
            '[' => bracket = true,
            ']' => bracket = false,
            _ if bracket && character != '\n' => {}
            '(' | ')' | ',' | '"' | '\'' | '=' | '<' | '>' => break,
            '!' if characters.get(at + 1) == Some(&'=') => break,
            _ if character.is_whitespace() => break,
            _ => {}
        }
        at += 1;
    }
    at.max(start + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token> {
        lex(text).expect("valid").into_iter().map(|spanned| spanned.token).collect()
    }

    fn word(text: &str) -> Token {
        Token::Word(text.into())
    }

    #[test]
    fn words_symbols_and_quotes() {
        assert_eq!(
            tokens("proc.name!=sh and(proc.pid>=1)"),
            [
                word("proc.name"),
                Token::Symbol("!="),
                word("sh"),
                word("and"),
                Token::Open,
                word("proc.pid"),
                Token::Symbol(">="),
                word("1"),
                Token::Close
            ]
        );
        assert_eq!(
            tokens(r#"a in ("x y", 'it\'s', /dev/fd/*)"#),
            [
                word("a"),
                word("in"),
                Token::Open,
                Token::Quoted("x y".into()),
                Token::Comma,
                Token::Quoted("it's".into()),
                Token::Comma,
                word("/dev/fd/*"),
                Token::Close
            ]
        );
        assert_eq!(tokens("proc.env[A B]=1")[0], word("proc.env[A B]"));
        assert_eq!(tokens(r"'\d+\\'"), [Token::Quoted(r"\d+\\".into())]);
    }

    #[test]
    fn comments_end_with_their_line() {
        assert_eq!(tokens("a # b = 'c\nor b#"), [word("a"), word("or"), word("b#")]);
        assert_eq!(lex("a # or b").expect_err("the rest would be hidden").start, 2);
    }

    #[test]
    fn places_are_characters() {
        let spanned = lex("ä = 'ü' b").expect("valid");
        assert_eq!((spanned[2].start, spanned[2].end), (4, 7));
        assert_eq!((spanned[3].start, spanned[3].end), (8, 9));
    }

    #[test]
    fn open_quotes_and_lone_marks_are_errors() {
        assert_eq!(lex("a = 'b").expect_err("open").start, 4);
        assert_eq!(lex("! a").expect_err("lone").message, "`!` is no operator here; write `not`");
    }
}
