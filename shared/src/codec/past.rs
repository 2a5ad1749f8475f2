//! The states that each entity had in the basis, and when it changed.
//!
//! An entity's *trail* is in which snapshots of the basis it changed. Most entities of a match have
//! one of a few trails, such as a change in every snapshot, or in none. The timing of a trail's
//! changes, its [`Pattern`], is computed once and kept while the snapshots' ages stay the same.

use arrayvec::ArrayVec;

use super::{BASIS_MAX, forecast::FEATURES, links::Link};
use crate::{ids::Tick, rows::Rows};

/// Largest age, in ticks; older snapshots count as this old, so that a long gap does not make
/// forecasts extrapolate too far.
const AGE_MAX: i32 = 64;

/// The timing of an entity's last changes; the same for all entities with one trail.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pattern {
    /// Ticks over which to extrapolate, from the newest state to the new snapshot.
    pub(super) elapsed: i32,
    /// The first of its three contexts of whether an entity changed.
    pub(super) context: usize,
    /// Ticks that the last change took; 0 if there is none in the basis.
    last_span: i32,
    /// The snapshots that have its states, newest first. If there are fewer states, the oldest
    /// change is repeated, alternately undone and redone, so that its pace stands for older ones.
    states: [u8; STATES],
    /// The oldest of those snapshots.
    oldest: u8,
    per_span: [f64; FEATURES],
    pace: [f64; FEATURES],
}

/// Number of states: those before and after each of the last changes.
const STATES: usize = FEATURES + 1;

/// The last changes of an entity, newest first, timed by its pattern.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps<'a> {
    /// Its states.
    pub(super) rows: [&'a [i32]; STATES],
    /// Ticks that the last change took; 0 if there is none.
    pub(super) span: f64,
    /// Ticks that passed since the newest state.
    pub(super) elapsed: f64,
    /// `elapsed` over the ticks that each change took; 0 if there is none, and negative for a
    /// change that is undone.
    pub(super) pace: [f64; FEATURES],
    /// One over the ticks that each change took.
    pub(super) per_span: [f64; FEATURES],
}

impl Steps<'_> {
    /// Changes the ticks that passed since the newest state.
    #[inline(always)]
    pub(super) fn set_elapsed(&mut self, elapsed: f64) {
        self.elapsed = elapsed;
        self.pace = self.per_span.map(|per_span| per_span * elapsed);
    }
}

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

/// The trails of all entities of a baseline.
#[derive(Debug, Default)]
struct Trails {
    /// The ticks of the basis.
    ticks: ArrayVec<Tick, BASIS_MAX>,
    trails: Vec<Trail>,
    older: Vec<Trail>,
}

impl Trails {
    /// Computes the trails for a basis, from the links of each snapshot to the next older one.
    /// Usually the basis is the previous one with one newer snapshot, and without its oldest; then
    /// the trails are extended.
    fn update(&mut self, basis: &[(Tick, &Rows)], links: &[&[Link]]) {
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
            // If the older snapshot does not have the entity, the link's position is out of bounds.
            self.trails.extend(links.iter().map(|link| {
                let older = self.older.get(link.position());
                older.map_or(Trail::BEGUN, |older| older.followed(link.differs()))
            }));
        }
        self.ticks = ticks;
    }
}

/// A cache of patterns, valid while the snapshots of the basis have these ages, which is usually
/// from body to body.
#[derive(Debug, Default)]
struct Patterns {
    ages: ArrayVec<i32, BASIS_MAX>,
    /// By trail.
    cached: [Option<Pattern>; 1 << BASIS_MAX],
}

/// What is kept from one body to the next.
#[derive(Debug, Default)]
pub(super) struct Memory {
    trails: Trails,
    patterns: Patterns,
}

/// A basis, prepared for coding.
#[derive(Debug)]
pub(super) struct Basis<'a> {
    /// Newest first.
    snapshots: ArrayVec<&'a Rows, BASIS_MAX>,
    /// The links from each snapshot to the next older one.
    links: &'a [&'a [Link]],
    /// The baseline of a full snapshot.
    none: &'a Rows,
    trails: &'a [Trail],
    patterns: &'a mut Patterns,
}

impl<'a> Basis<'a> {
    /// `none` has no rows: it is the baseline of a full snapshot. `links` are those from each
    /// snapshot to the next older one.
    pub(super) fn new(
        basis: &[(Tick, &'a Rows)],
        tick: Tick,
        none: &'a Rows,
        links: &'a [&'a [Link]],
        memory: &'a mut Memory,
    ) -> Self {
        let Memory { trails, patterns } = memory;
        trails.update(basis, links);
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

    /// The pattern of a trail.
    #[inline(always)]
    pub(super) fn pattern(&mut self, trail: Trail) -> &Pattern {
        let Patterns { ages, cached } = &mut *self.patterns;
        cached[usize::from(trail.0)].get_or_insert_with(|| Pattern::new(trail, ages))
    }

    /// The last changes of the baseline's entity at `index`, which has `fields` fields.
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
        // For each state, the oldest snapshot that has it.
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
