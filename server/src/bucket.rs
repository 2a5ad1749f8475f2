//! Token buckets for rate limits.
//!
//! A bucket is stored as the time at which it will be full again, so a million of them take eight
//! megabytes. Time is an argument.

use tickwire_shared::time::Micros;

/// Rate and burst of a bucket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Rate {
    /// Time in which one token comes back.
    token: Micros,
    /// Time in which an empty bucket becomes full.
    fill: Micros,
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    full_at: Micros,
}

impl Rate {
    /// A rate of `tokens` per second, 1 to 1,000,000, with a burst of `burst_s` seconds' worth.
    pub(crate) const fn per_second(tokens: u32, burst_s: u32) -> Self {
        Self { token: Micros(1_000_000 / tokens as u64), fill: Micros::from_secs(burst_s as u64) }
    }
}

impl Bucket {
    /// A full bucket.
    pub(crate) const fn full(now: Micros) -> Self {
        Self { full_at: now }
    }

    /// Takes tokens. If there are not enough, takes none and returns `false`.
    #[must_use]
    pub(crate) fn take(&mut self, tokens: u32, rate: Rate, now: Micros) -> bool {
        let full_at = self.full_after(tokens, rate, now);
        let is_enough = full_at.since(now) <= rate.fill;
        if is_enough {
            self.full_at = full_at;
        }
        is_enough
    }

    /// Time until this many tokens can be taken.
    pub(crate) fn wait(self, tokens: u32, rate: Rate, now: Micros) -> Micros {
        self.full_after(tokens, rate, now).since(now.plus(rate.fill))
    }

    fn full_after(self, tokens: u32, rate: Rate, now: Micros) -> Micros {
        self.full_at.max(now).plus(Micros(rate.token.0 * u64::from(tokens)))
    }

    /// Whether the bucket is full, so that it need not be stored.
    pub(crate) const fn is_full(self, now: Micros) -> bool {
        self.full_at.0 <= now.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate() {
        let rate = Rate::per_second(10, 2);
        let mut bucket = Bucket::full(Micros(0));
        let passed = |bucket: &mut Bucket, now| {
            std::iter::repeat_with(|| bucket.take(1, rate, now)).take_while(|&ok| ok).count()
        };
        assert_eq!(passed(&mut bucket, Micros(0)), 20);
        assert_eq!(passed(&mut bucket, Micros(50_000)), 0);
        assert_eq!(bucket.wait(1, rate, Micros(50_000)), Micros(50_000));
        assert_eq!(bucket.wait(1, rate, Micros(100_000)), Micros(0));
        assert_eq!(passed(&mut bucket, Micros(100_000)), 1);
        assert_eq!(passed(&mut bucket, Micros::from_secs(100)), 20);
        assert!(!bucket.is_full(Micros::from_secs(101)));
        assert!(bucket.is_full(Micros::from_secs(102)));
    }

    #[test]
    fn what_is_refused_costs_nothing() {
        let rate = Rate::per_second(10, 1);
        let mut bucket = Bucket::full(Micros(0));
        assert!(!bucket.take(11, rate, Micros(0)));
        assert!(bucket.take(10, rate, Micros(0)));
    }
}
