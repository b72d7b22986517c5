//! `cargo xtask run`: builds the sensor and watches this node with defaults.

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};
use clap::Args;

use crate::build;
use crate::command::as_root;
use crate::setup::{self, Group};
use crate::workspace::Workspace;

/// Where the sensor serves its metrics.
const METRICS: &str = "127.0.0.1:9464";

/// Options of `run`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Build the sensor unoptimised.
    #[arg(long)]
    debug: bool,
    /// Options for `stride-sensor run`; they replace the defaults of the same name.
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Builds, says what to try, and becomes the sensor, so that Ctrl-C and signals reach it.
pub fn task(workspace: &Workspace, options: &Options) -> Result<()> {
    setup::ensure(workspace, Group::Build)?;
    let sensor = build::sensor(workspace, options.debug)?;
    let log = workspace.path("var/log");
    std::fs::create_dir_all(&log).with_context(|| format!("cannot make {}", log.display()))?;
    let arguments = arguments(&log.to_string_lossy(), &options.arguments);
    println!("See a finding:  cp /bin/ls /dev/shm/x && /dev/shm/x");
    println!("Its metric:     curl -s {}/metrics | grep findings", value(&arguments, "--metrics"));
    println!("Its record:     {}", value(&arguments, "--log-dir"));
    let mut command = as_root(&sensor, true);
    command.current_dir(workspace.root()).arg("run").args(&arguments);
    Err(command.exec()).with_context(|| format!("cannot start {}", sensor.display()))
}

/// The defaults that were not given, then what was given.
fn arguments(log: &str, given: &[String]) -> Vec<String> {
    let mut arguments = Vec::new();
    for (name, default) in [("--log-dir", log), ("--metrics", METRICS), ("--output", "text")] {
        let is_given = given.iter().any(|word| word.split('=').next() == Some(name));
        if !is_given {
            arguments.extend([name.to_owned(), default.to_owned()]);
        }
    }
    arguments.extend_from_slice(given);
    arguments
}

/// The value of an option, written as one word or two.
fn value<'a>(arguments: &'a [String], name: &str) -> &'a str {
    for (index, word) in arguments.iter().enumerate() {
        if let Some((option, value)) = word.split_once('=')
            && option == name
        {
            return value;
        }
        if word == name {
            return arguments.get(index + 1).map_or("", String::as_str);
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_options_replace_defaults_of_the_same_name() {
        let given = ["--metrics=off", "--scope", "all"].map(str::to_owned);
        let all = arguments("var/log", &given);
        assert_eq!(all, ["--log-dir", "var/log", "--output", "text", "--metrics=off", "--scope", "all"]);
        assert_eq!(value(&all, "--metrics"), "off");
        assert_eq!(value(&all, "--log-dir"), "var/log");
        assert_eq!(value(&all, "--absent"), "");
    }
}
