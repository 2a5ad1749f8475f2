//! Simulates a match of any game with its players, over one network profile, from a seed.

use super::{
    Pipe, Profile,
    player::{Counts, Played, Player},
    world::World,
};
use crate::{
    dice::Dice,
    game::MatchOptions,
    ids::{Seat, Tick},
    rows::Rows,
    time::{Micros, TickRate},
};

/// The server's half of a simulated match, with one session for each seat.
///
/// # Panics
/// Its functions may panic when a client violates the protocol.
pub trait Host {
    /// The newest tick.
    fn tick(&self) -> Tick;
    /// When the next tick is due.
    fn due(&self) -> Micros;
    /// Accepts a new connection of the client in a seat. It replaces the old one, if there is one.
    fn connect(&mut self, seat: Seat, now: Micros);
    /// Loses the connection of a seat.
    fn disconnect(&mut self, seat: Seat);
    /// Handles a frame that has arrived from the client in a seat.
    fn handle(&mut self, seat: Seat, frame: &[u8], now: Micros);
    /// Runs the tick that is due.
    fn step(&mut self, now: Micros);
    /// Takes the frames that are to be sent to the client in a seat.
    fn take_frames(&mut self, seat: Seat) -> Vec<Vec<u8>>;
    /// The rows of a recent tick.
    fn rows(&self, tick: Tick) -> Option<&Rows>;
    /// Fingerprints of the events that were meant for a seat.
    fn fingerprints(&self, seat: Seat) -> &[u32];
    /// Ticks without an input for a seat.
    fn starved(&self, seat: Seat) -> u64;
    /// Snapshots that were skipped, for all seats.
    fn skipped(&self) -> u64;
}

/// The parameters of a simulation of a game that implements [`Played`]. It uses the game's first mode.
///
/// ```
/// # use tickwire_shared::arena::Arena as YourGame;
/// use tickwire_shared::{
///     testing::{Profile, Simulation},
///     time::{Micros, TickRate},
/// };
///
/// let rate = TickRate::new(30).expect("it is a valid rate");
/// let (lasts, cut_every) = (Micros::from_secs(20), Micros(0));
/// let simulation =
///     Simulation { seed: 1, profile: Profile::WIFI, players: 4, rate, lasts, cut_every };
/// let outcome = simulation.run::<YourGame>();
/// assert_eq!(outcome.faults(), [""; 0]);
/// assert_eq!(outcome.counts.visible, 0, "predictions were visibly wrong");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Simulation {
    /// Seed of all randomness.
    pub seed: u64,
    /// The network of every player.
    pub profile: Profile,
    /// Number of players.
    pub players: u16,
    /// Ticks per second.
    pub rate: TickRate,
    /// Duration.
    pub lasts: Micros,
    /// Mean time between two losses of a player's connection; zero for none. A player reconnects
    /// after at most [`OUT_MAX`].
    pub cut_every: Micros,
}

/// Longest time until a player with a lost connection reconnects.
pub const OUT_MAX: Micros = Micros::from_secs(5);

/// The outcome, summed over players.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The players' statistics.
    pub counts: Counts,
    /// Ticks without a player's input, per player.
    pub queue_starved: u64,
    /// All ticks, per player.
    pub player_ticks: u64,
    /// Snapshots that were skipped.
    pub skipped: u64,
    /// Events that were sent.
    pub events: u64,
    /// Players who did not receive exactly the events that were meant for them.
    pub wrong_events: u64,
    /// Connections that were lost, and sessions resumed.
    pub reconnects: u64,
}

/// A player with both directions of its network.
struct Line<G: Played> {
    player: Player<G>,
    down: Pipe,
    up: Pipe,
    out_until: Option<Micros>,
    cut_at: Micros,
    reconnects: u32,
}

impl Outcome {
    /// The sum of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            counts: self.counts.plus(other.counts),
            queue_starved: self.queue_starved + other.queue_starved,
            player_ticks: self.player_ticks + other.player_ticks,
            skipped: self.skipped + other.skipped,
            events: self.events + other.events,
            wrong_events: self.wrong_events + other.wrong_events,
            reconnects: self.reconnects + other.reconnects,
        }
    }

    /// Visible corrections per player and minute.
    #[must_use]
    pub fn visible_per_minute(&self, rate: TickRate) -> f64 {
        let minutes = self.player_ticks as f64 / f64::from(rate.hz()) / 60.0;
        self.counts.visible as f64 / minutes
    }

    /// Part of the rendered frames without a snapshot to interpolate to.
    #[must_use]
    pub fn frames_starved(&self) -> f64 {
        self.counts.starved as f64 / self.counts.frames as f64
    }

    /// Part of the ticks without a player's input.
    #[must_use]
    pub fn ticks_starved(&self) -> f64 {
        self.queue_starved as f64 / self.player_ticks as f64
    }

    /// Faults that must never occur, over any network.
    #[must_use]
    pub fn faults(&self) -> Vec<&'static str> {
        let Counts { wrong, snapshots, .. } = self.counts;
        let all = [
            (snapshots == 0, "no snapshot was received"),
            (wrong > 0, "rows are not the server's"),
            (self.wrong_events > 0, "events were not received exactly once"),
        ];
        all.iter().filter(|(is_so, _)| *is_so).map(|&(_, what)| what).collect()
    }
}

impl Simulation {
    /// The options of the match.
    #[must_use]
    pub fn options<G: Played>(&self) -> MatchOptions {
        MatchOptions {
            seed: self.seed,
            seats: self.players,
            npcs: 0,
            tick_rate: self.rate,
            mode: G::MODES.first().copied().unwrap_or_default(),
        }
    }

    /// Runs the simulation in a [`World`].
    ///
    /// # Panics
    /// When one end rejects a frame from the other.
    #[must_use]
    pub fn run<G: Played>(&self) -> Outcome {
        self.run_on::<G>(&mut World::<G>::new(self.options::<G>()))
    }

    /// Runs the simulation with any server, whose match was made with [`Self::options`] and whose
    /// first tick is due at 0.
    ///
    /// # Panics
    /// When one end rejects a frame from the other.
    #[must_use]
    pub fn run_on<G: Played>(&self, host: &mut impl Host) -> Outcome {
        let mut dice = Dice::new(self.seed);
        let mut lines: Vec<_> =
            (0..self.players).map(|n| self.line::<G>(Seat(n), &mut dice)).collect();
        let mut outcome = Outcome::default();
        // At the end all players reconnect, and then all frames in flight arrive.
        let last_tick = self.lasts.plus(OUT_MAX);
        let last_ms = last_tick.plus(Micros::from_secs(5)).0 / 1_000;
        for millis in 0..last_ms {
            let now = Micros::from_millis(millis);
            let is_over = now >= self.lasts;
            for (seat, line) in (0..).map(Seat).zip(&mut lines) {
                line.connect_or_cut(seat, host, self.next_cut(now, &mut dice), now);
                if is_over {
                    line.cut_at = Micros(u64::MAX);
                    line.player.is_calm = true;
                }
                line.exchange(seat, host, now);
            }
            if host.due() <= now.min(last_tick) {
                host.step(now);
                for (seat, line) in (0..).map(Seat).zip(&mut lines) {
                    line.send_down(seat, host, now);
                }
            }
            if now == self.lasts {
                Self::sum(host, &lines, &mut outcome);
            }
        }
        for (seat, line) in (0..).map(Seat).zip(&lines) {
            let meant = host.fingerprints(seat);
            outcome.events += meant.len() as u64;
            outcome.wrong_events += u64::from(meant != line.player.fingerprints);
        }
        outcome
    }

    fn line<G: Played>(&self, seat: Seat, dice: &mut Dice) -> Line<G> {
        let seed = dice.next();
        Line {
            player: Player::new(seat, self.rate, seed),
            down: Pipe::down(&self.profile, seed),
            up: Pipe::up(&self.profile, seed),
            // Players join one after the other.
            out_until: Some(Micros::from_millis(u64::from(seat.0) * 100)),
            cut_at: self.next_cut(WARM_UP, dice),
            reconnects: 0,
        }
    }

    fn next_cut(&self, now: Micros, dice: &mut Dice) -> Micros {
        match self.cut_every.0 {
            0 => Micros(u64::MAX),
            every => now.plus(Micros(1_000_000 + dice.next() % (2 * every))),
        }
    }

    fn sum<G: Played>(host: &impl Host, lines: &[Line<G>], outcome: &mut Outcome) {
        outcome.skipped += host.skipped();
        for (seat, line) in (0..).map(Seat).zip(lines) {
            outcome.counts = outcome.counts.plus(line.player.counts);
            outcome.queue_starved += host.starved(seat);
            outcome.player_ticks += u64::from(host.tick().0);
            outcome.reconnects += u64::from(line.reconnects);
        }
    }
}

/// Time before the first connection is lost.
const WARM_UP: Micros = Micros::from_secs(5);

impl<G: Played> Line<G> {
    /// Loses the connection or makes a new one, when that is due.
    fn connect_or_cut(&mut self, seat: Seat, host: &mut impl Host, next: Micros, now: Micros) {
        match self.out_until {
            Some(until) if now >= until => {
                self.out_until = None;
                self.cut_at = next;
                host.connect(seat, now);
                self.up.send(self.player.connect(now), now);
            }
            None if now >= self.cut_at => {
                self.down.cut();
                self.up.cut();
                host.disconnect(seat);
                self.reconnects += 1;
                let out = OUT_MAX.0 * (1 + now.0 / 1_000 % 16) / 16;
                self.out_until = Some(now.plus(Micros(out)));
            }
            Some(_) | None => {}
        }
    }

    /// Delivers frames that have arrived, and advances the player.
    fn exchange(&mut self, seat: Seat, host: &mut impl Host, now: Micros) {
        if self.out_until.is_some() {
            return;
        }
        while let Some((at, frame)) = self.up.poll(now) {
            host.handle(seat, &frame, at);
        }
        self.send_down(seat, host, now);
        while let Some((at, frame)) = self.down.poll(now) {
            let truth = |tick| host.rows(tick);
            self.player.handle(&frame, at, truth).expect("the server follows the protocol");
        }
        let up = &mut self.up;
        self.player.play(now, |frame| up.send(frame, now));
    }

    /// Sends the server's frames on their way.
    fn send_down(&mut self, seat: Seat, host: &mut impl Host, now: Micros) {
        for frame in host.take_frames(seat) {
            self.down.send(frame, now);
        }
    }
}
