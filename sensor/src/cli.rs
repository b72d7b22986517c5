//! The command line: commands, flags and exit codes.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::config::{Layer, LogContent, MetricsAddress, OutputFormat, Scope, parse_duration};
use crate::probe::Ladder;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything went well.
    Ok = 0,
    /// Something failed while running.
    Runtime = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// The process may not do what is needed.
    Privileges = 3,
    /// The kernel lacks what is needed.
    Kernel = 4,
    /// Rules have errors.
    Rules = 5,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  failure while running
  2  wrong usage or configuration
  3  missing privileges
  4  the kernel lacks what is needed (BTF, BPF)
  5  rules with errors

Environment:
  NODE_NAME          name of this node, where --node is not given
  NO_COLOR           no colours, if set
  STRIDE_SENSOR_LOG  which messages go to stderr: error, warn, info (default), debug, trace";

/// Runtime threat sensor for Kubernetes nodes: sees every program start through eBPF and reports threats by STRIDE.
#[derive(Debug, Parser)]
#[command(name = "stride-sensor", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch this node until stopped.
    #[command(after_help = EXIT_CODES)]
    Run(RunArguments),
    /// Tell what this kernel and these privileges allow.
    #[command(after_help = EXIT_CODES)]
    Doctor {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check and show rules.
    #[command(subcommand, after_help = EXIT_CODES)]
    Rules(RulesCommand),
    /// Measure the sensor itself, for its developers.
    #[command(subcommand, hide = true)]
    Bench(BenchCommand),
}

/// What `cargo xtask bench spine` asks for.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Copy the kernel's records into a file until standard input ends.
    Record {
        /// The file to write.
        file: PathBuf,
        /// Bytes written at most.
        #[arg(long, default_value_t = 256 << 20)]
        most: u64,
    },
    /// Send recorded records through the stages, and print the figures as JSON.
    Replay {
        /// A file that `record` wrote.
        file: PathBuf,
        /// How often each stage gets all of them.
        #[arg(long, default_value_t = 15)]
        rounds: usize,
    },
    /// Load rules, judge recorded events by them, and print the figures as JSON.
    Rules {
        /// A file that `record` wrote.
        file: PathBuf,
        /// Rule file or folder, besides the built-in rules; may be repeated.
        #[arg(long, value_name = "PATH")]
        rules: Vec<PathBuf>,
    },
}

/// What to do with rules.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Read rule files and name every mistake in them.
    Check {
        /// Rule files, and folders of them.
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Warnings are mistakes too.
        #[arg(long)]
        strict: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// List the rules that `run` would use.
    List {
        /// Rule file or folder, besides the built-in rules; may be repeated.
        #[arg(long, value_name = "PATH")]
        rules: Vec<PathBuf>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show the fields and kinds of event that rules may name.
    Fields,
    /// Tell what a rule asks in the end, of which events, through which hooks.
    Explain {
        /// Id of the detection, or name of the rule.
        id: String,
        /// Rule file or folder, besides the built-in rules; may be repeated.
        #[arg(long, value_name = "PATH")]
        rules: Vec<PathBuf>,
    },
    /// Judge the events of a file, and tell which rules did not speak as it says.
    Test {
        /// File of cases, see docs/rules.md.
        file: PathBuf,
        /// Rule file or folder, besides the built-in rules; may be repeated.
        #[arg(long, value_name = "PATH")]
        rules: Vec<PathBuf>,
        /// Leave the built-in rules out.
        #[arg(long)]
        no_builtin_rules: bool,
    },
    /// Count detections by STRIDE category and ATT&CK tactic.
    Coverage {
        /// Rule file or folder, besides the built-in rules; may be repeated.
        #[arg(long, value_name = "PATH")]
        rules: Vec<PathBuf>,
        /// As a layer for the ATT&CK Navigator.
        #[arg(long)]
        navigator: bool,
    },
    /// Show one rule with what it means.
    Show {
        /// Id of the rule.
        id: String,
        /// Rule file or folder, besides the built-in rules; may be repeated.
        #[arg(long, value_name = "PATH")]
        rules: Vec<PathBuf>,
    },
}

/// The flags of `run`. Each has the same name as its key in the config file, and wins over it.
#[derive(Args, Clone, Debug, Default)]
pub struct RunArguments {
    /// Config file in YAML; its keys have the names of these flags.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Rule file or folder, besides the built-in rules; may be repeated.
    #[arg(long, value_name = "PATH")]
    pub rules: Vec<PathBuf>,
    /// Leave the built-in rules out.
    #[arg(long)]
    pub no_builtin_rules: bool,
    /// Do not start if a rule has a mistake or names what no event here fills [default: go on without what is wrong].
    #[arg(long)]
    pub strict_rules: bool,
    /// Whose events are judged [default: all].
    #[arg(long, value_enum, value_name = "SCOPE")]
    pub scope: Option<Scope>,
    /// Findings on stdout [default: text].
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub output: Option<OutputFormat>,
    /// Write an event log in this folder [default: no log].
    #[arg(long, value_name = "DIR")]
    pub log_dir: Option<PathBuf>,
    /// What the event log holds [default: findings].
    #[arg(long, value_enum, value_name = "CONTENT")]
    pub log: Option<LogContent>,
    /// Serve /metrics, /healthz and /readyz on IP:PORT, or `off` [default: 127.0.0.1:9464].
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<MetricsAddress>,
    /// The way into the kernel [default: auto].
    #[arg(long, value_enum, value_name = "RUNG")]
    pub attach: Option<Ladder>,
    /// Stop after this time, for example 30s [default: run until stopped].
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// Name of this node [default: the variable NODE_NAME, else the host name].
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
}

impl RunArguments {
    /// The flags as a layer of settings.
    pub fn layer(&self) -> Layer {
        let flags = self.clone();
        Layer {
            rules: (!flags.rules.is_empty()).then_some(flags.rules),
            builtin_rules: flags.no_builtin_rules.then_some(false),
            strict_rules: flags.strict_rules.then_some(true),
            scope: flags.scope,
            output: flags.output,
            log_dir: flags.log_dir,
            log: flags.log,
            metrics: flags.metrics,
            attach: flags.attach,
            duration: flags.duration,
            node: flags.node,
            ..Layer::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_reaches_its_setting() {
        let line = "stride-sensor run --config c.yaml --rules a --rules b --no-builtin-rules --strict-rules --scope host --output json \
                    --log-dir /log --log events --metrics off --attach kprobe --duration 1m30s --node n";
        let Ok(Cli { command: Command::Run(arguments) }) = parse(line) else { panic!("run") };
        assert_eq!(arguments.config, Some("c.yaml".into()));
        let expected = Layer {
            rules: Some(vec!["a".into(), "b".into()]),
            builtin_rules: Some(false),
            strict_rules: Some(true),
            scope: Some(Scope::Host),
            output: Some(OutputFormat::Json),
            log_dir: Some("/log".into()),
            log: Some(LogContent::Events),
            metrics: Some(MetricsAddress::Off),
            attach: Some(Ladder::Kprobe),
            duration: Some(Duration::from_secs(90)),
            node: Some("n".to_owned()),
            ..Layer::default()
        };
        assert_eq!(arguments.layer(), expected);
    }

    #[test]
    fn flags_not_given_say_nothing() {
        let Ok(Cli { command: Command::Run(arguments) }) = parse("stride-sensor run") else { panic!("run") };
        assert_eq!(arguments.layer(), Layer::default());
    }

    #[test]
    fn other_commands() {
        let good = [
            "doctor --json",
            "rules check a b --strict --json",
            "rules list --json --rules x",
            "rules show drift-exec",
            "rules explain x",
            "rules test f --rules r",
            "rules coverage --navigator",
        ];
        for line in good {
            assert!(parse(&format!("stride-sensor {line}")).is_ok(), "{line}");
        }
    }

    #[test]
    fn wrong_usage_ends_with_the_documented_code() {
        let wrong = [
            "run --scope pod",
            "run --duration 0s",
            "run --metrics localhost",
            "run --colour",
            "rules check",
            "x",
        ];
        for line in wrong {
            let error = parse(&format!("stride-sensor {line}")).unwrap_err();
            assert_eq!(error.exit_code(), i32::from(Exit::Usage as u8), "{line}");
        }
        assert_eq!(parse("stride-sensor --help").unwrap_err().kind(), ErrorKind::DisplayHelp);
    }

    #[test]
    fn the_help_of_run() {
        let help = parse("stride-sensor run --help").unwrap_err().to_string();
        insta::assert_snapshot!(help);
    }
}
