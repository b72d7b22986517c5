//! Bytes that an attacker chose, made into text that can neither forge a line nor steer a terminal.

use std::borrow::Cow;
use std::fmt::Write;

/// Text for JSON: bytes that are not UTF-8 become `\xNN`. Control characters stay, because JSON escapes them.
pub fn lossless(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        push_hex(&mut text, chunk.invalid());
    }
    Cow::Owned(text)
}

/// Text for a line on a terminal: besides, control characters, line separators and bidirectional marks become visible
/// escapes.
pub fn printable(bytes: &[u8]) -> Cow<'_, str> {
    if bytes.iter().all(|&byte| (0x20..0x7f).contains(&byte)) {
        // Printable ASCII is UTF-8, so nothing is lost here.
        return String::from_utf8_lossy(bytes);
    }
    let mut text = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            push_visible(&mut text, character);
        }
        push_hex(&mut text, chunk.invalid());
    }
    Cow::Owned(text)
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "\\x{byte:02x}");
    }
}

fn push_visible(text: &mut String, character: char) {
    match character {
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        _ if is_hidden(character) => text.extend(character.escape_unicode()),
        _ => text.push(character),
    }
}

/// Characters that change how the rest of a line is shown.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// What a file is, by its `i_mode`.
pub fn file_type(mode: u32) -> &'static str {
    match mode & 0o170_000 {
        0o010_000 => "fifo",
        0o020_000 => "char",
        0o040_000 => "directory",
        0o060_000 => "block",
        0o100_000 => "regular",
        0o120_000 => "symlink",
        0o140_000 => "socket",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_borrowed() {
        assert!(matches!(lossless("grüße".as_bytes()), Cow::Borrowed("grüße")));
        assert_eq!(printable(b"ls -l"), "ls -l");
    }

    #[test]
    fn other_bytes_are_shown_in_hexadecimal() {
        assert_eq!(lossless(b"a\xff\xfeb"), "a\\xff\\xfeb");
        assert_eq!(printable(b"a\xffb"), "a\\xffb");
    }

    #[test]
    fn a_line_cannot_be_forged() {
        assert_eq!(printable(b"x\n2026 CRITICAL \x1b[2J"), "x\\n2026 CRITICAL \\u{1b}[2J");
        assert_eq!(printable("a\u{202e}b\u{2028}c".as_bytes()), "a\\u{202e}b\\u{2028}c");
        assert_eq!(printable("\u{9b}2J".as_bytes()), "\\u{9b}2J");
    }
}
