//! Carries one scenario out: setup, peer, container, host script; and gathers what they print.

use crate::container::Container;
use crate::host;
use crate::image::Images;
use crate::network::Network;
use crate::probe;
use crate::scenario::{ContainerRequest, Scenario};
use crate::spec::Identity;
use anyhow::{Context as _, Result, bail};
use regex::Regex;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Where scenarios run.
pub struct Bench {
    /// Whether scenarios that change the node itself may run.
    pub throwaway: bool,
    /// Images for the containers.
    pub images: Images,
    /// Each scenario gets a folder below.
    pub work: PathBuf,
    /// The helper program, for peers and host scripts.
    pub atk: PathBuf,
}

/// What came of it.
pub enum Execution {
    /// Not possible here, for this reason.
    Impossible(String),
    /// The techniques were carried out and worked.
    Done(Footprint),
}

/// How the scenario's records are recognised in the log.
pub struct Footprint {
    /// Its container.
    pub identity: Option<Identity>,
    /// Whether the runner started the container, so that the entrypoint must be in the log.
    pub entrypoint: bool,
    /// Processes of the host that the runner started for it; their descendants belong to the scenario.
    pub roots: Vec<u32>,
}

impl Bench {
    /// Runs the scenario to its end. Errors mean that the technique itself did not work.
    pub fn execute(&self, scenario: &Scenario) -> Result<Execution> {
        if scenario.needs.throwaway && !self.throwaway {
            let reason = "it changes the node itself, and this machine is not said to be thrown away";
            return Ok(Execution::Impossible(reason.into()));
        }
        if let Some(reason) = probe::host_obstacle(scenario) {
            return Ok(Execution::Impossible(reason));
        }
        let request = scenario.container.as_ref();
        let image = request.map(|request| self.images.get(request.image)).transpose()?;
        if let Some(reason) = probe::obstacle(scenario, image.as_deref())? {
            return Ok(Execution::Impossible(reason));
        }
        let work = self.work.join(&scenario.id);
        if work.exists() {
            // A run that was killed leaves its mount behind.
            host::unmount(&work.join("root"));
            std::fs::remove_dir_all(&work).with_context(|| format!("left-over folder {}", work.display()))?;
        }
        std::fs::create_dir_all(&work)?;
        let network = match &scenario.peer {
            Some(_) => Some(Network::create(&host::random_hex(4)?)?),
            None => None,
        };
        let namespace = network.as_ref().map(Network::pod_path);
        let container = match (request, &image) {
            (Some(request), Some(image)) => {
                Some(Container::prepare(scenario, request, image, &work, namespace.as_deref())?)
            }
            _ => None,
        };
        let stage = Stage {
            scenario,
            container: container.as_ref(),
            network: network.as_ref(),
            atk: &self.atk,
            output: work.join("output"),
            limit: Duration::from_secs(scenario.timeout_seconds) * host::patience(),
        };
        let footprint = stage.play()?;
        stage.prove()?;
        Ok(Execution::Done(footprint))
    }
}

/// The name (`$0`) of shells that run a scenario's setup. What they do is not the scenario.
pub const SETUP: &str = "scenario-setup";

/// One scenario on its way.
struct Stage<'a> {
    scenario: &'a Scenario,
    container: Option<&'a Container>,
    network: Option<&'a Network>,
    atk: &'a Path,
    output: PathBuf,
    limit: Duration,
}

impl Stage<'_> {
    fn play(&self) -> Result<Footprint> {
        if let Some(script) = &self.scenario.setup {
            self.script_to_end(script, "setup")?;
        }
        let mut peer = self.start_peer()?;
        let played = self.act();
        if let Some(peer) = &mut peer {
            host::kill_group(peer)?;
        }
        let roots = played?;
        let start = self.scenario.container.as_ref().is_some_and(|request: &ContainerRequest| request.start);
        let identity = self.container.map(|container| container.identity.clone());
        Ok(Footprint { identity, entrypoint: start, roots })
    }

    fn start_peer(&self) -> Result<Option<Child>> {
        let (Some(network), Some(peer)) = (self.network, &self.scenario.peer) else { return Ok(None) };
        let script = format!("exec ip netns exec {} sh -eu -c \"$PEER\"", network.peer);
        let mut command = self.shell(&script)?;
        command.env("PEER", &peer.script);
        let mut child = command.spawn()?;
        let listens =
            network.wait_for_listener(child.id(), peer.port, Duration::from_secs(10) * host::patience());
        if let Err(error) = listens {
            host::kill_group(&mut child)?;
            return Err(error);
        }
        Ok(Some(child))
    }

    /// Container and host script; returns the processes that they were started as.
    fn act(&self) -> Result<Vec<u32>> {
        let mut roots = Vec::new();
        let started = match self.container {
            Some(container) if self.scenario.container.as_ref().is_some_and(|request| request.start) => {
                let mut runtime = self.shell(&format!(
                    "exec runc run --bundle \"$BUNDLE\" {}",
                    container.identity.container_id
                ))?;
                let runtime = runtime.spawn().context("runc")?;
                roots.push(runtime.id());
                Some((runtime, container))
            }
            _ => None,
        };
        let Some((mut runtime, container)) = started else {
            let script = self.scenario.host.as_deref().unwrap_or_default();
            roots.push(self.script_to_end(script, "host")?);
            return Ok(roots);
        };
        let result = match &self.scenario.host {
            None => self.finish_container(&mut runtime),
            Some(script) => self.wait_until_ready(&mut runtime).and_then(|()| {
                roots.push(self.script_to_end(script, "host")?);
                Ok(())
            }),
        };
        container.remove();
        host::wait(&mut runtime, Duration::from_secs(10))?;
        result.map(|()| roots)
    }

    fn finish_container(&self, runtime: &mut Child) -> Result<()> {
        match host::wait(runtime, self.limit)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => {
                bail!("the container's script ended with {}: {}", host::describe(status), self.tail())
            }
            None => {
                bail!("the container's script took more than {} s: {}", self.limit.as_secs(), self.tail())
            }
        }
    }

    fn wait_until_ready(&self, runtime: &mut Child) -> Result<()> {
        let end = Instant::now() + self.limit;
        while Instant::now() < end {
            if self.read_output().lines().any(|line| line.trim_end() == "ready") {
                return Ok(());
            }
            if let Some(status) = runtime.try_wait()? {
                bail!("the container ended before it was ready, {}: {}", host::describe(status), self.tail());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("the container printed no line `ready`: {}", self.tail())
    }

    fn script_to_end(&self, script: &str, name: &str) -> Result<u32> {
        let mut command = self.shell(script)?;
        if name == "setup" {
            command.arg(SETUP);
        }
        let mut child = command.spawn()?;
        match host::wait(&mut child, self.limit)? {
            Some(status) if status.success() => Ok(child.id()),
            Some(status) => bail!("the {name} script ended with {}: {}", host::describe(status), self.tail()),
            None => bail!("the {name} script took more than {} s: {}", self.limit.as_secs(), self.tail()),
        }
    }

    fn shell(&self, script: &str) -> Result<Command> {
        let mut command = host::shell(script, &self.output)?;
        if let Some(folder) = self.output.parent() {
            command.current_dir(folder);
        }
        command.env("ATK", self.atk).env("SCENARIO", &self.scenario.id);
        command.env("CGROUP2", host::cgroup_mounts().into_iter().find(|(_, v2)| *v2).unwrap_or_default().0);
        if let Some(container) = self.container {
            command.envs(container.environment());
        }
        Ok(command)
    }

    /// Checks by the output that the technique did what it should.
    fn prove(&self) -> Result<()> {
        let output = self.read_output();
        for pattern in &self.scenario.proves {
            if !Regex::new(pattern)?.is_match(&output) {
                bail!("the technique did not work: no output like `{pattern}`: {}", self.tail());
            }
        }
        Ok(())
    }

    fn read_output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// The end of the output, in one line for a message.
    fn tail(&self) -> String {
        let output = self.read_output();
        let start = output.char_indices().rev().nth(300).map_or(0, |(index, _)| index);
        format!("output ends {:?}", &output[start..])
    }
}
