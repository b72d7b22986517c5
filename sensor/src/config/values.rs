//! Reads single values as people write them: sizes, durations, addresses, names from a list.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use jiff::SignedDuration;

/// Where metrics are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsAddress {
    /// Nowhere.
    Off,
    /// On this address.
    On(SocketAddr),
}

impl MetricsAddress {
    /// The address, if any.
    pub fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Off => None,
            Self::On(address) => Some(address),
        }
    }
}

impl Default for MetricsAddress {
    /// Loopback only: whoever wants metrics from outside says so.
    fn default() -> Self {
        Self::On((Ipv4Addr::LOCALHOST, 9464).into())
    }
}

impl FromStr for MetricsAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let address = text.parse().map(Self::On);
        address.map_err(|_| {
            format!("`{}` is no address; write IP:PORT like 127.0.0.1:9464, or off", shown(text))
        })
    }
}

/// Reads a positive duration such as `30s`, `500ms` or `1h 30m`.
///
/// # Errors
/// If it is none, with an example of one.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    match parsed {
        Some(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(format!("`{}` is no duration above zero; write one like 30s, 500ms or 1h 30m", shown(text))),
    }
}

/// Reads a number of bytes such as `64MiB`, `1GB` or `4096`.
///
/// # Errors
/// If it is none, or more than a u64 holds.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    let (digits, unit) = trimmed.split_at(trimmed.bytes().take_while(u8::is_ascii_digit).count());
    let factor = match unit.trim_start() {
        "" | "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        "TiB" => Some(1 << 40),
        "KB" | "kB" => Some(1_000),
        "MB" => Some(1_000_000),
        "GB" => Some(1_000_000_000),
        "TB" => Some(1_000_000_000_000),
        _ => None,
    };
    let bytes =
        digits.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    bytes.ok_or_else(|| format!("`{}` is no size; write one like 64MiB, 1GB or 4096", shown(text)))
}

/// Reads one of an enum's names.
pub(super) fn parse_name<T: ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text, false).map_err(|_| {
        let values: Vec<_> = T::value_variants().iter().filter_map(T::to_possible_value).collect();
        let names: Vec<&str> = values.iter().map(|value| value.get_name()).collect();
        unknown("value", text, &names)
    })
}

/// Says that a name is not known, with the one that was probably meant, else with all.
pub(super) fn unknown(what: &str, text: &str, names: &[&str]) -> String {
    let near = names.iter().map(|name| (strsim::damerau_levenshtein(name, &shown(text)), name)).min();
    match near {
        Some((distance, name)) if distance <= 1 + name.len() / 4 => {
            format!("unknown {what} `{}`; did you mean `{name}`?", shown(text))
        }
        _ => format!("unknown {what} `{}`; known are {}", shown(text), names.join(", ")),
    }
}

/// Text for an error message: escaped, and cut to a length that fits a line.
fn shown(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}

/// A node's name is a DNS subdomain (RFC 1123), but hosts outside of Kubernetes are less strict.
pub(super) fn is_node_name(name: &str) -> bool {
    (1..=253).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let good =
            [("4096", 4096), ("64MiB", 64 << 20), ("1 GiB", 1 << 30), ("2kB", 2000), ("0", 0), (" 7B ", 7)];
        for (text, bytes) in good {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5GiB", "64mib", "99999999TiB", "18446744073709551616"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations() {
        let good = [("30s", 30_000), ("500ms", 500), ("1h 30m", 5_400_000), ("1m30s", 90_000)];
        for (text, milliseconds) in good {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "30", "-5s", "0s", "soon", "99999999999999999999h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn addresses() {
        assert_eq!("off".parse(), Ok(MetricsAddress::Off));
        assert_eq!("[::1]:1".parse::<MetricsAddress>().unwrap().address().unwrap().port(), 1);
        for text in ["", ":9464", "localhost", "127.0.0.1", "127.0.0.1:70000", "OFF"] {
            assert!(text.parse::<MetricsAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest_or_all() {
        assert_eq!(
            unknown("key", "out_put", &["output", "scope"]),
            "unknown key `out_put`; did you mean `output`?"
        );
        assert_eq!(
            unknown("key", "colour", &["output", "scope"]),
            "unknown key `colour`; known are output, scope"
        );
        assert!(unknown("key", "\x1b[2J", &["a"]).contains(r"`\u{1b}[2J`"));
    }
}
