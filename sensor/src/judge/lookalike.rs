//! Parts of a path that imitate others: what looks like another name, or like nothing. A name in another script is none.

use crate::text::is_hidden;

/// Letters of other scripts that look like ASCII ones: Cyrillic, Greek, and Latin ones beyond ASCII.
const LETTERS: [(char, u8); 43] = [
    ('\u{430}', b'a'),
    ('\u{435}', b'e'),
    ('\u{43e}', b'o'),
    ('\u{440}', b'p'),
    ('\u{441}', b'c'),
    ('\u{443}', b'y'),
    ('\u{445}', b'x'),
    ('\u{455}', b's'),
    ('\u{456}', b'i'),
    ('\u{458}', b'j'),
    ('\u{4bb}', b'h'),
    ('\u{501}', b'd'),
    ('\u{51b}', b'q'),
    ('\u{51d}', b'w'),
    ('\u{475}', b'v'),
    ('\u{4cf}', b'l'),
    ('\u{578}', b'n'),
    ('\u{57d}', b'u'),
    ('\u{433}', b'r'),
    ('\u{442}', b't'),
    ('\u{43a}', b'k'),
    ('\u{43c}', b'm'),
    ('\u{43f}', b'n'),
    ('\u{432}', b'b'),
    ('\u{44c}', b'b'),
    ('\u{3b1}', b'a'),
    ('\u{3bf}', b'o'),
    ('\u{3c1}', b'p'),
    ('\u{3bd}', b'v'),
    ('\u{3ba}', b'k'),
    ('\u{3c5}', b'u'),
    ('\u{3b9}', b'i'),
    ('\u{3c7}', b'x'),
    ('\u{3c4}', b't'),
    ('\u{3b7}', b'n'),
    ('\u{131}', b'i'),
    ('\u{251}', b'a'),
    ('\u{261}', b'g'),
    ('\u{269}', b'i'),
    ('\u{28f}', b'y'),
    ('\u{1d0f}', b'o'),
    ('\u{1d04}', b'c'),
    ('\u{217c}', b'l'),
];

/// Programs and folders that an imitation would be of, also when none of its letters is ASCII.
const KNOWN: [&str; 30] = [
    "apache",
    "auditd",
    "bash",
    "bin",
    "busybox",
    "containerd",
    "cron",
    "crond",
    "dash",
    "dockerd",
    "etc",
    "java",
    "kubelet",
    "lib",
    "nginx",
    "node",
    "opt",
    "perl",
    "php",
    "python",
    "runc",
    "sbin",
    "sh",
    "ssh",
    "sshd",
    "sudo",
    "systemd",
    "tmp",
    "usr",
    "var",
];

/// Whether a part of a path imitates another one.
pub fn is_odd(part: &[u8]) -> bool {
    part.ends_with(b" ")
        || part.starts_with(b" ")
        || part.len() >= 3 && part.iter().all(|&byte| byte == b'.')
        || part.iter().any(u8::is_ascii_control)
        || !part.is_ascii() && part.utf8_chunks().any(|chunk| is_odd_text(chunk.valid()))
}

fn is_odd_text(text: &str) -> bool {
    text.chars().any(|character| !character.is_ascii() && (is_hidden(character) || character.is_whitespace()))
        || text.split(|character: char| !character.is_alphanumeric()).any(imitates)
}

/// Whether a word has letters that look like ASCII ones, and none that do not: beside ASCII letters, or in the whole of a
/// known name.
fn imitates(word: &str) -> bool {
    if word.is_ascii() || !word.chars().all(|letter| ascii(letter).is_some()) {
        return false;
    }
    let looks_like = |known: &&str| {
        known.len() == word.chars().count()
            && known.bytes().zip(word.chars()).all(|(byte, letter)| ascii(letter) == Some(byte))
    };
    word.chars().any(|letter| letter.is_ascii_alphabetic()) || KNOWN.iter().any(looks_like)
}

/// The ASCII letter or digit that a character is or looks like.
fn ascii(character: char) -> Option<u8> {
    if character.is_ascii_alphanumeric() {
        return Some((character as u8).to_ascii_lowercase());
    }
    // Full width forms, and the bold, italic and other letters of mathematics, repeat the alphabet.
    match u32::from(character) {
        wide @ 0xff10..=0xff5a => u8::try_from(wide - 0xfee0).ok().map(|byte| byte.to_ascii_lowercase()),
        math @ 0x1d400..=0x1d6a3 => u8::try_from((math - 0x1d400) % 26).ok().map(|letter| b'a' + letter),
        _ => LETTERS.iter().find(|(letter, _)| *letter == character).map(|(_, byte)| *byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_parts_of_a_path() {
        for odd in [
            b"sshd ".as_slice(),
            b"...",
            b"a\x01",
            "s\u{455}hd".as_bytes(),
            "\u{455}\u{455}\u{4bb}".as_bytes(),
            "ss\u{200b}hd".as_bytes(),
            "\u{202e}hsab".as_bytes(),
            "\u{ff42}ash".as_bytes(),
            "bin\u{a0}".as_bytes(),
        ] {
            assert!(is_odd(odd), "{odd:?}");
        }
    }

    #[test]
    fn names_in_other_scripts_imitate_nothing() {
        for even in [
            b"sshd".as_slice(),
            b".",
            b"..",
            b".config",
            b"a b",
            b"caf\xe9",
            "caf\u{e9}".as_bytes(),
            "M\u{fc}ller".as_bytes(),
            "\u{65e5}\u{672c}\u{8a9e}".as_bytes(),
            "\u{41f}\u{440}\u{43e}\u{435}\u{43a}\u{442}".as_bytes(),
            "\u{41f}\u{440}\u{43e}\u{435}\u{43a}\u{442}-v2".as_bytes(),
            "\u{3b4}\u{3b5}\u{3b4}\u{3bf}\u{3bc}\u{3ad}\u{3bd}\u{3b1}".as_bytes(),
        ] {
            assert!(!is_odd(even), "{even:?}");
        }
    }
}
