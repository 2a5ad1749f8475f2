/** A welcome to a match of a small game, as a server would encode it. */

import { ByteWriter, fnv } from "../src/bytes.js";

const HELD = [0];
const LINEAR = [1];
const carriedBy = (rate: number) => [2, rate];
const ANGLE = [3];
const FLAGS = [6];
const QUATERNION = [7, 0];
const COMPONENT = [8];

type Field = [name: string, step: number, min: number, max: number, predict: number[]];

/** A kind with most ways to predict a field. */
const BODY: Field[] = [
  ["vx", 0.1, -100, 100, LINEAR],
  ["x", 0.01, 0, 5_000, carriedBy(0)],
  ["aim", 0.1, -180, 179, ANGLE],
  ["health", 1, 0, 100, HELD],
  ["switches", 1, 0, 255, FLAGS],
  ["turn", 1, 0, 3, QUATERNION],
  ["turn a", 0.01, -90, 90, COMPONENT],
  ["turn b", 0.01, -90, 90, COMPONENT],
  ["turn c", 0.01, -90, 90, COMPONENT],
];

export function welcomeFrame(seat: number | null = 3): Uint8Array<ArrayBuffer> {
  const schema = schemaBytes();
  const out = welcome(seat, 0);
  out.u8(1);
  out.raw(schema);
  out.u8(1);
  out.varint(0);
  return out.written().slice();
}

/** The welcome to a client that resumes in seat 3, and of which the server has received so many lines of chat. */
export function resumedFrame(lines: number): Uint8Array<ArrayBuffer> {
  const out = welcome(3, lines);
  out.u8(0);
  out.u8(0);
  return out.written().slice();
}

/** A welcome up to the schema. */
function welcome(seat: number | null, lines: number): ByteWriter {
  const out = new ByteWriter();
  out.u8(0);
  out.varint(0);
  out.varint(7);
  out.raw(new Uint8Array(16).fill(9));
  out.varint(1);
  out.option(seat, (seat) => out.varint(seat));
  out.varint(0);
  out.varint(0);
  out.varint(lines);
  out.varint(30);
  out.varint(fnv(schemaBytes()));
  return out;
}

function schemaBytes(): Uint8Array {
  const out = new ByteWriter();
  out.text("test");
  out.varint(2);
  kind("body", BODY, 20, out);
  kind("marker", [], null, out);
  out.u8(0);
  for (const name of ["ammunition", "move"]) {
    out.varint(1);
    out.text(name);
    out.varint(zigzag(-3));
    out.varint(zigzag(99));
  }
  out.varint(1);
  out.text("bang");
  out.varint(1);
  out.text("who");
  return out.written();
}

function kind(name: string, fields: Field[], firstSeat: number | null, out: ByteWriter): void {
  out.text(name);
  out.varint(fields.length);
  for (const [name, step, min, max, predict] of fields) {
    out.text(name);
    out.raw(new Uint8Array(Float32Array.of(step).buffer));
    out.varint(zigzag(min));
    out.varint(zigzag(max));
    for (const byte of predict) out.u8(byte);
  }
  out.option(firstSeat, (id) => out.varint(id));
}

function zigzag(value: number): number {
  return ((value << 1) ^ (value >> 31)) >>> 0;
}
