//! The section `trusted`: what is legitimate by identity.

use std::path::PathBuf;

use serde::Deserialize;

use crate::judge::trust::{TrustEntry, TrustedSubject};
use crate::threat::Severity;

/// Entries of the section.
pub const ENTRIES_MAX: usize = 256;
/// Detections of one entry.
const DETECTIONS_MAX: usize = 64;
/// Bytes of a name or pattern.
const TEXT_MAX: usize = 512;

/// An entry as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    name: String,
    detections: Vec<String>,
    severity: String,
    pod: Option<Pod>,
    host: Option<Host>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pod {
    namespace: String,
    name: Option<String>,
    image: Option<String>,
    digest: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Host {
    exe: PathBuf,
    unit: Option<String>,
    #[serde(default)]
    descendants: bool,
}

impl Entry {
    /// Checks it; an error is the key and what is wrong with it.
    pub fn read(self) -> Result<TrustEntry, (&'static str, String)> {
        let severity = match self.severity.as_str() {
            "silent" => None,
            name => Some(Severity::parse(name).ok_or_else(|| {
                ("severity", "must be silent, info, low, medium, high or critical".to_owned())
            })?),
        };
        if self.detections.is_empty() || self.detections.len() > DETECTIONS_MAX {
            let message =
                format!("must name from 1 to {DETECTIONS_MAX} detections, as `rules list` shows them");
            return Err(("detections", message));
        }
        let subject = match (self.pod, self.host) {
            (Some(pod), None) => {
                if pod.name.is_none() && pod.image.is_none() && pod.digest.is_none() {
                    let message =
                        "a namespace alone trusts whoever can start a pod there; add name, image or digest";
                    return Err(("pod", message.to_owned()));
                }
                let Pod { namespace, name, image, digest } = pod;
                TrustedSubject::Pod { namespace, name, image, digest }
            }
            (None, Some(Host { exe, unit, descendants })) => {
                if !exe.is_absolute() {
                    return Err(("host.exe", "must be an absolute path".to_owned()));
                }
                TrustedSubject::Host { exe, unit, descendants }
            }
            _ => return Err(("pod", "an entry needs either `pod` or `host`".to_owned())),
        };
        let texts = match &subject {
            TrustedSubject::Pod { namespace, name, image, digest } => {
                vec![Some(namespace), name.as_ref(), image.as_ref(), digest.as_ref(), Some(&self.name)]
            }
            TrustedSubject::Host { unit, .. } => vec![unit.as_ref(), Some(&self.name)],
        };
        if texts
            .into_iter()
            .flatten()
            .chain(&self.detections)
            .any(|text| text.is_empty() || text.len() > TEXT_MAX)
        {
            return Err(("name", format!("texts must have from 1 to {TEXT_MAX} bytes")));
        }
        Ok(TrustEntry { name: self.name, detections: self.detections, severity, subject })
    }
}
