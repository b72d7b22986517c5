//! Debian's archive for the guests: where this machine gets it from, and an apt state of our own below
//! `target/vm/apt`, so that other suites never touch the machine's package lists.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::quiet;
use crate::workspace::Workspace;

/// The archive's keys.
pub const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// The release whose user space the guests have.
pub const RELEASE: &str = "bookworm";

/// The machine's Debian mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// Address of the main archive.
    pub main: String,
    /// Address of the security archive.
    pub security: String,
}

/// One source of packages: an address and the suites taken from it.
#[derive(Debug, PartialEq, Eq)]
struct Source {
    address: String,
    suites: Vec<String>,
}

impl Mirror {
    /// The mirror that this machine's own apt uses, or the one that `STRIDE_DEBIAN_MIRROR` names (the address that
    /// ends in `/debian`), for machines that are not Debian.
    ///
    /// # Errors
    /// When neither is there.
    pub fn of_this_machine() -> Result<Self> {
        if let Ok(main) = env::var("STRIDE_DEBIAN_MIRROR") {
            return Ok(Self::beside(main));
        }
        let mut sources = Vec::new();
        for file in source_files() {
            let text =
                fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let deb822 = file.extension().is_some_and(|extension| extension == "sources");
            sources.extend(if deb822 { parse_deb822(&text) } else { parse_one_line(&text) });
        }
        Self::choose(&sources).context(
            "apt on this machine has no Debian source to take guest kernels from; \
             set STRIDE_DEBIAN_MIRROR to a Debian mirror's address (the one that ends in /debian)",
        )
    }

    fn beside(main: String) -> Self {
        let main = main.trim_end_matches('/').to_owned();
        Self { security: format!("{main}-security"), main }
    }

    /// Third-party archives use Debian's suite names too, so the usual end of the address decides first.
    fn choose(sources: &[Source]) -> Option<Self> {
        let of = |suite_fits: fn(&str) -> bool, end: &str| {
            let fitting =
                || sources.iter().filter(|source| source.suites.iter().any(|suite| suite_fits(suite)));
            let usual = fitting().find(|source| source.address.trim_end_matches('/').ends_with(end));
            usual.or_else(|| fitting().next()).map(|source| source.address.clone())
        };
        let main = of(is_debian_suite, "/debian")?;
        let security = of(is_security_suite, "/debian-security");
        let beside = Self::beside(main);
        Some(Self { security: security.unwrap_or(beside.security), main: beside.main })
    }

    /// A line of sources.list for a suite, signed by Debian's keys.
    pub fn source_line(&self, suite: &str) -> String {
        let address = if is_security_suite(suite) { &self.security } else { &self.main };
        format!("deb [signed-by={KEYRING}] {address} {suite} main")
    }
}

fn is_debian_suite(suite: &str) -> bool {
    ["bullseye", "bookworm", "trixie", "forky", "sid", "oldstable", "stable", "testing", "unstable"]
        .contains(&suite)
}

fn is_security_suite(suite: &str) -> bool {
    suite.strip_suffix("-security").is_some_and(is_debian_suite)
}

/// The files in which apt on this machine lists its sources.
fn source_files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir("/etc/apt/sources.list.d")
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    files.push(PathBuf::from("/etc/apt/sources.list"));
    files.retain(|file| {
        file.is_file()
            && file.extension().is_some_and(|extension| extension == "list" || extension == "sources")
    });
    files.sort();
    files
}

/// Reads the stanza format of sources.list(5).
fn parse_deb822(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    for stanza in text.split("\n\n") {
        let field = |name: &str| {
            let lines = stanza.lines().filter(|line| !line.starts_with('#'));
            lines
                .filter_map(|line| line.split_once(':'))
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
                .unwrap_or_default()
        };
        if field("Enabled").first().is_some_and(|value| value == "no")
            || !field("Types").iter().any(|kind| kind == "deb")
        {
            continue;
        }
        let suites = field("Suites");
        sources.extend(field("URIs").into_iter().map(|address| Source { address, suites: suites.clone() }));
    }
    sources
}

/// Reads the line format of sources.list(5): `deb [options] address suite component...`.
fn parse_one_line(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    for line in text.lines() {
        let Some(rest) = line.trim().strip_prefix("deb ") else { continue };
        let rest = match rest.trim_start().strip_prefix('[') {
            Some(options) => options.split_once(']').map_or("", |(_, rest)| rest),
            None => rest,
        };
        let mut words = rest.split_whitespace();
        if let (Some(address), Some(suite)) = (words.next(), words.next()) {
            sources.push(Source { address: address.to_owned(), suites: vec![suite.to_owned()] });
        }
    }
    sources
}

/// An apt that knows only the given suites and keeps everything below one folder.
#[derive(Debug)]
pub struct PrivateApt {
    folder: PathBuf,
}

impl PrivateApt {
    /// Fetches the package lists of the suites.
    ///
    /// # Errors
    /// When this machine names no mirror, or apt cannot fetch the lists.
    pub fn update(workspace: &Workspace, name: &str, suites: &[&str]) -> Result<Self> {
        let apt = Self { folder: workspace.target("vm/apt").join(name) };
        let mirror = Mirror::of_this_machine()?;
        for folder in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(apt.folder.join(folder))?;
        }
        let lines: String = suites.iter().map(|suite| mirror.source_line(suite) + "\n").collect();
        fs::write(apt.folder.join("sources.list"), lines)?;
        fs::write(apt.folder.join("status"), "")?;
        quiet(apt.command("apt-get").args(["update", "-q"]))?;
        Ok(apt)
    }

    /// Names of the real packages that match a regular expression.
    pub fn names(&self, pattern: &str) -> Result<Vec<String>> {
        let printed = quiet(self.command("apt-cache").args(["search", "--names-only", pattern]))?;
        Ok(printed
            .lines()
            .filter_map(|line| line.split_once(" - "))
            .map(|(name, _)| name.to_owned())
            .collect())
    }

    /// Downloads the newest version of a package into `folder` and unpacks it there below `tree`.
    pub fn unpack(&self, package: &str, tree: &Path) -> Result<()> {
        let downloads = self.folder.join("downloads");
        let _ = fs::remove_dir_all(&downloads);
        fs::create_dir_all(&downloads)?;
        quiet(self.command("apt-get").args(["download", "-q", package]).current_dir(&downloads))?;
        let Some(file) = fs::read_dir(&downloads)?.flatten().next() else {
            bail!("apt-get downloaded no {package}");
        };
        quiet(Command::new("dpkg-deb").arg("-x").arg(file.path()).arg(tree))?;
        fs::remove_dir_all(&downloads)?;
        Ok(())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let folder = |relative: &str| self.folder.join(relative).display().to_string();
        for option in [
            format!("Dir::Etc::SourceList={}", folder("sources.list")),
            "Dir::Etc::SourceParts=-".to_owned(),
            format!("Dir::State::Lists={}", folder("lists")),
            format!("Dir::State::status={}", folder("status")),
            format!("Dir::Cache={}", folder("cache")),
            // Only package lists: no translations, no software-centre data.
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            "APT::Architecture=amd64".to_owned(),
            // The downloading user that apt drops to may not enter the checkout.
            "APT::Sandbox::User=root".to_owned(),
        ] {
            command.arg("-o").arg(option);
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "Types: deb\n# a comment: with colon\nURIs: http://mirror.test/debian\n\
        Suites: bookworm bookworm-updates\nComponents: main\n\n\
        Types: deb\nURIs: http://mirror.test/debian-security\nSuites: bookworm-security\nComponents: main\n\n\
        Enabled: no\nTypes: deb\nURIs: http://off.test/debian\nSuites: sid\n\n\
        Types: deb-src\nURIs: http://source.test/debian\nSuites: bookworm\n";

    fn source(address: &str, suites: &[&str]) -> Source {
        Source {
            address: address.to_owned(),
            suites: suites.iter().map(|suite| (*suite).to_owned()).collect(),
        }
    }

    #[test]
    fn reads_stanzas_that_are_on_and_binary() {
        assert_eq!(
            parse_deb822(DEB822),
            [
                source("http://mirror.test/debian", &["bookworm", "bookworm-updates"]),
                source("http://mirror.test/debian-security", &["bookworm-security"]),
            ]
        );
    }

    #[test]
    fn reads_lines_with_and_without_options() {
        let text = "# deb http://old.test/debian sid main\n\
            deb [signed-by=/k.gpg arch=amd64] http://m.test/debian/ bookworm main\n\
            deb-src http://m.test/debian bookworm main\n  deb http://m.test/debian-security bookworm-security main\n\
            deb [broken\n";
        assert_eq!(
            parse_one_line(text),
            [
                source("http://m.test/debian/", &["bookworm"]),
                source("http://m.test/debian-security", &["bookworm-security"]),
            ]
        );
    }

    #[test]
    fn prefers_the_archive_over_third_parties_with_the_same_suite() {
        let sources =
            [source("https://tool.test/apt", &["bookworm"]), source("http://m.test/debian/", &["bookworm"])];
        let mirror = Mirror::choose(&sources).unwrap();
        assert_eq!(mirror.main, "http://m.test/debian");
        assert_eq!(mirror.security, "http://m.test/debian-security");
        assert_eq!(
            mirror.source_line("bookworm-security"),
            format!("deb [signed-by={KEYRING}] http://m.test/debian-security bookworm-security main")
        );
    }

    #[test]
    fn finds_no_mirror_on_other_systems() {
        assert_eq!(Mirror::choose(&[source("http://m.test/ubuntu", &["noble", "noble-security"])]), None);
    }
}
