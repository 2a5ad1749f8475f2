//! What both ends know of entities: the states that they went through in the basis, and when.
//!
//! Entities of a match mostly fall into few *patterns*: one changed in every snapshot of the
//! basis, another in none. What follows from a pattern is worked out once for a body.

use arrayvec::ArrayVec;

use super::{
    BASIS_MAX,
    forecast::FEATURES,
    links::{Link, Links},
};
use crate::{ids::Tick, rows::Rows};

/// Older than this counts as this old, so that a long gap does not throw forecasts far away.
const AGE_MAX: i32 = 64;

/// What follows from which rows of an entity differ.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pattern {
    /// Ticks for which things have moved on since the newest state.
    pub(super) elapsed: i32,
    /// Ticks that the last change took; 0 if none is known.
    pub(super) last_span: i32,
    /// Whether the entity was at rest all through a basis of several snapshots.
    pub(super) is_settled: bool,
    /// The last changes, newest first; the oldest that is known stands for those before it.
    spans: [Span; FEATURES],
}

/// A change: between the rows of which snapshots, and how many ticks it took. All 0 if none is
/// known.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    newer: u8,
    older: u8,
    ticks: f64,
    per_tick: f64,
}

/// The last changes of an entity, newest first, as in its pattern.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps<'a> {
    pub(super) newer: [&'a [i32]; FEATURES],
    pub(super) older: [&'a [i32]; FEATURES],
    /// Ticks that the last took, and one over those that each took; 0 if no change is known.
    pub(super) span: f64,
    pub(super) per_span: [f64; FEATURES],
}

/// The snapshots of a basis together.
#[derive(Debug)]
pub(super) struct Basis<'a> {
    /// How old each is, newest first.
    snapshots: ArrayVec<(i32, &'a Rows), BASIS_MAX>,
    /// From each to the next older one.
    links: ArrayVec<&'a [Link], { BASIS_MAX - 1 }>,
    /// The baseline of a full snapshot.
    none: &'a Rows,
    /// Those that were met.
    patterns: [Option<Pattern>; 1 << BASIS_MAX],
}

impl<'a> Basis<'a> {
    /// `none` stands for the baseline of a full snapshot. The links are made.
    pub(super) fn new(
        basis: &[(Tick, &'a Rows)],
        tick: Tick,
        none: &'a Rows,
        links: &'a Links,
    ) -> Self {
        let age = |at: Tick| tick.since(at).clamp(1, AGE_MAX);
        let pairs = basis.windows(2).map(|pair| links.between(pair[0].0, pair[1].0));
        Self {
            snapshots: basis.iter().map(|&(at, rows)| (age(at), rows)).collect(),
            links: pairs.collect(),
            none,
            patterns: [None; 1 << BASIS_MAX],
        }
    }

    /// The newest snapshot.
    pub(super) fn baseline(&self) -> &'a Rows {
        self.snapshots.first().map_or(self.none, |&(_, rows)| rows)
    }

    /// For the baseline's entity at `index` a bit for each two neighbouring rows that differ, from
    /// the newest on; the highest bit stands for the oldest row.
    #[inline]
    pub(super) fn pattern(&self, index: usize) -> usize {
        let (mut pattern, mut position) = (1, index);
        for (age, links) in self.links.iter().enumerate() {
            let link = links[position];
            if link == Link::ABSENT {
                break;
            }
            position = link.position();
            pattern += (1 + usize::from(link.differs())) << age;
        }
        pattern
    }

    /// What follows from a pattern.
    #[inline]
    pub(super) fn meaning(&mut self, pattern: usize) -> &Pattern {
        let Self { snapshots, patterns, .. } = self;
        patterns[pattern].get_or_insert_with(|| Pattern::new(pattern, snapshots))
    }

    /// The last changes of the baseline's entity at `index`, which has so many fields.
    #[inline]
    pub(super) fn steps(&self, index: usize, fields: usize, pattern: &Pattern) -> Steps<'a> {
        let mut rows: [&[i32]; BASIS_MAX] = [&[]; BASIS_MAX];
        let mut position = index;
        for (age, (row, (_, snapshot))) in rows.iter_mut().zip(&self.snapshots).enumerate() {
            *row = snapshot.values_of(position, fields);
            match self.links.get(age).map(|links| links[position]) {
                Some(link) if link != Link::ABSENT => position = link.position(),
                _ => break,
            }
        }
        let [a, b, c] = &pattern.spans;
        let row = |index: u8| rows[usize::from(index)];
        Steps {
            newer: [row(a.newer), row(b.newer), row(c.newer)],
            older: [row(a.older), row(b.older), row(c.older)],
            span: a.ticks,
            per_span: [a.per_tick, b.per_tick, c.per_tick],
        }
    }
}

impl Pattern {
    #[cold]
    fn new(pattern: usize, snapshots: &[(i32, &Rows)]) -> Self {
        let count = pattern.ilog2() as usize + 1;
        // The oldest row of each state.
        let states: ArrayVec<usize, BASIS_MAX> =
            (0..count).filter(|row| pattern >> row & 1 == 1).collect();
        let age = |state: usize| snapshots[states[state]].0;
        let mut span = Span::default();
        let mut spans = [span; FEATURES];
        for (i, place) in spans.iter_mut().enumerate() {
            if i + 1 < states.len() {
                let ticks = f64::from(age(i + 1) - age(i));
                let per_tick = if ticks > 0.0 { 1.0 / ticks } else { 0.0 };
                let (newer, older) = (states[i] as u8, states[i + 1] as u8);
                span = Span { newer, older, ticks, per_tick };
            }
            *place = span;
        }
        let has_changed = states.len() > 1;
        Self {
            elapsed: if has_changed { age(0) } else { snapshots[0].0 },
            last_span: if has_changed { age(1) - age(0) } else { 0 },
            is_settled: !has_changed && count > 1,
            spans,
        }
    }
}
