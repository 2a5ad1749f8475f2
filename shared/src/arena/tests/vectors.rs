//! `testdata/arena_movement.json`: walks that every client's prediction must reproduce exactly. Run
//! with `TICKWIRE_WRITE_VECTORS=1` to rewrite the file.

use std::{env, fs, path::Path};

use glam::IVec2;
use serde_json::{Value, json};

use super::super::{
    body::{Body, SPEED, advance},
    input::MOVE_MAX,
};
use super::*;

const TICKS: usize = 150;

#[test]
fn movement_is_that_of_the_vectors() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/arena_movement.json");
    // Seeds whose walks meet walls and go around corners.
    let walks =
        [(30, 123), (30, 31), (30, 44), (60, 85), (60, 28), (20, 41), (20, 9), (128, 117), (1, 9)];
    let walks = walks.map(|(hz, seed)| walk(hz, seed));
    let walls = ARENA.walls.iter().map(|wall| [wall.min, wall.max].map(numbers).concat());
    let vectors = json!({
        "about": "walls: [left, top, right, bottom]; start: [x, y, velocity_x, velocity_y]; \
                  ticks: [move_x, move_y] and the body after it",
        "size": numbers(ARENA.size),
        "walls": walls.collect::<Vec<_>>(),
        "walks": walks,
    });
    if env::var_os("TICKWIRE_WRITE_VECTORS").is_some() {
        // A line for each value of the top level and each walk keeps differences readable.
        let lines = vectors.to_string().replace("},{", "},\n{").replace(",\"w", ",\n\"w");
        fs::write(&path, lines + "\n").unwrap();
    }
    let file = fs::read_to_string(&path).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&file).unwrap(), vectors);
}

/// A walk with keys held for a while, and sometimes a stick.
fn walk(hz: u16, seed: u64) -> Value {
    let rate = TickRate::new(hz).unwrap();
    let mut dice = Dice::new(seed);
    let place = ARENA.spawns[dice.within(0, ARENA.spawns.len() as i32 - 1) as usize];
    let velocity = IVec2::new(dice.within(-SPEED, SPEED), dice.within(-SPEED, SPEED));
    let mut body = Body { position: place, velocity };
    let start = [body.position, body.velocity].map(numbers).concat();
    let mut movement = IVec2::ZERO;
    let mut ticks = Vec::new();
    for _ in 0..TICKS {
        match dice.within(0, 29) {
            0..=2 => movement = IVec2::new(dice.within(-1, 1), dice.within(-1, 1)) * MOVE_MAX,
            3 => {
                let (x, y) = (dice.within(-MOVE_MAX, MOVE_MAX), dice.within(-MOVE_MAX, MOVE_MAX));
                movement = IVec2::new(x, y);
            }
            _ => {}
        }
        advance(&mut body, &ArenaInput { movement, ..ArenaInput::default() }, rate, &ARENA);
        ticks.push([movement, body.position, body.velocity].map(numbers).concat());
    }
    json!({ "hz": hz, "start": start, "ticks": ticks })
}

fn numbers(vector: IVec2) -> [i32; 2] {
    vector.to_array()
}
