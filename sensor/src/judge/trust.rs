//! What is legitimate by identity: pods and host programs whose named detections count less, or are not told.
//!
//! An entry names detections one by one, and whom it trusts by what an intruder cannot choose: the pod's namespace and image,
//! or the host's executable by its inode and its systemd unit. Command names, arguments and labels decide nothing.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use regex::bytes::Regex;

use super::Finding;
use super::rules::glob_pattern;
use crate::attribute::host::HostRoot;
use crate::attribute::runtime::device_number;
use crate::attribute::{Attributed, Image};
use crate::threat::Severity;

/// One entry of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustEntry {
    /// Its name, for metrics and records.
    pub name: String,
    /// Ids of the detections that it is about.
    pub detections: Vec<String>,
    /// What their findings are worth; `None`: they are not told.
    pub severity: Option<Severity>,
    /// Whom it trusts.
    pub subject: TrustedSubject,
}

/// Whom an entry trusts. Patterns are those of a shell: `*`, `?`, `[...]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustedSubject {
    /// Containers of a pod.
    Pod {
        /// The pod's namespace.
        namespace: String,
        /// Pattern of the pod's name.
        name: Option<String>,
        /// Pattern of the image as the kubelet asked for it.
        image: Option<String>,
        /// The image's digest.
        digest: Option<String>,
    },
    /// A program of the host.
    Host {
        /// Its executable.
        exe: PathBuf,
        /// The systemd unit that it runs in.
        unit: Option<String>,
        /// Whether what it started counts as itself.
        descendants: bool,
    },
}

/// All entries, with how often each spoke.
pub struct Trust {
    root: HostRoot,
    entries: Vec<Prepared>,
}

struct Prepared {
    entry: TrustEntry,
    /// Patterns of the pod's name and image.
    patterns: [Option<Regex>; 2],
    count: AtomicU64,
}

impl Trust {
    /// Entries for a node whose root folder is there.
    pub fn new(root: PathBuf, entries: &[TrustEntry]) -> Self {
        let prepared = |entry: &TrustEntry| {
            let patterns = match &entry.subject {
                TrustedSubject::Pod { name, image, .. } => {
                    [name, image].map(|text| text.as_deref().map(glob_pattern))
                }
                TrustedSubject::Host { .. } => [None, None],
            };
            Prepared { entry: entry.clone(), patterns, count: AtomicU64::new(0) }
        };
        Self { root: HostRoot(root), entries: entries.iter().map(prepared).collect() }
    }

    /// Lowers a finding whose subject is trusted; `None` if it is not to be told.
    pub fn apply(&self, mut finding: Finding, attributed: &Attributed<'_>) -> Option<Finding> {
        for Prepared { entry, patterns, count } in &self.entries {
            let concerns = entry.detections.contains(&finding.id);
            if !concerns || !self.is_subject(&entry.subject, patterns, attributed) {
                continue;
            }
            count.fetch_add(1, Ordering::Relaxed);
            // An entry never makes a finding more severe.
            finding.severity = finding.severity.min(entry.severity?);
            finding.trusted = Some(entry.name.clone());
            return Some(finding);
        }
        Some(finding)
    }

    /// Entries with how many findings each lowered or silenced.
    pub fn counts(&self) -> impl Iterator<Item = (&str, u64)> {
        self.entries.iter().map(|one| (one.entry.name.as_str(), one.count.load(Ordering::Relaxed)))
    }

    fn is_subject(
        &self,
        subject: &TrustedSubject,
        patterns: &[Option<Regex>; 2],
        attributed: &Attributed<'_>,
    ) -> bool {
        let [name, image] = patterns;
        match subject {
            TrustedSubject::Pod { namespace, digest, .. } => {
                let Some(container) = attributed.container.and_then(|handle| handle.container()) else {
                    return false;
                };
                let Some(pod) = &container.pod else { return false };
                let fits = |pattern: &Option<Regex>, text: Option<&str>| {
                    pattern
                        .as_ref()
                        .is_none_or(|pattern| text.is_some_and(|text| pattern.is_match(text.as_bytes())))
                };
                pod.namespace == *namespace
                    && fits(name, Some(&pod.name))
                    && fits(image, container.image.as_deref())
                    && digest.as_ref().is_none_or(|digest| container.image_digest.as_ref() == Some(digest))
            }
            TrustedSubject::Host { exe, unit, descendants } => {
                if attributed.container.is_some() {
                    return false;
                }
                let Some(process) = attributed.process else { return false };
                let in_unit = unit.as_ref().is_none_or(|unit| {
                    attributed.cgroup_path.is_some_and(|path| {
                        path.split(|&byte| byte == b'/').any(|part| part == unit.as_bytes())
                    })
                });
                let ancestors =
                    process.ancestors.iter().map(|ancestor| &*ancestor.image).filter(|_| *descendants);
                in_unit
                    && std::iter::once(&*process.image).chain(ancestors).any(|image| self.runs(image, exe))
            }
        }
    }

    /// Whether a program is the host's own file of that path, by its inode.
    fn runs(&self, image: &Image, exe: &std::path::Path) -> bool {
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::fs::MetadataExt;
        if *image.exe != *exe.as_os_str().as_bytes() {
            return false;
        }
        let found = self.root.look(exe.as_os_str().as_bytes());
        found.is_ok_and(|file| {
            (device_number(file.dev()), file.ino()) == (image.file.device, image.file.inode)
        })
    }
}
