//! Findings on stdout: a readable line each, or JSON lines.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write};
use std::time::Duration;

use tracing::debug;

use super::metrics::SinkCounts;
use super::queue::Inlet;
use super::{FindingSummary, Output};
use crate::text::printable;

/// How findings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StdoutConfig {
    /// Text or JSON.
    pub format: StdoutFormat,
    /// Text is coloured by severity; see [`color_wanted`].
    pub color: bool,
}

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StdoutFormat {
    /// For people.
    Text,
    /// The same JSON object as in the event log.
    Json,
}

/// Colour is for terminals, unless the variable `NO_COLOR` says otherwise (<https://no-color.org>).
pub fn color_wanted() -> bool {
    let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !forbidden && io::IsTerminal::is_terminal(&io::stdout())
}

/// Writes findings until the outlet is gone or the reader of stdout is.
pub(super) async fn run(
    mut inlet: Inlet,
    config: StdoutConfig,
    mut writer: Box<dyn Write + Send>,
    counts: SinkCounts,
) {
    while inlet.receive().await {
        let mut lines = Vec::new();
        for output in inlet.pending() {
            render(output, config, &mut lines);
        }
        let bytes = lines.len() as u64;
        let written = tokio::task::spawn_blocking(move || {
            let result = write_patiently(&mut *writer, &lines);
            (writer, result)
        });
        let Ok((returned, result)) = written.await else { return };
        writer = returned;
        match result {
            Ok(()) => {
                counts.written_bytes.inc_by(bytes);
                inlet.written(usize::MAX);
            }
            Err(error) => {
                counts.errors.inc();
                debug!(%error, "cannot write findings to stdout");
                if error.kind() == ErrorKind::BrokenPipe {
                    return;
                }
                inlet.give_up();
            }
        }
    }
}

/// Writes everything, also where stdout was made non-blocking by whoever shares it.
fn write_patiently(writer: &mut dyn Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match writer.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(5))
            }
            Err(error) => return Err(error),
        }
    }
    writer.flush()
}

fn render(output: &Output, config: StdoutConfig, lines: &mut Vec<u8>) {
    let Some(finding) = &output.finding else { return };
    match config.format {
        StdoutFormat::Text => lines.extend_from_slice(text(finding, config.color).as_bytes()),
        StdoutFormat::Json => lines.extend_from_slice(&output.json),
    }
    lines.push(b'\n');
}

/// One finding on one line: time, severity, id, message, and where.
pub fn text(finding: &FindingSummary, color: bool) -> String {
    let (start, end) = if color { (color_of(finding.severity), "\x1b[0m") } else { ("", "") };
    let severity = finding.severity.to_uppercase();
    let mut line = format!(
        "{} {start}{severity:<8}{end} {} {}",
        escape(&finding.time),
        escape(&finding.id),
        escape(&finding.message)
    );
    // Writing into a String cannot fail.
    let _ = match (&finding.pod, &finding.container) {
        (Some((namespace, name)), Some(container)) => {
            write!(line, " [pod {}/{} container {}]", escape(namespace), escape(name), escape(container))
        }
        (Some((namespace, name)), None) => write!(line, " [pod {}/{}]", escape(namespace), escape(name)),
        (None, Some(container)) => write!(line, " [container {}]", escape(container)),
        (None, None) => write!(line, " [host]"),
    };
    line
}

fn color_of(severity: &str) -> &'static str {
    match severity {
        "critical" => "\x1b[1;97;41m",
        "high" => "\x1b[1;31m",
        "medium" => "\x1b[33m",
        "low" => "\x1b[36m",
        _ => "\x1b[2m",
    }
}

/// Makes visible every character that could move the cursor, break the line or reorder the text. Escaping twice
/// changes nothing more.
fn escape(text: &str) -> Cow<'_, str> {
    printable(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::super::queue::{Outlet, QueueConfig};
    use super::super::tests::{finding, summary, telemetry};
    use super::super::{BuildInfo, Metrics};
    use super::*;

    #[test]
    fn a_line_for_people() {
        let mut finding = summary();
        insta::assert_snapshot!(text(&finding, false), @"2026-11-24T08:32:15.123456789Z HIGH     drift-exec /dev/shm/x (pid 4711) runs from a file that is not in the image [pod shop/web-7d4b9 container web]");
        insta::assert_snapshot!(text(&finding, true).escape_debug(), @r"2026-11-24T08:32:15.123456789Z \u{1b}[1;31mHIGH    \u{1b}[0m drift-exec /dev/shm/x (pid 4711) runs from a file that is not in the image [pod shop/web-7d4b9 container web]");
        finding.pod = None;
        assert!(text(&finding, false).ends_with(" [container web]"));
        finding.container = None;
        assert!(text(&finding, false).ends_with(" [host]"));
    }

    #[test]
    fn nothing_can_forge_a_line_or_reach_the_terminal() {
        let mut finding = summary();
        finding.message = "a\nb\r\x1b[2J\u{9b}31m\u{202e}\0\u{2028}ä".to_owned();
        finding.pod = Some(("n\ns".to_owned(), "p\t".to_owned()));
        let line = text(&finding, false);
        assert!(
            line.contains(r"a\nb\r\u{1b}[2J\u{9b}31m\u{202e}\u{0}\u{2028}ä [pod n\ns/p\t container web]"),
            "{line}"
        );
        assert_eq!(escape(&line), line);
    }

    /// A writer that takes a few bytes at a time and then fails as told.
    struct Stuttering {
        taken: Arc<Mutex<Vec<u8>>>,
        /// Errors to give, last first; each is given once, before further bytes are taken.
        errors: Vec<ErrorKind>,
    }

    impl Write for Stuttering {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some(error) = self.errors.pop() {
                return Err(error.into());
            }
            let count = bytes.len().min(7);
            self.taken.lock().unwrap().extend_from_slice(&bytes[..count]);
            Ok(count)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    async fn written(errors: Vec<ErrorKind>) -> (String, SinkCounts) {
        let metrics = Metrics::new(BuildInfo::default());
        let mut outlet = Outlet::default();
        let inlet = outlet.connect(&QueueConfig::default(), true, metrics.sink("stdout"));
        outlet.send(finding(r#"{"kind":"finding"}"#));
        outlet.send(telemetry(r#"{"kind":"exec"}"#));
        drop(outlet);
        let taken = Arc::new(Mutex::new(Vec::new()));
        let writer = Stuttering { taken: taken.clone(), errors };
        let config = StdoutConfig { format: StdoutFormat::Json, color: false };
        run(inlet, config, Box::new(writer), metrics.sink("stdout")).await;
        let taken = taken.lock().unwrap();
        (String::from_utf8_lossy(&taken).into_owned(), metrics.sink("stdout"))
    }

    #[tokio::test]
    async fn json_lines_hold_findings_only_and_survive_short_and_unready_writes() {
        let (text, counts) = written(vec![ErrorKind::WouldBlock, ErrorKind::Interrupted]).await;
        assert_eq!(text, "{\"kind\":\"finding\"}\n");
        assert_eq!((counts.errors.get(), counts.written_bytes.get()), (0, 19));
    }

    #[tokio::test]
    async fn a_closed_pipe_ends_the_sink_with_a_count() {
        let (text, counts) = written(vec![ErrorKind::BrokenPipe]).await;
        assert_eq!(text, "");
        assert_eq!((counts.errors.get(), counts.dropped_findings.get()), (1, 1));
    }

    #[tokio::test]
    async fn another_error_costs_its_lines_and_not_the_sink() {
        let (text, counts) = written(vec![ErrorKind::StorageFull]).await;
        assert_eq!(text, "");
        assert_eq!(
            (counts.errors.get(), counts.dropped_findings.get(), counts.dropped_telemetry.get()),
            (1, 1, 0)
        );
    }
}
