//! The `stride-sensor` binary: commands to functions, errors to exit codes.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use stride_sensor::cli::{BenchCommand, Cli, Command, Exit};
use stride_sensor::{doctor, replay, rules_command, run, telemetry};

/// musl's own maps and unmaps memory for every few KiB.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::start();
    let exit = match cli.command {
        Command::Run(arguments) => match run::run(&arguments) {
            Ok(()) => Exit::Ok,
            Err(error) => failed(&error),
        },
        Command::Doctor { json } => {
            let report = doctor::Report::make();
            let text = if json { format!("{:#}\n", report.json()) } else { report.text() };
            print(&text, report.exit())
        }
        Command::Rules(command) => match rules_command::run(&command) {
            Ok((text, exit)) => print(&text, exit),
            Err(error) => failed(&error),
        },
        Command::Bench(command) => bench(&command),
    };
    exit.into()
}

fn bench(command: &BenchCommand) -> Exit {
    let result = match command {
        BenchCommand::Record { file, most } => replay::record(file, *most).map(|()| String::new()),
        BenchCommand::Replay { file, rounds } => {
            replay::replay(file, *rounds).map(|figures| format!("{figures:#}\n"))
        }
        BenchCommand::Rules { file, rules } => {
            replay::rules(file, rules).map(|figures| format!("{figures:#}\n"))
        }
    };
    match result {
        Ok(text) => print(&text, Exit::Ok),
        Err(error) => {
            // Nothing is left to do when standard error is closed.
            let _ = writeln!(io::stderr(), "stride-sensor: {error}");
            Exit::Runtime
        }
    }
}

fn failed(error: &run::RunError) -> Exit {
    // Nothing is left to do when standard error is closed.
    let _ = writeln!(io::stderr(), "stride-sensor: {error}");
    error.exit()
}

/// A closed pipe, as with `| head`, is no failure.
fn print(text: &str, exit: Exit) -> Exit {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::Runtime,
        _ => exit,
    }
}
