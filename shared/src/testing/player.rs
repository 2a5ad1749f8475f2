//! A simulated client and its player: it predicts, interpolates and renders 60 frames a second, and
//! counts everything that should not happen.

use std::fmt;

use super::world::fingerprint;
use crate::{
    dice::Dice,
    game::{Game, Input},
    ids::{Seat, Tick},
    link::{ClientEvent, ClientLink, Digest, ServerFault},
    replica::{Interpolation, Prediction, Predictor, Verdict},
    rows::Rows,
    time::{Micros, TickRate},
};

/// A game whose players can be simulated.
pub trait Played: Game {
    /// The rule for predicting its players.
    type Rules: Predictor<Input = Self::Input> + Clone;

    /// The prediction rule for a match with this tick rate.
    fn rules(rate: TickRate) -> Self::Rules;

    /// Changes the keys that are held. If `is_calm`, the new input must not cause events.
    fn press(held: &mut Self::Input, is_calm: bool, dice: &mut Dice);

    /// Whether the game has moved players elsewhere between these rows, as when a round begins. No
    /// client can foresee that, so it does not count as a wrong prediction.
    fn has_moved_players(before: Option<&Rows>, rows: Option<&Rows>) -> bool {
        let _ = (before, rows);
        false
    }
}

/// Larger errors are visible: 5 cm, if the game's unit of length is a metre.
const VISIBLE_M: f32 = 0.05;
/// Time in which most faults are not counted, since delays are still measured: after each connect
/// those of interpolation, and after the first those of prediction.
const WARM_UP: Micros = Micros::from_secs(5);
/// Time between two rendered frames.
const FRAME: Micros = Micros(16_667);

/// A simulated client and its player; see the [module](self).
pub struct Player<G: Played> {
    /// The player's statistics.
    pub counts: Counts,
    /// Fingerprints of the events that it has received.
    pub fingerprints: Vec<u32>,
    /// Whether its inputs must not cause events.
    pub is_calm: bool,
    /// The client's link.
    pub link: ClientLink,
    /// The interpolation of other entities.
    pub interpolation: Interpolation,
    seat: Seat,
    dice: Dice,
    prediction: Prediction<G::Rules>,
    keys: G::Input,
    keys_until: Micros,
    /// The prediction without the newest key press, until a rendered frame has shown that press.
    without: Option<Without<G>>,
    applied: Option<Tick>,
    frame_due: Micros,
    joined_at: Option<Micros>,
    came_at: Micros,
    /// The connection has had no snapshot yet.
    is_resuming: bool,
}

struct Without<G: Played> {
    pressed_at: Micros,
    keys: G::Input,
    prediction: Prediction<G::Rules>,
}

/// A player's statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Snapshots that were applied.
    pub snapshots: u64,
    /// Snapshots whose rows were not the server's.
    pub wrong: u64,
    /// Rendered frames, after the warm-up.
    pub frames: u64,
    /// Rendered frames without a snapshot to interpolate to.
    pub starved: u64,
    /// Key presses that made a difference.
    pub keys: u64,
    /// Key presses that were not visible in the next rendered frame.
    pub unshown: u64,
    /// Wrong predictions, after the warm-up. The first snapshot after a lost connection does not
    /// count: nobody can predict when the server notices the loss.
    pub corrections: u64,
    /// Wrong predictions with a visible error.
    pub visible: u64,
    /// The largest prediction error, in the game's unit of length.
    pub largest_m: f32,
    /// Interpolation delay, summed over rendered frames, in microseconds.
    pub delay: u64,
    /// How far ahead of the server inputs were made, summed in the same way.
    pub ahead: u64,
    /// Bytes of all frames from the server.
    pub bytes: u64,
}

impl Counts {
    /// The sum of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            snapshots: self.snapshots + other.snapshots,
            wrong: self.wrong + other.wrong,
            frames: self.frames + other.frames,
            starved: self.starved + other.starved,
            keys: self.keys + other.keys,
            unshown: self.unshown + other.unshown,
            corrections: self.corrections + other.corrections,
            visible: self.visible + other.visible,
            largest_m: self.largest_m.max(other.largest_m),
            delay: self.delay + other.delay,
            ahead: self.ahead + other.ahead,
            bytes: self.bytes + other.bytes,
        }
    }
}

impl<G: Played> Player<G> {
    /// A player who will join in this seat.
    #[must_use]
    pub fn new(seat: Seat, rate: TickRate, seed: u64) -> Self {
        let mut dice = Dice::new(seed ^ (u64::from(seat.0) << 32));
        let frame_due = Micros(dice.next() % FRAME.0);
        Self {
            counts: Counts::default(),
            fingerprints: Vec::new(),
            is_calm: false,
            link: ClientLink::default(),
            interpolation: Interpolation::default(),
            seat,
            dice,
            prediction: Prediction::new(G::rules(rate), seat),
            keys: G::Input::default(),
            keys_until: Micros(0),
            without: None,
            applied: None,
            frame_due,
            joined_at: None,
            came_at: Micros(0),
            is_resuming: false,
        }
    }

    /// Starts a new connection, and returns the hello to send.
    pub fn connect(&mut self, now: Micros) -> Vec<u8> {
        let mut hello = Vec::new();
        self.link.write_hello("", None, &mut hello);
        self.interpolation.restart();
        self.prediction.restart();
        self.joined_at.get_or_insert(now);
        self.came_at = now;
        self.is_resuming = true;
        self.without = None;
        hello
    }

    /// Handles a frame. `truth` returns the server's rows of recent ticks.
    pub fn handle<'a>(
        &mut self,
        frame: &[u8],
        now: Micros,
        truth: impl Fn(Tick) -> Option<&'a Rows>,
    ) -> Result<(), ServerFault> {
        self.counts.bytes += frame.len() as u64;
        let (tick, digest) = match self.link.handle_frame(frame, now)? {
            ClientEvent::Snapshot { tick, digest } => (tick, digest),
            ClientEvent::Event { .. } => {
                self.fingerprints.push(fingerprint(frame));
                return Ok(());
            }
            ClientEvent::Welcome(_)
            | ClientEvent::Pong { .. }
            | ClientEvent::Model
            | ClientEvent::Pace { .. }
            | ClientEvent::Leaving { .. }
            | ClientEvent::Social(_) => return Ok(()),
        };
        let rows = self.link.rows().expect("a snapshot was applied");
        let differs = digest == Digest::Differs || truth(tick).is_some_and(|truth| truth != rows);
        self.counts.snapshots += 1;
        self.counts.wrong += u64::from(differs);
        if let Some(clock) = self.link.clock() {
            self.interpolation.push(tick, rows, clock, now);
        }
        let owner = self.link.owner();
        let verdict = self.prediction.reconcile(tick, rows, owner, now);
        if let Some(without) = &mut self.without {
            without.prediction.reconcile(tick, rows, owner, now);
        }
        let since = self.applied.replace(tick).map_or(0, |before| tick.since(before));
        let was_moved = (0..since)
            .map(|n| Tick(tick.0 - n as u32))
            .any(|tick| G::has_moved_players(truth(Tick(tick.0.wrapping_sub(1))), truth(tick)));
        let was_resuming = std::mem::take(&mut self.is_resuming);
        let is_warm = self.joined_at.is_some_and(|at| now.since(at) > WARM_UP);
        if let Verdict::Corrected(by) = verdict
            && is_warm
            && !was_resuming
            && !was_moved
        {
            self.counts.corrections += 1;
            self.counts.visible += u64::from(by > VISIBLE_M);
            self.counts.largest_m = self.counts.largest_m.max(by);
        }
        Ok(())
    }

    /// Advances to `now`: presses keys, makes inputs, renders. Passes frames for the server to
    /// `send`.
    pub fn play(&mut self, now: Micros, mut send: impl FnMut(Vec<u8>)) {
        self.press(now);
        while let Some(tick) = self.link.poll_input(now) {
            let mut values = vec![0; G::schema().input.len()];
            self.keys.write_values(&mut values);
            let mut frame = Vec::new();
            if self.link.write_input(tick, &values, &mut frame).is_some() {
                self.prediction.push(tick, &self.keys);
                if let Some(without) = &mut self.without {
                    without.prediction.push(tick, &without.keys);
                }
                send(frame);
            }
        }
        let mut ping = Vec::new();
        self.link.poll_ping(now, &mut ping);
        if !ping.is_empty() {
            send(ping);
        }
        if now >= self.frame_due {
            self.frame_due = self.frame_due.plus(FRAME);
            self.draw(now);
        }
    }

    fn press(&mut self, now: Micros) {
        if now < self.keys_until {
            return;
        }
        self.keys_until = now.plus(Micros(200_000 + self.dice.next() % 1_800_000));
        let before = self.keys.clone();
        G::press(&mut self.keys, self.is_calm, &mut self.dice);
        let shows = |keys| self.prediction.shown(keys, 1.0, now);
        let matters = self.link.input_due(now).is_some() && shows(&before) != shows(&self.keys);
        self.without = matters.then(|| Without {
            pressed_at: now,
            keys: before,
            prediction: self.prediction.clone(),
        });
    }

    fn draw(&mut self, now: Micros) {
        let is_warm = self.is_warm(now);
        let Some(clock) = self.link.clock() else { return };
        let Some(view) = self.interpolation.view(clock, now) else { return };
        let (moment, is_beyond) = (view.moment(), view.is_beyond());
        let part = self.link.input_part(now);
        if let Some(Without { pressed_at, keys, prediction }) = &self.without {
            let shown = self.prediction.shown(&self.keys, part, now);
            let is_shown = shown != prediction.shown(keys, part, now);
            // A frame rendered within the same millisecond as the press may still miss it.
            if is_shown || now.since(*pressed_at) > Micros::from_millis(1) {
                // A player who has died since is not shown.
                self.counts.keys += u64::from(shown.is_some());
                self.counts.unshown += u64::from(shown.is_some() && !is_shown);
                self.without = None;
            }
        }
        if is_warm {
            self.counts.frames += 1;
            self.counts.starved += u64::from(is_beyond);
            self.counts.delay += self.interpolation.delay().unwrap_or(0).cast_unsigned();
            let ahead = self.link.pace().and_then(|pace| pace.ahead());
            self.counts.ahead += ahead.unwrap_or(0).cast_unsigned();
        }
        self.link.set_seen(moment);
    }

    fn is_warm(&self, now: Micros) -> bool {
        now.since(self.came_at) > WARM_UP
    }
}

impl<G: Played> fmt::Debug for Player<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Player")
            .field("seat", &self.seat)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}
