import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteReader, ByteWriter } from "../src/bytes.js";
import type { SessionState } from "../src/options.js";
import { named } from "../src/schema.js";
import { Stats } from "../src/stats.js";
import { readServer } from "../src/wire.js";
import type { FakeSocket } from "./fake-socket.js";
import { fromHex, vectors } from "./vectors.js";
import { FULL, hello, open } from "./open.js";
import { resumedFrame, welcomeFrame } from "./welcome.js";

const ACK = 2;
/** A pong, according to which the ping arrived exactly when tick 9 was due. */
const PONG = Uint8Array.of(0, 1, 0, 0, 0, 9, 0);
const LINES = vectors<{ server: { frame: string }[] }>("social.json")
  .server.map(({ frame }) => fromHex(frame))
  .filter((frame) => readServer(new ByteReader(frame, 1)).type === "line");

test("a timer acknowledges a snapshot that no other follows", (context) => {
  const { session, opened } = open(context, { spectate: true });
  const { socket } = opened[0];
  socket.receive(welcomeFrame());
  // It arrives at the moment of the hello, too early for an acknowledgement of its own.
  socket.receive(FULL);
  assert.deepEqual(acknowledgements(socket), []);
  context.mock.timers.tick(1_000);
  assert.deepEqual(acknowledgements(socket), [9], "once, not by every timer");
  session.close();
});

test("a spectator's lines of chat don't wait for another session", (context) => {
  const { session, opened, lose } = open(context, { spectate: true });
  opened[0].socket.receive(welcomeFrame(null));
  opened[0].socket.receive(FULL);
  lose(1006);
  assert.ok(!session.chat("hello?"));
  session.close();
});

test("repeated lines of chat are not reported to a spectator again", (context) => {
  const texts: string[] = [];
  const { session, opened, lose } = open(context, { spectate: true, handlers: { line: ({ text }) => texts.push(text) } });
  for (let n = 0; n < 2; n++) {
    opened[n].socket.receive(welcomeFrame(null));
    LINES.forEach((frame) => opened[n].socket.receive(frame));
    if (n === 0) lose(1006);
  }
  assert.equal(texts.length, new Set(texts).size);
  assert.ok(texts.length > 0);
  session.close();
});

test("no inputs are made without a connection", (context) => {
  let asked = 0;
  const input = () => [asked++ && 1];
  const { session, opened } = open(context, { input });
  let now = 0;
  context.mock.method(performance, "now", () => now);
  opened[0].socket.receive(welcomeFrame());
  const play = () => {
    asked = 0;
    for (let frame = 0; frame < 20; frame++) {
      now += 16;
      session.frame();
    }
    return asked;
  };
  opened[0].socket.receive(PONG);
  opened[0].socket.receive(FULL);
  assert.ok(play() > 0);
  session.cut();
  assert.equal(play(), 0);
  session.close();
  assert.equal(play(), 0);
});

test("rates fall to 0 when nothing is received any more", () => {
  const stats = new Stats();
  const at = (second: number) => {
    stats.turn(second * 1e6);
    return stats.bytesInPerS;
  };
  stats.receive(10, 0);
  assert.deepEqual([at(0.9), at(1), at(2)], [0, 10, 0]);
});

test("a predictor that throws does not end the session", (context) => {
  const failed = context.mock.method(console, "error", () => {});
  const read = () => assert.fail("a bug in the game");
  const { session, opened } = open(context, { predictor: { length: 1, shown: [], read, step() {} } });
  opened[0].socket.receive(welcomeFrame());
  opened[0].socket.receive(FULL);
  assert.equal(session.state.type, "playing");
  assert.equal(failed.mock.callCount(), 1);
  session.close();
});

test("a session that has ended stays ended", (context) => {
  const states: string[] = [];
  const handlers = { state: ({ type }: SessionState) => states.push(type) };
  const { session, opened } = open(context, { handlers });
  const { socket } = opened[0];
  socket.receive(welcomeFrame());
  const late = socket.onmessage;
  session.close();
  assert.deepEqual([socket.onopen, socket.onmessage, socket.onclose], [null, null, null]);
  late?.({ data: FULL.slice().buffer });
  session.close();
  assert.deepEqual(states, ["ended"]);
  assert.deepEqual(session.state, { type: "ended", code: 1000, reason: "bye" });
});

test("a long name is cut to the server's limit", (context) => {
  const { session, opened } = open(context, { name: "🦀".repeat(400) });
  assert.deepEqual(opened[0].socket.sent, [hello("🦀".repeat(24))]);
  session.close();
});

test("an input that does not fit the schema changes nothing", (context) => {
  let value = NaN;
  const { session, opened } = open(context, { input: () => [value] });
  const { socket } = opened[0];
  socket.receive(welcomeFrame());
  socket.receive(FULL);
  const { link } = session;
  const out = new ByteWriter();
  const written = () => {
    link.writeInput(10, [value], out.clear());
    return new DataView(out.written().slice().buffer).getUint32(1, true);
  };
  assert.throws(written, RangeError);
  assert.equal(out.written().length, 0);
  value = 1;
  assert.deepEqual([written(), written()], [1, 2]);
  session.close();
});

test("an input may be given by names", (context) => {
  let now = 0;
  let held: Record<string, number> = {};
  const made: number[][] = [];
  const input = (_: number, values: ArrayLike<number>) => void made.push(Array.from(values));
  const { session, opened } = open(context, { input: () => held, handlers: { input } });
  context.mock.method(performance, "now", () => now);
  for (const frame of [welcomeFrame(), PONG, FULL]) opened[0].socket.receive(frame);
  const play = () => {
    made.length = 0;
    for (let frame = 0; frame < 20; frame++, now += 16) session.frame();
    return made.at(-1);
  };
  assert.deepEqual(play(), [0]);
  held = { move: 99 };
  assert.deepEqual(play(), [99]);
  held = { mvoe: 1 };
  assert.throws(play, /^RangeError: mvoe is none of the schema's: move$/);
  held = { move: 100 };
  assert.throws(play, /^RangeError: move is 100, not an integer from -3 to 99$/);
  session.close();
});

test("values are read by their names", (context) => {
  const { session, opened } = open(context, {});
  opened[0].socket.receive(welcomeFrame());
  const { kinds, owner } = session.link.schema!;
  const { x, vx, health } = named(kinds[0].fields, [9, 9, -50, 250, 0, 7, 0, 0, 0, 0, 0], 2);
  assert.deepEqual([x, vx, health].map(Math.fround), [2.5, -5, 7].map(Math.fround));
  assert.deepEqual(named(owner, Int32Array.of(-3)), { ammunition: -3 });
  session.close();
});

test("a line of chat that is too long is rejected without sending it", (context) => {
  const refused: unknown[] = [];
  const handlers = { chatRefused: (why: unknown) => refused.push(why) };
  const { session, opened } = open(context, { handlers });
  assert.ok(!session.chat("too early"));
  opened[0].socket.receive(welcomeFrame());
  opened[0].socket.receive(FULL);
  const sent = opened[0].socket.sent.length;
  assert.ok(!session.chat("界".repeat(201)));
  assert.deepEqual(refused, [{ reason: "too-long" }]);
  assert.equal(opened[0].socket.sent.length, sent);
  assert.ok(session.chat(` ${"界".repeat(200)} `));
  assert.equal(opened[0].socket.sent.length, sent + 1);
  session.close();
  assert.ok(!session.chat("over"));
});

test("lines of chat that were lost with a connection are sent again, in order and before newer ones", (context) => {
  const { session, opened, lose } = open(context, {});
  const play = (frame: Uint8Array) => {
    opened.at(-1)!.socket.receive(frame);
    opened.at(-1)!.socket.receive(FULL);
  };
  play(welcomeFrame());
  for (const line of ["one", "two", "three"]) assert.ok(session.chat(line));
  assert.deepEqual(chatIn(opened[0].socket), ["one", "two", "three"]);
  opened[0].socket.onclose?.({ code: 1006, reason: "" });
  assert.ok(session.chat("four"), "it waits");
  context.mock.timers.tick(5_000);
  opened[1].socket.onopen?.({});
  assert.deepEqual(chatIn(opened[1].socket), [], "not before the welcome");
  opened[1].socket.receive(resumedFrame(1));
  assert.deepEqual(chatIn(opened[1].socket), ["two", "three", "four"]);
  opened[1].socket.receive(Uint8Array.of(0x81, 10, 0, 0, 0));
  assert.ok(session.chat("five"));
  assert.deepEqual(chatIn(opened[1].socket), ["two", "three", "four", "five"]);
  lose(1006);
  opened[2].socket.receive(resumedFrame(5));
  assert.deepEqual(chatIn(opened[2].socket), []);
  lose(1006);
  opened[3].socket.receive(resumedFrame(6));
  assert.equal(session.stats.faults, 1, "the server can't have received a line that was never sent");
  session.close();
});

test("a session that gets an invalid frame on each connection ends, unless it had played well meanwhile", (context) => {
  for (const secondsBetween of [1, 11]) {
    const { session, opened } = open(context, {});
    let now = 1_000;
    context.mock.method(performance, "now", () => now);
    for (let n = 0; n < 10 && session.state.type !== "ended"; n++) {
      const { socket } = opened.at(-1)!;
      if (n > 0) socket.onopen?.({});
      socket.receive(welcomeFrame());
      socket.receive(FULL);
      now += secondsBetween * 1_000;
      socket.receive(Uint8Array.of(0x80, 0xff, 0xff));
      context.mock.timers.tick(5_000);
    }
    const expected = secondsBetween === 1 ? { ended: true, faults: 5 } : { ended: false, faults: 10 };
    assert.deepEqual({ ended: session.state.type === "ended", faults: session.stats.faults }, expected);
    session.close();
  }
});

function chatIn(socket: FakeSocket): string[] {
  const frames = socket.sent.filter(([type, message]) => type === 0 && message === 3);
  return frames.map((frame) => new TextDecoder().decode(frame.subarray(3)));
}

function acknowledgements(socket: FakeSocket): number[] {
  const frames = socket.sent.filter((frame) => frame[0] === ACK);
  return frames.map((frame) => new DataView(frame.buffer).getUint32(1, true));
}
