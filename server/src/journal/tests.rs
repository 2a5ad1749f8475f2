use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use tickwire_shared::{
    arena::{Arena, ArenaInput},
    dice::Dice,
    game::Events,
    history::History,
    ids::EntityId,
    replica::Rewind,
    schema::Field,
};

use super::{
    replay::{
        Played,
        ReplayError::{self, OtherVersion},
    },
    *,
};
use crate::{config::Config, parts::LENGTH_BYTES};

const RATE: TickRate = TickRate::new(30).unwrap();

#[test]
fn a_match_is_played_again_as_it_was() {
    let recorded = record::<Arena>("same", None, |tick, _| tick < 300);
    let (is_same, said) = replayed::<Arena>(&recorded.file);
    assert!(is_same, "{said}");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[0], "arena 1, match 7: 4 seats, 30 Hz");
    assert!(lines[1].starts_with("300 ticks (10 s) played again, "), "{said}");
    assert_eq!(lines[2..], ["it went the same way: 10 digests of rows are equal"]);
}

#[test]
fn a_match_of_an_earlier_server_is_played_again_from_its_state() {
    let earlier = record::<Arena>("earlier", None, |tick, _| tick < 300);
    let first = Some((Tick(1_000), earlier.state.clone().unwrap()));
    let recorded = record::<Arena>("later", first, |tick, _| tick < 1_300);
    let (is_same, said) = replayed::<Arena>(&recorded.file);
    assert!(is_same && said.starts_with("arena 1, match 7: 4 seats, 30 Hz, from tick 1000\n"));
}

#[test]
fn a_match_that_is_years_old_is_played_again() {
    let earlier = record::<Arena>("young", None, |tick, _| tick < 30);
    let first = Some((Tick(u32::MAX - 99), earlier.state.clone().unwrap()));
    let recorded = record::<Arena>("old", first, |tick, _| tick != 100);
    let (is_same, said) = replayed::<Arena>(&recorded.file);
    assert!(is_same && said.contains("\n200 ticks (7 s) played again, "), "{said}");
    for (from, is_there) in [(None, true), (Some(Tick(100)), true), (Some(Tick(101)), false)] {
        let mut played = Played::<Arena>::open(&recorded.file).unwrap();
        assert_eq!(played.play_to(from).is_ok(), is_there, "{from:?}");
    }
}

#[test]
fn spectators_watch_over_and_over() {
    let recorded = record::<Arena>("watched", None, |tick, _| tick < 60);
    let mut config = Config::default();
    Replay::<Arena>::prepare(&recorded.file, Some(Tick(58)), &mut config).unwrap();
    let options = MatchOptions { seed: 1, seats: 4, npcs: 0, tick_rate: RATE, mode: "" };
    let mut replay = Replay::<Arena>::new(&options);
    let mut digests = (1..=9).map(Tick).map(|tick| {
        let (mut events, mut rows) = (Events::default(), Rows::default());
        replay.step(&mut Step { tick, inputs: &[], past: Rewind::none(), events: &mut events });
        replay.write_rows(&mut rows);
        rows.digest()
    });
    // 59 and 60, then from 58 again.
    let rounds: Vec<[u32; 3]> =
        (0..3).map(|_| std::array::from_fn(|_| digests.next().unwrap())).collect();
    assert!(rounds.iter().all(|round| *round == rounds[0]), "{rounds:?}");
    assert!(rounds[0][0] != rounds[0][1] && rounds[0][1] != rounds[0][2], "{rounds:?}");
}

#[test]
fn a_match_that_goes_another_way_is_noticed() {
    let recorded = record::<Arena>("other", None, |tick, _| tick < 300);
    let mut bytes = fs::read(&recorded.file).unwrap();
    let seed = bytes.windows(4).position(|window| window == b"seed").unwrap() + 4;
    assert_eq!(bytes[seed], 5);
    bytes[seed] = 6;
    fs::write(&recorded.file, bytes).unwrap();
    let (is_same, said) = replayed::<Arena>(&recorded.file);
    assert!(!is_same && said.contains("\nit went another way by tick 30: "), "{said}");
}

#[test]
fn a_journal_that_is_cut_off_is_played_up_to_there() {
    let recorded = record::<Arena>("cut", None, |tick, _| tick < 40);
    let bytes = fs::read(&recorded.file).unwrap();
    let head = LENGTH_BYTES + u32::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    for end in (0..bytes.len()).rev().step_by(7) {
        fs::write(&recorded.file, &bytes[..end]).unwrap();
        match verify::<Arena>(&recorded.file, Vec::new()) {
            Ok(is_same) => assert!(is_same && end >= head, "cut off at {end}"),
            Err(error) => assert!(matches!(error, ReplayError::Damaged(_)) && end < head),
        }
    }
}

#[test]
fn a_journal_that_ends_within_a_part_is_said_to_be_cut_off() {
    let recorded = record::<Arena>("within", None, |tick, _| tick < 60);
    let bytes = fs::read(&recorded.file).unwrap();
    for (cut, is_said) in [(0, false), (1, true)] {
        fs::write(&recorded.file, &bytes[..bytes.len() - cut]).unwrap();
        let (is_same, said) = replayed::<Arena>(&recorded.file);
        let is_cut = said.contains("the same way, up to where the journal is cut off: ");
        assert!(is_same && is_cut == is_said, "{said}");
    }
}

#[test]
fn what_no_match_has_or_is_told_is_refused() {
    let recorded = record::<Arena>("told", None, |tick, _| tick < 60);
    let bytes = fs::read(&recorded.file).unwrap();
    let head_end = LENGTH_BYTES + u32::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let head = || state::read::<Head>(&bytes[LENGTH_BYTES..head_end]).unwrap();
    let with_head = |head: Head| {
        let mut written = Vec::new();
        push(&head, &mut written);
        [&written, &bytes[head_end..]].concat()
    };
    let with_part = |told: Told<'_>| {
        let mut written = bytes.clone();
        push(&told, &mut written);
        written
    };
    let step = |seat, x, behind| {
        with_part(Told::Step(vec![Seat(seat)].into(), vec![x, 0, 0, 0].into(), behind))
    };
    let with_length = |length: u32| [&bytes[..], &length.to_le_bytes(), &[0; 99]].concat();
    let said = |written: Vec<u8>| {
        fs::write(&recorded.file, written).unwrap();
        let mut said = Vec::new();
        let ended = verify::<Arena>(&recorded.file, &mut said);
        let said = String::from_utf8(said).unwrap();
        (ended.map_err(|error| error.to_string().replace("not a journal, or ", "")), said)
    };
    let why = |written| said(written).0.unwrap_err();
    assert_eq!(why(with_head(Head { version: 2, ..head() })), OtherVersion.to_string());
    let no_mode = "it is of the mode \"duel\", which the game no longer has";
    assert_eq!(why(with_head(Head { mode: "duel".into(), ..head() })), no_mode);
    let state = Some(serde_bytes::ByteBuf::from([0x80]));
    let of_other_rules = why(with_head(Head { state, ..head() }));
    let can_not = "the game can't go on from the match's state: ";
    assert!(of_other_rules.starts_with(can_not), "{of_other_rules}");
    for seats in [0, 1_025] {
        let of_no_match = with_head(Head { seats, ..head() });
        assert_eq!(why(of_no_match), "it is damaged: no match has so many seats");
    }
    for told in [
        Told::Join(Seat(4), Cow::Borrowed(&[])),
        Told::Join(Seat(0), vec![0; 17].into()),
        Told::Leave(Seat(4)),
        Told::Away(Seat(4)),
        Told::Back(Seat(4)),
        Told::Signal(vec![0; 65].into()),
    ] {
        assert_eq!(why(with_part(told)), "it is damaged: no match can be told this");
    }
    let missing = with_part(Told::Step(vec![Seat(0)].into(), vec![0].into(), vec![None].into()));
    assert_eq!(why(missing), "it is damaged: inputs are missing");
    for wrong in [step(4, 0, vec![None].into()), step(0, 128, vec![None].into())] {
        assert_eq!(why(wrong), "it is damaged: no player can send this input");
    }
    // How far it was played is said, too.
    let (ended, said_before) = said(with_length(200_000));
    assert_eq!(ended.unwrap_err(), "it is damaged: a part is too long");
    assert!(said_before.contains("\n60 ticks (2 s) played again, "), "{said_before}");
    let long_ago = step(0, 127, vec![Some(u32::MAX)].into());
    assert_eq!(said(long_ago).0, Ok(true));
}

#[test]
fn rows_that_do_not_fit_the_schema_fail_again() {
    let recorded = record::<Countdown>("misfit", None, |tick, _| tick < 3);
    let mut bytes = fs::read(&recorded.file).unwrap();
    push(&Told::Signal(vec![9_999].into()), &mut bytes);
    push(&Told::Step(vec![].into(), vec![].into(), vec![].into()), &mut bytes);
    fs::write(&recorded.file, bytes).unwrap();
    let (is_same, said) = replayed::<Countdown>(&recorded.file);
    assert!(!is_same && said.contains("\nthe game panicked at tick 4 "), "{said}");
}

#[test]
fn what_is_no_journal_of_this_game_is_refused() {
    let recorded = record::<Arena>("refused", None, |tick, _| tick < 3);
    let error = |file: &Path| verify::<Countdown>(file, Vec::new()).unwrap_err().to_string();
    assert_eq!(error(&recorded.file), "it is of the game arena 1, and this is countdown");
    fs::write(&recorded.file, "a text of someone else, and not a short one").unwrap();
    assert!(
        error(&recorded.file).starts_with("it is not a journal, or damaged: "),
        "{}",
        error(&recorded.file)
    );
    fs::remove_file(&recorded.file).unwrap();
    assert!(error(&recorded.file).contains("No such file"), "{}", error(&recorded.file));
}

#[test]
fn a_panic_is_played_again() {
    let recorded = record::<Countdown>("panic", None, |_, _| true);
    assert!(recorded.state.is_none());
    let (is_same, said) = replayed::<Countdown>(&recorded.file);
    let end = "\nthe game panicked at tick 77 (2 digests of rows are equal)\n";
    assert!(!is_same && said.ends_with(end), "{said}");
}

#[test]
fn a_journal_that_can_not_be_written_is_lost_once() {
    let folder = folder("lost");
    let recorded = record::<Arena>("lost", None, |tick, lost| {
        // Its thread may write later.
        let is_there = || fs::read_dir(&folder).unwrap().next().is_some();
        if tick == 90 {
            while !is_there() {
                std::thread::yield_now();
            }
            fs::remove_dir_all(&folder).unwrap();
        }
        lost == 0 || tick % 100 != 0
    });
    assert_eq!(recorded.lost, 1);
}

/// Panics in the step of tick 77. A signal changes what is left, as does a player who is away or back.
#[derive(Serialize, Deserialize)]
struct Countdown(i32);

impl Game for Countdown {
    type Input = ArenaInput;

    fn schema() -> Schema {
        Schema { input: Arena::schema().input, ..Schema::new("countdown") }
            .kind("count", [Field::new("left", 1.0, -999, 999)])
    }

    fn new(_: &MatchOptions) -> Self {
        Self(7)
    }

    fn join(&mut self, _: Seat) {}

    fn leave(&mut self, _: Seat) {}

    fn away(&mut self, seat: Seat) {
        self.0 += 1 + i32::from(seat.0);
    }

    fn back(&mut self, seat: Seat) {
        self.0 += 10 + i32::from(seat.0);
    }

    fn signal(&mut self, values: &[i32]) {
        self.0 += values[0];
    }

    fn step(&mut self, step: &mut Step<'_, ArenaInput>) {
        assert!(step.tick.0 < 77, "the count is over");
    }

    fn write_rows(&self, rows: &mut Rows) {
        rows.push(EntityId(0), 0, &[self.0]);
    }
}

/// A match of which there is a journal.
struct Recorded {
    file: PathBuf,
    /// At the end, unless the game panicked.
    state: Option<Vec<u8>>,
    /// How often the journal was lost.
    lost: u32,
}

impl Drop for Recorded {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.file.parent().unwrap());
    }
}

/// Plays a match with random players, while `goes_on` says so; it is given the tick, and how often
/// the journal was lost.
fn record<G: Game<Input = ArenaInput>>(
    name: &str,
    first: Option<(Tick, Vec<u8>)>,
    mut goes_on: impl FnMut(u32, u32) -> bool,
) -> Recorded {
    let folder = folder(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let (journals, writer) = Journals::start(&folder).unwrap();
    let options = MatchOptions { seed: 5, seats: 4, npcs: 2, tick_rate: RATE, mode: "" };
    let (mut tick, state) = first.map_or((Tick(0), None), |(tick, state)| (tick, Some(state)));
    let game = match &state {
        Some(state) => state::read(state).unwrap(),
        None => G::new(&options),
    };
    let (id, begun) = (MatchId(7), UnixMillis(1_764_000_000_000));
    let mut game = Journaled::new(game, &options, id, begun, (tick, state), Some(&journals));
    let mut lost = 0;
    let played = catch_unwind(AssertUnwindSafe(|| {
        let (mut history, mut dice) = (History::default(), Dice::new(9));
        let (mut inputs, mut seen) = (vec![ArenaInput::default(); 4], vec![None; 4]);
        while goes_on(tick.0, lost) {
            tick = tick.plus(1);
            match dice.within(0, 29) {
                0 => game.join(Seat(dice.within(0, 3) as u16), &[3, -1]),
                1 => game.leave(Seat(dice.within(0, 3) as u16)),
                2 => game.signal(&[dice.within(-9, 9)]),
                3 => game.away(Seat(dice.within(0, 3) as u16)),
                4 => game.back(Seat(dice.within(0, 3) as u16)),
                _ => {}
            }
            let seat = dice.within(0, 3) as usize;
            let mut value = |low, high| dice.within(low, high);
            let values = [value(-127, 127), value(-127, 127), value(256, 65_535), value(0, 3)];
            inputs[seat] = ArenaInput::from_values(&values);
            seen[seat] = Some(Moment::before(tick, value(0, 2_000) as u16));
            for seen in seen.iter_mut().flatten() {
                *seen = seen.plus(256 * u32::from(tick.0 % 3 > 0));
            }
            let mut events = Events::default();
            let past = Rewind::new(&history, &seen, tick, RATE);
            let mut step = Step { tick, inputs: &inputs, past, events: &mut events };
            game.step(&mut step, &seen);
            let rows = history.push(tick);
            game.write_rows(rows);
            if tick.0.is_multiple_of(30) {
                lost += u32::from(game.write_journal(rows));
            }
        }
    }));
    let state = played.is_ok().then(|| state::write(&*game).unwrap());
    drop((game, journals));
    writer.join().unwrap();
    Recorded { file: folder.join("match-7-1764000000000.journal"), state, lost }
}

/// Whether a match goes the same way again, and what is said of it.
fn replayed<G: Game>(file: &Path) -> (bool, String) {
    let mut said = Vec::new();
    let is_same = verify::<G>(file, &mut said).unwrap();
    (is_same, String::from_utf8(said).unwrap())
}

fn folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("tickwire-journal-{name}-{}", std::process::id()))
}
