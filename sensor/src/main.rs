//! The `stride-sensor` binary: commands to functions, errors to exit codes.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use stride_sensor::cli::{BenchCommand, Cli, Command, Exit, RulesCommand};
use stride_sensor::judge::rules::{RuleSet, describe, document};
use stride_sensor::{doctor, replay, run, telemetry};

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
        Command::Rules(command) => rules(&command),
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

fn rules(command: &RulesCommand) -> Exit {
    let result = match command {
        RulesCommand::Check { paths, strict, json } => {
            run::Loaded::read(true, paths).map(|loaded| check(&loaded, *strict, *json))
        }
        RulesCommand::List { rules, json } => usable(rules).map(|set| {
            let text =
                if *json { format!("{:#}\n", describe::list_json(&set)) } else { describe::list(&set) };
            (text, Exit::Ok)
        }),
        RulesCommand::Fields => Ok((
            format!("{}\n{}\n{}", document::fields(), document::events(), document::unfilled()),
            Exit::Ok,
        )),
        RulesCommand::Show { id, rules } => usable(rules).map(|set| match describe::show(&set, id) {
            Some(text) => (text, Exit::Ok),
            None => {
                (format!("no rule of id or name `{id}`; `stride-sensor rules list` shows all\n"), Exit::Usage)
            }
        }),
    };
    match result {
        Ok((text, exit)) => print(&text, exit),
        Err(error) => failed(&error),
    }
}

/// What is to be said about rule files.
fn check(loaded: &run::Loaded, strict: bool, json: bool) -> (String, Exit) {
    let problems = loaded.problems(strict);
    let exit = if problems.is_empty() { Exit::Ok } else { Exit::Rules };
    if json {
        return (format!("{:#}\n", describe::messages_json(&loaded.set, &loaded.messages)), exit);
    }
    let mut text: String = loaded.messages.iter().map(|message| format!("{message}\n\n")).collect();
    let count = match problems.len() {
        0 => "no errors".to_owned(),
        1 => "1 error".to_owned(),
        count => format!("{count} errors"),
    };
    let others = loaded.messages.len() - problems.len();
    let others = if others == 0 { String::new() } else { format!(", {others} warnings and notes") };
    text.push_str(&format!("{} rules, {count}{others}\n", loaded.set.rules().len()));
    (text, exit)
}

/// The rules that `run` would use; what is wrong with others is told on standard error.
fn usable(paths: &[std::path::PathBuf]) -> Result<RuleSet, run::RunError> {
    let loaded = run::Loaded::read(true, paths)?;
    if !loaded.problems(false).is_empty() {
        // Nothing is left to do when standard error is closed.
        let _ = writeln!(io::stderr(), "stride-sensor: {}", loaded.told(false));
    }
    Ok(loaded.set)
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
