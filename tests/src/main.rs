//! `e2e`: runs scenarios in real containers on the real kernel and checks what the sensor says about them.
//!
//! The way of a run: scenarios are read and validated (`scenario`), one sensor is started (`sensor`), each
//! scenario gets a container and perhaps a network (`container`, `network`), is carried out (`execute`), its
//! part of the event log is cut out (`slice`) and compared with what the file expects (`verdict`). At the end
//! the run as a whole is checked (`checks`) and reported (`report`). `docs/scenarios.md` describes the files.

mod attempt;
mod bench;
mod blinding;
mod checks;
mod container;
mod execute;
mod hooks;
mod host;
mod http;
mod image;
mod log;
mod metrics;
mod network;
mod noise;
mod probe;
mod queue;
mod refusals;
mod reload;
mod report;
mod run;
mod scenario;
mod schema;
mod sensor;
mod slice;
mod spec;
mod verdict;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "End-to-end tests of the sensor: real containers, real kernel, scenarios as data")]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run scenarios under a sensor and check what it reports
    Run(RunArguments),
    /// Run the benign scenarios again and again under one sensor, and list what it told
    Noise(NoiseArguments),
    /// Carry scenarios out without a sensor, to see that each technique itself works
    Try(SetArguments),
    /// Compare the system with and without the sensor
    #[command(subcommand)]
    Bench(BenchCommand),
}

#[derive(Subcommand)]
enum BenchCommand {
    /// Storms of short-lived processes without and with the sensor in turn, then the spine
    Exec(bench::Arguments),
    /// Storms of what no detection can match, without and with the sensor in turn
    Actions(bench::ActionArguments),
    /// The way of recorded events through the sensor's stages
    Spine(bench::Arguments),
    /// Loading rules, and judging recorded events by them
    Rules(bench::RuleArguments),
}

/// Which scenarios, and where their containers live.
#[derive(Args, Clone)]
pub struct SetArguments {
    /// The static helper program `atk`
    #[arg(long, value_name = "PATH")]
    pub atk: PathBuf,
    /// Folder with `attack/`, `benign/` and `input/`
    #[arg(long, value_name = "DIR", default_value = "tests/scenarios")]
    pub scenarios: PathBuf,
    /// Rule file for the sensor, besides the built-in rules [default: settings.rules.yaml in the folder of the scenarios]
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// Folder for images, containers and logs, on a disk file system that can be an overlayfs upper layer
    #[arg(long, value_name = "DIR")]
    pub work: PathBuf,
    /// Write the results here as JSON
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// A name for this run in the report
    #[arg(long, default_value = "native")]
    pub label: String,
    /// Only these scenarios: ids or beginnings of ids
    #[arg(long, value_name = "ID", num_args = 1..)]
    pub only: Vec<String>,
    /// This machine is thrown away afterwards: scenarios that change the node itself may run
    #[arg(long)]
    pub throwaway: bool,
    /// How many scenarios run at once
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub jobs: u32,
}

/// Arguments of `e2e run`.
#[derive(Args)]
pub struct RunArguments {
    /// The sensor's binary
    #[arg(long, value_name = "PATH")]
    pub sensor: PathBuf,
    /// Force one rung of the sensor's attach ladder
    #[arg(long, value_name = "RUNG")]
    pub attach: Option<String>,
    /// Only what a rung can change: scenarios that need hooks on actions, and benign workloads
    #[arg(long)]
    pub hooked: bool,
    /// Leave the benign scenarios out
    #[arg(long)]
    pub without_benign: bool,
    /// Which scenarios
    #[command(flatten)]
    pub set: SetArguments,
}

/// Arguments of `e2e noise`.
#[derive(Args)]
pub struct NoiseArguments {
    /// How long, in seconds; the last round is finished
    #[arg(long, default_value_t = 600)]
    pub seconds: u64,
    /// How
    #[command(flatten)]
    pub run: RunArguments,
}

fn main() -> Result<ExitCode> {
    match CommandLine::parse().command {
        Command::Run(arguments) => run::with_sensor(&arguments),
        Command::Noise(arguments) => noise::run(&arguments),
        Command::Try(set) => run::without_sensor(&set),
        Command::Bench(BenchCommand::Exec(arguments)) => bench::exec(&arguments),
        Command::Bench(BenchCommand::Actions(arguments)) => bench::actions(&arguments),
        Command::Bench(BenchCommand::Spine(arguments)) => bench::spine(&arguments),
        Command::Bench(BenchCommand::Rules(arguments)) => bench::rules(&arguments),
    }
}
