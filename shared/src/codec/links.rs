//! Links the rows of the same entity in two snapshots, and tells whether they differ.
//!
//! Neighbours in a basis stay neighbours as newer snapshots are added, so links are cached: in a
//! steady match each body needs the links of only one new pair, whatever the length of the basis.

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
    pub(super) fn to(position: usize, differs: bool) -> Self {
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
    /// The links from one snapshot to an older one; computed if they are not cached.
    pub(super) fn between(&mut self, newer: (Tick, &Rows), older: (Tick, &Rows)) -> &mut Vec<Link> {
        let (links, is_known) = self.entry(newer.0, older.0);
        if !is_known {
            find(newer.1, older.1, links);
        }
        links
    }

    /// Room for the links from one snapshot to an older one, and whether they are there already.
    pub(super) fn entry(&mut self, newer: Tick, older: Tick) -> (&mut Vec<Link>, bool) {
        self.clock += 1;
        let known = self.pairs.iter().position(|pair| pair.is_of(newer, older));
        let place = known.unwrap_or_else(|| {
            let oldest = (0..PAIRS_MAX).min_by_key(|&place| self.pairs[place].used);
            oldest.expect("the cache has entries")
        });
        let pair = &mut self.pairs[place];
        (pair.newer, pair.older, pair.used) = (newer, older, self.clock);
        (&mut pair.links, known.is_some())
    }
}

impl Pair {
    fn is_of(&self, newer: Tick, older: Tick) -> bool {
        self.used > 0 && (self.newer, self.older) == (newer, older)
    }
}

fn find(newer: &Rows, older: &Rows, links: &mut Vec<Link>) {
    links.clear();
    let (values, old_values) = (newer.values(), older.values());
    if newer.has_entities_of(older) {
        let mut start = 0;
        links.extend(newer.ends().iter().enumerate().map(|(position, &end)| {
            let row = std::mem::replace(&mut start, end as usize)..end as usize;
            Link::to(position, values[row.clone()] != old_values[row])
        }));
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
        Link::to(next - 1, values[row] != old_values[old_row])
    }));
}
