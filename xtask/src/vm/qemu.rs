//! Booting a guest: QEMU without hardware help, three disks beside the root, the console watched line by line.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::console::hang_marker;
use super::kernel::{self, Guest};
use super::rootfs;
use crate::command::{loud, quiet};
use crate::workspace::Workspace;

/// Seconds a guest may take unless a task says otherwise.
pub const TIMEOUT_SECONDS: u64 = 2400;
/// The kernel prints the trace of what went wrong within this time after the first word of it.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Room for what a guest hands back; unused parts take no space.
const RESULTS_BYTES: u64 = 256 << 20;
const MEMORY: &str = "2048";
const CPUS: &str = "2";

/// What a guest is given to do.
#[derive(Debug, Clone)]
pub struct Payload {
    /// A bash script.
    command: Option<String>,
    /// A folder whose content goes to /payload.
    pub extra: Option<PathBuf>,
    /// Seconds after which the guest is ended.
    pub timeout_seconds: u64,
}

impl Payload {
    /// The built binaries and scenarios, and a bash script to run in /payload.
    pub fn built(command: &str) -> Self {
        Self { command: Some(command.to_owned()), ..Self::without_command() }
    }

    /// The built binaries and scenarios only.
    pub fn without_command() -> Self {
        Self { command: None, extra: None, timeout_seconds: TIMEOUT_SECONDS }
    }

    /// Lays the payload out in `folder`.
    fn lay_out(&self, workspace: &Workspace, folder: &Path) -> Result<()> {
        let bin = folder.join("bin");
        fs::create_dir_all(&bin)?;
        for name in ["stride-sensor", "e2e", "atk"] {
            let binary = workspace.release_binary(name);
            if binary.exists() {
                fs::copy(&binary, bin.join(name))?;
            }
        }
        for from in [Some(workspace.path("tests/scenarios")), self.extra.clone()].into_iter().flatten() {
            if from.ends_with("tests/scenarios") && !from.exists() {
                continue;
            }
            let to =
                if from.ends_with("tests/scenarios") { folder.join("scenarios") } else { folder.to_owned() };
            fs::create_dir_all(&to)?;
            quiet(Command::new("cp").arg("-a").arg(from.join(".")).arg(&to))?;
        }
        if let Some(command) = &self.command {
            fs::write(folder.join("run.sh"), format!("#!/bin/bash\n{command}\n"))?;
        }
        if folder.join("run.sh").exists() {
            quiet(Command::new("chmod").arg("755").arg(folder.join("run.sh")))?;
        }
        Ok(())
    }
}

/// How a guest's run went.
#[derive(Debug)]
pub struct Outcome {
    /// The script's exit code; `None` when the guest went down without telling it.
    pub exit_code: Option<i32>,
    /// Why the guest was ended from outside, if it was.
    pub aborted: Option<String>,
    /// All that the console showed.
    pub console: PathBuf,
    /// What the guest left in /results.
    pub results: PathBuf,
}

/// The disks of one run; deleted with it.
#[derive(Debug)]
struct Run {
    folder: PathBuf,
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Run {
    fn new(workspace: &Workspace, guest: &Guest, payload: &Payload) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("run-{}-{}-{number}", guest.name, std::process::id());
        let run = Self { folder: workspace.target("vm").join(name) };
        let stage = run.folder.join("payload");
        fs::create_dir_all(&stage)?;
        payload.lay_out(workspace, &stage)?;
        let owner = ["--owner=0", "--group=0", "--numeric-owner"];
        let mut tar = Command::new("tar");
        quiet(tar.args(owner).arg("-cf").arg(run.disk("payload.tar")).arg("-C").arg(&stage).arg("."))?;
        fs::remove_dir_all(&stage)?;
        File::create(run.disk("results.tar"))?.set_len(RESULTS_BYTES)?;
        Ok(run)
    }

    fn disk(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// QEMU with this run's disks: root (vda), payload (vdb), results (vdc), modules (vdd).
    fn qemu(&self, workspace: &Workspace, guest: &Guest, append: &str) -> Command {
        let kernel = kernel::folder(workspace, guest);
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max", "-m", MEMORY, "-smp", CPUS]);
        qemu.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-nic", "none"]);
        qemu.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x01"]);
        qemu.arg("-kernel").arg(kernel.join("vmlinuz")).arg("-initrd").arg(kernel.join("initramfs.gz"));
        // Emulated processors on a busy machine stand still at times: the kernel must bear a minute of that.
        qemu.arg("-append").arg(format!(
            "console=ttyS0 quiet panic=-1 lsm=lockdown,capability,bpf mitigations=off watchdog_thresh=30 {append}"
        ));
        for (file, options) in [
            (rootfs::image(workspace), "snapshot=on"),
            (self.disk("payload.tar"), "readonly=on"),
            (self.disk("results.tar"), "snapshot=off"),
            (kernel.join("modules.ext4"), "readonly=on"),
        ] {
            let file = file.display().to_string().replace(',', ",,");
            qemu.arg("-drive").arg(format!("file={file},format=raw,if=virtio,{options}"));
        }
        // The copy-on-write layer goes to a file there.
        qemu.env("TMPDIR", &self.folder);
        qemu
    }
}

/// Boots a guest, runs its payload and fetches the results; `label` names where results and console are kept. With
/// `show`, the console is shown as it comes.
///
/// # Errors
/// When the guest cannot be started; how it ended is in the outcome.
pub fn boot(
    workspace: &Workspace,
    guest: &Guest,
    label: &str,
    payload: &Payload,
    show: bool,
) -> Result<Outcome> {
    let run = Run::new(workspace, guest, payload)?;
    let results = workspace.target("vm").join(format!("results-{label}"));
    let _ = fs::remove_dir_all(&results);
    fs::create_dir_all(&results)?;
    let console = workspace.target("logs").join(format!("{label}.log"));
    fs::create_dir_all(workspace.target("logs"))?;
    let mut log = File::create(&console).with_context(|| format!("cannot write {}", console.display()))?;

    let mut qemu = run.qemu(workspace, guest, "");
    qemu.args(["-serial", "stdio", "-monitor", "none"]);
    qemu.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = qemu.spawn().context("cannot start qemu-system-x86_64")?;
    let lines = read_lines(&mut child);
    let watched = watch(&lines, Duration::from_secs(payload.timeout_seconds), |line| {
        if show {
            println!("{}", line.trim_end());
        }
        log.write_all(line.as_bytes())
    });
    if !matches!(watched, Ok(None)) {
        // It may have ended by itself meanwhile.
        let _ = child.kill();
    }
    let status = child.wait()?;
    let aborted = watched?;
    // An unfinished run leaves an empty disk, which is no archive.
    let mut untar = Command::new("tar");
    let _ =
        quiet(untar.arg("-xf").arg(run.disk("results.tar")).arg("--no-same-owner").arg("-C").arg(&results));
    Ok(Outcome { exit_code: guest_exit_code(status), aborted, console, results })
}

/// Gives a shell on the guest's console. Ctrl-A X ends the guest.
pub fn interactive(workspace: &Workspace, guest: &Guest, payload: &Payload) -> Result<()> {
    let run = Run::new(workspace, guest, payload)?;
    println!(
        "A shell on kernel {}: binaries in /payload/bin; `exit` or Ctrl-A X ends the guest.",
        guest.name
    );
    let mut qemu = run.qemu(workspace, guest, "stride.shell");
    qemu.args(["-serial", "mon:stdio"]);
    // The guest always ends through the debug device, whose exit code is never 0.
    let _ = loud(&mut qemu);
    Ok(())
}

/// The debug device makes QEMU exit with `code * 2 + 1`; an even code means that the guest went down without it.
fn guest_exit_code(status: ExitStatus) -> Option<i32> {
    status.code().filter(|code| code % 2 == 1).map(|code| code >> 1)
}

/// The console's lines, read in a thread of their own so that waiting for them can time out.
fn read_lines(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = mpsc::sync_channel(1024);
    if let Some(stdout) = child.stdout.take() {
        thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
                line.clear();
            }
        });
    }
    receiver
}

/// Follows the console until it closes (`None`), the kernel hangs, or time is up (the reason).
fn watch(
    lines: &Receiver<String>,
    timeout: Duration,
    mut each: impl FnMut(&str) -> std::io::Result<()>,
) -> Result<Option<String>> {
    let mut deadline = Instant::now() + timeout;
    let mut reason = None;
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                each(&line)?;
                if reason.is_none()
                    && let Some(words) = hang_marker(&line)
                {
                    reason = Some(format!("the guest's kernel hangs: {words}"));
                    deadline = deadline.min(Instant::now() + LAST_WORDS);
                }
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(reason),
            Err(RecvTimeoutError::Timeout) => {
                let too_long = || format!("the guest did not end within {} s", timeout.as_secs());
                return Ok(Some(reason.unwrap_or_else(too_long)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn fed(lines: &[&str], keep_open: bool) -> (Receiver<String>, Option<mpsc::SyncSender<String>>) {
        let (sender, receiver) = mpsc::sync_channel(16);
        for line in lines {
            sender.send((*line).to_owned()).unwrap();
        }
        (receiver, keep_open.then_some(sender))
    }

    #[test]
    fn exit_code_comes_through_the_debug_device() {
        assert_eq!(guest_exit_code(ExitStatus::from_raw(1 << 8)), Some(0));
        assert_eq!(guest_exit_code(ExitStatus::from_raw(15 << 8)), Some(7));
        assert_eq!(guest_exit_code(ExitStatus::from_raw(0)), None);
        assert_eq!(guest_exit_code(ExitStatus::from_raw(9)), None);
    }

    #[test]
    fn watch_passes_all_lines_on_until_the_console_closes() {
        let (lines, _closed) = fed(&["one\n", "two\n"], false);
        let mut seen = String::new();
        let reason = watch(&lines, Duration::from_secs(5), |line| {
            seen += line;
            Ok(())
        });
        assert_eq!(reason.unwrap(), None);
        assert_eq!(seen, "one\ntwo\n");
    }

    #[test]
    fn watch_gives_up_on_time_and_on_panic() {
        let (lines, _open) = fed(&["working\n"], true);
        let reason = watch(&lines, Duration::from_millis(20), |_| Ok(())).unwrap().unwrap();
        assert!(reason.contains("did not end"), "{reason}");
        let (lines, _open) = fed(&["[    1.0] Kernel panic - not syncing: x\n"], true);
        let reason = watch(&lines, Duration::from_millis(20), |_| Ok(())).unwrap().unwrap();
        assert!(reason.ends_with("Kernel panic - not syncing: x"), "{reason}");
    }
}
