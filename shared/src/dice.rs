//! A seeded random number generator, part of the state of its user: a match, a bot, a test world.

use serde::{Deserialize, Serialize};

/// `SplitMix64` (Steele, Lea and Flood 2014).
///
/// It is not cryptographic: who gets to know one whole number of [`Dice::next`] can compute all later
/// ones. Let players see only what you make of a number, such as one of six sides or a card; and for
/// games for money shuffle with something stronger, seeded by your backend.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Dice(u64);

impl Dice {
    /// Dice whose sequence is determined by `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub fn within(&mut self, low: i32, high: i32) -> i32 {
        let span = (i64::from(high) - i64::from(low) + 1).max(1) as u64;
        (i64::from(low) + (self.next() % span) as i64) as i32
    }
}
