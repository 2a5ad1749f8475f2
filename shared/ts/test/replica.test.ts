import assert from "node:assert/strict";
import { test } from "node:test";
import { unpackQuaternion } from "../src/codec/turn.js";
import { Clock } from "../src/link/clock.js";
import { Interpolation } from "../src/replica/interpolation.js";
import { Prediction, type Predictor } from "../src/replica/prediction.js";
import { Rows } from "../src/rows.js";
import type { Field, Predict, Schema } from "../src/schema.js";
import { dice } from "./dice.js";

const HZ = 20;
const TICK = 1_000_000 / HZ;
/** What only the owner receives in a game that tells owners nothing. */
const NOTHING = new Int32Array();

test("others move smoothly while snapshots arrive with jitter", () => {
  const { others, clock } = match();
  const next = dice(1);
  const arrivals: [number, number][] = [];
  for (let tick = 1; tick < 400; tick++) arrivals.push([tick * TICK + 20_000 + next(30_000), tick]);
  let shown = NaN;
  let jumps = 0;
  for (let now = TICK; now < 400 * TICK; now += 16_667) {
    while (arrivals.length > 0 && arrivals[0][0] <= now) {
      const [at, tick] = arrivals.shift()!;
      others.push(tick, rows([40, tick * 100, 0, 0]), clock, at);
    }
    if (!others.advance(clock, now)) continue;
    others.interpolate(0);
    const way = others.values[1] - shown;
    shown = others.values[1];
    // 100 steps per tick are 33 per frame; shown time runs at most 5 % faster or slower.
    if (now > 100 * TICK && (way < 31 || way > 36)) jumps++;
  }
  assert.ok(jumps <= 3, `${jumps} frames were uneven`);
  assert.ok(others.delay > 70_000 && others.delay < 120_000, `${others.delay} us behind`);
  assert.ok(others.starved < 8, `${others.starved} times without a snapshot to interpolate to`);
});

test("only snapshots that are still to be shown take memory", () => {
  const { others, clock } = match();
  const memory = new Set<Rows>();
  for (let tick = 1; tick < 600; tick++) {
    const now = tick * TICK + 20_000;
    others.push(tick, rows([40, 0, 0, 0]), clock, now);
    // A page in the background receives snapshots, but shows none.
    if (tick >= 100 && tick < 500) continue;
    if (tick === 500) memory.clear();
    if (others.advance(clock, now)) memory.add(others.rows!);
  }
  assert.ok(memory.size <= 12, `${memory.size} snapshots`);
});

test("a pause of the page is no network stall", () => {
  const free = delayAfter(() => "runs");
  const paused = delayAfter((second) => (second % 3 >= 1.5 ? "pauses" : "runs"));
  const stalled = delayAfter((second) => (second % 3 >= 1.5 ? "receives nothing" : "runs"));
  assert.ok(free < 100_000, `${free} us behind`);
  assert.ok(paused < free + TICK, `${paused} us behind, and ${free} without pauses`);
  assert.ok(stalled > 900_000, `${stalled} us behind when the network stalls`);
});

test("a reported pause of the server is no network stall", () => {
  const delayAfterStop = (isReported: boolean) => {
    const { others, clock } = match();
    let paused = 0;
    for (let now = 0, tick = 0; now < 12_000_000; now += 10_000) {
      if (now === 4_000_000) paused = 400_000;
      if (now >= (tick + 1) * TICK + paused + 10_000) {
        tick++;
        if (isReported) clock.setPace({ slowdown: 1, tick, tickTime: tick * TICK + paused }, now);
        others.push(tick, rows([0, 0, 0, 0]), clock, now);
      }
      others.advance(clock, now);
    }
    return others.delay - clock.lag(12_000_000);
  };
  assert.ok(delayAfterStop(true) < 100_000, `${delayAfterStop(true)} us behind`);
  assert.ok(delayAfterStop(false) > 400_000, `${delayAfterStop(false)} us behind without a report`);
});

test("the shown moment never goes back, not even after extrapolation", () => {
  const { others, clock } = match();
  let shown = -Infinity;
  for (let now = 0, tick = 0; now < 6_000_000; now += 10_000) {
    // The one-way delay is 20 ms, and after three seconds 180 ms.
    const late = now < 3_000_000 ? 20_000 : 180_000;
    while ((tick + 1) * TICK + late <= now) others.push(++tick, rows([40, tick * 100, 0, 0]), clock, now);
    if (!others.advance(clock, now)) continue;
    others.interpolate(0);
    assert.ok(others.values[1] >= shown, `${others.values[1]} after ${shown} at ${now}`);
    shown = others.values[1];
  }
  assert.ok(others.starved > 0);
});

test("a lost connection is no network stall, and leaves what is shown in place", () => {
  const { others, clock } = match();
  for (let tick = 1; tick < 80; tick++) {
    others.push(tick, rows([40, tick * 100, 0, 0]), clock, tick * TICK + 20_000);
    others.advance(clock, tick * TICK + 20_000);
  }
  const { delay } = others;
  others.restart();
  assert.ok(others.advance(clock, 81 * TICK) && others.rows?.length === 1);
  others.push(140, rows([40, 14_000, 0, 0]), clock, 140 * TICK + 20_000);
  others.push(141, rows([40, 14_100, 0, 0]), clock, 141 * TICK + 20_000);
  others.advance(clock, 141 * TICK + 20_000);
  assert.ok(Math.abs(others.delay - delay) < 1_000, "the time without a connection is no stall");
});

test("angles are interpolated the shorter way round, and flags not at all", () => {
  check([0, 100, 350, 1], [0, 110, 10, 2], 0.25, [0, 102.5, 355, 1]);
  check([0, 100, 350, 1], [0, 110, 10, 2], 0.5, [0, 105, 0, 1]);
  check([0, 100, 10, 1], [0, 110, 350, 2], 0.75, [0, 107.5, 355, 1]);
});

test("quaternions are interpolated the shorter way, also if another component is the largest", () => {
  // Turns about the z axis by 80 and 100 degrees: at first w is the largest component, then z.
  const sin = (degrees: number) => Math.round(Math.sin((degrees * Math.PI) / 180) / STEP);
  check([3, 0, 0, sin(40)], [2, 0, 0, sin(40)], 0.5, [3, 0, 0, 707.11], TURNING);
  // The same rotation with another sign: from 350 to 370 degrees.
  check([3, 0, 0, -sin(5)], [3, 0, 0, sin(5)], 0.5, [3, 0, 0, 0], TURNING);
  const [x, y, z, w] = unpackQuaternion(3, [0, 0, 707.11], STEP);
  assert.deepEqual([x, y, z.toFixed(4), w.toFixed(4)], [0, 0, "0.7071", "0.7071"]);
});

test("entities are extrapolated for a while when snapshots are missing", () => {
  // Up to 100 ms, which are two ticks.
  check([30, 100, 350, 1], [-20, 110, 10, 2], 2.5, [-20, 110 - 20 * 1.5, 10, 2]);
  check([30, 100, 350, 1], [-20, 110, 10, 2], 9, [-20, 110 - 20 * 2, 10, 2]);
});

test("jumps are not interpolated", () => {
  check([30, 100, 0, 0], [0, 4_000, 0, 0], 0.9, [30, 100, 0, 0]);
});

test("a correct prediction is not corrected", () => {
  const own = predicted();
  for (let tick = 11; tick < 60; tick++) {
    own.push(tick, [1]);
    if (tick > 15) own.reconcile(tick - 5, rows([0, 100 + (tick - 15) * 10, 0, 0]), NOTHING);
  }
  assert.equal(own.corrections, 0);
  assert.equal(own.compared, 44);
  own.show(0, [1], 0);
  assert.equal(own.values[0], 100 + 49 * 10);
  own.show(0.5, [1], 0);
  assert.equal(own.values[0], 100 + 49.5 * 10);
  own.show(0.5, [-1], 0);
  assert.equal(own.values[0], 100 + 48.5 * 10, "a key press is visible at once");
});

test("a correction is made once, and its error fades", () => {
  const own = predicted();
  for (let tick = 11; tick < 20; tick++) own.push(tick, [1]);
  own.show(0, [0], 0);
  assert.equal(own.values[0], 190);
  // A wall stopped the player at tick 12.
  own.reconcile(12, rows([0, 105, 0, 0]), NOTHING);
  assert.equal(own.corrections, 1);
  own.show(0, [0], 0);
  assert.equal(own.values[0], 190, "the error is still fully visible");
  own.show(0, [0], 1_000_000);
  assert.ok(Math.abs(own.values[0] - 175) < 0.1, `${own.values[0]} after a second`);
  own.reconcile(13, rows([0, 115, 0, 0]), NOTHING);
  assert.equal(own.corrections, 1);
});

test("what only the owner receives is predicted, too", () => {
  // Who has no breath left does not move.
  const predictor: Predictor = {
    length: 2,
    shown: WALK.shown,
    read(rows, owner, seat, state) {
      state[1] = owner[0];
      return WALK.read(rows, owner, seat, state);
    },
    step(state, input, hz) {
      if (state[1] === 0) return;
      state[1]--;
      WALK.step(state, input, hz);
    },
  };
  const own = new Prediction(predictor, 0, HZ, 1);
  own.reconcile(10, rows([0, 100, 0, 0]), Int32Array.of(2));
  for (const tick of [11, 12, 13]) own.push(tick, [1]);
  own.show(0, [0], 0);
  assert.equal(own.values[0], 120);
  own.reconcile(11, rows([0, 110, 0, 0]), Int32Array.of(1));
  assert.equal(own.corrections, 0);
  own.reconcile(12, rows([0, 120, 0, 0]), Int32Array.of(1));
  assert.equal(own.corrections, 1, "something gave it breath");
  own.show(0, [0], 1_000_000);
  assert.ok(Math.abs(own.values[0] - 130) < 0.1, `${own.values[0]} after a second`);
});

test("a player that was teleported is shown at the new place at once", () => {
  const own = predicted();
  own.push(11, [1]);
  own.reconcile(11, rows([0, 4_000, 0, 0]), NOTHING);
  own.show(0, [0], 0);
  assert.equal(own.values[0], 4_000);
});

test("skipped ticks repeat the previous input, also after snapshots of later ticks", () => {
  const own = predicted();
  own.push(11, [1]);
  own.reconcile(13, rows([0, 130, 0, 0]), NOTHING);
  own.push(16, [-1]);
  own.show(0, [0], 0);
  assert.equal(own.values[0], 130 + 2 * 10 - 10);
  own.reconcile(20, rows([0, 100, 0, 0]), NOTHING);
  own.restart();
  own.reconcile(21, rows([0, 100, 0, 0]), NOTHING);
  own.push(24, [1]);
  own.show(0, [0], 1_000_000);
  assert.equal(own.values[0], 100 + 10, "a reconnection releases all keys");
});

test("a reconnection drops the inputs that waited for their ticks", () => {
  const own = predicted();
  for (let tick = 11; tick <= 20; tick++) own.push(tick, [1]);
  own.restart();
  own.show(0, [0], 0);
  assert.equal(own.values[0], 200, "shown as before");
  // The server has had inputs up to tick 12.
  own.reconcile(14, rows([0, 120, 0, 0]), NOTHING);
  own.show(0, [0], 0);
  assert.equal(own.values[0], 200, "the error is still fully visible");
  own.push(16, [1]);
  own.show(0, [0], 1_000_000);
  assert.ok(Math.abs(own.values[0] - 130) < 0.1, `${own.values[0]} after a second`);
  own.reconcile(15, rows([0, 120, 0, 0]), NOTHING);
  own.reconcile(16, rows([0, 130, 0, 0]), NOTHING);
  assert.equal(own.corrections, 0);
});

test("no more skipped ticks are predicted than are kept", () => {
  let steps = 0;
  const step: Predictor["step"] = (...args) => {
    steps++;
    WALK.step(...args);
  };
  const own = new Prediction({ ...WALK, step }, 0, HZ, 1);
  own.reconcile(10, rows([0, 100, 0, 0]), NOTHING);
  for (const [tick, most] of [[12, 2], [600, 588], [5_000_000, 512]]) {
    steps = 0;
    own.push(tick, [1]);
    assert.ok(steps <= most, `${steps} steps to tick ${tick}`);
  }
});

test("the error of an angle fades the shorter way round", () => {
  // From 350 to 10 are 20 steps forward, not 340 back; and the same the other way.
  checkTurn(350, 10, [-10, 0, 5, 10]);
  checkTurn(10, 350, [370, 360, 355, 350]);
});

test("an angle moves to the next tick the shorter way round", () => {
  const own = turning(350, 90);
  own.show(0.5, [1], 0);
  assert.equal(own.values[1], 360);
});

test("each shown integer has its own jump distance", () => {
  const own = turning(350, 15);
  own.reconcile(11, rows([0, 120, 10, 0]), NOTHING);
  own.show(0, [0], 0);
  assert.deepEqual([...own.values], [120, 10], "the turn is a jump, so both are shown at once");
});

test("the errors of many corrections below the jump distance add up and fade", () => {
  const own = predicted();
  for (const [tick, x] of [[11, 500], [12, 910], [13, 1_320]]) {
    own.push(tick, [1]);
    own.reconcile(tick, rows([0, x, 0, 0]), NOTHING);
  }
  own.show(0, [0], 0);
  assert.equal(own.values[0], 130);
});

/** The interpolation delay after ten seconds, in each moment of which the page does what `does` returns. */
function delayAfter(does: (second: number) => "runs" | "pauses" | "receives nothing"): number {
  const { others, clock } = match();
  for (let now = 0, tick = 0; now < 10_500_000; now += 10_000) {
    const doing = does(now / 1_000_000);
    if (doing === "pauses") continue;
    // It renders a frame before it handles the snapshots that have piled up.
    others.advance(clock, now);
    if (doing === "receives nothing") continue;
    for (; (tick + 1) * TICK + 10_000 <= now; tick++) others.push(tick + 1, rows([0, 0, 0, 0]), clock, now);
  }
  return others.delay;
}

/** Moves ten steps per tick for an input of 1. */
const WALK: Predictor = {
  length: 1,
  shown: [{ at: 0, jumpFrom: 500 }],
  read(rows, _owner, _seat, state) {
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
  own.reconcile(10, rows([0, 100, 0, 0]), NOTHING);
  return own;
}

/** Checks how an angle is shown after a correction: at once, after 50 ms, after 100 ms, and after 2 s. */
function checkTurn(predicted: number, actual: number, expected: number[]): void {
  const own = turning(predicted, 90);
  own.reconcile(11, rows([0, 100, actual, 0]), NOTHING);
  const shown = [0, 50_000, 100_000, 2_000_000].map((now) => {
    own.show(0, [0], now);
    return Math.round(own.values[1] * 100) / 100;
  });
  assert.deepEqual(shown, expected);
}

/** The prediction of a player at 100 that keeps its aim in tick 11; `jumpFrom` is the aim's. */
function turning(aim: number, jumpFrom: number): Prediction {
  const predictor: Predictor = {
    length: 2,
    shown: [...WALK.shown, { at: 1, jumpFrom, circle: 360 }],
    read(rows, _owner, _seat, state) {
      state.set(rows.values.subarray(1, 3));
      return true;
    },
    step(state, input) {
      state[1] = (state[1] + 20 * input[0]) % 360;
    },
  };
  const own = new Prediction(predictor, 0, HZ, 1);
  own.reconcile(10, rows([0, 100, aim, 0]), NOTHING);
  own.push(11, [0]);
  return own;
}

/** Checks what is shown `part` of a tick after the first of two snapshots that are a tick apart. */
function check(from: number[], to: number[], part: number, expected: number[], schema = SCHEMA): void {
  const { others, clock } = match(schema);
  for (let tick = 1; tick < 40; tick++) {
    others.push(tick, rows(from), clock, tick * TICK);
    others.advance(clock, tick * TICK);
  }
  others.push(40, rows(to), clock, 40 * TICK);
  others.advance(clock, 40 * TICK);
  others.advance(clock, (39 + part) * TICK + others.delay);
  others.interpolate(0);
  const shown = [...others.values.subarray(0, 4)].map((value) => Math.round(value * 100) / 100 + 0);
  assert.deepEqual(shown, expected);
}

function match(schema = SCHEMA): { others: Interpolation; clock: Clock } {
  const clock = new Clock(HZ);
  clock.handlePong({ clientTime: 0, serverTime: 0, held: 0, tick: 0, tickTime: 0 }, 0);
  return { others: new Interpolation(schema, HZ), clock };
}

function rows(values: number[]): Rows {
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
/** The step of a quaternion's components. */
const STEP = 0.001;
const part = (name: string): Field => ({ ...field(name, -707, 707, { type: "component" }), step: STEP });
const TURNING: Schema = {
  ...SCHEMA,
  kinds: [
    {
      name: "body",
      fields: [field("turn", 0, 3, { type: "quaternion", spin: null }), part("a"), part("b"), part("c")],
      firstSeat: null,
    },
  ],
};
