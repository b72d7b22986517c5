//! The sensor under test: one process for a whole run.

use crate::host;
use crate::http;
use crate::log::Log;
use crate::metrics::Page;
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How the sensor is started.
pub struct Settings<'a> {
    /// Its binary.
    pub binary: &'a Path,
    /// Folder for its log and its standard error.
    pub work: &'a Path,
    /// `findings` or `events`.
    pub log: &'a str,
    /// `text`, `json` or `none`: what goes to standard output, which is kept in a file.
    pub output: &'a str,
    /// Rules beside the built-in ones.
    pub rules: Option<&'a Path>,
    /// A config file.
    pub config: Option<&'a Path>,
    /// A rung of the attach ladder to force.
    pub attach: Option<&'a str>,
}

/// A running sensor, killed when dropped without [`Sensor::stop`].
pub struct Sensor {
    child: Child,
    metrics: SocketAddr,
    stderr: PathBuf,
    stdout: PathBuf,
    /// Its event log.
    pub log: Log,
    /// How long it took until it was ready.
    pub ready_after: Duration,
    /// Hooks that are attached, with the rung.
    pub hooks: BTreeMap<String, String>,
}

impl Sensor {
    /// Starts it and waits until it says that it is ready.
    pub fn start(settings: &Settings<'_>) -> Result<Self> {
        let folder = settings.work.join("log");
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("old log {}", folder.display()))?;
        }
        std::fs::create_dir_all(&folder)?;
        let metrics = http::free_address()?;
        let [stdout, stderr] =
            ["stdout", "stderr"].map(|stream| settings.work.join(format!("sensor.{stream}")));
        let mut command = Command::new(settings.binary);
        command.args(["run", "--output", settings.output, "--scope", "all", "--log", settings.log]);
        command.arg("--log-dir").arg(&folder).arg("--metrics").arg(metrics.to_string());
        if let Some(rules) = settings.rules {
            command.arg("--rules").arg(rules);
        }
        if let Some(config) = settings.config {
            command.arg("--config").arg(config);
        }
        if let Some(rung) = settings.attach {
            command.arg("--attach").arg(rung);
        }
        command.stdin(Stdio::null()).stdout(File::create(&stdout)?).stderr(File::create(&stderr)?);
        let started = Instant::now();
        let child = command.spawn().with_context(|| format!("sensor {}", settings.binary.display()))?;
        let mut sensor = Self {
            child,
            metrics,
            stderr,
            stdout,
            log: Log::follow(&folder),
            ready_after: Duration::ZERO,
            hooks: BTreeMap::new(),
        };
        sensor.wait_until_ready(Duration::from_secs(20) * host::patience())?;
        sensor.ready_after = started.elapsed();
        sensor.hooks = sensor
            .metrics()?
            .samples("stride_sensor_hook_attached")
            .filter(|sample| sample.value > 0.0)
            .map(|sample| (sample.label("hook").to_owned(), sample.label("rung").to_owned()))
            .collect();
        Ok(sensor)
    }

    fn wait_until_ready(&mut self, limit: Duration) -> Result<()> {
        let end = Instant::now() + limit;
        loop {
            if http::get(self.metrics, "/readyz").is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the sensor ended with {}: {}", host::describe(status), self.complaints());
            }
            if Instant::now() >= end {
                bail!("the sensor was not ready after {} s: {}", limit.as_secs(), self.complaints());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether it says that it is ready.
    pub fn ready(&self) -> Result<()> {
        http::get(self.metrics, "/readyz").map(|_| ())
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its metrics page now.
    pub fn metrics(&self) -> Result<Page> {
        Page::parse(&http::get(self.metrics, "/metrics")?)
    }

    /// How it ended, if it ended by itself.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// The last lines of its standard error.
    pub fn complaints(&self) -> String {
        let text = std::fs::read(&self.stderr).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join(" | ")
    }

    /// What it wrote to standard output.
    pub fn written(&self) -> Result<Vec<u8>> {
        std::fs::read(&self.stdout).with_context(|| self.stdout.display().to_string())
    }

    /// Lines of its standard error that tell of an error or a panic.
    pub fn error_lines(&self) -> Vec<String> {
        let text = std::fs::read(&self.stderr).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let is_error =
            |line: &&str| line.contains("ERROR") || line.contains("panicked") || line.starts_with("error");
        text.lines().filter(is_error).map(str::to_owned).collect()
    }

    /// Lines of its standard error that tell of programs that the kernel's verifier refuses.
    pub fn refused_programs(&self) -> Vec<String> {
        let text = std::fs::read(&self.stderr).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        text.lines().filter(|line| tells_of_a_refusal(line)).map(str::to_owned).collect()
    }

    /// Sends SIGTERM and waits; returns how it ended and after what time. Kills it after `limit`.
    pub fn stop(&mut self, limit: Duration) -> Result<(Option<ExitStatus>, Duration)> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the sensor had ended already with {}", host::describe(status));
        }
        let begin = Instant::now();
        // SAFETY: kill has no memory arguments. The child is not reaped, so the number is still its own.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
        let status = host::wait(&mut self.child, limit)?;
        Ok((status, begin.elapsed()))
    }
}

impl Drop for Sensor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a line of the log quotes the verifier; kernels that permit a rung to nobody ask no verifier.
fn tells_of_a_refusal(line: &str) -> bool {
    let before: Vec<&str> = line.split("Verifier output: ").collect();
    before[..before.len() - 1].iter().any(|text| !text.ends_with("Operation not permitted (os error 1). "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rung_that_is_permitted_to_nobody_is_no_refusal() {
        let nobody = "fentry: the BPF_PROG_LOAD syscall returned Operation not permitted (os error 1). Verifier output: ; no kprobes";
        assert!(!tells_of_a_refusal(nobody) && !tells_of_a_refusal("INFO watching"));
        let refused =
            "the BPF_PROG_LOAD syscall returned Invalid argument (os error 22). Verifier output: R1 !read_ok";
        assert!(tells_of_a_refusal(refused) && tells_of_a_refusal(&format!("{nobody}; {refused}")));
    }
}
