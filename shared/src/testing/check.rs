//! Tests a game by playing it at random, twice, to find faults that would end its matches, and
//! nondeterminism that a server can't notice.

use super::{Host, World, world::fail};
use crate::{
    declaration::{modes_of, schema_of},
    dice::Dice,
    game::{Game, Input, MatchOptions, SIGNAL_MAX, TICKET_DATA_MAX},
    ids::{EntityId, Seat, Tick, Viewer},
    link::{
        ClientEvent, ClientLink, Digest,
        integers::{self, OutOfRange},
    },
    misfit::check_viewer,
    rows::Rows,
    schema::{Integer, Schema},
    state,
    time::{Micros, Moment, TickRate},
    wire::SERVER_FRAME_BYTES_MAX,
};

/// Tick rates of the matches that are played, in Hz.
const RATES: [u16; 4] = [1, 10, 30, 128];
/// Length of each match, in ticks.
const TICKS: u32 = 400;
/// When one of two identical matches is replaced by a copy that was written out and read back. Its
/// inputs are from then on, too.
const MOVED: Tick = Tick(200);
/// Seats of each match, unless the game has another number.
const SEATS: u16 = 8;

/// Plays matches in each of a game's modes, with players who join (with any data in their tickets),
/// leave, lose the connection and come back, send any input that the schema allows, and see others
/// late, and with any signals; and writes the game's state out and reads it back in between, and
/// after that each input. Some players change their input in every tick, others keep it for many. The
/// matches last until they are over, or for 400 ticks, at 1, 10, 30 and 128 Hz; anything later, such as
/// the end of a long round, needs a test of its own. Use it in a test of your game:
///
/// ```
/// # use tickwire_shared::arena::Arena as YourGame;
/// tickwire_shared::testing::check::<YourGame>();
/// ```
///
/// # Panics
/// When the server would not run the game; when the game panics; when its output or default input
/// does not fit its schema; or when a second match with the same seed, players and inputs, or a
/// match that was read back, develops differently.
pub fn check<G: Game>() {
    let schema = schema_of::<G>().unwrap_or_else(|error| panic!("{error}"));
    check_default_input::<G>(&schema);
    for mode in modes_of::<G>() {
        let seats = G::seats(mode).unwrap_or(SEATS);
        for (seed, hz) in (0..).zip(RATES) {
            let tick_rate = TickRate::new(hz).expect("the rates are valid");
            let options = MatchOptions { seed, seats, npcs: seats / 2, tick_rate, mode };
            play([World::<G>::new(options), World::new(options)], &schema, &mut Dice::new(seed));
        }
    }
}

/// Checks that the input of a seat without a player is one that a player could send.
fn check_default_input<G: Game>(schema: &Schema) {
    let mut values = vec![0; schema.input.len()];
    G::Input::default().write_values(&mut values);
    let packed = integers::pack(&schema.input, &values, &mut Vec::new());
    if let Err(OutOfRange { integer: Integer { name, min, max }, value }) = packed {
        panic!("{name} of the default input is {value}, outside {min} to {max}");
    }
}

fn play<G: Game>(mut twins: [World<G>; 2], schema: &Schema, dice: &mut Dice) {
    let seats = twins[0].options.seats;
    let mut clients: Vec<_> = (0..seats).map(|_| None).collect();
    let mut inputs: Vec<_> = (0..seats).map(|seat| Held::new(seat, schema)).collect();
    for tick in (1..=TICKS).map(Tick) {
        let now = twins[0].due();
        for ((seat, client), input) in (0..).map(Seat).zip(&mut clients).zip(&mut inputs) {
            act(seat, client, input, tick, &mut twins, dice, now);
        }
        if dice.next().is_multiple_of(64) {
            let signal = any_integers(SIGNAL_MAX, dice);
            twins.iter_mut().for_each(|world| world.game.signal(&signal));
        }
        twins.iter_mut().for_each(|world| world.step(now));
        compare(&twins, schema);
        if twins[0].game.is_over() {
            return;
        }
        if tick == MOVED {
            twins[1].game = moved(&twins[1].game);
            twins[1].rereads_inputs = true;
        }
        for (seat, client) in (0..).map(Seat).zip(&mut clients) {
            let [world, other] = &mut twins;
            let sent = std::mem::take(&mut world.sessions[seat.index()].out);
            let same = sent == std::mem::take(&mut other.sessions[seat.index()].out);
            let twice = twice(tick);
            assert!(same, "at tick {}, {twice} send seat {} different frames", tick.0, seat.0);
            let Some(link) = client else { continue };
            sent.iter().for_each(|frame| receive(frame, seat, link, world, now));
            if removes(world, seat) {
                *client = None;
                twins.iter_mut().for_each(|world| world.leave(seat));
            }
        }
    }
}

/// Describes the two matches as of this tick, for failure messages.
fn twice(tick: Tick) -> &'static str {
    if tick.since(MOVED) <= 0 {
        "two matches with the same seed and inputs"
    } else {
        "two matches with the same seed and inputs, one of which was written out and read back, as \
         are its inputs,"
    }
}

/// Writes a game's state out and reads it back, as when a match moves to another machine.
fn moved<G: Game>(game: &G) -> G {
    let written = state::write(game).unwrap_or_else(|error| panic!("{error}"));
    state::read(&written).unwrap_or_else(|error| panic!("{error}"))
}

/// The input of one seat's player, who keeps each integer for a while: most games get anywhere only
/// with keys that are held, but some faults show only when they change at once.
struct Held<'a> {
    schema: &'a Schema,
    values: Vec<i32>,
    /// For how many ticks each integer is kept, on average.
    ticks: u64,
}

impl<'a> Held<'a> {
    /// Players in higher seats of each eight keep their inputs for longer, from one tick up to 128.
    fn new(seat: u16, schema: &'a Schema) -> Self {
        let values = schema.input.iter().map(Integer::neutral).collect();
        Self { schema, values, ticks: 1 << (seat % 8) }
    }

    fn next(&mut self, dice: &mut Dice) -> &[i32] {
        for (value, integer) in self.values.iter_mut().zip(&self.schema.input) {
            if dice.next().is_multiple_of(self.ticks) {
                *value = match dice.next() % 4 {
                    0 => integer.min,
                    1 => integer.max,
                    _ => dice.within(integer.min, integer.max),
                };
            }
        }
        &self.values
    }
}

/// Lets a seat's player act at random, leave, join, lose the connection, or come back.
fn act<G: Game>(
    seat: Seat,
    client: &mut Option<ClientLink>,
    input: &mut Held<'_>,
    tick: Tick,
    twins: &mut [World<G>; 2],
    dice: &mut Dice,
    now: Micros,
) {
    let mut frame = Vec::new();
    let is_away = twins[0].sessions[seat.index()].link.is_none();
    match (client.as_mut(), dice.next() % 64) {
        (Some(_), 0) => {
            *client = None;
            twins.iter_mut().for_each(|world| world.leave(seat));
        }
        (Some(link), 1..8) if is_away => {
            let token = link.welcome().map(|welcome| welcome.resume);
            link.write_hello("", token, &mut frame);
            twins.iter_mut().for_each(|world| world.connect(seat, now));
        }
        (Some(_), _) if is_away => {}
        (Some(_), 1) => twins.iter_mut().for_each(|world| world.disconnect(seat)),
        (Some(link), 2..60) => {
            let values = input.next(dice);
            link.set_seen(Moment::before(tick, dice.within(256, 4_096) as u16));
            link.write_input(tick, values, &mut frame);
        }
        (None, 0..8) => {
            let data = any_integers(TICKET_DATA_MAX, dice);
            for world in &mut *twins {
                world.sessions[seat.index()].data.clone_from(&data);
                world.connect(seat, now);
            }
            client.insert(ClientLink::default()).write_hello("", None, &mut frame);
        }
        (Some(_) | None, _) => {}
    }
    if !frame.is_empty() {
        for world in twins {
            world.handle(seat, &frame, now);
        }
    }
}

/// None, a few or `most` integers of any size.
fn any_integers(most: usize, dice: &mut Dice) -> Vec<i32> {
    let count = [0, 4, most][dice.within(0, 2) as usize];
    (0..count).map(|_| dice.next() as i32 >> dice.within(0, 31)).collect()
}

/// Checks that both matches have the same rows and scores.
fn compare<G: Game>([one, two]: &[World<G>; 2], schema: &Schema) {
    let (tick, twice) = (one.tick, twice(one.tick));
    let [rows, others] = [one, two].map(|world| rows_of(world));
    if rows != others {
        panic!("at tick {}, {twice} differ: {}", tick.0, difference(rows, others, schema));
    }
    let ends = [one, two].map(|world| (world.game.is_over(), world.game.may_end()));
    assert_eq!(ends[0], ends[1], "at tick {}, {twice} differ in whether they end", tick.0);
    let admits = [one, two].map(|world| world.game.admits());
    assert_eq!(admits[0], admits[1], "at tick {}, {twice} differ in whom they admit", tick.0);
    for seat in (0..one.options.seats).map(Seat) {
        let [score, other] = [one, two].map(|world| {
            let mut values = vec![0; G::SCORES.len()];
            world.game.write_score(seat, &mut values);
            values
        });
        assert_eq!(score, other, "at tick {}, {twice} differ in scores of seat {}", tick.0, seat.0);
        let [removed, other] = [one, two].map(|world| removes(world, seat));
        assert_eq!(removed, other, "at tick {}, {twice} differ in removing {}", tick.0, seat.0);
        let [seen, other] = [one, two].map(|world| seen_by(world, seat));
        assert_eq!(seen, other, "at tick {}, {twice} differ in what seat {} sees", tick.0, seat.0);
    }
}

/// Whether the game removes the player in a seat, if there is one.
fn removes<G: Game>(world: &World<G>, seat: Seat) -> bool {
    world.sessions[seat.index()].has_joined && world.game.removes(seat)
}

/// The viewer of a seat, and the entities that it sees.
fn seen_by<G: Game>(world: &World<G>, seat: Seat) -> Option<(Viewer, Vec<EntityId>)> {
    let viewer = world.game.viewer(seat)?;
    check_viewer(seat, viewer, world.options.seats)
        .unwrap_or_else(|misfit| fail(world.tick, &misfit));
    let seen = rows_of(world).iter().filter(|&row| world.game.sees(viewer, row));
    Some((viewer, seen.map(|row| row.id).collect()))
}

/// The first difference between rows that fit the schema.
fn difference(rows: &Rows, others: &Rows, schema: &Schema) -> String {
    if !rows.has_entities_of(others) {
        let ids = [rows, others].map(|rows| rows.iter().map(|row| row.id.0).collect::<Vec<_>>());
        return format!("one has entities {:?}, the other {:?}", ids[0], ids[1]);
    }
    let pairs = rows.iter().zip(others.iter());
    let values = pairs.flat_map(|(row, other)| {
        let kind = &schema.kinds[usize::from(row.kind)];
        let values = kind.fields.iter().zip(row.values.iter().zip(other.values));
        values.map(move |(field, values)| (&kind.name, row.id, &field.name, values))
    });
    let mut different = values.filter(|(.., (value, other))| value != other);
    let (kind, id, field, (value, other)) = different.next().expect("the rows differ");
    format!("{field} of {kind} {} is {value} in one, {other} in the other", id.0)
}

/// Passes a frame to a client, whose rows must then be those of the match.
fn receive<G: Game>(
    frame: &[u8],
    seat: Seat,
    client: &mut ClientLink,
    world: &World<G>,
    now: Micros,
) {
    let (tick, bytes) = (world.tick.0, frame.len());
    assert!(
        bytes <= SERVER_FRAME_BYTES_MAX,
        "at tick {tick}, seat {} is sent {bytes} bytes, more than {SERVER_FRAME_BYTES_MAX}",
        seat.0
    );
    match client.handle_frame(frame, now) {
        Ok(ClientEvent::Snapshot { digest, .. }) => {
            let is_same = digest == Digest::Agrees && client.rows() == Some(rows_of(world));
            assert!(is_same, "at tick {tick}, seat {} gets other rows than were sent", seat.0);
        }
        Ok(_) => {}
        Err(fault) => panic!("at tick {tick}, seat {} can't read what it is sent: {fault}", seat.0),
    }
}

fn rows_of<G: Game>(world: &World<G>) -> &Rows {
    world.history.rows(world.tick).expect("the newest tick is in the history")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI32, Ordering};

    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::{game::Step, rows::Row, schema::Field};

    #[test]
    fn a_game_without_a_fault_passes() {
        check::<Cart<NOTHING>>();
    }

    #[test]
    #[should_panic(expected = "at tick 1, two matches with the same seed and inputs differ: \
                               x of cart 7 is 0 in one, 1 in the other")]
    fn nondeterminism_is_found() {
        check::<Cart<CHANCE>>();
    }

    #[test]
    #[should_panic(
        expected = "at tick 201, two matches with the same seed and inputs, one of which was \
                    written out and read back, as are its inputs, differ: x of cart 7 is 3 in one, \
                    1 in the other"
    )]
    fn state_that_is_not_written_out_is_found() {
        check::<Cart<FORGOTTEN>>();
    }

    #[test]
    #[should_panic(
        expected = "one of which was written out and read back, as are its inputs, differ"
    )]
    fn an_input_that_is_not_written_as_it_was_read_is_found() {
        check::<Cart<INPUT>>();
    }

    #[test]
    #[should_panic(
        expected = "the game does not keep to its schema: x of cart 7 is 10, outside 0 to 9"
    )]
    fn a_value_out_of_range_is_found() {
        check::<Cart<ROW>>();
    }

    #[test]
    #[should_panic(
        expected = "the game does not keep to its schema: x of cart 7 is 10, outside 0 to 9"
    )]
    fn a_value_that_only_a_held_input_reaches_is_found() {
        check::<Cart<HELD>>();
    }

    #[test]
    #[should_panic(expected = "push of the default input is 0, outside 1 to 3")]
    fn a_default_input_out_of_range_is_found() {
        check::<Cart<DEFAULT>>();
    }

    #[test]
    #[should_panic(expected = "the game does not keep to its schema: fuel of seat 3 is -1")]
    fn an_owner_value_out_of_range_is_found() {
        check::<Cart<OWNER>>();
    }

    #[test]
    #[should_panic(
        expected = "at tick 9, the game does not keep to its schema: an event has kind 1"
    )]
    fn an_unknown_event_is_found() {
        check::<Cart<EVENT>>();
    }

    #[test]
    #[should_panic(expected = "seat 5 has viewer 8, but with 8 seats the last is 7")]
    fn an_unknown_viewer_is_found() {
        check::<Cart<VIEWER>>();
    }

    #[test]
    #[should_panic(
        expected = "at tick 1, two matches with the same seed and inputs differ in what seat 5 sees"
    )]
    fn chance_in_what_is_seen_is_found() {
        check::<Cart<SIGHT>>();
    }

    #[test]
    #[should_panic(expected = "the game's event \"join\" has a name that event feeds reserve")]
    fn a_reserved_name_is_found() {
        check::<Cart<RESERVED>>();
    }

    #[test]
    #[should_panic(expected = "a player is back")]
    fn a_fault_of_a_player_who_comes_back_is_found() {
        check::<Cart<BACK>>();
    }

    const NOTHING: u8 = 0;
    const CHANCE: u8 = 1;
    const ROW: u8 = 2;
    const OWNER: u8 = 3;
    const EVENT: u8 = 4;
    const FORGOTTEN: u8 = 5;
    const HELD: u8 = 6;
    const DEFAULT: u8 = 7;
    const VIEWER: u8 = 8;
    const SIGHT: u8 = 9;
    const RESERVED: u8 = 10;
    const INPUT: u8 = 11;
    const BACK: u8 = 12;

    /// A cart that all players push, with a fault.
    #[derive(Serialize, Deserialize)]
    struct Cart<const FAULT: u8> {
        x: i32,
        #[serde(skip)]
        steps: i32,
        /// For how many ticks each player has pushed without a break.
        pushed: [i32; SEATS as usize],
        away: [bool; SEATS as usize],
    }

    #[derive(Clone, Default)]
    struct Push<const FAULT: u8>(i32);

    impl<const FAULT: u8> Input for Push<FAULT> {
        fn from_values(values: &[i32]) -> Self {
            Self(values[0])
        }
        fn write_values(&self, values: &mut [i32]) {
            values[0] = if FAULT == INPUT { 0 } else { self.0 };
        }
    }

    impl<const FAULT: u8> Game for Cart<FAULT> {
        type Input = Push<FAULT>;

        fn schema() -> Schema {
            let cart = Schema::new("cart").kind("cart", [Field::new("x", 1.0, 0, 9)]);
            let (min, max) = if FAULT == DEFAULT { (1, 3) } else { (-1, 1) };
            let event = if FAULT == RESERVED { "join" } else { "stop" };
            cart.owner("fuel", 0, 9).input("push", min, max).event(event, [])
        }

        fn new(_: &MatchOptions) -> Self {
            Self { x: 0, steps: 0, pushed: [0; SEATS as usize], away: [false; SEATS as usize] }
        }

        fn join(&mut self, _: Seat) {}

        fn leave(&mut self, seat: Seat) {
            self.away[seat.index()] = false;
        }

        fn away(&mut self, seat: Seat) {
            assert!(!std::mem::replace(&mut self.away[seat.index()], true));
        }

        fn back(&mut self, seat: Seat) {
            assert!(std::mem::take(&mut self.away[seat.index()]));
            assert!(FAULT != BACK, "a player is back");
        }

        fn step(&mut self, step: &mut Step<'_, Self::Input>) {
            static STEPS: AtomicI32 = AtomicI32::new(0);
            let max = if FAULT == ROW { 10 } else { 9 };
            for Push(by) in step.inputs {
                self.x = (self.x + by).clamp(0, max);
            }
            if FAULT == CHANCE {
                self.x = STEPS.fetch_add(1, Ordering::Relaxed) % 10;
            }
            self.steps += 1;
            if FAULT == FORGOTTEN {
                self.x = self.steps % 9;
            }
            for (ticks, Push(by)) in self.pushed.iter_mut().zip(step.inputs) {
                *ticks = if *by > 0 { *ticks + 1 } else { 0 };
                if FAULT == HELD && *ticks == 40 {
                    self.x = 10;
                }
            }
            if FAULT == EVENT && step.tick == Tick(9) {
                step.events.all(1, &[]);
            }
        }

        fn write_rows(&self, rows: &mut Rows) {
            rows.push(EntityId(7), 0, &[self.x]);
        }

        fn write_owner(&self, seat: Seat, values: &mut [i32]) {
            values[0] = if FAULT == OWNER && seat == Seat(3) { -1 } else { 9 };
        }

        fn viewer(&self, seat: Seat) -> Option<Viewer> {
            (seat == Seat(5)).then_some(Viewer(if FAULT == VIEWER { 8 } else { 7 }))
        }

        fn sees(&self, _: Viewer, _: Row<'_>) -> bool {
            static LOOKS: AtomicI32 = AtomicI32::new(0);
            FAULT != SIGHT || LOOKS.fetch_add(1, Ordering::Relaxed) % 2 == 0
        }
    }
}
