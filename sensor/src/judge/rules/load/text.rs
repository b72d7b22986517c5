//! A text of a rule file that knows where each of its characters stands, also where it was put together from several items.

use std::sync::Arc;

use crate::judge::rules::error::{Place, Source};
use crate::judge::rules::yaml::Node;

/// A condition, output or description with its place.
#[derive(Clone, Debug)]
pub struct Text {
    /// Its text.
    pub text: String,
    /// The pieces that it was put together from, in their order; never empty.
    pieces: Vec<Piece>,
}

/// Part of a text, as long as up to the start of the next one.
#[derive(Clone, Debug)]
struct Piece {
    /// First character.
    start: usize,
    node: Arc<Node>,
    source: Arc<Source>,
}

impl Text {
    /// The text of a scalar; `None` if the node is none.
    pub fn of(node: Node, source: &Arc<Source>) -> Option<Self> {
        let text = node.text()?.to_owned();
        let piece = Piece { start: 0, node: Arc::new(node), source: Arc::clone(source) };
        Some(Self { text, pieces: vec![piece] })
    }

    /// Adds another text behind a space.
    pub fn append(&mut self, other: Self) {
        // A folded scalar ends in a line feed, which separates as well; a space more does no harm.
        self.text.push(' ');
        let end = self.text.chars().count();
        self.text.push_str(&other.text);
        self.pieces.extend(other.pieces.into_iter().map(|piece| Piece { start: piece.start + end, ..piece }));
    }

    /// Where its characters `start..end` stand.
    pub fn place(&self, start: usize, end: usize) -> Place {
        let piece = self.pieces.iter().rev().find(|piece| piece.start <= start).unwrap_or(&self.pieces[0]);
        piece.node.place_within(&piece.source, start - piece.start, end.saturating_sub(piece.start))
    }
}
