import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteReader } from "../src/bytes.js";
import { Decoder } from "../src/codec/decoder.js";
import { RangeDecoder } from "../src/codec/range.js";
import { ticksBetween } from "../src/link/clock.js";
import { Rows } from "../src/rows.js";
import { readSchema } from "../src/schema.js";
import { RecordingDecoder } from "./encoder.js";
import { fromHex, toHex, vectors } from "./hex.js";

interface Match {
  tick_rate_hz: number;
  schema_bytes: string;
  snapshots: Snapshot[];
}

interface Snapshot {
  tick: number;
  basis: number[];
  model: string | null;
  body: string;
  rows: number[][] | null;
  digest: number;
}

const { matches } = vectors<{ matches: Match[] }>("codec.json");

test("bodies make the rows that the server means", () => {
  for (const match of matches) {
    for (const { rows, snapshot } of play(match)) {
      assert.equal(rows.digest(), snapshot.digest, `tick ${snapshot.tick}`);
      if (snapshot.rows) assert.deepEqual(listed(rows), snapshot.rows);
    }
  }
});

test("what bodies and models say has one spelling", () => {
  for (const match of matches) {
    const range = new RecordingDecoder();
    const models: string[] = [];
    for (const { snapshot } of play(match, range, (written) => models.push(toHex(written())))) {
      assert.equal(toHex(range.written()), snapshot.body, `tick ${snapshot.tick}`);
    }
    assert.deepEqual(models, match.snapshots.flatMap(({ model }) => model ?? []));
  }
});

/** Decodes the snapshots of a match, one after the other. */
function* play(
  match: Match,
  range: RangeDecoder = new RangeDecoder(),
  modelRead: (written: () => Uint8Array) => void = () => {},
): Generator<{ rows: Rows; snapshot: Snapshot }> {
  const reader = new ByteReader(fromHex(match.schema_bytes));
  const decoder = new Decoder(readSchema(reader), match.tick_rate_hz, range);
  assert.equal(reader.left, 0);
  const known = new Map<number, Rows>();
  const none = new Rows();
  for (const snapshot of match.snapshots) {
    if (snapshot.model !== null) {
      decoder.setModel(fromHex(snapshot.model));
      modelRead(() => (range as RecordingDecoder).written());
    }
    const basis = snapshot.basis.map((tick) => known.get(tick)!);
    const ages = snapshot.basis.map((tick) => ticksBetween(tick, snapshot.tick));
    const rows = new Rows();
    decoder.decode(basis, ages, fromHex(snapshot.body), rows, none);
    known.set(snapshot.tick, rows);
    yield { rows, snapshot };
  }
}

function listed(rows: Rows): number[][] {
  return Array.from({ length: rows.length }, (_, i) => {
    const values = rows.values.subarray(rows.start(i), rows.ends[i]);
    return [rows.ids[i], rows.kinds[i], ...values];
  });
}
