//! What values are compared with: operators and values to matchers, by the type of the field.

use std::net::IpAddr;
use std::sync::Arc;

use super::parser::{Operator, Span};
use super::pattern::{glob, hexadecimal, pattern};
use super::program::{Matcher, TextMatcher};

/// Why a field, an operator and values do not fit each other.
pub enum Mismatch {
    /// The operator does not work on the type.
    Operator,
    /// A value is not of the type.
    Value(Span, String),
    /// A pattern cannot be built.
    Pattern(Span, String),
}

/// The one value that an operator takes.
pub fn only(values: &[(String, Span)]) -> Result<(&str, Span), Mismatch> {
    match values {
        [(text, span)] => Ok((text, *span)),
        [(_, span), ..] => Err(Mismatch::Value(*span, "this is a list".to_owned())),
        [] => Err(Mismatch::Operator),
    }
}

/// A comparison of a boolean.
pub fn boolean(operator: Operator, values: &[(String, Span)]) -> Result<Matcher, Mismatch> {
    let (text, span) = only(values)?;
    let value = match text {
        "true" => true,
        "false" => false,
        _ => return Err(Mismatch::Value(span, format!("`{text}` is neither true nor false"))),
    };
    match operator {
        Operator::Equal | Operator::In => Ok(Matcher::Bool(value)),
        Operator::NotEqual => Ok(Matcher::Bool(!value)),
        _ => Err(Mismatch::Operator),
    }
}

/// A number, or a duration in nanoseconds.
fn parse_number(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: i64 = text[..digits].parse().ok()?;
    let unit = match &text[digits..] {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// A comparison of a number.
pub fn number(operator: Operator, values: &[(String, Span)]) -> Result<Matcher, Mismatch> {
    let parse = |(text, span): (&str, Span)| {
        parse_number(text).ok_or_else(|| Mismatch::Value(span, format!("`{text}` is not")))
    };
    let compare =
        |less, equal, greater| Ok(Matcher::Number { other: parse(only(values)?)?, less, equal, greater });
    match operator {
        Operator::Equal => compare(false, true, false),
        Operator::NotEqual => compare(true, false, true),
        Operator::Less => compare(true, false, false),
        Operator::LessEqual => compare(true, true, false),
        Operator::Greater => compare(false, false, true),
        Operator::GreaterEqual => compare(false, true, true),
        Operator::In | Operator::Intersects => {
            let numbers = values.iter().map(|(text, span)| parse((text, *span)));
            let mut numbers = numbers.collect::<Result<Vec<i64>, _>>()?;
            numbers.sort_unstable();
            Ok(Matcher::NumberIn(numbers.into()))
        }
        _ => Err(Mismatch::Operator),
    }
}

/// A comparison of a text.
pub fn text(operator: Operator, values: &[(String, Span)]) -> Result<Matcher, Mismatch> {
    let bytes = |text: &str| -> Box<[u8]> { text.as_bytes().into() };
    let matcher = match operator {
        Operator::Equal => TextMatcher::Equal(bytes(only(values)?.0)),
        Operator::NotEqual => return Ok(Matcher::NotText(TextMatcher::Equal(bytes(only(values)?.0)))),
        Operator::In | Operator::Intersects => match values {
            [(text, _)] => TextMatcher::Equal(bytes(text)),
            _ => TextMatcher::In(Arc::new(values.iter().map(|(text, _)| bytes(text)).collect())),
        },
        Operator::Contains => {
            let finder = memchr::memmem::Finder::new(only(values)?.0.as_bytes()).into_owned();
            TextMatcher::Contains(Box::new(finder))
        }
        Operator::IgnoreCaseContains => {
            let (text, span) = only(values)?;
            pattern(&format!("(?i){}", regex::escape(text)), span)?
        }
        Operator::StartsWith => TextMatcher::StartsWith(bytes(only(values)?.0)),
        Operator::EndsWith => TextMatcher::EndsWith(bytes(only(values)?.0)),
        Operator::BytesContain | Operator::BytesStartWith => {
            let (text, span) = only(values)?;
            let bytes = hexadecimal(text).ok_or_else(|| {
                Mismatch::Value(span, format!("`{text}` is not made of pairs of hexadecimal digits"))
            })?;
            if operator == Operator::BytesContain {
                TextMatcher::Contains(Box::new(memchr::memmem::Finder::new(&bytes).into_owned()))
            } else {
                TextMatcher::StartsWith(bytes.into())
            }
        }
        Operator::Glob | Operator::IgnoreCaseGlob => {
            let (text, span) = only(values)?;
            let case = if operator == Operator::Glob { "" } else { "(?i)" };
            pattern(&format!("{case}\\A(?s:{})\\z", glob(text)), span)?
        }
        Operator::Regex => {
            let (text, span) = only(values)?;
            pattern(&format!("\\A(?:{text})\\z"), span)?
        }
        Operator::PathMatch => path_match(values)?,
        Operator::Less
        | Operator::LessEqual
        | Operator::Greater
        | Operator::GreaterEqual
        | Operator::Exists => {
            return Err(Mismatch::Operator);
        }
    };
    Ok(Matcher::Text(matcher))
}

fn path_match(values: &[(String, Span)]) -> Result<TextMatcher, Mismatch> {
    let Some((_, span)) = values.first() else { return Ok(TextMatcher::Below(Box::new([]))) };
    if values.iter().any(|(text, _)| text.contains(['*', '?', '['])) {
        let globs: Vec<String> = values.iter().map(|(text, _)| glob(text.trim_end_matches('/'))).collect();
        return pattern(&format!("\\A(?s:{})(?:/|\\z)", globs.join("|")), *span);
    }
    Ok(TextMatcher::Below(values.iter().map(|(text, _)| text.as_bytes().into()).collect()))
}

/// A comparison of an address with networks.
pub fn network(operator: Operator, values: &[(String, Span)]) -> Result<Matcher, Mismatch> {
    let networks = values.iter().map(|(text, span)| {
        parse_network(text).ok_or_else(|| Mismatch::Value(*span, format!("`{text}` is not")))
    });
    let networks = TextMatcher::Network(networks.collect::<Result<_, _>>()?);
    match operator {
        Operator::In | Operator::Intersects => Ok(Matcher::Text(networks)),
        Operator::Equal => only(values).map(|_| Matcher::Text(networks)),
        Operator::NotEqual => only(values).map(|_| Matcher::NotText(networks)),
        _ => Err(Mismatch::Operator),
    }
}

/// `address/bits` or an address, as number and mask of 128 bits; IPv4 is mapped into IPv6.
fn parse_network(text: &str) -> Option<(u128, u128)> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.parse().ok()?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(width), |bits| bits.parse::<u32>().ok()).filter(|bits| *bits <= width)?;
    let mask = u128::MAX.checked_shl(width - bits).unwrap_or(0);
    Some((address_number(address) & mask, mask))
}

/// An address as a number of 128 bits.
pub fn address_number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_ipv6_mapped()),
        IpAddr::V6(address) => u128::from(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_masks() {
        let holds = |network: &str, address: &str| {
            let (value, mask) = parse_network(network).expect("valid");
            address_number(address.parse().expect("valid")) & mask == value
        };
        assert!(holds("10.0.0.0/8", "10.255.0.1") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("127.0.0.1", "127.0.0.1") && !holds("127.0.0.1", "127.0.0.2"));
        assert!(holds("fe80::/10", "febf::1") && !holds("fe80::/10", "10.0.0.1"));
        assert!(holds("0.0.0.0/0", "1.2.3.4") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("::/0", "1.2.3.4"));
        for wrong in ["10.0.0.0/33", "10.0.0/8", "x", "", "::1/129"] {
            assert_eq!(parse_network(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn durations_are_numbers() {
        assert_eq!(parse_number("30s"), Some(30_000_000_000));
        assert_eq!(parse_number("-5"), Some(-5));
        assert_eq!(parse_number("5 s"), None);
        assert_eq!(parse_number("9223372036854775807h"), None);
        assert_eq!(parse_number("s"), None);
    }
}
