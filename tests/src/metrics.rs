//! Reads a page in the Prometheus text format.

use anyhow::{Context as _, Result, bail};
use std::collections::BTreeMap;

/// All samples of a page.
#[derive(Debug, Default)]
pub struct Page {
    samples: Vec<Sample>,
}

/// One line of a page.
#[derive(Debug, PartialEq)]
pub struct Sample {
    /// The metric's name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

impl Page {
    /// Reads a page; any line that is not in the format is an error.
    pub fn parse(text: &str) -> Result<Self> {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let samples = lines.map(|line| sample(line).with_context(|| format!("line {line:?}")));
        Ok(Self { samples: samples.collect::<Result<_>>()? })
    }

    /// The samples of one metric.
    pub fn samples<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| sample.name == name)
    }

    /// The sum of a metric by one of its labels.
    pub fn sum_by(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for sample in self.samples(name) {
            *sums.entry(sample.label(label).to_owned()).or_default() += sample.value;
        }
        sums
    }
}

impl Sample {
    /// A label's value, empty when there is no such label.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map(String::as_str).unwrap_or_default()
    }
}

fn sample(line: &str) -> Result<Sample> {
    let (name, rest) = line.split_at(line.find(['{', ' ']).context("no value")?);
    let legal = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | ':');
    if name.is_empty() || !name.chars().all(legal) {
        bail!("`{name}` is not a metric's name");
    }
    let mut labels = BTreeMap::new();
    let mut rest = rest;
    if let Some(mut inside) = rest.strip_prefix('{') {
        while !inside.starts_with('}') {
            let (label, value) = inside.split_once("=\"").context("a label without a value")?;
            let (value, after) = quoted(value)?;
            labels.insert(label.to_owned(), value);
            inside = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &inside[1..];
    }
    let value = rest.split_whitespace().next().context("no value")?;
    let value =
        value.trim_start_matches('+').parse().with_context(|| format!("`{value}` is not a number"))?;
    Ok(Sample { name: name.to_owned(), labels, value })
}

/// The text up to the closing quote with its escapes resolved, and what follows.
fn quoted(text: &str) -> Result<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &text[index + 1..])),
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, escaped @ ('\\' | '"'))) => value.push(escaped),
                other => bail!("unknown escape {other:?}"),
            },
            other => value.push(other),
        }
    }
    bail!("a label's value has no closing quote")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read() {
        let page = Page::parse(
            "# HELP a b\n# TYPE a counter\na{kind=\"exec\",stage=\"seen\"} 4\na{kind=\"exec\",stage=\"sent\",} 3\nb 1.5e3\nc{x=\"q\\\"\\n}\"} +Inf\n",
        )
        .unwrap();
        assert_eq!(page.sum_by("a", "kind")["exec"], 7.0);
        assert_eq!(page.samples("b").next().unwrap().value, 1500.0);
        assert_eq!(page.samples("c").next().unwrap().label("x"), "q\"\n}");
    }

    #[test]
    fn what_is_not_a_sample_is_an_error() {
        for line in ["a", "a{b=\"c\" 1", "a{b=\"c\"} x", "a-b 1", "a{b=\"\\x\"} 1"] {
            assert!(Page::parse(line).is_err(), "{line}");
        }
    }
}
