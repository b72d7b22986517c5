//! Bytes that an attacker chose, made into text that can neither forge a line nor steer a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;

use serde::Serialize;
use serde_json::ser::Formatter;

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

/// Characters that are not seen themselves but change how a line is shown: controls (C0, DEL, C1), separators of lines
/// and paragraphs, marks of direction, and what has no width or no glyph.
pub fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Serialises JSON on one line in which the characters that JSON itself would let pass, but which could steer a
/// terminal, are `\uXXXX` too. Whoever reads it gets them back.
pub fn to_json(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(2048);
    let result = value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, VisibleJson));
    debug_assert!(result.is_ok(), "memory takes everything, and keys are texts");
    bytes
}

struct VisibleJson;

impl Formatter for VisibleJson {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        let mut written = 0;
        if !fragment.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            for (at, character) in fragment.char_indices().filter(|(_, character)| is_hidden(*character)) {
                writer.write_all(&fragment.as_bytes()[written..at])?;
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
                written = at + character.len_utf8();
            }
        }
        writer.write_all(&fragment.as_bytes()[written..])
    }
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
        assert_eq!(printable("\u{61c}\u{e0041}".as_bytes()), "\\u{61c}\\u{e0041}");
    }

    #[test]
    fn json_shows_what_it_hides_and_gives_it_back() {
        let text = "a\n\"\u{1b}\u{7f}\u{9b}2J ä\u{202e}\u{e0041}\u{2028}z";
        let json = String::from_utf8(to_json(&[text])).expect("UTF-8");
        assert_eq!(json, r#"["a\n\"\u001b\u007f\u009b2J ä\u202e\udb40\udc41\u2028z"]"#);
        assert_eq!(serde_json::from_str::<[String; 1]>(&json).expect("JSON"), [text]);
        assert_eq!(to_json(&serde_json::json!({"a": [1, null, {}]})), br#"{"a":[1,null,{}]}"#);
    }
}
