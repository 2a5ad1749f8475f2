import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteReader, ByteWriter } from "../src/bytes.js";
import { ServerFault } from "../src/fault.js";
import { check, pack, unpack } from "../src/integers.js";
import { Rows } from "../src/rows.js";
import { toHex } from "./vectors.js";

test("packed integers of any range survive a round trip", () => {
  const ranges = [[-127, 127], [0, 1], [5, 5], [0, 1023], [-(2 ** 31), 2 ** 31 - 1], [-3, 4]] as const;
  const integers = ranges.map(([min, max]) => ({ name: "n", min, max }));
  for (const values of [ranges.map(([min]) => min), ranges.map(([, max]) => max), [7, 1, 5, 500, -1, 0]]) {
    const out = new ByteWriter();
    pack(integers, values, out);
    const read = new Int32Array(integers.length);
    const reader = new ByteReader(out.written());
    unpack(integers, reader, read);
    assert.deepEqual([...read], values);
    assert.equal(reader.left, 0);
  }
});

test("integers are packed as the server packs them", () => {
  const out = new ByteWriter();
  const integer = (min: number, max: number) => ({ name: "n", min, max });
  pack([integer(-127, 127), integer(0, 1), integer(5, 5), integer(0, 1023)], [-127, 1, 5, 1023], out);
  assert.equal(toHex(out.written()), "00ff07");
});

test("integers out of range are rejected", () => {
  const values = new Int32Array(1);
  const read = (max: number, byte: number) =>
    unpack([{ name: "n", min: 0, max }], new ByteReader(Uint8Array.of(byte)), values);
  assert.throws(() => read(2, 3), ServerFault);
  assert.throws(() => read(2, 4), ServerFault);
  for (const wrong of [[3], [], [0, 0]]) {
    assert.throws(() => check([{ name: "n", min: 0, max: 2 }], wrong), RangeError);
  }
});

test("bincode's integers survive a round trip", () => {
  const out = new ByteWriter();
  const numbers = [0, 250, 251, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER];
  for (const number of numbers) out.varint(number);
  const reader = new ByteReader(out.written());
  assert.deepEqual(numbers.map(() => reader.varu64()), numbers);
});

test("rows are found by id, copied, and distinguished by their digest", () => {
  const rows = new Rows();
  for (const [id, kind, values] of [[3, 0, [1, 2, 3]], [9, 1, []], [2 ** 32 - 1, 2, [-7]]] as const) {
    rows.values.set(values, rows.push(id, kind, values.length));
  }
  assert.deepEqual([3, 9, 2 ** 32 - 1, 4].map((id) => rows.find(id)), [0, 1, 2, -1]);
  const copy = new Rows();
  copy.copyFrom(rows);
  assert.equal(copy.digest(), rows.digest());
  copy.values[3]++;
  assert.notEqual(copy.digest(), rows.digest());
});
