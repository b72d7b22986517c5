//! Starts that the sensor must refuse: one clear message, the documented exit code, and nothing else.

use crate::host;
use crate::report::Report;
use anyhow::{Context as _, Result};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Exit codes as `stride-sensor --help` documents them.
const USAGE: i32 = 2;
const PRIVILEGES: i32 = 3;
const KERNEL: i32 = 4;
const RULES: i32 = 5;

/// Who is neither root nor anybody else.
const NOBODY: u32 = 65534;

/// Four mistakes in two of three rules; the third is right.
const BROKEN_RULES: &str = r#"- rule: Unknown field
  desc: x
  condition: proc.nam = sh
  output: x
  priority: WARNING
- rule: Unknown operator and unclosed parenthesis
  desc: x
  condition: (proc.name resembles sh
  output: x
  priority: LOUD
- rule: Right
  desc: x
  condition: proc.name = sh
  output: x
  priority: WARNING
"#;

/// Tries each and adds the results.
pub fn check_all(sensor: &Path, work: &Path, report: &Report) -> Result<()> {
    let folder = work.join("refusals");
    fs::create_dir_all(&folder)?;
    let write = |name: &str, text: &str| -> Result<std::path::PathBuf> {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        Ok(path)
    };
    let run = |binary: &Path| {
        let mut command = Command::new(binary);
        command.args(["run", "--output", "none", "--metrics", "off", "--duration", "2s"]);
        command
    };

    let rules = write("broken.rules.yaml", BROKEN_RULES)?;
    let said = [
        "broken.rules.yaml:3:",
        "proc.nam",
        "broken.rules.yaml:8:",
        "resembles",
        "broken.rules.yaml:10:",
        "LOUD",
    ];
    let mut command = run(sensor);
    command.arg("--strict-rules").arg("--rules").arg(&rules);
    expect(report, "refuses-broken-rules", &mut command, &folder, RULES, &said, false)?;
    let mut command = run(sensor);
    command.arg("--no-builtin-rules").arg("--rules").arg(write("no.rules.yaml", "- rule: x\n")?);
    expect(report, "refuses-no-rule-at-all", &mut command, &folder, RULES, &["no.rules.yaml:1:"], false)?;
    // A whole start takes its time on an emulated processor.
    if host::patience() == 1 {
        let mut command = run(sensor);
        command.arg("--rules").arg(&rules);
        let said = ["a rule is left out", "proc.nam", "resembles", "watching"];
        expect(report, "goes-on-without-broken-rules", &mut command, &folder, 0, &said, false)?;
    }

    let mut command = run(sensor);
    let absent = folder.join("absent.rules.yaml");
    let said = ["absent.rules.yaml"];
    expect(report, "refuses-absent-rules", command.arg("--rules").arg(absent), &folder, RULES, &said, true)?;

    let config = write("unknown.yaml", "node: n\nmetrik: off\n")?;
    let mut command = run(sensor);
    let said = ["unknown.yaml:2:", "metrik"];
    expect(report, "refuses-unknown-key", command.arg("--config").arg(config), &folder, USAGE, &said, false)?;

    // A place where everybody may run it.
    let public = std::env::temp_dir().join(format!("e2e-sensor-{}", host::random_hex(4)?));
    fs::copy(sensor, &public)?;
    fs::set_permissions(&public, fs::Permissions::from_mode(0o755))?;
    let mut command = run(&public);
    command.current_dir("/").uid(NOBODY).gid(NOBODY);
    let said = ["CAP_BPF", "CAP_PERFMON", "run it as root"];
    let refused = expect(report, "refuses-without-root", &mut command, &folder, PRIVILEGES, &said, true);
    fs::remove_file(&public)?;
    refused?;

    // The kernel's type information is hidden from one process by a mount that only it sees.
    let hide = "mount -t tmpfs none /sys/kernel/btf && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", hide, "sh"]);
    let plain = run(sensor);
    command.arg(plain.get_program()).args(plain.get_args());
    let said = ["/sys/kernel/btf/vmlinux", "BTF"];
    expect(report, "refuses-without-btf", &mut command, &folder, KERNEL, &said, true)
}

/// Runs it and compares its end. `one_line`: the message must be a single line.
fn expect(
    report: &Report,
    id: &str,
    command: &mut Command,
    folder: &Path,
    code: i32,
    said: &[&str],
    one_line: bool,
) -> Result<()> {
    let output = folder.join(format!("{id}.stderr"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&output)?);
    let begin = Instant::now();
    let mut child = command.spawn().with_context(|| id.to_owned())?;
    let status = host::wait(&mut child, Duration::from_secs(10) * host::patience())?;
    let text = String::from_utf8_lossy(&fs::read(&output)?).into_owned();
    let mut complaints = Vec::new();
    let ended = status.map_or("still running".into(), host::describe);
    if status.and_then(|status| status.code()) != Some(code) {
        complaints.push(format!("{ended}, expected exit code {code}"));
    }
    for words in said.iter().filter(|words| !text.contains(*words)) {
        complaints.push(format!("says nothing of `{words}`"));
    }
    if one_line && text.lines().count() != 1 {
        complaints.push(format!("{} lines, expected one", text.lines().count()));
    }
    if text.contains("panicked") || code != 0 && text.contains("watching") {
        complaints.push("panicked or started".into());
    }
    if !complaints.is_empty() {
        complaints.push(format!("it said: {text}"));
    }
    report.timed_check(id, complaints, begin.elapsed());
    Ok(())
}
