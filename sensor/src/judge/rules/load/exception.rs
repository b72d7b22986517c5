//! Exceptions of a rule: combinations of values for which it does not speak.

use crate::judge::rules::error::{Code, Place, RuleError};
use crate::judge::rules::parser::{Check, Expression, Operand, Operator, Span, Term};
use crate::judge::rules::yaml::{Node, Yaml};

/// An exception as written.
#[derive(Clone, Debug)]
pub struct Exception {
    /// Its name, by which others add values.
    pub name: String,
    /// Where its name stands.
    pub place: Place,
    /// Its fields; none if it only adds values to an earlier one.
    pub fields: Vec<(String, Place)>,
    /// Whether the fields were written as one text: then the values are a plain list.
    pub is_single: bool,
    /// How each field is compared; empty for the usual way.
    pub operators: Vec<(Operator, Place)>,
    /// Combinations of values, each with one value or list of values for each field.
    pub combinations: Vec<Combination>,
}

/// One combination of values.
#[derive(Clone, Debug)]
pub struct Combination {
    /// For each field the values, and whether they were written as a list.
    pub values: Vec<(Vec<String>, bool)>,
    /// Where it stands.
    pub place: Place,
}

impl Exception {
    /// The condition under which the rule does not speak; `None` without values.
    ///
    /// # Errors
    /// If fields, comparisons and values do not fit each other.
    pub fn expression(&self) -> Result<Option<Expression>, RuleError> {
        let wrong = |place: &Place, message: String| RuleError::new(Code::BadValue, place.clone(), message);
        if self.fields.is_empty() {
            let message = format!("exception `{}` has no `fields`", self.name);
            return Err(wrong(&self.place, message).help("name the fields that its values are for"));
        }
        if !self.operators.is_empty() && self.operators.len() != self.fields.len() {
            let (fields, operators) = (self.fields.len(), self.operators.len());
            let message = format!("exception `{}` has {fields} fields, but {operators} `comps`", self.name);
            return Err(wrong(&self.place, message));
        }
        let mut any = Vec::new();
        for combination in &self.combinations {
            if combination.values.len() != self.fields.len() {
                let (values, fields) = (combination.values.len(), self.fields.len());
                let message = format!("{values} values for the {fields} fields of exception `{}`", self.name);
                return Err(wrong(&combination.place, message));
            }
            let parts = self.fields.iter().zip(&combination.values).enumerate();
            let parts = parts.map(|(index, (field, values))| self.part(index, field, values, combination));
            any.push(Expression::And(parts.collect::<Result<_, _>>()?));
        }
        Ok((!any.is_empty()).then_some(Expression::Or(any)))
    }

    /// One comparison: of a list with each of its values, where the operator takes only one.
    fn part(
        &self,
        index: usize,
        (field, field_place): &(String, Place),
        (values, is_list): &(Vec<String>, bool),
        combination: &Combination,
    ) -> Result<Expression, RuleError> {
        let usual = if *is_list { Operator::In } else { Operator::Equal };
        let operator = self.operators.get(index).map_or(usual, |(operator, _)| *operator);
        if operator == Operator::Exists {
            let place = self.operators[index].1.clone();
            return Err(RuleError::new(Code::BadOperator, place, "`exists` takes no values"));
        }
        let nowhere = Span { start: 0, end: 0 };
        let check = |values: &[String]| {
            let operand = |text: &String| Operand::bare(text.clone(), nowhere);
            let check = Check {
                subject: Term::Field(field.clone(), nowhere),
                operator,
                operator_span: nowhere,
                values: values.iter().map(operand).collect(),
                other: None,
            };
            let place = if values.is_empty() { field_place } else { &combination.place };
            Expression::Placed(Box::new(Expression::Check(check)), Box::new(place.clone()))
        };
        if operator.takes_list() || values.len() == 1 {
            return Ok(check(values));
        }
        Ok(Expression::Or(values.chunks(1).map(check).collect()))
    }

    /// Adds the values of a later item of the same name.
    pub fn extend(&mut self, other: Self) {
        self.combinations.extend(other.combinations);
    }
}

/// The combinations that `values` holds.
///
/// # Errors
/// With what the values should be.
pub fn combinations(
    node: &Node,
    is_single: bool,
    place: impl Fn(&Node) -> Place,
) -> Result<Vec<Combination>, (Place, String)> {
    let Yaml::Sequence(items) = &node.value else {
        return Err((place(node), "`values` takes a list".to_owned()));
    };
    if is_single {
        let mut values = Vec::new();
        for item in items {
            values.extend(texts(item).ok_or_else(|| (place(item), "expected a value".to_owned()))?.0);
        }
        let combination = Combination { values: vec![(values, true)], place: place(node) };
        return Ok(if items.is_empty() { Vec::new() } else { vec![combination] });
    }
    let mut combinations = Vec::new();
    for item in items {
        let Yaml::Sequence(values) = &item.value else {
            return Err((place(item), "expected a list with one value for each field".to_owned()));
        };
        let values = values.iter().map(texts).collect::<Option<Vec<_>>>();
        let values =
            values.ok_or_else(|| (place(item), "a value is a text or a list of texts".to_owned()))?;
        combinations.push(Combination { values, place: place(item) });
    }
    Ok(combinations)
}

/// A text, or a list of texts, also one that is written as a text in parentheses.
fn texts(node: &Node) -> Option<(Vec<String>, bool)> {
    match &node.value {
        Yaml::Scalar(text, _) => {
            let inner = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
            Some(match inner {
                Some(inner) => {
                    let values = inner.split(',').map(str::trim).filter(|value| !value.is_empty());
                    (values.map(str::to_owned).collect(), true)
                }
                None => (vec![text.clone()], false),
            })
        }
        Yaml::Sequence(nodes) => {
            let values = nodes.iter().map(|node| node.text().map(str::to_owned));
            Some((values.collect::<Option<_>>()?, true))
        }
        Yaml::Mapping(_) => None,
    }
}
