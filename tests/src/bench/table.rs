//! The figures as lines for people and as JSON.

use serde_json::{Map, Value, json};

/// What a figure should be.
#[derive(Clone, Copy)]
pub enum Expect {
    /// Nothing is expected of it.
    Nothing,
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
}

impl Expect {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::Nothing => true,
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }
}

/// All figures of a run; each is printed when it comes.
pub struct Table {
    figures: Map<String, Value>,
    missed: Vec<String>,
}

impl Table {
    /// An empty table; prints where it was measured.
    pub fn new(place: String) -> Self {
        println!("{place}");
        let mut figures = Map::new();
        figures.insert("place".into(), place.into());
        Self { figures, missed: Vec::new() }
    }

    /// Prints a heading.
    pub fn section(&self, title: &str) {
        println!("\n{title}");
    }

    /// Seconds with and without the sensor, as [`Self::pair_in`].
    pub fn pair(&mut self, name: &str, without: &[f64], with: &[f64]) {
        self.pair_in(name, "s", 3, without, with);
    }

    /// A figure with and without the sensor: medians, and the median of the pairs' ratios with their spread.
    pub fn pair_in(&mut self, name: &str, unit: &str, digits: usize, without: &[f64], with: &[f64]) {
        let mut ratios: Vec<f64> = without.iter().zip(with).map(|(without, with)| with / without).collect();
        ratios.sort_by(f64::total_cmp);
        let (before, after, ratio) = (median(without), median(with), median(&ratios));
        let (least, most) = (ratios.first().unwrap_or(&f64::NAN), ratios.last().unwrap_or(&f64::NAN));
        println!(
            "  {name:<34}{before:>9.digits$} {unit}{after:>9.digits$} {unit}   x {ratio:<6.3} ({least:.3} to {most:.3})"
        );
        self.figures.insert(
            name.into(),
            json!({"unit": unit, "without": before, "with": after, "ratio": ratio, "least_ratio": least, "most_ratio": most}),
        );
    }

    /// A single figure in a unit, with `digits` behind the point.
    pub fn figure(&mut self, name: &str, value: f64, digits: usize, unit: &str, expect: Expect) {
        let wanted = match expect {
            Expect::Nothing => String::new(),
            Expect::AtMost(most) => format!("at most {most} {unit}"),
            Expect::AtLeast(least) => format!("at least {least} {unit}"),
        };
        let verdict = match (expect, expect.holds(value)) {
            (Expect::Nothing, _) => "",
            (_, true) => ": ok",
            (_, false) => ": MISSED",
        };
        println!("  {name:<34}{value:>9.digits$} {unit:<18} {}{verdict}", wanted.trim_end());
        if !expect.holds(value) {
            self.missed.push(name.to_owned());
        }
        self.figures.insert(name.into(), json!({"value": value, "unit": unit}));
    }

    /// More figures, printed already.
    pub fn add(&mut self, name: &str, figures: Value) {
        self.figures.insert(name.into(), figures);
    }

    /// All figures.
    pub fn json(&self) -> Value {
        Value::Object(self.figures.clone())
    }

    /// Names of the figures that are not as expected.
    pub fn missed(&self) -> &[String] {
        &self.missed
    }
}

/// The middle value.
pub fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[middle],
        _ => (values[middle - 1] + values[middle]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn the_ratio_is_that_of_pairs_not_of_medians() {
        let mut table = Table::new("test".into());
        // Each pair says 2, though the machine became ten times slower in between.
        table.pair("wall", &[1.0, 10.0, 1.0], &[2.0, 20.0, 2.0]);
        assert_eq!(table.json()["wall"]["ratio"], 2.0);
    }

    #[test]
    fn what_is_missed_is_named() {
        let mut table = Table::new("test".into());
        table.figure("a", 1.0, 0, "s", Expect::AtMost(1.0));
        table.figure("b", 1.0, 0, "s", Expect::AtLeast(2.0));
        table.figure("c", f64::NAN, 0, "s", Expect::AtMost(2.0));
        assert_eq!(table.missed(), ["b", "c"]);
    }
}
