//! Which rows of two snapshots are of the same entity, and whether they differ.
//!
//! Neighbours in a basis stay neighbours while newer snapshots come, so what was found is kept: in
//! a steady match each body brings one new pair, whatever the length of the basis.

use arrayvec::ArrayVec;

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
    pub(super) fn make_all<'a>(
        &mut self,
        snapshots: impl Iterator<Item = (Tick, &'a Rows)>,
    ) -> ArrayVec<&[Link], BASIS_MAX> {
        let mut places = ArrayVec::<usize, BASIS_MAX>::new();
        let mut newer = None;
        for older in snapshots {
            places.extend(newer.map(|newer| self.make(newer, older)));
            newer = Some(older);
        }
        places.into_iter().map(|place| &*self.pairs[place].links).collect()
    }

    /// Where the links of a pair are.
    fn make(&mut self, newer: (Tick, &Rows), older: (Tick, &Rows)) -> usize {
        self.clock += 1;
        let known = self.pairs.iter().position(|pair| pair.is_of(newer.0, older.0));
        if let Some(place) = known {
            self.pairs[place].asked = self.clock;
            return place;
        }
        let oldest = (0..PAIRS_MAX).min_by_key(|&place| self.pairs[place].asked);
        let place = oldest.expect("there are some");
        let pair = &mut self.pairs[place];
        (pair.newer, pair.older, pair.asked) = (newer.0, older.0, self.clock);
        find(newer.1, older.1, &mut pair.links);
        place
    }
}

impl Pair {
    fn is_of(&self, newer: Tick, older: Tick) -> bool {
        self.asked > 0 && (self.newer, self.older) == (newer, older)
    }
}

fn find(newer: &Rows, older: &Rows, links: &mut Vec<Link>) {
    links.clear();
    if newer.has_entities_of(older) {
        links.extend((0..newer.len()).map(|position| Link::to(position, false)));
        compare(newer, older, links);
        return;
    }
    let (mut next, mut start, mut old_start) = (0, 0, 0);
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
        Link::to(next - 1, newer.values()[row] != older.values()[old_row])
    }));
}

/// Marks the rows that differ, of snapshots with the same entities.
fn compare(newer: &Rows, older: &Rows, links: &mut [Link]) {
    let (new, old, ends) = (newer.values(), older.values(), newer.ends());
    let (mut place, mut row) = (0, 0);
    while let Some(same) = first_difference(&new[place..], &old[place..]) {
        place += same;
        while ends[row] as usize <= place {
            row += 1;
        }
        links[row].0 |= 1;
        place = ends[row] as usize;
    }
}

/// Most values are the same, so these are passed over several at a time.
fn first_difference(new: &[i32], old: &[i32]) -> Option<usize> {
    let (fours, old_fours) = (new.as_chunks::<4>().0, old.as_chunks::<4>().0);
    let same = fours.iter().zip(old_fours).take_while(|(new, old)| new == old).count() * 4;
    let place = new[same..].iter().zip(&old[same..]).position(|(new, old)| new != old)?;
    Some(same + place)
}
