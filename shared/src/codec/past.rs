//! What both ends know of entities: the states that they went through in the basis, and when.
//!
//! Entities of a match mostly fall into few *patterns*: one changed in every snapshot of the
//! basis, another in none. What follows from a pattern is worked out once for a body.

use arrayvec::ArrayVec;

use super::{BASIS_MAX, forecast::FEATURES, links::Link};
use crate::{ids::Tick, rows::Rows};

/// Older than this counts as this old, so that a long gap does not throw forecasts far away.
const AGE_MAX: i32 = 64;

/// What follows from which rows of an entity differ.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pattern {
    /// Ticks for which things have moved on since the newest state.
    pub(super) elapsed: i32,
    /// The first context of whether it changed.
    pub(super) context: usize,
    /// Ticks that the last change took; 0 if none is known.
    last_span: i32,
    /// In which rows its states are, newest first. To an older state than is known, the oldest
    /// change that is known is undone and done again, so that its pace stands for those before.
    states: [u8; STATES],
    /// The oldest of those rows.
    oldest: u8,
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

/// How an entity went through a basis: a bit for each two neighbouring rows that differ, from the
/// newest on; the highest bit stands for the oldest row.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Trail(u8);

impl Trail {
    /// Of one row.
    const BEGUN: Self = Self(1);

    /// With one row more, the newest.
    fn followed(self, differs: bool) -> Self {
        let longer = self.0 << 1 | u8::from(differs);
        // The oldest row is beyond the basis now.
        let oldest = 1 << (BASIS_MAX - 1);
        Self(if longer < 2 * oldest { longer } else { longer & (oldest - 1) | oldest })
    }

    /// Whether it was at rest all through several snapshots.
    #[inline(always)]
    pub(super) fn is_settled(self) -> bool {
        self.0 > 1 && self.0.is_power_of_two()
    }
}

/// The trails of all entities of a baseline.
#[derive(Debug, Default)]
struct Trails {
    /// Of the basis.
    ticks: ArrayVec<Tick, BASIS_MAX>,
    trails: Vec<Trail>,
    older: Vec<Trail>,
}

impl Trails {
    /// Follows the entities through a basis, of which the links from each snapshot to the next
    /// older one are given. Mostly it has one snapshot more than that before, and the oldest less.
    fn follow(&mut self, basis: &[(Tick, &Rows)], links: &[&[Link]]) {
        let ticks: ArrayVec<Tick, BASIS_MAX> = basis.iter().map(|&(tick, _)| tick).collect();
        if ticks == self.ticks {
            return;
        }
        let known = if ticks.is_full() { BASIS_MAX - 1 } else { self.ticks.len() };
        let older = ticks.get(1..).filter(|older| !older.is_empty());
        let new_links = if older.is_some() && older == self.ticks.get(..known) {
            &links[..1]
        } else {
            self.trails.clear();
            self.trails.resize(basis.last().map_or(0, |(_, oldest)| oldest.len()), Trail::BEGUN);
            links
        };
        for links in new_links.iter().rev() {
            std::mem::swap(&mut self.trails, &mut self.older);
            self.trails.clear();
            // Of one that the older snapshot does not have, the link leads beyond all.
            self.trails.extend(links.iter().map(|link| {
                let older = self.older.get(link.position());
                older.map_or(Trail::BEGUN, |older| older.followed(link.differs()))
            }));
        }
        self.ticks = ticks;
    }
}

/// The patterns that were met, for as long as snapshots are as old: mostly from body to body.
#[derive(Debug, Default)]
struct Patterns {
    ages: ArrayVec<i32, BASIS_MAX>,
    /// By trail.
    met: [Option<Pattern>; 1 << BASIS_MAX],
}

/// What is kept of one body for the next. Reused without giving memory back.
#[derive(Debug, Default)]
pub(super) struct Memory {
    trails: Trails,
    patterns: Patterns,
}

/// The snapshots of a basis together.
#[derive(Debug)]
pub(super) struct Basis<'a> {
    /// Newest first.
    snapshots: ArrayVec<&'a Rows, BASIS_MAX>,
    /// From each to the next older one.
    links: &'a [&'a [Link]],
    /// The baseline of a full snapshot.
    none: &'a Rows,
    trails: &'a [Trail],
    patterns: &'a mut Patterns,
}

impl<'a> Basis<'a> {
    /// `none` stands for the baseline of a full snapshot; `links` are those from each snapshot to
    /// the next older one.
    pub(super) fn new(
        basis: &[(Tick, &'a Rows)],
        tick: Tick,
        none: &'a Rows,
        links: &'a [&'a [Link]],
        memory: &'a mut Memory,
    ) -> Self {
        let Memory { trails, patterns } = memory;
        trails.follow(basis, links);
        let age = |&(at, _): &(Tick, _)| tick.since(at).clamp(1, AGE_MAX);
        let ages: ArrayVec<i32, BASIS_MAX> = basis.iter().map(age).collect();
        if patterns.ages != ages {
            *patterns = Patterns { ages, ..Patterns::default() };
        }
        let snapshots = basis.iter().map(|&(_, rows)| rows).collect();
        Self { snapshots, links, none, trails: &trails.trails, patterns }
    }

    /// The newest snapshot.
    pub(super) fn baseline(&self) -> &'a Rows {
        self.snapshots.first().map_or(self.none, |&rows| rows)
    }

    /// The trails of the baseline's entities.
    pub(super) fn trails(&self) -> &'a [Trail] {
        self.trails
    }

    /// What follows from a trail.
    #[inline(always)]
    pub(super) fn meaning(&mut self, trail: Trail) -> &Pattern {
        let Patterns { ages, met } = &mut *self.patterns;
        met[usize::from(trail.0)].get_or_insert_with(|| Pattern::new(trail, ages))
    }

    /// The last changes of the baseline's entity at `index`, which has so many fields.
    #[inline]
    pub(super) fn steps(&self, index: usize, fields: usize, pattern: &Pattern) -> Steps<'a> {
        let mut positions = [index; BASIS_MAX];
        for row in 0..usize::from(pattern.oldest) {
            positions[row + 1] = self.links[row][positions[row]].position();
        }
        let row = |state: usize| {
            let row = usize::from(pattern.states[state]);
            self.snapshots[row].values_of(positions[row], fields)
        };
        let Pattern { pace, per_span, last_span, elapsed, .. } = *pattern;
        let rows = [row(0), row(1), row(2), row(3)];
        Steps { rows, span: last_span.into(), elapsed: elapsed.into(), pace, per_span }
    }
}

impl Pattern {
    #[cold]
    fn new(trail: Trail, ages: &[i32]) -> Self {
        // The oldest row of each state.
        let states: ArrayVec<usize, BASIS_MAX> =
            (0..BASIS_MAX).filter(|row| trail.0 >> row & 1 == 1).collect();
        let age = |state: usize| ages[states[state]];
        let changes = states.len() - 1;
        let ticks = |change: usize| age(change + 1) - age(change);
        let (elapsed, last_span) = if changes > 0 { (age(0), ticks(0)) } else { (ages[0], 0) };
        let age_class = if trail.is_settled() { 4 } else { elapsed.min(4) - 1 };
        let mut pattern = Self {
            elapsed,
            context: (age_class * 4 + last_span.min(3)) as usize * 3,
            last_span,
            oldest: states[changes.min(FEATURES)] as u8,
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
