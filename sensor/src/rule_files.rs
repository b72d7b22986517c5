//! Rules from their files: at the start, and again whenever the files change or SIGHUP comes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tracing::{error, info, warn};

use crate::config::Config;
use crate::judge::rules::{Level, RuleError, RuleSet, builtin, describe};
use crate::run::RunError;

/// Built-in rules, then the user's. Rules with a mistake are left out and told, unless the settings are strict.
///
/// # Errors
/// If a file cannot be read, nothing is left to judge by, or the settings are strict and a rule is not as it should be.
pub fn load_rules(config: &Config) -> Result<(RuleSet, usize), RunError> {
    let loaded = Loaded::read(config.builtin_rules, &config.rules)?;
    let problems = loaded.problems(config.strict_rules);
    if !problems.is_empty() && (config.strict_rules || loaded.set.rules().is_empty()) {
        return Err(RunError::Rules(loaded.told(config.strict_rules)));
    }
    loaded.log();
    let errors = problems.len();
    Ok((loaded.set, errors))
}

/// Rules with all that is to be said about their files.
#[derive(Debug)]
pub struct Loaded {
    /// Those without a mistake.
    pub set: RuleSet,
    /// Mistakes, warnings and notes.
    pub messages: Vec<RuleError>,
}

impl Loaded {
    /// Built-in rules if asked for, then those of `paths`.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn read(with_builtin: bool, paths: &[PathBuf]) -> Result<Self, RunError> {
        let mut sources = if with_builtin { builtin::sources() } else { Vec::new() };
        let own = describe::read(paths).map_err(|errors| {
            RunError::Rules(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n"))
        })?;
        sources.extend(own);
        let (set, messages) = RuleSet::load(sources);
        Ok(Self { set, messages })
    }

    /// Tells the log all that is to be said.
    fn log(&self) {
        for message in &self.messages {
            let (place, help) = (&message.place, message.help.as_deref().unwrap_or(""));
            let (file, line, code) = (&place.source.name, place.line, message.code.name());
            match message.level {
                Level::Error => error!(%file, line, code, help, "a rule is left out: {}", message.message),
                Level::Warning => warn!(%file, line, code, help, "{}", message.message),
                Level::Note => info!(%file, line, code, help, "{}", message.message),
            }
        }
    }

    /// Mistakes; if `strict`, warnings too.
    pub fn problems(&self, strict: bool) -> Vec<&RuleError> {
        let worst = if strict { Level::Warning } else { Level::Error };
        self.messages.iter().filter(|message| message.level <= worst).collect()
    }

    /// All problems, and how many they are.
    pub fn told(&self, strict: bool) -> String {
        let problems = self.problems(strict);
        let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let count = counted(problems.len());
        format!("{}\n\n{count} in rules", text.join("\n\n"))
    }
}

/// So many errors, in words.
pub fn counted(errors: usize) -> String {
    match errors {
        0 => "no errors".to_owned(),
        1 => "1 error".to_owned(),
        count => format!("{count} errors"),
    }
}

/// What tells that a file is another one than before: path, inode, size, time of change.
type Stamp = (PathBuf, u64, u64, Option<SystemTime>);

/// Watches the files of rules.
pub struct Watcher {
    with_builtin: bool,
    strict: bool,
    paths: Vec<PathBuf>,
    /// The files of the rules in force, or of those that were refused last.
    settled: Vec<Stamp>,
    /// The files as they were at the last look.
    last: Vec<Stamp>,
}

impl Watcher {
    /// The files as they are now are those in force.
    pub fn new(config: &Config) -> Self {
        let stamps = stamps(&config.rules);
        Self {
            with_builtin: config.builtin_rules,
            strict: config.strict_rules,
            paths: config.rules.clone(),
            settled: stamps.clone(),
            last: stamps,
        }
    }

    /// Whether the files are others than before, and were the same at two looks: nobody is in the midst of writing them.
    pub fn has_changed(&mut self) -> bool {
        let now = stamps(&self.paths);
        let is_still = now == self.last;
        self.last = now;
        is_still && self.last != self.settled
    }

    /// Reads the rules anew.
    ///
    /// # Errors
    /// If they are worse than those in force, which then stay: a file cannot be read, a rule has a mistake, or none is left. That
    /// is logged; how many mistakes there are is given.
    pub fn read(&mut self) -> Result<RuleSet, usize> {
        self.settled = stamps(&self.paths);
        let loaded = match Loaded::read(self.with_builtin, &self.paths) {
            Ok(loaded) => loaded,
            Err(error) => {
                error!("the rules in force stay: {error}");
                return Err(1);
            }
        };
        loaded.log();
        let problems = loaded.problems(self.strict).len();
        if problems > 0 || loaded.set.rules().is_empty() {
            error!(
                problems,
                rules = loaded.set.rules().len(),
                "the rules in force stay, as the new ones have mistakes"
            );
            return Err(problems.max(1));
        }
        info!(rules = loaded.set.rules().len(), "new rules");
        Ok(loaded.set)
    }
}

/// Stamps of rule files, and of the files of folders.
fn stamps(paths: &[PathBuf]) -> Vec<Stamp> {
    let mut stamps = Vec::new();
    for path in paths {
        stamps.push(stamp(path));
        if let Ok(entries) = fs::read_dir(path) {
            stamps.extend(entries.flatten().map(|entry| stamp(&entry.path())));
        }
    }
    stamps.sort();
    stamps
}

/// Of the file that a path leads to: a ConfigMap is changed by another target of a link.
fn stamp(path: &Path) -> Stamp {
    match path.metadata() {
        Ok(metadata) => (path.to_owned(), metadata.ino(), metadata.len(), metadata.modified().ok()),
        Err(_) => (path.to_owned(), 0, 0, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str) -> String {
        format!("- rule: {name}\n  condition: proc.name = {name}\n  output: o\n  priority: INFO\n")
    }

    fn watcher(path: &Path) -> Watcher {
        let paths = vec![path.to_owned()];
        let stamps = stamps(&paths);
        Watcher { with_builtin: false, strict: false, paths, settled: stamps.clone(), last: stamps }
    }

    #[test]
    fn one_error_is_one() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("r.yaml");
        fs::write(&file, "- macro: m\n").expect("write");
        let told = Loaded::read(false, &[file]).expect("readable").told(false);
        assert!(told.ends_with("\n\n1 error in rules"), "{told}");
    }

    #[test]
    fn new_files_are_read_once_they_stand_still() {
        let folder = tempfile::tempdir().expect("temporary folder");
        fs::write(folder.path().join("a.yaml"), rule("a")).expect("write");
        let mut watcher = watcher(folder.path());
        assert!(!watcher.has_changed());
        fs::write(folder.path().join("b.yaml"), rule("b")).expect("write");
        assert!(!watcher.has_changed(), "it may still be written");
        assert!(watcher.has_changed());
        assert_eq!(watcher.read().expect("good").rules().len(), 2);
        assert!(!watcher.has_changed());
    }

    #[test]
    fn a_link_that_leads_elsewhere_is_a_change() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let at = |name: &str| folder.path().join(name);
        for name in ["..1", "..2"] {
            fs::create_dir(at(name)).expect("folder");
            fs::write(at(name).join("r.yaml"), rule(&name[2..])).expect("write");
        }
        let mounted = at("mounted");
        fs::create_dir(&mounted).expect("folder");
        std::os::unix::fs::symlink("../..1", mounted.join("..data")).expect("link");
        std::os::unix::fs::symlink("..data/r.yaml", mounted.join("r.yaml")).expect("link");
        let mut watcher = watcher(&mounted);
        // As the kubelet does it: a new link takes the place of the old one.
        std::os::unix::fs::symlink("../..2", mounted.join("..new")).expect("link");
        fs::rename(mounted.join("..new"), mounted.join("..data")).expect("rename");
        assert!(!watcher.has_changed() && watcher.has_changed());
        assert_eq!(watcher.read().expect("good").rules()[0].name, "2");
    }

    #[test]
    fn worse_rules_are_refused_and_not_tried_again() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("r.yaml");
        fs::write(&file, rule("a")).expect("write");
        let mut watcher = watcher(&file);
        for worse in ["- rule: x\n", "", "[", "\u{0}"] {
            fs::write(&file, format!("{worse}{}", if worse.len() > 3 { rule("b") } else { String::new() }))
                .expect("write");
            assert!(!watcher.has_changed() && watcher.has_changed(), "{worse:?}");
            assert!(watcher.read().is_err(), "{worse:?}");
            assert!(!watcher.has_changed(), "{worse:?}");
        }
        fs::remove_file(&file).expect("remove");
        assert!(!watcher.has_changed() && watcher.has_changed() && watcher.read().is_err());
        fs::write(&file, rule("c")).expect("write");
        assert!(!watcher.has_changed() && watcher.has_changed() && watcher.read().is_ok());
    }
}
