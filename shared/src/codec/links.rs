//! Which rows of two snapshots are of the same entity, and whether they differ.
//!
//! Neighbours in a basis stay neighbours while newer snapshots come, so what was found is kept: in
//! a steady match each body brings one new pair, whatever the length of the basis.

use super::BASIS_MAX;
use crate::{ids::Tick, rows::Rows};

/// Pairs that are kept: those of one basis, and some of clients that were sent others.
const PAIRS_MAX: usize = 2 * BASIS_MAX;

/// From an entity in a snapshot to its row in an older one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Link(u32);

impl Link {
    /// The older snapshot does not have it, or has it as another kind.
    pub(super) const ABSENT: Self = Self(u32::MAX);

    #[inline]
    fn to(position: usize, differs: bool) -> Self {
        Self((position as u32) << 1 | u32::from(differs))
    }

    /// Which of the older snapshot's rows it is.
    #[inline]
    pub(super) fn position(self) -> usize {
        (self.0 >> 1) as usize
    }

    /// Whether the two rows differ.
    #[inline]
    pub(super) fn differs(self) -> bool {
        self.0 & 1 == 1
    }
}

/// The links between pairs of snapshots that were asked for last. Snapshots are told apart by their
/// ticks.
#[derive(Debug, Default)]
pub(super) struct Links {
    pairs: [Pair; PAIRS_MAX],
    clock: u64,
}

#[derive(Debug, Default)]
struct Pair {
    newer: Tick,
    older: Tick,
    /// By position in the newer snapshot.
    links: Vec<Link>,
    /// When it was last asked for; 0 if it is not of any pair yet.
    asked: u64,
}

impl Links {
    /// Finds the links between snapshots and those after them, newest first, unless they are kept.
    pub(super) fn make_all<'a>(&mut self, basis: impl Iterator<Item = (Tick, &'a Rows)>) {
        let mut newer = None;
        for older in basis {
            if let Some(newer) = newer {
                self.make(newer, older);
            }
            newer = Some(older);
        }
    }

    fn make(&mut self, newer: (Tick, &Rows), older: (Tick, &Rows)) {
        self.clock += 1;
        if let Some(pair) = self.pairs.iter_mut().find(|pair| pair.is_of(newer.0, older.0)) {
            pair.asked = self.clock;
            return;
        }
        let pair = self.pairs.iter_mut().min_by_key(|pair| pair.asked).expect("there are some");
        (pair.newer, pair.older, pair.asked) = (newer.0, older.0, self.clock);
        find(newer.1, older.1, &mut pair.links);
    }

    /// The links between two snapshots, which are among the last that were made.
    pub(super) fn between(&self, newer: Tick, older: Tick) -> &[Link] {
        let pair = self.pairs.iter().find(|pair| pair.is_of(newer, older));
        &pair.expect("it was made and is not the oldest").links
    }
}

impl Pair {
    fn is_of(&self, newer: Tick, older: Tick) -> bool {
        self.asked > 0 && (self.newer, self.older) == (newer, older)
    }
}

fn find(newer: &Rows, older: &Rows, links: &mut Vec<Link>) {
    links.clear();
    let (new_values, old_values) = (newer.values(), older.values());
    let mut start = 0;
    if newer.has_entities_of(older) {
        links.extend(newer.ends().iter().enumerate().map(|(position, &end)| {
            let row = start..end as usize;
            start = row.end;
            Link::to(position, !are_same(&new_values[row.clone()], &old_values[row]))
        }));
        return;
    }
    let (mut next, mut old_start) = (0, 0);
    links.extend(newer.ends().iter().enumerate().map(|(position, &end)| {
        let row = start..end as usize;
        start = row.end;
        let entity = newer.entity(position);
        while next < older.len() && older.entity(next).0 < entity.0 {
            old_start = older.ends()[next] as usize;
            next += 1;
        }
        if next == older.len() || older.entity(next) != entity {
            return Link::ABSENT;
        }
        let old_row = old_start..old_start + row.len();
        old_start = old_row.end;
        next += 1;
        Link::to(next - 1, !are_same(&new_values[row], &old_values[old_row]))
    }));
}

/// Whether two rows of a kind are equal: in line, since rows are too short for a call.
#[inline]
fn are_same(a: &[i32], b: &[i32]) -> bool {
    let b = &b[..a.len()];
    let (a_fours, a_rest) = a.as_chunks::<4>();
    let (b_fours, b_rest) = b.as_chunks::<4>();
    for (a, b) in a_fours.iter().zip(b_fours) {
        if a != b {
            return false;
        }
    }
    for (a, b) in a_rest.iter().zip(b_rest) {
        if a != b {
            return false;
        }
    }
    true
}
