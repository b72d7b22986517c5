//! Running other programs: quietly with their output kept for the case of failure, and with the seconds they took.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// Lines of a failed program's output that are shown.
const TAIL_LINES: usize = 40;

/// Does `work` and prints one line with the seconds it took.
pub fn step<T>(label: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let outcome = work();
    let verdict = if outcome.is_ok() { "" } else { "  FAILED" };
    println!("{label:<56} {:>6.1} s{verdict}", start.elapsed().as_secs_f64());
    outcome
}

/// Runs a program with its output hidden and returns what it wrote to standard output.
///
/// # Errors
/// When it cannot be started or fails; the error holds the last lines of both its outputs.
pub fn quiet(command: &mut Command) -> Result<String> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {}", shown(command)))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{} ended with {}\n{}{}", shown(command), output.status, tail(&stdout), tail(&stderr));
    }
    Ok(stdout)
}

/// Runs a program that may talk to the terminal.
///
/// # Errors
/// When it cannot be started or fails.
pub fn loud(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs a program with both its outputs in the file `log`; returns whether it succeeded.
///
/// # Errors
/// When the log cannot be written or the program not be started.
pub fn logged(command: &mut Command, log: &Path) -> Result<bool> {
    if let Some(folder) = log.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    writeln!(file, "$ {}", shown(command))?;
    let status = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .status()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    Ok(status.success())
}

/// Whether a program with this name is found; the administrator's folders count even when `PATH` lacks them.
pub fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(std::path::PathBuf::from);
    std::env::split_paths(&path).chain(system).any(|folder| folder.join(program).is_file())
}

/// A program started as root: as it is for root, otherwise through `sudo`, which may ask only when `ask` is set.
pub fn as_root(program: impl AsRef<std::ffi::OsStr>, ask: bool) -> Command {
    if is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    if !ask {
        command.arg("-n");
    }
    command.arg(program);
    command
}

/// Whether this process is root.
pub fn is_root() -> bool {
    // SAFETY: geteuid takes no arguments and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// The last lines of a text, each ended.
pub fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].iter().flat_map(|line| [*line, "\n"]).collect()
}

/// A command as a person would type it.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_returns_standard_output() {
        assert_eq!(quiet(Command::new("echo").arg("hello")).unwrap(), "hello\n");
    }

    #[test]
    fn quiet_names_the_command_and_what_it_said_when_it_fails() {
        let error =
            quiet(Command::new("sh").args(["-c", "echo reason >&2; exit 3"])).unwrap_err().to_string();
        assert!(error.contains("sh -c") && error.contains("reason") && error.contains('3'), "{error}");
    }

    #[test]
    fn tail_keeps_the_last_lines() {
        let text: String = (0..100).map(|n| format!("{n}\n")).collect();
        let kept = tail(&text);
        assert!(kept.starts_with("60\n") && kept.ends_with("99\n"), "{kept}");
        assert_eq!(tail("one"), "one\n");
    }
}
