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
    /// In which rows its states are, newest first. To an older state than is known, the oldest
    /// change that is known is undone and done again, so that its pace stands for those before.
    states: [u8; STATES],
    per_span: [f64; FEATURES],
    pace: [f64; FEATURES],
}

/// States that are told apart: those between which the last changes are.
const STATES: usize = FEATURES + 1;

/// The last changes of an entity, newest first, as in its pattern.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps<'a> {
    /// Its states.
    pub(super) rows: [&'a [i32]; STATES],
    /// Ticks that the last took; 0 if no change is known.
    pub(super) span: f64,
    /// Ticks that went by since the newest state.
    pub(super) elapsed: f64,
    /// Those over the ticks that each change took; 0 if none is known, and negative for one that
    /// is undone.
    pub(super) pace: [f64; FEATURES],
    /// One over the ticks that each change took.
    pub(super) per_span: [f64; FEATURES],
}

impl Steps<'_> {
    /// Lets so many ticks have gone by.
    #[inline(always)]
    pub(super) fn set_elapsed(&mut self, elapsed: f64) {
        self.elapsed = elapsed;
        self.pace = self.per_span.map(|per_span| per_span * elapsed);
    }
}

/// Where an entity is in the snapshots of a basis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trail {
    /// A bit for each two neighbouring rows that differ, from the newest on; the highest bit
    /// stands for the oldest row.
    pub(super) pattern: usize,
    positions: [u32; BASIS_MAX],
}

/// The patterns that were met, for as long as snapshots are as old: mostly from body to body.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    ages: ArrayVec<i32, BASIS_MAX>,
    met: [Option<Pattern>; 1 << BASIS_MAX],
}

/// The snapshots of a basis together.
#[derive(Debug)]
pub(super) struct Basis<'a> {
    /// Newest first.
    snapshots: ArrayVec<&'a Rows, BASIS_MAX>,
    /// From each to the next older one.
    links: ArrayVec<&'a [Link], { BASIS_MAX - 1 }>,
    /// The baseline of a full snapshot.
    none: &'a Rows,
    patterns: &'a mut Patterns,
}

impl<'a> Basis<'a> {
    /// `none` stands for the baseline of a full snapshot. The links are made.
    pub(super) fn new(
        basis: &[(Tick, &'a Rows)],
        tick: Tick,
        none: &'a Rows,
        links: &'a Links,
        patterns: &'a mut Patterns,
    ) -> Self {
        let age = |&(at, _): &(Tick, _)| tick.since(at).clamp(1, AGE_MAX);
        let ages: ArrayVec<i32, BASIS_MAX> = basis.iter().map(age).collect();
        if patterns.ages != ages {
            *patterns = Patterns { ages, ..Patterns::default() };
        }
        let pairs = basis.windows(2).map(|pair| links.between(pair[0].0, pair[1].0));
        Self {
            snapshots: basis.iter().map(|&(_, rows)| rows).collect(),
            links: pairs.collect(),
            none,
            patterns,
        }
    }

    /// The newest snapshot.
    pub(super) fn baseline(&self) -> &'a Rows {
        self.snapshots.first().map_or(self.none, |&rows| rows)
    }

    /// The trail of the baseline's entity at `index`.
    #[inline(always)]
    pub(super) fn trail(&self, index: usize) -> Trail {
        let mut trail = Trail { pattern: 1, positions: [index as u32; BASIS_MAX] };
        let mut position = index;
        for (age, links) in self.links.iter().enumerate() {
            let link = links[position];
            if link == Link::ABSENT {
                break;
            }
            position = link.position();
            trail.positions[age + 1] = position as u32;
            trail.pattern += (1 + usize::from(link.differs())) << age;
        }
        trail
    }

    /// What follows from a pattern.
    #[inline(always)]
    pub(super) fn meaning(&mut self, pattern: usize) -> &Pattern {
        let Patterns { ages, met } = &mut *self.patterns;
        met[pattern].get_or_insert_with(|| Pattern::new(pattern, ages))
    }

    /// The last changes of an entity that has so many fields.
    #[inline]
    pub(super) fn steps(&self, trail: &Trail, fields: usize, pattern: &Pattern) -> Steps<'a> {
        let row = |state: usize| {
            let row = usize::from(pattern.states[state]);
            self.snapshots[row].values_of(trail.positions[row] as usize, fields)
        };
        let Pattern { pace, per_span, last_span, elapsed, .. } = *pattern;
        let rows = [row(0), row(1), row(2), row(3)];
        Steps { rows, span: last_span.into(), elapsed: elapsed.into(), pace, per_span }
    }
}

impl Pattern {
    #[cold]
    fn new(pattern: usize, ages: &[i32]) -> Self {
        let count = pattern.ilog2() as usize + 1;
        // The oldest row of each state.
        let states: ArrayVec<usize, BASIS_MAX> =
            (0..count).filter(|row| pattern >> row & 1 == 1).collect();
        let age = |state: usize| ages[states[state]];
        let changes = states.len() - 1;
        let ticks = |change: usize| age(change + 1) - age(change);
        let mut pattern = Self {
            elapsed: if changes > 0 { age(0) } else { ages[0] },
            last_span: if changes > 0 { ticks(0) } else { 0 },
            is_settled: changes == 0 && count > 1,
            states: [states[0] as u8; STATES],
            per_span: [0.0; FEATURES],
            pace: [0.0; FEATURES],
        };
        for change in 0..if changes > 0 { FEATURES } else { 0 } {
            if change < changes {
                pattern.states[change + 1] = states[change + 1] as u8;
                let ticks = f64::from(ticks(change));
                pattern.per_span[change] = if ticks > 0.0 { 1.0 / ticks } else { 0.0 };
            } else {
                pattern.states[change + 1] = pattern.states[change - 1];
                pattern.per_span[change] = -pattern.per_span[change - 1];
            }
        }
        pattern.pace = pattern.per_span.map(|per_span| per_span * f64::from(pattern.elapsed));
        pattern
    }
}
