import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteReader } from "../src/bytes.js";
import { Decoder } from "../src/codec/decoder.js";
import { Rows } from "../src/rows.js";
import { readSchema } from "../src/schema.js";
import { fromHex, vectors } from "./hex.js";

interface Snapshot {
  tick: number;
  basis: number[];
  model: string | null;
  body: string;
  rows: number[][] | null;
  digest: number;
}

interface Match {
  tick_rate_hz: number;
  schema_bytes: string;
  snapshots: Snapshot[];
}

const { matches } = vectors<{ matches: Match[] }>("codec.json");

for (const [n, { tick_rate_hz, schema_bytes, snapshots }] of matches.entries()) {
  test(`bodies are read as the server reads them, match ${n}`, () => {
    const schema = readSchema(new ByteReader(fromHex(schema_bytes)));
    const decoder = new Decoder(schema, tick_rate_hz);
    const decoded = new Map<number, Rows>();
    for (const { tick, basis, model, body, rows, digest } of snapshots) {
      if (model !== null) decoder.setModel(fromHex(model));
      const known = basis.map((tick) => decoded.get(tick)!);
      const ages = basis.map((other) => (tick - other) >>> 0);
      const made = new Rows();
      decoder.decode(known, ages, fromHex(body), made, new Rows());
      assert.equal(made.digest(), digest, `tick ${tick}`);
      if (rows !== null) assert.deepEqual(plain(made), rows, `tick ${tick}`);
      decoded.set(tick, made);
    }
  });
}

function plain(rows: Rows): number[][] {
  return Array.from({ length: rows.length }, (_, i) => [
    rows.ids[i],
    rows.kinds[i],
    ...rows.values.slice(rows.start(i), rows.ends[i]),
  ]);
}
