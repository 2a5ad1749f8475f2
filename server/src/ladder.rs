//! The overload ladder: what a shard sheds when it can't keep up, step by step, and when it
//! resumes.
//!
//! Every [`CHECK_INTERVAL`] the ladder checks how many ticks were overruns and for which part of the
//! time the shard was busy. Too many overruns take it a step up. It goes a step down after
//! [`CALM_CHECKS`] checks without an overrun and with few late ticks, if the shard has enough time
//! to spare for the work that the step saves; so it does not oscillate. From the last step it is
//! back on the ground within five seconds ([`RECOVERY_MAX`]) of the load's end.
//!
//! It never ends a match or closes a connection. Time is an argument.

use tickwire_shared::time::Micros;

/// Time between two checks.
const CHECK_INTERVAL: Micros = Micros::from_millis(500);
/// Up to one tick in so many may be an overrun before a step up, or late before a step down.
const LATE_ONE_IN: u64 = 20;
/// Calm checks in a row before a step down; one is enough when the shard is busy for less than half
/// of the time that the step allows.
const CALM_CHECKS: u32 = 2;
/// Longest time from the last step back to the ground once the load has ended.
const RECOVERY_MAX: Micros = Micros::from_secs(5);
const _: () = {
    // The first check may still include some of the load.
    let checks = 1 + CALM_CHECKS as u64 * (Step::ALL.len() as u64 - 1);
    assert!(CHECK_INTERVAL.0 * checks < RECOVERY_MAX.0, "as the README promises");
};

/// How much work is shed. Each step includes the ones before it.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Step {
    /// Nothing.
    #[default]
    Ground,
    /// Every other snapshot of spectators.
    Spectators,
    /// Every other snapshot in the matches with the most connections.
    Snapshots,
    /// Every other tick: matches run at half speed, and clients follow.
    Ticks,
    /// Two ticks of three, and new matches.
    Matches,
}

impl Step {
    /// All steps, from the ground up.
    pub(crate) const ALL: [Self; 5] =
        [Self::Ground, Self::Spectators, Self::Snapshots, Self::Ticks, Self::Matches];

    /// The name in counters and logs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ground => "ground",
            Self::Spectators => "spectators",
            Self::Snapshots => "snapshots",
            Self::Ticks => "ticks",
            Self::Matches => "matches",
        }
    }

    /// The factor by which the tick interval is stretched.
    pub(crate) const fn slowdown(self) -> u8 {
        match self {
            Self::Ground | Self::Spectators | Self::Snapshots => 1,
            Self::Ticks => 2,
            Self::Matches => 3,
        }
    }

    /// The shard must be busy for less than this part of the time before it leaves the step.
    const fn calm_percent(self) -> u64 {
        match self {
            Self::Ground => 100,
            Self::Spectators => 70,
            Self::Snapshots => 50,
            Self::Ticks => 42,
            Self::Matches => 55,
        }
    }

    fn up(self) -> Option<Self> {
        Self::ALL.get(self as usize + 1).copied()
    }

    fn down(self) -> Option<Self> {
        Self::ALL.get((self as usize).checked_sub(1)?).copied()
    }
}

/// A shard's work since it started.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Work {
    pub(crate) ticks: u64,
    pub(crate) overruns: u64,
    /// Ticks that began a quarter of an interval late or later.
    pub(crate) late: u64,
    pub(crate) busy: Micros,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Ladder {
    step: Step,
    checked_at: Micros,
    seen: Work,
    calm_checks: u32,
}

impl Ladder {
    /// The current step.
    pub(crate) const fn step(&self) -> Step {
        self.step
    }

    /// Checks the shard's work, if a check is due, and returns the step after it.
    pub(crate) fn check(&mut self, work: Work, now: Micros) -> Option<Step> {
        let passed = now.since(self.checked_at);
        if passed < CHECK_INTERVAL {
            return None;
        }
        let (ticks, overruns) = (work.ticks - self.seen.ticks, work.overruns - self.seen.overruns);
        let late = work.late - self.seen.late;
        let busy_percent = work.busy.since(self.seen.busy).0 * 100 / passed.0;
        (self.checked_at, self.seen) = (now, work);
        let calm_percent = self.step.calm_percent();
        let is_calm = overruns == 0 && late * LATE_ONE_IN <= ticks && busy_percent < calm_percent;
        self.calm_checks = if is_calm { self.calm_checks + 1 } else { 0 };
        let next = if overruns * LATE_ONE_IN > ticks {
            self.step.up()
        } else if self.calm_checks >= CALM_CHECKS || is_calm && 2 * busy_percent < calm_percent {
            self.step.down()
        } else {
            None
        };
        if let Some(step) = next {
            self.step = step;
            self.calm_checks = 0;
        }
        Some(self.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_the_load_is_carried_without_swinging_and_given_back_in_five_seconds() {
        let mut shard = Shard::default();
        shard.run(10, 80);
        assert_eq!(shard.steps, []);
        shard.run(60, 200);
        let climbed = shard.steps.len();
        assert!(climbed <= 4, "it swings: {:?}", shard.steps);
        assert!(shard.late_percent < 100, "late at the end: {} %", shard.late_percent);
        shard.run(5, 60);
        assert_eq!(shard.ladder.step(), Step::Ground, "{:?}", shard.steps);
    }

    #[test]
    fn any_load_ends_on_a_step_that_stays() {
        for load in (50..400).step_by(7) {
            let mut shard = Shard::default();
            shard.run(20, load);
            let before = shard.steps.len();
            shard.run(40, load);
            assert_eq!(shard.steps.len(), before, "load {load} %: {:?}", shard.steps);
        }
    }

    #[test]
    fn a_single_stall_is_no_overload() {
        let mut ladder = Ladder::default();
        let work = |ticks, overruns| Work { ticks, overruns, late: overruns, busy: Micros(0) };
        assert_eq!(ladder.check(work(150, 7), Micros::from_millis(499)), None);
        assert_eq!(ladder.check(work(150, 7), Micros::from_millis(500)), Some(Step::Ground));
        assert_eq!(ladder.check(work(300, 15), Micros::from_secs(1)), Some(Step::Spectators));
    }

    /// A shard whose work is so many percent of what it can carry.
    #[derive(Default)]
    struct Shard {
        ladder: Ladder,
        work: Work,
        now: Micros,
        late_percent: u64,
        steps: Vec<Step>,
    }

    impl Shard {
        fn run(&mut self, seconds: u64, load_percent: u64) {
            for _ in 0..seconds * 2 {
                self.now = self.now.plus(CHECK_INTERVAL);
                let step = self.ladder.step();
                // A tenth of the sends go to spectators, and sends are two thirds of the work.
                let sent_percent = match step {
                    Step::Ground => 100,
                    Step::Spectators => 97,
                    Step::Snapshots | Step::Ticks | Step::Matches => 67,
                };
                let wanted = load_percent * sent_percent / 100 / u64::from(step.slowdown());
                self.late_percent = wanted;
                self.work.ticks += 150;
                self.work.overruns += if wanted > 100 { 150 } else { 0 };
                self.work.late += if wanted > 80 { 150 } else { 0 };
                let busy = CHECK_INTERVAL.0 * wanted.min(100) / 100;
                self.work.busy = self.work.busy.plus(Micros(busy));
                let after = self.ladder.check(self.work, self.now).unwrap();
                self.steps.extend((after != step).then_some(after));
            }
        }
    }
}
