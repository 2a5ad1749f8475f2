use super::*;
use crate::ids::EntityId;

#[test]
fn an_exact_rule_is_never_corrected() {
    let mut prediction = walker();
    assert_eq!(said(&mut prediction, 10, Some(100)), Verdict::Unknown);
    for (tick, step) in [(11, 1), (12, 5), (13, -2)] {
        prediction.push(Tick(tick), &Step(step));
    }
    assert_eq!(prediction.newest(), Some(&104));
    assert_eq!(said(&mut prediction, 11, Some(101)), Verdict::Exact);
    assert_eq!(said(&mut prediction, 13, Some(104)), Verdict::Exact);
    assert_eq!(said(&mut prediction, 14, Some(102)), Verdict::Unknown, "a tick without input");
}

#[test]
fn a_wrong_prediction_is_replayed_and_its_error_fades() {
    let mut prediction = walker();
    said(&mut prediction, 10, Some(100));
    for tick in 11..=14 {
        prediction.push(Tick(tick), &Step(10));
    }
    // A blow in tick 12 threw it 60 back.
    assert_eq!(said(&mut prediction, 12, Some(60)), Verdict::Corrected(0.6));
    assert_eq!(prediction.newest(), Some(&80));
    let shown = |millis| {
        let shown = prediction.shown(&Step(0), 0.5, Micros::from_millis(millis));
        (shown.unwrap()[0] * 100.0).round()
    };
    assert_eq!([shown(0), shown(50), shown(100), shown(2_000)], [140.0, 110.0, 95.0, 80.0]);
}

#[test]
fn a_large_error_is_not_faded() {
    let mut prediction = walker();
    said(&mut prediction, 10, Some(100));
    prediction.push(Tick(11), &Step(10));
    assert_eq!(said(&mut prediction, 11, Some(900)), Verdict::Corrected(7.9));
    assert_eq!(prediction.shown(&Step(0), 0.0, Micros(0)), Some([9.0, 0.0, 0.0]));
}

#[test]
fn a_jump_in_the_next_tick_is_not_interpolated() {
    let mut prediction = walker();
    said(&mut prediction, 10, Some(0));
    assert_eq!(prediction.shown(&Step(600), 0.5, Micros(0)), Some([0.0; 3]));
    assert_eq!(prediction.shown(&Step(100), 0.5, Micros(0)), Some([0.5, 0.0, 0.0]));
}

#[test]
fn an_entity_is_never_shown_further_than_the_next_tick() {
    let mut prediction = walker();
    said(&mut prediction, 10, Some(100));
    let shown = |part| prediction.shown(&Step(10), part, Micros(0)).unwrap()[0];
    // A program that stood still for twelve seconds, at 30 Hz; a clock that was set back.
    assert_eq!([shown(360.0), shown(1.0), shown(-15.0), shown(0.0)], [1.1, 1.1, 1.0, 1.0]);
}

#[test]
fn dead_players_are_not_predicted_until_they_respawn() {
    let mut prediction = walker();
    said(&mut prediction, 10, Some(100));
    prediction.push(Tick(11), &Step(10));
    assert_eq!(said(&mut prediction, 11, None), Verdict::Unknown);
    prediction.push(Tick(12), &Step(10));
    assert_eq!(prediction.shown(&Step(0), 0.0, Micros(0)), None);
    assert_eq!(said(&mut prediction, 11, Some(500)), Verdict::Unknown);
    assert_eq!(prediction.newest(), Some(&510));
}

#[test]
fn skipped_ticks_repeat_the_previous_input() {
    let mut prediction = walker();
    said(&mut prediction, 10, Some(0));
    prediction.push(Tick(11), &Step(10));
    prediction.push(Tick(14), &Step(1));
    assert_eq!(prediction.newest(), Some(&31));
    // Also before the first snapshot, and when the server has confirmed all inputs.
    let mut early = walker();
    early.push(Tick(13), &Step(5));
    said(&mut early, 10, Some(7));
    assert_eq!(early.newest(), Some(&(7 + 5)));
    said(&mut prediction, 14, Some(31));
    prediction.push(Tick(17), &Step(5));
    assert_eq!(prediction.newest(), Some(&(31 + 2 + 5)));
    prediction.push(Tick(900), &Step(1));
    assert_eq!(said(&mut prediction, 899, Some(70)), Verdict::Unknown);
    assert_eq!(prediction.newest(), Some(&71));
}

#[test]
fn a_reconnection_drops_the_inputs_that_waited_for_their_ticks() {
    let mut prediction = walker();
    said(&mut prediction, 10, Some(100));
    (11..=20).for_each(|tick| prediction.push(Tick(tick), &Step(10)));
    prediction.restart();
    let shown = |prediction: &Prediction<_>, millis| {
        let shown = prediction.shown(&Step(0), 0.0, Micros::from_millis(millis));
        (shown.unwrap()[0] * 100.0).round()
    };
    assert_eq!(shown(&prediction, 0), 200.0, "shown as before");
    // The server has had inputs up to tick 12.
    assert_eq!(said(&mut prediction, 14, Some(120)), Verdict::Corrected(0.8));
    assert_eq!(shown(&prediction, 0), 200.0, "the error is still fully visible");
    prediction.push(Tick(16), &Step(10));
    assert_eq!(shown(&prediction, 2_000), 130.0);
    assert_eq!(said(&mut prediction, 15, Some(120)), Verdict::Exact);
    assert_eq!(said(&mut prediction, 16, Some(130)), Verdict::Exact);
}

#[test]
fn inputs_that_are_never_confirmed_are_dropped() {
    let mut prediction = walker();
    said(&mut prediction, 10, Some(0));
    for tick in 11..1_000 {
        prediction.push(Tick(tick), &Step(1));
        assert!(prediction.pending.len() <= PENDING_MAX, "at tick {tick}");
    }
    said(&mut prediction, 998, Some(500));
    assert_eq!(prediction.newest(), Some(&501));
}

#[test]
fn a_key_press_is_visible_at_once() {
    let mut prediction = walker();
    said(&mut prediction, 10, Some(0));
    let shown = |step| prediction.shown(&Step(step), 0.25, Micros(0)).unwrap()[0];
    assert_eq!([shown(0), shown(8)], [0.0, 0.02]);
}

#[test]
fn what_only_the_owner_receives_is_predicted() {
    let mut prediction = Prediction::new(Sprint, Seat(1));
    assert_eq!(told(&mut prediction, 10, 0, &[2]), Verdict::Unknown);
    for tick in 11..=13 {
        prediction.push(Tick(tick), &Step(10));
    }
    assert_eq!(prediction.newest(), Some(&(21, 0)), "the last tick is walked");
    assert_eq!(told(&mut prediction, 11, 10, &[1]), Verdict::Exact);
    assert_eq!(told(&mut prediction, 12, 20, &[1]), Verdict::Corrected(0.09));
    assert_eq!(prediction.newest(), Some(&(30, 0)), "something gave it breath");
}

fn said(prediction: &mut Prediction<Walk>, tick: u32, at: Option<i32>) -> Verdict {
    told(prediction, tick, at.unwrap_or(-1), &[])
}

fn told<P: Predictor>(
    prediction: &mut Prediction<P>,
    tick: u32,
    at: i32,
    owner: &[i32],
) -> Verdict {
    let mut rows = Rows::default();
    rows.push(EntityId(1), 0, &[at]);
    match prediction.reconcile(Tick(tick), &rows, owner, Micros(0)) {
        Verdict::Corrected(by) => Verdict::Corrected((by * 100.0).round() / 100.0),
        verdict @ (Verdict::Unknown | Verdict::Exact) => verdict,
    }
}

fn walker() -> Prediction<Walk> {
    Prediction::new(Walk, Seat(1))
}

/// Movement on a line, in centimetres; a negative value is a dead player.
struct Walk;

#[derive(Clone, Default)]
struct Step(i32);

impl Input for Step {
    fn from_values(values: &[i32]) -> Self {
        Self(values[0])
    }

    fn write_values(&self, values: &mut [i32]) {
        values[0] = self.0;
    }
}

impl Predictor for Walk {
    type Input = Step;
    type State = i32;
    const JUMP_FROM: f32 = 2.0;

    fn read(&self, rows: &Rows, _: &[i32], seat: Seat) -> Option<i32> {
        let [at] = *rows.find(EntityId(seat.0.into()))?.values else { return None };
        (at >= 0).then_some(at)
    }

    fn advance(&self, state: &mut i32, input: &Step) {
        *state += input.0;
    }

    fn place(&self, state: &i32) -> [f32; 3] {
        [*state as f32 / 100.0, 0.0, 0.0]
    }
}

/// The same, but who has no breath left can't run; others don't see how much is left.
struct Sprint;

impl Predictor for Sprint {
    type Input = Step;
    type State = (i32, i32);
    const JUMP_FROM: f32 = 2.0;

    fn read(&self, rows: &Rows, owner: &[i32], seat: Seat) -> Option<(i32, i32)> {
        Some((Walk.read(rows, owner, seat)?, owner[0]))
    }

    fn advance(&self, (at, breath): &mut (i32, i32), input: &Step) {
        *at += if *breath > 0 { input.0 } else { input.0.clamp(-1, 1) };
        *breath = (*breath - 1).max(0);
    }

    fn place(&self, (at, _): &(i32, i32)) -> [f32; 3] {
        Walk.place(at)
    }
}
