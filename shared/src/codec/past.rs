//! The states that each entity had in the basis, and when it changed.
//!
//! An entity's *trail* is in which snapshots of the basis it changed. Most entities of a match have
//! one of a few trails, such as a change in every snapshot, or in none. The timing of a trail's
//! changes, its [`Pattern`], is computed once and kept while the snapshots' ages stay the same.
//!
//! Trails, and where the rows of each entity are, make up its [`History`]. Histories are kept from
//! body to body, since most bases are the previous one with one more snapshot.

use std::sync::OnceLock;

use arrayvec::ArrayVec;

use super::{
    BASIS_MAX,
    forecast::FEATURES,
    links::{Link, Links},
};
use crate::{ids::Tick, rows::Rows};

/// Largest age, in ticks; older snapshots count as this old, so that a long gap does not make
/// forecasts extrapolate too far.
const AGE_MAX: i32 = 64;

/// The timing of an entity's last changes, newest first; the same for all entities with one trail.
#[derive(Debug)]
pub(super) struct Pattern {
    /// Ticks over which to extrapolate, from the newest state to the new snapshot.
    pub(super) elapsed: i32,
    /// The first of its three contexts of whether an entity changed.
    pub(super) context: usize,
    /// Ticks that the last change took; 0 if there is none in the basis.
    pub(super) span: f64,
    /// One over the ticks that each change took; 0 if there is none, and negative for a change that
    /// is undone.
    pub(super) per_span: [f64; FEATURES],
    /// The snapshots that have its states, newest first. If there are fewer states, the oldest
    /// change is repeated, alternately undone and redone, so that its pace stands for older ones.
    states: [u8; STATES],
}

/// Number of states: those before and after each of the last changes.
const STATES: usize = FEATURES + 1;

/// The last states of an entity, newest first: each row, and what follows it in its snapshot.
pub(super) type States<'a> = [&'a [i32]; STATES];

/// In which snapshots of a basis an entity changed: bit `n` is set if the row in snapshot `n`,
/// counted from the newest, differs from the next older one. The highest bit that is set stands for
/// the oldest snapshot that has the entity.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Trail(u8);

impl Trail {
    /// The trail of an entity that is in the newest snapshot only.
    const BEGUN: Self = Self(1);

    /// The trail after one more snapshot.
    fn followed(self, differs: bool) -> Self {
        let longer = self.0 << 1 | u8::from(differs);
        // Drop the oldest row if it is no longer in the basis.
        let oldest = 1 << (BASIS_MAX - 1);
        Self(if longer < 2 * oldest { longer } else { longer & (oldest - 1) | oldest })
    }

    /// Whether the entity is in two snapshots or more, and has not changed in any.
    #[inline(always)]
    pub(super) fn is_settled(self) -> bool {
        self.0 > 1 && self.0.is_power_of_two()
    }
}

/// When an entity changed in a basis, and where its rows are.
#[derive(Clone, Copy, Debug)]
pub(super) struct History {
    pub(super) trail: Trail,
    /// Where its row begins in each snapshot that the trail covers.
    starts: [u32; BASIS_MAX],
}

impl History {
    /// That of an entity whose row begins at `start` in the newest snapshot; `older` is its history
    /// in the others.
    #[inline(always)]
    fn new(start: u32, older: Option<&Self>, differs: bool) -> Self {
        let Some(older) = older else {
            return Self { trail: Trail::BEGUN, starts: [start; BASIS_MAX] };
        };
        let [a, b, c, d, _] = older.starts;
        Self { trail: older.trail.followed(differs), starts: [start, a, b, c, d] }
    }

    /// Its last states in a basis whose snapshots have these values.
    #[inline(always)]
    pub(super) fn states<'a>(
        &self,
        values: &[&'a [i32]; BASIS_MAX],
        pattern: &Pattern,
    ) -> States<'a> {
        let state = |state: usize| {
            let row = usize::from(pattern.states[state]);
            &values[row][self.starts[row] as usize..]
        };
        [state(0), state(1), state(2), state(3)]
    }
}

/// The histories of all entities of a baseline.
#[derive(Debug, Default)]
struct Histories {
    /// The ticks of the basis.
    ticks: ArrayVec<Tick, BASIS_MAX>,
    all: Vec<History>,
    older: Vec<History>,
}

impl Histories {
    /// Makes the histories for a basis. Usually it is the previous one with one newer snapshot, and
    /// without its oldest; then the histories are extended.
    fn update(&mut self, basis: &[(Tick, &Rows)], links: &mut Links) {
        let ticks: ArrayVec<Tick, BASIS_MAX> = basis.iter().map(|&(tick, _)| tick).collect();
        if ticks == self.ticks {
            return;
        }
        let known = if ticks.is_full() { BASIS_MAX - 1 } else { self.ticks.len() };
        let older = ticks.get(1..).filter(|older| !older.is_empty());
        let new = if older.is_some() && older == self.ticks.get(..known) {
            &basis[..2]
        } else {
            self.all.clear();
            let starts = basis.last().into_iter().flat_map(|(_, oldest)| oldest.starts());
            self.all.extend(starts.map(|start| History::new(start, None, true)));
            basis
        };
        for pair in new.windows(2).rev() {
            std::mem::swap(&mut self.all, &mut self.older);
            self.all.clear();
            let links = links.between(pair[0], pair[1]);
            let mut start = 0;
            self.all.extend(links.iter().zip(pair[0].1.ends()).map(|(link, &end)| {
                // If the older snapshot does not have the entity, the position is out of bounds.
                let older = self.older.get(link.position());
                History::new(std::mem::replace(&mut start, end), older, link.differs())
            }));
        }
        self.ticks = ticks;
    }
}

/// A cache of patterns, valid while the snapshots of the basis have these ages, which is usually
/// from body to body.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    ages: ArrayVec<i32, BASIS_MAX>,
    /// By trail.
    cached: [OnceLock<Pattern>; 1 << BASIS_MAX],
}

/// What is kept from one body to the next.
#[derive(Debug, Default)]
pub(super) struct Memory {
    links: Links,
    /// The links of a full snapshot, which has no baseline.
    none: Vec<Link>,
    histories: Histories,
    patterns: Patterns,
}

/// A basis, prepared for coding.
#[derive(Debug)]
pub(super) struct Basis<'a> {
    /// The values of each snapshot, newest first.
    pub(super) values: [&'a [i32]; BASIS_MAX],
    /// By entity of the baseline.
    pub(super) histories: &'a [History],
    pub(super) patterns: &'a Patterns,
}

impl<'a> Basis<'a> {
    /// The basis for the snapshot of `tick`, and the links from there to the baseline. An encoder
    /// has the new rows; a decoder adds the links as it decodes.
    pub(super) fn new(
        basis: &[(Tick, &'a Rows)],
        tick: Tick,
        rows: Option<&Rows>,
        memory: &'a mut Memory,
    ) -> (Self, &'a mut Vec<Link>) {
        let Memory { links, none, histories, patterns } = memory;
        histories.update(basis, links);
        let age = |&(at, _): &(Tick, _)| tick.since(at).clamp(1, AGE_MAX);
        let ages: ArrayVec<i32, BASIS_MAX> = basis.iter().map(age).collect();
        if patterns.ages != ages {
            *patterns = Patterns { ages, ..Patterns::default() };
        }
        let mut values: [&[i32]; BASIS_MAX] = [&[]; BASIS_MAX];
        for (values, (_, rows)) in values.iter_mut().zip(basis) {
            *values = rows.values();
        }
        let links = match (rows, basis.first()) {
            (Some(rows), Some(&baseline)) => links.between((tick, rows), baseline),
            (None, Some(&(before, _))) => {
                let (links, _) = links.entry(tick, before);
                links.clear();
                links
            }
            (_, None) => none,
        };
        (Self { values, histories: &histories.all, patterns }, links)
    }
}

impl Patterns {
    /// The pattern of a trail.
    #[inline(always)]
    pub(super) fn of(&self, trail: Trail) -> &Pattern {
        let Self { ages, cached } = self;
        cached[usize::from(trail.0)].get_or_init(|| Pattern::new(trail, ages))
    }
}

impl Pattern {
    #[cold]
    fn new(trail: Trail, ages: &[i32]) -> Self {
        // For each state, the oldest snapshot that has it.
        let states: ArrayVec<usize, BASIS_MAX> =
            (0..BASIS_MAX).filter(|row| trail.0 >> row & 1 == 1).collect();
        let age = |state: usize| ages[states[state]];
        let changes = states.len() - 1;
        let ticks = |change: usize| age(change + 1) - age(change);
        let (elapsed, span) = if changes > 0 { (age(0), ticks(0)) } else { (ages[0], 0) };
        let age_class = if trail.is_settled() { 4 } else { elapsed.min(4) - 1 };
        let mut pattern = Self {
            elapsed,
            context: (age_class * 4 + span.min(3)) as usize * 3,
            span: span.into(),
            per_span: [0.0; FEATURES],
            states: [states[0] as u8; STATES],
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
        pattern
    }
}
