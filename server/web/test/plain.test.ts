import assert from "node:assert/strict";
import { test } from "node:test";
import { type Field, Rows, type Schema, type Session } from "@tickwire/client";
import { PlainView } from "../src/draw/plain.js";
import type { Scene } from "../src/draw/scene.js";

test("in a crowd only players have names, and entities without a place are still listed as text", () => {
  assert.deepEqual(textsWith(2), ["clock seconds 7", "coin 1", "worth 7", "coin 2", "worth 7", "Ada", "worth 7"]);
  assert.deepEqual(textsWith(50), ["clock seconds 7", "Ada"]);
});

test("a player's own values are text, and spectators have none", () => {
  const view = new PlainView({} as Scene, { ...SCHEMA, owner: OWNER });
  const link = { rows: new Rows(), owner: Int32Array.of(12, -1) };
  assert.equal(view.describeOwn({ seat: 0, link } as unknown as Session), "bullets 12  card -1");
  assert.equal(view.describeOwn({ seat: null, link } as unknown as Session), "");
  const none = new PlainView({} as Scene, SCHEMA);
  assert.equal(none.describeOwn({ seat: 0, link } as unknown as Session), "");
});

/** The texts that are drawn for a clock, this many coins, and a player. */
function textsWith(coins: number): string[] {
  const texts: string[] = [];
  const ignore = () => {};
  const context = {
    setTransform: ignore, fillRect: ignore, strokeRect: ignore, beginPath: ignore, arc: ignore, fill: ignore,
    fillText: (text: string) => texts.push(text),
  };
  const camera = { fit: ignore, density: 1, width: 800, height: 600 };
  const canvas = { getContext: () => context };
  const scene = { canvas, camera, theme: { seats: ["red"] }, name: () => "Ada" } as unknown as Scene;
  const rows = new Rows();
  rows.push(0, 0, 1);
  for (let id = 1; id <= coins; id++) rows.push(id, 1, 3);
  rows.push(1_000, 2, 3);
  const values = [7, 7, 7];
  const session = { others: { rows, values, interpolate: ignore } } as unknown as Session;
  new PlainView(scene, SCHEMA).draw(session);
  return texts;
}

const OWNER = [{ name: "bullets", min: 0, max: 30 }, { name: "card", min: -1, max: 51 }];
const field = (name: string): Field => ({ name, step: 1, min: 0, max: 9, predict: { type: "held" } });
const SCHEMA: Schema = {
  game: "coins",
  kinds: [
    { name: "clock", fields: [field("seconds")], firstSeat: null },
    { name: "coin", fields: [field("x"), field("y"), field("worth")], firstSeat: null },
    { name: "collector", fields: [field("x"), field("y"), field("worth")], firstSeat: 1_000 },
  ],
  substeps: 0,
  owner: [],
  input: [],
  events: [],
};
