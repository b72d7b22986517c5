//! The rules that come with the sensor.

use super::Source;

macro_rules! embedded {
    ($($name:literal,)*) => {
        &[$(($name, include_str!(concat!("../../../rules/", $name))),)*]
    };
}

/// Files of sensor/rules/, in the order in which they are loaded.
const FILES: &[(&str, &str)] = embedded! {
    "00-macros.yaml",
};

/// The built-in rule files.
pub fn sources() -> Vec<Source> {
    FILES
        .iter()
        .map(|(name, text)| Source { name: format!("builtin/{name}"), text: (*text).to_owned() })
        .collect()
}
