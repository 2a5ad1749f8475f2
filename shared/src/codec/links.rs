//! Links the rows of the same entity in two snapshots, and tells whether they differ.
//!
//! Neighbours in a basis stay neighbours as newer snapshots are added, so links are cached: in a
//! steady match each body needs the links of only one new pair, whatever the length of the basis.

use arrayvec::ArrayVec;

use super::BASIS_MAX;
use crate::{ids::Tick, rows::Rows};

/// Pairs that are cached: those of one basis, and some for clients with another basis.
const PAIRS_MAX: usize = 2 * BASIS_MAX;

/// From an entity in a snapshot to its row in an older one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Link(u32);

impl Link {
    /// The older snapshot does not have the entity, or has it as another kind.
    pub(super) const ABSENT: Self = Self(u32::MAX);

    #[inline]
    fn to(position: usize, differs: bool) -> Self {
        Self((position as u32) << 1 | u32::from(differs))
    }

    /// The entity's position in the older snapshot.
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

/// A cache of the links between pairs of snapshots, which are identified by their ticks.
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
    /// When it was last used; 0 if this entry is empty.
    used: u64,
}

impl Links {
    /// The links from each snapshot to the next one in `snapshots`, which are newest first. Those
    /// that are not cached are computed.
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

    /// The index of the cache entry with the links of a pair.
    fn make(&mut self, newer: (Tick, &Rows), older: (Tick, &Rows)) -> usize {
        self.clock += 1;
        let known = self.pairs.iter().position(|pair| pair.is_of(newer.0, older.0));
        if let Some(place) = known {
            self.pairs[place].used = self.clock;
            return place;
        }
        let oldest = (0..PAIRS_MAX).min_by_key(|&place| self.pairs[place].used);
        let place = oldest.expect("the cache has entries");
        let pair = &mut self.pairs[place];
        (pair.newer, pair.older, pair.used) = (newer.0, older.0, self.clock);
        find(newer.1, older.1, &mut pair.links);
        place
    }
}

impl Pair {
    fn is_of(&self, newer: Tick, older: Tick) -> bool {
        self.used > 0 && (self.newer, self.older) == (newer, older)
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

/// Marks the rows that differ between snapshots with the same entities.
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

/// The index of the first difference. Most values are equal, so four are compared at a time.
fn first_difference(new: &[i32], old: &[i32]) -> Option<usize> {
    let (fours, old_fours) = (new.as_chunks::<4>().0, old.as_chunks::<4>().0);
    let same = fours.iter().zip(old_fours).take_while(|(new, old)| new == old).count() * 4;
    let place = new[same..].iter().zip(&old[same..]).position(|(new, old)| new != old)?;
    Some(same + place)
}
