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

use super::{replay::ReplayError, *};

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

/// Panics in the step of tick 77.
#[derive(Serialize, Deserialize)]
struct Countdown;

impl Game for Countdown {
    type Input = ArenaInput;

    fn schema() -> Schema {
        Schema { input: Arena::schema().input, ..Schema::new("countdown") }
            .kind("count", [Field::new("left", 1.0, 0, 100)])
    }

    fn new(_: &MatchOptions) -> Self {
        Self
    }

    fn join(&mut self, _: Seat) {}

    fn leave(&mut self, _: Seat) {}

    fn step(&mut self, step: &mut Step<'_, ArenaInput>) {
        assert!(step.tick.0 < 77, "the count is over");
    }

    fn write_rows(&self, rows: &mut Rows) {
        rows.push(EntityId(0), 0, &[7]);
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
