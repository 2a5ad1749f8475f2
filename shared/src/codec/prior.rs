//! What is expected of any game before anything is known of it.
//!
//! Tables are indices into the family: three weights of tails, 28 scales each.

use super::model::{CHANGE_CONTEXTS, CLASSES, CONTEXTS, PLAIN};

const fn tables(base: usize) -> [u8; CONTEXTS] {
    let mut tables = [PLAIN; CONTEXTS];
    let mut i = 0;
    while i < CLASSES * CLASSES {
        let (a, b) = (i / CLASSES, i % CLASSES);
        let more = if a > b { a } else { b };
        let scale = base + 3 * more;
        tables[i] = 28 + if scale < 27 { scale as u8 } else { 27 };
        i += 1;
    }
    tables
}

pub(super) const HELD: [u8; CONTEXTS] = tables(0);
pub(super) const LINEAR: [u8; CONTEXTS] = tables(2);
pub(super) const CARRIED: [u8; CONTEXTS] = tables(2);
pub(super) const COMPONENT: [u8; CONTEXTS] = tables(2);
pub(super) const MOMENT: [u8; CONTEXTS] = tables(1);
pub(super) const CHANGES: [u8; CHANGE_CONTEXTS] = [28; CHANGE_CONTEXTS];
pub(super) const STILLS: u8 = 10;
