//! Prediction and reconciliation of a player's own entity.
//!
//! The client applies the game's own rule ([`Predictor`]) to each input as it makes it, without
//! waiting for the server. Each snapshot has the entity's true state after the input of its tick.
//! If that is what the client predicted, nothing happens; with an exact rule and inputs that arrive
//! in time it always is. Otherwise the client starts from that state, replays the later inputs, and
//! lets the visible error fade, halving every [`FADE_HALF`]. An entity that is off by more than
//! [`Predictor::JUMP_FROM`] was moved by the server, such as by a respawn, and is shown at its new
//! place at once.
//!
//! Between two ticks the entity is shown on its way to where the player's *current* input would
//! bring it, so that a key press is visible in the next rendered frame.

use std::collections::VecDeque;

use crate::{
    game::Input,
    ids::{Seat, Tick},
    rows::Rows,
    time::Micros,
};

/// Time in which half of an error fades.
pub const FADE_HALF: Micros = Micros::from_millis(50);
/// Most inputs that wait to be confirmed: 2.5 s at the fastest rate. With more, prediction starts
/// again.
const PENDING_MAX: usize = 320;

/// The part of a game's rules that a client can predict: it depends only on what the client receives
/// in a snapshot and on one player's inputs. What others must not see, such as stamina that decides
/// how fast a player runs, is read from the owner's values ([`Game::write_owner`]).
///
/// A prediction is right if both ends compute the same, to the bit. So let [`Game::step`] call the
/// same function, on state that is no finer than rows are: integers in the fields' steps are best. A
/// position that the server rounds only for its rows is corrected again and again, by a step or two.
/// Functions such as [`f32::sin`] may differ from machine to machine; those of the crate `libm` don't.
///
/// ```
/// use tickwire_shared::{game::Input, ids::{EntityId, Seat}, replica::Predictor, rows::Rows};
///
/// /// The direction to run in: -1, 0 or 1 on each axis.
/// #[derive(Clone, Default)]
/// struct Keys([i32; 2]);
/// # impl Input for Keys {
/// #     fn from_values(values: &[i32]) -> Self {
/// #         Self([values[0], values[1]])
/// #     }
/// #     fn write_values(&self, values: &mut [i32]) {
/// #         values.copy_from_slice(&self.0);
/// #     }
/// # }
///
/// /// A runner's place, in centimetres, as the row's first two fields have it.
/// #[derive(Clone, PartialEq)]
/// struct Runner([i32; 2]);
///
/// impl Runner {
///     /// The server calls this, too.
///     fn run(&mut self, keys: &Keys, cm_per_tick: i32) {
///         for axis in 0..2 {
///             self.0[axis] = (self.0[axis] + keys.0[axis] * cm_per_tick).clamp(0, 2_000);
///         }
///     }
/// }
///
/// struct Run { cm_per_tick: i32 }
///
/// impl Predictor for Run {
///     type Input = Keys;
///     type State = Runner;
///     const JUMP_FROM: f32 = 2.0;
///
///     fn read(&self, rows: &Rows, _owner: &[i32], seat: Seat) -> Option<Runner> {
///         let row = rows.find(EntityId(seat.0.into()))?;
///         Some(Runner([row.values[0], row.values[1]]))
///     }
///     fn advance(&self, runner: &mut Runner, keys: &Keys) {
///         runner.run(keys, self.cm_per_tick);
///     }
///     fn place(&self, runner: &Runner) -> [f32; 3] {
///         [runner.0[0] as f32 / 100.0, runner.0[1] as f32 / 100.0, 0.0]
///     }
/// }
/// ```
///
/// [`Game::step`]: crate::game::Game::step
/// [`Game::write_owner`]: crate::game::Game::write_owner
pub trait Predictor {
    /// The game's input.
    type Input: Input;
    /// A player's predicted state, and all other state that it depends on.
    type State: Clone + PartialEq;

    /// A change along one axis by more than this is a jump, which is neither interpolated nor
    /// faded: more than a player moves in a tick. In the game's unit of length.
    const JUMP_FROM: f32;

    /// Reads the state from a snapshot: its rows, and the values that only this seat's player
    /// receives. `None` while there is nothing to predict, such as for a dead player.
    fn read(&self, rows: &Rows, owner: &[i32], seat: Seat) -> Option<Self::State>;

    /// Advances a player by one tick and one input, exactly as the server does.
    fn advance(&self, state: &mut Self::State, input: &Self::Input);

    /// The state's position, in the game's unit of length.
    fn place(&self, state: &Self::State) -> [f32; 3];
}

/// Shows a player's own entity without waiting for the server; see the [module](self).
#[derive(Clone, Debug)]
pub struct Prediction<P: Predictor> {
    rules: P,
    seat: Seat,
    /// The server's state in the newest snapshot.
    base: Option<(Tick, P::State)>,
    /// Inputs for the ticks after the base, oldest first, one for each tick, with the state after.
    pending: VecDeque<(Tick, P::Input, Option<P::State>)>,
    /// The newest input.
    held: P::Input,
    /// The newest input that the base includes.
    confirmed: P::Input,
    /// The server has dropped the pending inputs.
    has_lost_inputs: bool,
    /// The visible remainder of past errors, as of `error_at`.
    error: [f32; 3],
    error_at: Micros,
}

/// The result of comparing a prediction with a snapshot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// There was no prediction for the snapshot's tick, or nothing to predict.
    Unknown,
    /// The prediction was right.
    Exact,
    /// The prediction was wrong; the newest position changes by this distance.
    Corrected(f32),
}

impl<P: Predictor> Prediction<P> {
    /// A prediction for the player in this seat, before the first snapshot.
    pub fn new(rules: P, seat: Seat) -> Self {
        Self {
            rules,
            seat,
            base: None,
            pending: VecDeque::new(),
            held: P::Input::default(),
            confirmed: P::Input::default(),
            has_lost_inputs: false,
            error: [0.0; 3],
            error_at: Micros(0),
        }
    }

    /// Handles a new connection of the same session: the server has released all of the player's
    /// keys, and dropped the inputs that waited for their ticks. Until the next snapshot, the entity
    /// is shown as before.
    pub fn restart(&mut self) {
        self.has_lost_inputs = true;
    }

    /// Adds an input that was made for `tick`. Ticks that were skipped repeat the previous input,
    /// as they do on the server.
    pub fn push(&mut self, tick: Tick, input: &P::Input) {
        while let Some(newest) = self.newest_tick()
            && tick.since(newest) > 1
            && self.pending.len() < PENDING_MAX
        {
            self.run(newest.plus(1), self.held.clone());
        }
        let follows = self.pending.back().is_none_or(|(newest, ..)| tick.since(*newest) == 1);
        if !follows || self.pending.len() == PENDING_MAX {
            self.pending.clear();
        }
        self.held.clone_from(input);
        self.run(tick, input.clone());
    }

    /// The newest tick with a predicted or confirmed input.
    fn newest_tick(&self) -> Option<Tick> {
        let made = self.pending.back().map(|(tick, ..)| *tick);
        made.or_else(|| self.base.as_ref().map(|(tick, _)| *tick))
    }

    fn run(&mut self, tick: Tick, input: P::Input) {
        let state = self.newest().cloned().map(|mut state| {
            self.rules.advance(&mut state, &input);
            state
        });
        self.pending.push_back((tick, input, state));
    }

    /// Compares the prediction for `tick` with its snapshot, which arrived `now`, and corrects it.
    /// `owner` has the owner's values as of the snapshot: see [`ClientLink::owner`].
    ///
    /// [`ClientLink::owner`]: crate::link::ClientLink::owner
    pub fn reconcile(&mut self, tick: Tick, rows: &Rows, owner: &[i32], now: Micros) -> Verdict {
        let actual = self.rules.read(rows, owner, self.seat);
        let mut guess = self.base.take().filter(|(base, _)| *base == tick).map(|(_, state)| state);
        let before = self.newest().map(|state| self.rules.place(state));
        let has_lost_inputs = std::mem::take(&mut self.has_lost_inputs);
        if has_lost_inputs {
            self.pending.clear();
            (self.held, self.confirmed) = Default::default();
        }
        while let Some((first, ..)) = self.pending.front()
            && tick.since(*first) >= 0
        {
            let (at, input, state) = self.pending.pop_front().expect("`front` returned it");
            self.confirmed = input;
            guess = state.filter(|_| at == tick);
        }
        let Some(actual) = actual else {
            self.pending.iter_mut().for_each(|(_, _, state)| *state = None);
            self.error = [0.0; 3];
            return Verdict::Unknown;
        };
        if guess.as_ref() == Some(&actual) && !has_lost_inputs {
            self.base = Some((tick, actual));
            return Verdict::Exact;
        }
        let mut state = actual.clone();
        self.base = Some((tick, actual));
        // The first pending input may be for a later tick than the next.
        let first = self.pending.front().map_or(tick, |(first, ..)| *first);
        for _ in 1..first.since(tick).min(PENDING_MAX as i32) {
            self.rules.advance(&mut state, &self.confirmed);
        }
        for (_, input, after) in &mut self.pending {
            self.rules.advance(&mut state, input);
            *after = Some(state.clone());
        }
        let was_predicted = guess.is_some() || has_lost_inputs;
        let (Some(before), true) = (before, was_predicted) else { return Verdict::Unknown };
        let after = self.rules.place(&state);
        let off = [0, 1, 2].map(|axis| before[axis] - after[axis]);
        let length = off.map(|part| part * part).iter().sum::<f32>().sqrt();
        let left = self.error_left(now);
        self.error = [0, 1, 2].map(|axis| left[axis] + off[axis]);
        if off.iter().any(|part| part.abs() > P::JUMP_FROM) {
            self.error = [0.0; 3];
        }
        self.error_at = now;
        Verdict::Corrected(length)
    }

    /// Where to show the entity `part` (0 to 1) of a tick after the newest input, if `input` is the
    /// player's current one, in the game's unit of length. An axis that would jump in the next tick
    /// does not move until then. `None` while there is nothing to predict: show the player as the
    /// snapshots have it, like others.
    #[must_use]
    pub fn shown(&self, input: &P::Input, part: f32, now: Micros) -> Option<[f32; 3]> {
        let newest = self.newest()?;
        let mut next = newest.clone();
        self.rules.advance(&mut next, input);
        let (from, to) = (self.rules.place(newest), self.rules.place(&next));
        let error = self.error_left(now);
        let part = part.clamp(0.0, 1.0);
        Some([0, 1, 2].map(|axis| {
            let way = to[axis] - from[axis];
            let way = if way.abs() > P::JUMP_FROM { 0.0 } else { way * part };
            from[axis] + way + error[axis]
        }))
    }

    /// The state after the newest input: for what is not a place, such as a heading. It changes from
    /// tick to tick; to show it in between, [`Predictor::advance`] a clone by the current input.
    #[must_use]
    pub fn newest(&self) -> Option<&P::State> {
        match self.pending.back() {
            Some((_, _, state)) => state.as_ref(),
            None => self.base.as_ref().map(|(_, state)| state),
        }
    }

    fn error_left(&self, now: Micros) -> [f32; 3] {
        let halves = now.since(self.error_at).0 as f32 / FADE_HALF.0 as f32;
        self.error.map(|part| part * (-halves).exp2())
    }
}

#[cfg(test)]
mod tests;
