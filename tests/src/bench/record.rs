//! Records a mixed stream of events: two pods and the host at once start, fork and end all kinds of programs.

use super::Arguments;
use crate::container::Container;
use crate::host;
use crate::image::Images;
use crate::scenario::Scenario;
use anyhow::{Context as _, Result, bail};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What runs, in each pod and on the host: programs with short and long arguments, pipes, scripts, subshells that only
/// fork. `ROUNDS` is put in front.
const WORK: &str = r#"
script=$(mktemp)
printf '#!/bin/sh\nexit 0\n' > "$script"
i=0
while [ $i -lt $ROUNDS ]; do
  ls -l /etc > /dev/null
  cat /etc/hostname | grep -c . > /dev/null || true
  (exit 0)
  basename /var/lib/application/data/file-$i.json .json > /dev/null
  sh -c 'test -r /etc/passwd'
  date +%s > /dev/null
  (sleep 0) &
  head -c 10 /etc/passwd | tail -c 5 | wc -c > /dev/null
  env LONG_ENOUGH_TO_MATTER=1 expr 1 + 1 > /dev/null
  sort --reverse --field-separator=: --key=3,3 /etc/passwd > /dev/null 2>&1 || true
  wait
  sh "$script"
  i=$((i + 1))
done
rm -f "$script"
"#;
/// How often each of the three does it: about 25 000 events in all.
const ROUNDS: u32 = 300;
/// Time for all of it.
const LIMIT: Duration = Duration::from_secs(120);

/// A recording, and the pods it tells of. They live on, so that their specs can be read in a replay as they were.
pub struct Recording {
    /// The file.
    pub file: PathBuf,
    _pods: Vec<Pod>,
}

/// Records.
pub fn record(arguments: &Arguments) -> Result<Recording> {
    let work = std::fs::canonicalize(&arguments.common.work)?;
    let atk = std::fs::canonicalize(&arguments.common.atk)?;
    crate::image::check_work_folder(&work)?;
    let file = work.join("recording");
    let images = Images::new(work.join("images"), atk);
    std::fs::create_dir_all(work.join("images"))?;

    let mut recorder = Command::new(&arguments.common.sensor)
        .args(["bench", "record"])
        .arg(&file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("sensor {}", arguments.common.sensor.display()))?;
    let recorded = under(&mut recorder, &images, &work);
    // The end of its standard input ends it.
    drop(recorder.stdin.take());
    let status = host::wait(&mut recorder, Duration::from_secs(20))?;
    let pods = recorded?;
    if !status.is_some_and(|status| status.success()) {
        bail!("the recording failed");
    }
    Ok(Recording { file, _pods: pods })
}

fn under(recorder: &mut Child, images: &Images, work: &Path) -> Result<Vec<Pod>> {
    let mut line = String::new();
    BufReader::new(recorder.stdout.take().context("no standard output")?).read_line(&mut line)?;
    if line.trim() != "recording" {
        bail!("the sensor cannot record");
    }
    let pods = [
        Pod::start("bench-debian", "debian", images, work)?,
        Pod::start("bench-busybox", "busybox", images, work)?,
    ];
    let mut script = host::shell(&format!("ROUNDS={ROUNDS}\n{WORK}"), &work.join("host.output"))?.spawn()?;
    if !host::wait(&mut script, LIMIT)?.is_some_and(|status| status.success()) {
        bail!("the work on the host failed, see {}", work.join("host.output").display());
    }
    for pod in &pods {
        pod.wait(LIMIT)?;
    }
    Ok(pods.into())
}

/// A container of a pod, removed when dropped.
struct Pod {
    runtime: Child,
    container: Container,
    output: PathBuf,
}

impl Pod {
    fn start(name: &str, image: &str, images: &Images, work: &Path) -> Result<Self> {
        let script = format!("ROUNDS={ROUNDS}\n{WORK}touch /var/done\nexec sleep 600\n");
        let scenario: Scenario = serde_json::from_value(serde_json::json!({
            "id": name, "title": name, "script": script, "expect": {},
            "container": {"flavour": "u", "image": image, "bundle": "containerd"},
        }))?;
        let request = scenario.container.as_ref().context("no container")?;
        let work = work.join(name);
        if work.exists() {
            // A run that was killed leaves its mount.
            host::unmount(&work.join("root"));
            std::fs::remove_dir_all(&work).with_context(|| work.display().to_string())?;
        }
        std::fs::create_dir_all(&work)?;
        let container = Container::prepare(&scenario, request, &images.get(request.image)?, &work, None)?;
        let output = work.join("output");
        let command = format!("exec runc run --bundle \"$BUNDLE\" {}", container.identity.container_id);
        let runtime =
            host::shell(&command, &output)?.envs(container.environment()).spawn().context("runc")?;
        Ok(Self { runtime, container, output })
    }

    fn wait(&self, limit: Duration) -> Result<()> {
        let (end, done) = (Instant::now() + limit, self.container.root.join("var/done"));
        while !done.exists() {
            if Instant::now() >= end {
                bail!("the work in a container did not end, see {}", self.output.display());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.container.remove();
        let _ = host::kill_group(&mut self.runtime);
    }
}
