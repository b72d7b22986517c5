//! The table that closes a test run: one line a stage, then what failed or was skipped and why, then the totals.

use std::fmt::Write;

use crate::report::Counts;

/// How one stage of a test run went.
#[derive(Debug)]
pub struct Stage {
    /// Its name, such as `clippy` or `vm-6.1`.
    pub name: String,
    /// Whether all of it passed or was skipped.
    pub ok: bool,
    /// Seconds it took.
    pub seconds: f64,
    /// Its tests.
    pub counts: Counts,
}

impl Stage {
    fn result(&self) -> &'static str {
        match (self.ok, self.counts.passed) {
            (false, _) => "FAILED",
            (true, 0) => "skipped",
            (true, _) => "passed",
        }
    }
}

/// Writes the table; its last line is exactly `N passed, N failed, N skipped`.
pub fn table(stages: &[Stage]) -> String {
    let mut text = String::new();
    let width = stages.iter().map(|stage| stage.name.len()).max().unwrap_or(0).max("stage".len());
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{:width$}  result   seconds  passed  failed  skipped", "stage", width = width);
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for stage in stages {
        let counts = &stage.counts;
        let _ = writeln!(
            text,
            "{:width$}  {:7}  {:>7.1}  {:>6}  {:>6}  {:>7}",
            stage.name,
            stage.result(),
            stage.seconds,
            counts.passed,
            counts.failed,
            counts.skipped,
        );
        passed += counts.passed;
        failed += counts.failed;
        skipped += counts.skipped;
    }
    for stage in stages {
        for note in &stage.counts.notes {
            let _ = writeln!(text, "{}: {note}", stage.name);
        }
    }
    let _ = writeln!(text, "{passed} passed, {failed} failed, {skipped} skipped");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(name: &str, ok: bool, numbers: (usize, usize, usize), notes: &[&str]) -> Stage {
        let (passed, failed, skipped) = numbers;
        let notes = notes.iter().map(|note| (*note).to_owned()).collect();
        Stage { name: name.to_owned(), ok, seconds: 1.25, counts: Counts { passed, failed, skipped, notes } }
    }

    #[test]
    fn table_lists_stages_reasons_and_totals() {
        let stages = [
            stage("unit tests", true, (12, 0, 0), &[]),
            stage("vm-5.10", false, (3, 1, 1), &["ex-01 failed: no finding", "ex-07 skipped: old kernel"]),
            stage("native", true, (0, 0, 1), &["needs root"]),
        ];
        assert_eq!(
            table(&stages),
            "stage       result   seconds  passed  failed  skipped\n\
             unit tests  passed       1.2      12       0        0\n\
             vm-5.10     FAILED       1.2       3       1        1\n\
             native      skipped      1.2       0       0        1\n\
             vm-5.10: ex-01 failed: no finding\n\
             vm-5.10: ex-07 skipped: old kernel\n\
             native: needs root\n\
             15 passed, 1 failed, 2 skipped\n"
        );
    }
}
