import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { advance } from "../src/arena/body.js";
import { HEIGHT, reach, WALLS, WIDTH } from "../src/arena/map.js";

interface Vectors {
  size: [number, number];
  walls: number[][];
  walks: { hz: number; start: number[]; ticks: number[][] }[];
}

const file = new URL("../../../shared/testdata/arena_movement.json", import.meta.url);
const vectors = JSON.parse(readFileSync(file, "utf8")) as Vectors;

test("the map is the same as the server's", () => {
  assert.deepEqual([WIDTH, HEIGHT], vectors.size);
  const walls = WALLS.map(({ left, top, right, bottom }) => [left, top, right, bottom]);
  assert.deepEqual(walls, vectors.walls);
});

test("players move exactly as on the server", () => {
  for (const { hz, start, ticks } of vectors.walks) {
    const state = Int32Array.from(start);
    ticks.forEach(([moveX, moveY, ...body], n) => {
      advance(state, moveX, moveY, hz);
      assert.deepEqual([...state], body, `tick ${n} at ${hz} Hz`);
    });
  }
});

test("shots end at walls and at the border", () => {
  const { left, top, bottom } = WALLS[0];
  const middle = (top + bottom) / 2;
  assert.equal(reach(left - 100, middle, 1, 0), 100);
  assert.equal(reach(100, 50, -1, 0), 100);
  assert.equal(reach(100, 50, 0, -1), 50);
});
