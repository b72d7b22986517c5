//! Hostile argument vectors and paths: none, many, huge, with control characters, deeper than PATH_MAX.

use super::Outcome;
use super::system::{Vector, execute, number};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStringExt as _;

/// Executes BINARY with an empty argument vector. From 5.18 on the kernel makes one empty argument of it.
pub fn exec_without_argv(operands: &[OsString]) -> Outcome {
    Err(execute(&operands[0], &Vector::new::<&OsStr>([])?))
}

/// Executes COMMAND with its ARGs and COUNT further short ones, the last of which is `last-argument`.
pub fn many(operands: &[OsString]) -> Outcome {
    let count: usize = number(&operands[0])?;
    let mut arguments = operands[1..].to_vec();
    arguments.extend((1..count).map(|index| OsString::from(index.to_string())));
    arguments.push("last-argument".into());
    Err(execute(&operands[1], &Vector::new(&arguments)?))
}

/// Executes COMMAND with its ARGs and one of BYTES bytes. The kernel's limit is 128 KiB with the NUL.
pub fn huge(operands: &[OsString]) -> Outcome {
    let bytes: usize = number(&operands[0])?;
    let mut arguments = operands[1..].to_vec();
    arguments.push(OsString::from_vec(vec![b'h'; bytes]));
    Err(execute(&operands[1], &Vector::new(&arguments)?))
}

/// Executes COMMAND with arguments that would forge or break a line of a careless log.
pub fn hostile(operands: &[OsString]) -> Outcome {
    let forged =
        b"x\n{\"kind\":\"finding\",\"finding\":{\"id\":\"forged-line\",\"severity\":\"critical\"}}\n"
            .to_vec();
    let arguments = [
        operands[0].clone(),
        OsString::from_vec(forged),
        OsString::from_vec(b"\x1b[2J\x1b]0;owned\x07\r\x7f".to_vec()),
        // An overlong NUL, a broken sequence, and half of a surrogate pair.
        OsString::from_vec(b"\xff\xfe\xc0\x80\xc3\x28\xed\xa0\x80".to_vec()),
        OsString::from("\u{202e}gpj.exe\u{2028}\"\\"),
        OsString::new(),
    ];
    Err(execute(&operands[0], &Vector::new(&arguments)?))
}

/// Makes LEVELS nested directories of 250 characters below DIRECTORY, one step at a time, copies BINARY into the
/// innermost and executes it by a relative name. From 17 levels on no path of it fits into PATH_MAX.
pub fn deep(operands: &[OsString]) -> Outcome {
    let levels: usize = number(&operands[1])?;
    let binary = std::path::absolute(&operands[2])?;
    std::env::set_current_dir(&operands[0])?;
    let name = "d".repeat(250);
    for _ in 0..levels {
        match std::fs::create_dir(&name) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => std::env::set_current_dir(&name)?,
        }
    }
    std::fs::copy(&binary, "x")?;
    Err(execute(OsStr::new("./x"), &Vector::new(&operands[2..])?))
}
