//! What a finding means: STRIDE, ATT&CK, the Microsoft Threat Matrix for Kubernetes, threat sources, severity.

pub mod attack;
pub mod kubernetes_matrix;
mod severity;
mod source;
mod stride;

pub use severity::Severity;
pub use source::ThreatSource;
pub use stride::{Stride, stride_of_tags};
