//! The value that all but a few of a stream stay below, followed without keeping the stream.
//!
//! A sample beyond it pulls it up by a step; one below lets it down by a small part of a step. In
//! balance one of `within + 1` samples lies beyond. So it is quick to notice a worse network, slow
//! to believe in a better one, and a single long stall moves it no more than a short one.

/// See the module. Samples are microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Tail {
    step: i64,
    within: i64,
    value: Option<i64>,
    /// What is to be taken off the value and is too small for it yet.
    rest: i64,
}

impl Tail {
    /// One of `within + 1` samples may lie beyond; one that does counts for `step`.
    #[must_use]
    pub const fn new(step: i64, within: i64) -> Self {
        Self { step, within, value: None, rest: 0 }
    }

    /// Takes in a sample. The first one is the value.
    pub fn hear(&mut self, sample: i64) {
        let Some(value) = self.value else {
            self.value = Some(sample);
            return;
        };
        self.value = Some(if sample > value {
            value + self.step
        } else {
            self.rest += self.step;
            let down = self.rest / self.within;
            self.rest -= down * self.within;
            (value - down).max(sample)
        });
    }

    /// The value, once there was a sample.
    #[must_use]
    pub const fn value(&self) -> Option<i64> {
        self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;

    #[test]
    fn all_but_the_agreed_share_stay_below() {
        let mut tail = Tail::new(5_000, 199);
        let mut dice = Dice::new(1);
        let mut beyond = 0;
        for n in 0..110_000 {
            let sample = i64::from(dice.within(0, 40_000));
            beyond += u32::from(n >= 10_000 && tail.value().is_some_and(|value| sample > value));
            tail.hear(sample);
        }
        assert!((400..600).contains(&beyond), "{beyond} of 100,000, instead of 500");
    }

    #[test]
    fn one_stall_counts_for_one_step() {
        let mut tail = Tail::new(5_000, 199);
        tail.hear(20_000);
        tail.hear(9_000_000);
        assert_eq!(tail.value(), Some(25_000));
    }
}
