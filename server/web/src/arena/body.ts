/**
 * How a player moves: the same integer arithmetic as in `shared/src/arena/body.rs` and `map.rs`, so
 * that the user's own player can be predicted. A test replays walks that the server has recorded.
 *
 * A state is [x, y, velocity x, velocity y]; an input [move x, move y, aim, buttons].
 */

import type { Predictor, Rows } from "@tickwire/client";
import { HEIGHT, RADIUS, STEPS_PER_M, WALLS, WIDTH } from "./map.js";
import type { Arena } from "./rows.js";

const VELOCITY_STEPS_PER_MPS = 8;
const SPEED = Math.trunc((65 * VELOCITY_STEPS_PER_MPS) / 10);
const ACCELERATION = 50 * VELOCITY_STEPS_PER_MPS;
export const MOVE_MAX = 127;
/** The longest distance that a body is moved without a check for walls. */
const STRIDE = Math.trunc(RADIUS / 2);

type State = Int32Array;
const [X, Y, VX, VY] = [0, 1, 2, 3];

/** Predicts the user's own player. */
export class ArenaPredictor implements Predictor {
  readonly length = 4;
  readonly shown = [X, Y].map((at) => ({ at, jumpFrom: 3 * STEPS_PER_M }));

  /** `arena` returns `null` until the welcome with the schema has arrived. */
  constructor(readonly arena: () => Arena | null) {}

  read(rows: Rows, _owner: Int32Array, seat: number, state: State): boolean {
    const arena = this.arena();
    const index = arena ? rows.find(arena.playerId(seat)) : -1;
    if (!arena || index < 0 || rows.kinds[index] !== arena.player.kind) return false;
    const start = rows.start(index);
    const { x, y, velocityX, velocityY, health } = arena.player;
    state[X] = rows.values[start + x];
    state[Y] = rows.values[start + y];
    state[VX] = rows.values[start + velocityX];
    state[VY] = rows.values[start + velocityY];
    return rows.values[start + health] > 0;
  }

  step(state: State, input: Int32Array, hz: number): void {
    advance(state, input[0], input[1], hz);
  }
}

/** Moves a living player by one tick. */
export function advance(state: State, moveX: number, moveY: number, hz: number): void {
  const length = Math.max(isqrt(moveX * moveX + moveY * moveY), MOVE_MAX);
  const change = Math.max(Math.trunc(ACCELERATION / hz), 1);
  const travelX = accelerate(state, VX, Math.trunc((moveX * SPEED) / length), change, hz);
  const travelY = accelerate(state, VY, Math.trunc((moveY * SPEED) / length), change, hz);
  slide(state, travelX, travelY);
}

/** Moves a velocity towards `wanted`, by at most `change`. Returns the distance travelled in this tick. */
function accelerate(state: State, axis: number, wanted: number, change: number, hz: number): number {
  const before = state[axis];
  state[axis] = before + Math.min(Math.max(wanted - before, -change), change);
  return roundDiv((before + state[axis]) * (STEPS_PER_M / VELOCITY_STEPS_PER_MPS), 2 * hz);
}

function slide(state: State, travelX: number, travelY: number): void {
  const pieces = Math.trunc(Math.max(Math.abs(travelX), Math.abs(travelY)) / STRIDE) + 1;
  for (let piece = 0; piece < pieces; piece++) {
    const beforeX = state[X];
    const beforeY = state[Y];
    state[X] += Math.trunc((travelX * (piece + 1)) / pieces) - Math.trunc((travelX * piece) / pieces);
    state[Y] += Math.trunc((travelY * (piece + 1)) / pieces) - Math.trunc((travelY * piece) / pieces);
    stayInside(state, X, VX, WIDTH);
    stayInside(state, Y, VY, HEIGHT);
    if (hasRoom(state)) continue;
    // Twice, because the way out of one wall may lead into its neighbour.
    for (let n = 0; n < 2 * WALLS.length; n++) pushOut(state, n % WALLS.length);
    if (!hasRoom(state)) {
      state[X] = beforeX;
      state[Y] = beforeY;
      state[VX] = state[VY] = 0;
      return;
    }
  }
}

function stayInside(state: State, axis: number, velocity: number, size: number): void {
  const inside = Math.min(Math.max(state[axis], RADIUS), size - RADIUS);
  if (inside !== state[axis]) state[velocity] = 0;
  state[axis] = inside;
}

function hasRoom(state: State): boolean {
  for (const { left, top, right, bottom } of WALLS) {
    const gapX = gap(state[X], left, right);
    const gapY = gap(state[Y], top, bottom);
    if (gapX * gapX + gapY * gapY < RADIUS * RADIUS) return false;
  }
  return true;
}

/** Moves a body that overlaps a wall out of it, by the shortest way. */
function pushOut(state: State, index: number): void {
  const { left, top, right, bottom } = WALLS[index];
  const gapX = gap(state[X], left, right);
  const gapY = gap(state[Y], top, bottom);
  const square = gapX * gapX + gapY * gapY;
  if (square === 0 || square >= RADIUS * RADIUS) return;
  const length = isqrt(square);
  state[X] += away(gapX, length) - gapX;
  state[Y] += away(gapY, length) - gapY;
  const outward = state[VX] * gapX + state[VY] * gapY;
  if (outward < 0) {
    state[VX] -= Math.trunc((gapX * outward) / square);
    state[VY] -= Math.trunc((gapY * outward) / square);
  }
}

/** One axis of the way out of a wall, rounded away from the wall, or the body would still overlap it. */
function away(part: number, length: number): number {
  return Math.sign(part) * Math.floor((Math.abs(part) * RADIUS + length - 1) / length);
}

/** The distance to a place from the nearest place within a span. */
function gap(place: number, low: number, high: number): number {
  return place - Math.min(Math.max(place, low), high);
}

/** Exact, since all squares are far below 2^53. */
function isqrt(square: number): number {
  return Math.floor(Math.sqrt(square));
}

/** `a / b` rounded to the nearest, halves away from zero; `b` is positive. */
function roundDiv(a: number, b: number): number {
  return Math.trunc((2 * a + (a < 0 ? -b : b)) / (2 * b));
}
