//! What both ends know of one entity: the states that it went through in the basis, and when.

use crate::{
    ids::Tick,
    rows::{Row, Rows},
};

use super::BASIS_MAX;

/// Older than this counts as this old, so that a long gap does not throw forecasts far away.
const AGE_MAX: i32 = 64;

/// One over each number of ticks.
const ONE_OVER: [f64; AGE_MAX as usize + 1] = {
    let mut table = [0.0; AGE_MAX as usize + 1];
    let mut span = 1;
    while span < table.len() {
        table[span] = 1.0 / span as f64;
        span += 1;
    }
    table
};

/// Different states of one entity, newest first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past<'a> {
    states: [&'a [i32]; BASIS_MAX],
    /// How many ticks before the new snapshot each state was first seen.
    ages: [i32; BASIS_MAX],
    len: usize,
    /// Ticks for which things have moved on since the newest state.
    pub(super) elapsed: i32,
    /// Whether the entity was at rest all through a basis of several snapshots.
    pub(super) is_settled: bool,
    /// One over [`Self::span`], of each change that is known. See [`Self::prepare`].
    pub(super) per_span: [f64; BASIS_MAX - 1],
}

impl<'a> Past<'a> {
    /// The newest state: the row in the baseline.
    #[inline]
    pub(super) fn now(&self) -> &'a [i32] {
        self.states[0]
    }

    /// A state that is `index` changes older, if it is known.
    #[inline]
    pub(super) fn state(&self, index: usize) -> Option<&'a [i32]> {
        if index < self.len { Some(self.states[index]) } else { None }
    }

    /// Ticks between two neighbouring states, of which the newer is `index` changes old.
    #[inline]
    pub(super) fn span(&self, index: usize) -> i32 {
        self.ages[index + 1] - self.ages[index]
    }

    /// Computes `per_span`, which the pasts of entities that did not change have no need of.
    #[inline]
    pub(super) fn prepare(&mut self) {
        for change in 0..self.changes() {
            self.per_span[change] = ONE_OVER[self.span(change) as usize];
        }
    }

    /// Changes that are known.
    #[inline]
    pub(super) fn changes(&self) -> usize {
        self.len - 1
    }
}

/// Walks through the snapshots of a basis together.
#[derive(Debug)]
pub(super) struct Basis<'a> {
    snapshots: [(i32, &'a Rows); BASIS_MAX],
    len: usize,
    /// Where to find the next entity in each snapshot.
    next: [Next; BASIS_MAX],
}

#[derive(Clone, Copy, Debug)]
enum Next {
    /// At the same place as in the baseline: no entity came or went in between.
    Same,
    /// Here or further on.
    From(usize),
}

impl<'a> Basis<'a> {
    /// `none` stands for the baseline of a full snapshot.
    pub(super) fn new(basis: &[(Tick, &'a Rows)], tick: Tick, none: &'a Rows) -> Self {
        let mut snapshots = [(1, none); BASIS_MAX];
        for (place, &(at, rows)) in snapshots.iter_mut().zip(basis) {
            *place = (tick.since(at).clamp(1, AGE_MAX), rows);
        }
        let mut next = [Next::Same; BASIS_MAX];
        for (next, (_, rows)) in next.iter_mut().zip(&snapshots) {
            if !rows.has_entities_of(snapshots[0].1) {
                *next = Next::From(0);
            }
        }
        Self { snapshots, len: basis.len().min(BASIS_MAX), next }
    }

    /// The newest snapshot.
    pub(super) fn baseline(&self) -> &'a Rows {
        self.snapshots[0].1
    }

    /// The past of the entity whose row in the baseline is at `index`. To be asked for in order.
    #[inline]
    pub(super) fn past(&mut self, index: usize) -> Past<'a> {
        let (elapsed, baseline) = self.snapshots[0];
        let row = baseline.row(index);
        let mut past = Past {
            states: [row.values; BASIS_MAX],
            ages: [elapsed; BASIS_MAX],
            len: 1,
            elapsed,
            is_settled: false,
            per_span: [0.0; BASIS_MAX - 1],
        };
        let mut seen = 1;
        for older in 1..self.len {
            let Some(values) = self.find(older, index, row) else { break };
            let age = self.snapshots[older].0;
            if values != past.states[past.len - 1] {
                past.states[past.len] = values;
                past.len += 1;
            }
            past.ages[past.len - 1] = age;
            seen += 1;
        }
        if past.len > 1 {
            past.elapsed = past.ages[0];
        } else {
            past.is_settled = seen > 1;
        }
        past
    }

    /// The values of the same entity in an older snapshot.
    #[inline]
    fn find(&mut self, older: usize, index: usize, row: Row<'a>) -> Option<&'a [i32]> {
        let rows = self.snapshots[older].1;
        let Next::From(next) = &mut self.next[older] else {
            return Some(rows.row(index).values);
        };
        while *next < rows.len() && rows.row(*next).id < row.id {
            *next += 1;
        }
        let found = (*next < rows.len()).then(|| rows.row(*next))?;
        (found.id == row.id && found.kind == row.kind).then_some(found.values)
    }
}
