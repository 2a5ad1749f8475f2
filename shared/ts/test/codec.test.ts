import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteReader } from "../src/bytes.js";
import { Decoder } from "../src/codec/decoder.js";
import { RangeDecoder } from "../src/codec/range.js";
import { ServerFault } from "../src/fault.js";
import { ticksBetween } from "../src/link/clock.js";
import { Rows } from "../src/rows.js";
import { readSchema } from "../src/schema.js";
import { RecordingDecoder } from "./encoder.js";
import { fromHex, toHex, vectors } from "./vectors.js";

interface Match {
  tick_rate_hz: number;
  schema_bytes: string;
  snapshots: Snapshot[];
  hostile: { tick: number; basis: number[]; bodies: [string, number | null][] };
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

test("bodies are decoded to the server's rows", () => {
  for (const match of matches) {
    for (const { rows, snapshot } of new Client(match).play(match)) {
      assert.equal(rows.digest(), snapshot.digest, `tick ${snapshot.tick}`);
      if (snapshot.rows) assert.deepEqual(listed(rows), snapshot.rows);
    }
  }
});

test("a hostile body gives the same rows as on the server, or is rejected by both", () => {
  for (const match of matches) {
    const client = new Client(match);
    Array.from(client.play(match));
    const { tick, basis, bodies } = match.hostile;
    for (const [body, digest] of bodies) {
      const decode = () => client.decode(tick, basis, body).digest();
      if (digest === null) assert.throws(decode, ServerFault, body);
      else assert.equal(decode(), digest, body);
    }
  }
});

test("bodies and models have exactly one encoding", () => {
  for (const match of matches) {
    const range = new RecordingDecoder();
    const models: string[] = [];
    const client = new Client(match, range, () => models.push(toHex(range.written())));
    for (const { snapshot } of client.play(match)) {
      assert.equal(toHex(range.written()), snapshot.body, `tick ${snapshot.tick}`);
    }
    assert.deepEqual(models, match.snapshots.flatMap(({ model }) => model ?? []));
  }
});

class Client {
  readonly #decoder: Decoder;
  readonly #modelRead: () => void;
  readonly #known = new Map<number, Rows>();
  readonly #none = new Rows();

  constructor(match: Match, range = new RangeDecoder(), modelRead = () => {}) {
    const reader = new ByteReader(fromHex(match.schema_bytes));
    this.#decoder = new Decoder(readSchema(reader), match.tick_rate_hz, range);
    this.#modelRead = modelRead;
    assert.equal(reader.left, 0);
  }

  /** Decodes the snapshots of a match, one after the other. */
  *play(match: Match): Generator<{ rows: Rows; snapshot: Snapshot }> {
    for (const snapshot of match.snapshots) {
      const { tick, basis, model, body } = snapshot;
      if (model !== null) {
        this.#decoder.setModel(fromHex(model));
        this.#modelRead();
      }
      const rows = this.decode(tick, basis, body);
      this.#known.set(tick, rows);
      yield { rows, snapshot };
    }
  }

  decode(tick: number, basis: number[], body: string): Rows {
    const states = basis.map((tick) => this.#known.get(tick)!);
    const ages = basis.map((before) => ticksBetween(before, tick));
    const rows = new Rows();
    this.#decoder.decode(states, ages, fromHex(body), rows, this.#none);
    return rows;
  }
}

function listed(rows: Rows): number[][] {
  return Array.from({ length: rows.length }, (_, i) => {
    const values = rows.values.subarray(rows.start(i), rows.ends[i]);
    return [rows.ids[i], rows.kinds[i], ...values];
  });
}
