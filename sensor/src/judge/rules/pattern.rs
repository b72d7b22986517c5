//! Patterns of conditions: globs and regular expressions, built when loading. Matching takes linear time.

use regex::bytes::RegexBuilder;

use super::matcher::Mismatch;
use super::parser::Span;
use super::program::TextMatcher;

/// Memory of one compiled pattern.
const PATTERN_MAX: usize = 1 << 20;

/// A matcher for a regular expression.
pub fn pattern(text: &str, span: Span) -> Result<TextMatcher, Mismatch> {
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
pub fn glob(text: &str) -> String {
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

/// The bytes that pairs of hexadecimal digits stand for.
pub fn hexadecimal(text: &str) -> Option<Vec<u8>> {
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
}
