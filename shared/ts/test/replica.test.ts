import assert from "node:assert/strict";
import { test } from "node:test";
import { Clock } from "../src/link/clock.js";
import { Interpolation } from "../src/replica/interpolation.js";
import { Prediction, type Predictor } from "../src/replica/prediction.js";
import { Rows } from "../src/rows.js";
import type { Field, Predict, Schema } from "../src/schema.js";
import { dice } from "./dice.js";

const HZ = 20;
const TICK = 1_000_000 / HZ;

test("others move evenly, however snapshots arrive", () => {
  const { others, clock } = match();
  const next = dice(1);
  const arrivals: [number, number][] = [];
  for (let tick = 1; tick < 400; tick++) arrivals.push([tick * TICK + 20_000 + next(30_000), tick]);
  let shown = NaN;
  let jumps = 0;
  for (let now = TICK; now < 400 * TICK; now += 16_667) {
    while (arrivals.length > 0 && arrivals[0][0] <= now) {
      const [at, tick] = arrivals.shift()!;
      others.push(tick, rows(tick, [40, tick * 100, 0, 0]), clock, at);
    }
    if (!others.advance(clock, now)) continue;
    others.look(0);
    const way = others.values[1] - shown;
    shown = others.values[1];
    // 100 steps a tick are 33 a picture; shown time runs 5 % faster or slower at most.
    if (now > 100 * TICK && (way < 31 || way > 36)) jumps++;
  }
  assert.ok(jumps <= 3, `${jumps} pictures were uneven`);
  assert.ok(others.delay > 70_000 && others.delay < 120_000, `${others.delay} us behind`);
  assert.ok(others.starved < 8, `waited ${others.starved} times`);
});

test("a page that is kept from its work does not take that for the network", () => {
  const free = delayAfter(() => "runs");
  const kept = delayAfter((second) => (second % 3 >= 1.5 ? "stands" : "runs"));
  const stalled = delayAfter((second) => (second % 3 >= 1.5 ? "hears nothing" : "runs"));
  assert.ok(free < 100_000, `${free} us behind`);
  assert.ok(kept < free + TICK, `${kept} us behind, ${free} when nothing kept it`);
  assert.ok(stalled > 900_000, `${stalled} us behind a network that stalls`);
});

test("a server that stood still and says so is no network that stalls", () => {
  const delayAfterStop = (saysSo: boolean) => {
    const { others, clock } = match();
    let stood = 0;
    for (let now = 0, tick = 0; now < 12_000_000; now += 10_000) {
      if (now === 4_000_000) stood = 400_000;
      if (now >= (tick + 1) * TICK + stood + 10_000) {
        tick++;
        if (saysSo) clock.setPace({ slowdown: 1, tick, tickTime: tick * TICK + stood }, now);
        others.push(tick, rows(tick, [0, 0, 0, 0]), clock, now);
      }
      others.advance(clock, now);
    }
    return others.delay - clock.lag(12_000_000);
  };
  assert.ok(delayAfterStop(true) < 100_000, `${delayAfterStop(true)} us behind`);
  assert.ok(delayAfterStop(false) > 400_000, `${delayAfterStop(false)} us behind one that does not say so`);
});

test("what is shown never goes back, also from where a snapshot was carried on to", () => {
  const { others, clock } = match();
  let shown = -Infinity;
  for (let now = 0, tick = 0; now < 6_000_000; now += 10_000) {
    // The network takes 20 ms, and after three seconds 180 ms.
    const late = now < 3_000_000 ? 20_000 : 180_000;
    while ((tick + 1) * TICK + late <= now) others.push(++tick, rows(tick, [40, tick * 100, 0, 0]), clock, now);
    if (!others.advance(clock, now)) continue;
    others.look(0);
    assert.ok(others.values[1] >= shown, `${others.values[1]} after ${shown} at ${now}`);
    shown = others.values[1];
  }
  assert.ok(others.starved > 0);
});

test("after a loss, what was shown goes on", () => {
  const { others, clock } = match();
  for (let tick = 1; tick < 80; tick++) {
    others.push(tick, rows(tick, [40, tick * 100, 0, 0]), clock, tick * TICK + 20_000);
    others.advance(clock, tick * TICK + 20_000);
  }
  const { delay } = others;
  others.restart();
  assert.ok(others.advance(clock, 81 * TICK) && others.rows?.length === 1);
  others.push(140, rows(140, [40, 14_000, 0, 0]), clock, 140 * TICK + 20_000);
  others.push(141, rows(141, [40, 14_100, 0, 0]), clock, 141 * TICK + 20_000);
  others.advance(clock, 141 * TICK + 20_000);
  assert.ok(Math.abs(others.delay - delay) < 1_000, "the time between was no stall");
});

test("angles go the shorter way, and switches do not blend", () => {
  check([0, 100, 350, 1], [0, 110, 10, 2], 0.5, [0, 105, 360, 1]);
});

test("what stalls is carried on for a while", () => {
  // Two ticks are the 100 ms that it may take.
  check([30, 100, 350, 1], [-20, 110, 10, 2], 2.5, [-20, 110 - 20 * 1.5, 10, 2]);
  check([30, 100, 350, 1], [-20, 110, 10, 2], 9, [-20, 110 - 20 * 2, 10, 2]);
});

test("what jumps is never in between", () => {
  check([30, 100, 0, 0], [0, 4_000, 0, 0], 0.9, [30, 100, 0, 0]);
});

test("a prediction that comes true is no correction", () => {
  const own = predicted();
  for (let tick = 11; tick < 60; tick++) {
    own.input(tick, [1]);
    if (tick > 15) own.answer(tick - 5, rows(tick - 5, [0, 100 + (tick - 15) * 10, 0, 0]));
  }
  assert.equal(own.corrections, 0);
  assert.equal(own.answers, 44);
  own.look(0, [1], 0);
  assert.equal(own.values[0], 100 + 49 * 10);
  own.look(0.5, [1], 0);
  assert.equal(own.values[0], 100 + 49.5 * 10);
  own.look(0.5, [-1], 0);
  assert.equal(own.values[0], 100 + 48.5 * 10, "a key that was just pressed");
});

test("a correction is made once, and glided over", () => {
  const own = predicted();
  for (let tick = 11; tick < 20; tick++) own.input(tick, [1]);
  own.look(0, [0], 0);
  assert.equal(own.values[0], 190);
  // A wall stopped the player at tick 12, and since.
  own.answer(12, rows(12, [0, 105, 0, 0]));
  assert.equal(own.corrections, 1);
  own.look(0, [0], 0);
  assert.equal(own.values[0], 190, "nothing is seen at once");
  own.look(0, [0], 1_000_000);
  assert.ok(Math.abs(own.values[0] - 175) < 0.1, `${own.values[0]} after a second`);
  own.answer(13, rows(13, [0, 115, 0, 0]));
  assert.equal(own.corrections, 1);
});

test("a player that is put elsewhere does not glide there", () => {
  const own = predicted();
  own.input(11, [1]);
  own.answer(11, rows(11, [0, 4_000, 0, 0]));
  own.look(0, [0], 0);
  assert.equal(own.values[0], 4_000);
});

test("ticks that were left out repeat the input before, also when the server has told later ones", () => {
  const own = predicted();
  own.input(11, [1]);
  own.answer(13, rows(13, [0, 130, 0, 0]));
  own.input(16, [-1]);
  own.look(0, [0], 0);
  assert.equal(own.values[0], 130 + 2 * 10 - 10);
  own.answer(20, rows(20, [0, 100, 0, 0]));
  own.restart();
  own.answer(21, rows(21, [0, 100, 0, 0]));
  own.input(24, [1]);
  own.look(0, [0], 1_000_000);
  assert.equal(own.values[0], 100 + 10, "a seat without a connection holds nothing");
});

test("of ticks that were left out no more are run than are kept", () => {
  let steps = 0;
  const step: Predictor["step"] = (...args) => {
    steps++;
    WALK.step(...args);
  };
  const own = new Prediction({ ...WALK, step }, 0, HZ, 1);
  own.answer(10, rows(10, [0, 100, 0, 0]));
  for (const [tick, most] of [[12, 2], [600, 588], [5_000_000, 512]]) {
    steps = 0;
    own.input(tick, [1]);
    assert.ok(steps <= most, `${steps} steps to tick ${tick}`);
  }
});

test("an angle is corrected the shorter way round", () => {
  // From 350 to 10, which is 20 further and not 340 back, and the other way.
  checkTurn(350, 10, [-10, 0, 5, 10]);
  checkTurn(10, 350, [370, 360, 355, 350]);
});

test("an angle goes the shorter way to the next tick", () => {
  const own = turning(350, 90);
  own.look(0.5, [1], 0);
  assert.equal(own.values[1], 360);
});

test("each thing that is shown jumps from a distance of its own", () => {
  const own = turning(350, 15);
  own.answer(11, rows(11, [0, 120, 10, 0]));
  own.look(0, [0], 0);
  assert.deepEqual([...own.values], [120, 10], "it has turned further than it could, so it was put there");
});

test("errors of less than a jump glide, however many come", () => {
  const own = predicted();
  for (const [tick, x] of [[11, 500], [12, 910], [13, 1_320]]) {
    own.input(tick, [1]);
    own.answer(tick, rows(tick, [0, x, 0, 0]));
  }
  own.look(0, [0], 0);
  assert.equal(own.values[0], 130);
});

/** How late the others are shown after ten seconds of a page that does this at each moment. */
function delayAfter(does: (second: number) => "runs" | "stands" | "hears nothing"): number {
  const { others, clock } = match();
  for (let now = 0, tick = 0; now < 10_500_000; now += 10_000) {
    const doing = does(now / 1_000_000);
    if (doing === "stands") continue;
    // It draws before it takes in what has piled up.
    others.advance(clock, now);
    if (doing === "hears nothing") continue;
    for (; (tick + 1) * TICK + 10_000 <= now; tick++) others.push(tick + 1, rows(tick + 1, [0, 0, 0, 0]), clock, now);
  }
  return others.delay;
}

/** Ten steps in a tick for an input of 1. */
const WALK: Predictor = {
  length: 1,
  shown: [{ at: 0, jumpFrom: 500 }],
  read(rows, _seat, state) {
    if (rows.length === 0) return false;
    state[0] = rows.values[1];
    return true;
  },
  step(state, input) {
    state[0] += 10 * input[0];
  },
};

function predicted(): Prediction {
  const own = new Prediction(WALK, 0, HZ, 1);
  own.answer(10, rows(10, [0, 100, 0, 0]));
  return own;
}

/** What is shown of an angle at once, after 50 ms, 100 ms, and in the end, when the server says another than was predicted. */
function checkTurn(predicted: number, told: number, expected: number[]): void {
  const own = turning(predicted, 90);
  own.answer(11, rows(11, [0, 100, told, 0]));
  const shown = [0, 50_000, 100_000, 2_000_000].map((now) => {
    own.look(0, [0], now);
    return Math.round(own.values[1] * 100) / 100;
  });
  assert.deepEqual(shown, expected);
}

/** Somebody at 100 whose aim is predicted for tick 11 as it was, and jumps from so much. */
function turning(aim: number, jumpFrom: number): Prediction {
  const predictor: Predictor = {
    length: 2,
    shown: [...WALK.shown, { at: 1, jumpFrom, circle: 360 }],
    read(rows, _seat, state) {
      state.set(rows.values.subarray(1, 3));
      return true;
    },
    step(state, input) {
      state[1] = (state[1] + 20 * input[0]) % 360;
    },
  };
  const own = new Prediction(predictor, 0, HZ, 1);
  own.answer(10, rows(10, [0, 100, aim, 0]));
  own.input(11, [0]);
  return own;
}

/** What is shown a part of the way between two snapshots that are a tick apart. */
function check(from: number[], to: number[], part: number, expected: number[]): void {
  const { others, clock } = match();
  for (let tick = 1; tick < 40; tick++) {
    others.push(tick, rows(tick, from), clock, tick * TICK);
    others.advance(clock, tick * TICK);
  }
  others.push(40, rows(40, to), clock, 40 * TICK);
  others.advance(clock, 40 * TICK);
  others.advance(clock, (39 + part) * TICK + others.delay);
  others.look(0);
  const shown = [...others.values.subarray(0, 4)].map((value) => Math.round(value * 100) / 100);
  assert.deepEqual(shown, expected);
}

function match(): { others: Interpolation; clock: Clock } {
  const clock = new Clock(HZ);
  clock.hear({ clientTime: 0, serverTime: 0, held: 0, tick: 0, tickTime: 0 }, 0);
  return { others: new Interpolation(SCHEMA, HZ), clock };
}

function rows(_tick: number, values: number[]): Rows {
  const rows = new Rows();
  rows.values.set(values, rows.push(7, 0, values.length));
  return rows;
}

const field = (name: string, min: number, max: number, predict: Predict): Field => ({ name, step: 1, min, max, predict });
const SCHEMA: Schema = {
  game: "test",
  kinds: [
    {
      name: "body",
      fields: [
        field("vx", -2_500, 2_500, { type: "held" }),
        { ...field("x", 0, 50_000, { type: "carried", rate: 0 }), step: 1 / HZ },
        field("aim", 0, 359, { type: "angle" }),
        field("switches", 0, 9, { type: "flags" }),
      ],
      firstSeat: null,
    },
  ],
  substeps: 0,
  owner: [],
  input: [{ name: "move", min: -1, max: 1 }],
  events: [],
};
