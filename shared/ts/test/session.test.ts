import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { ByteWriter } from "../src/bytes.js";
import type { SessionOptions, SessionState } from "../src/options.js";
import { Session } from "../src/session.js";
import { PROTOCOL_VERSION, writeHello } from "../src/wire.js";
import { FakeSocket } from "./fake-socket.js";
import { welcomeFrame } from "./welcome.js";

const ACK = 2;
/** Of match 7. */
const REMEMBERED = JSON.stringify([7, ...new Uint8Array(16).fill(9)]);

test("a server that waits to be told is told by a timer", (context) => {
  context.mock.timers.enable({ apis: ["setInterval"] });
  context.mock.method(performance, "now", () => 0);
  const socket = new FakeSocket();
  const session = new Session({ url: "http://server", spectate: true, openSocket: () => socket });
  socket.onopen?.({});
  socket.hear(welcomeFrame());
  // A full snapshot of tick 9 without any row: it comes at the moment of the hello, so nothing is said of it yet.
  socket.hear(Uint8Array.of(0x81, 9, 0, 0, 0));
  assert.deepEqual(acknowledgements(socket), []);
  context.mock.timers.tick(1_000);
  assert.deepEqual(acknowledgements(socket), [9], "once, and not again by each turn");
  session.close();
});

test("a server that was started anew is joined anew", (context) => {
  const { session, opened, lose } = open(context, {});
  opened[0].socket.hear(welcomeFrame());
  lose(1012);
  assert.match(opened[1].url, /match=1&resume=1$/);
  lose(4011);
  assert.match(opened[2].url, /match=auto$/);
  assert.equal(session.state.type, "resuming");
  lose(4011);
  assert.deepEqual(session.state, { type: "ended", code: 4011, reason: "" }, "there never was such a match");
});

test("a spectator that lost its connection joins anew", (context) => {
  const { session, opened, lose } = open(context, { spectate: true });
  opened[0].socket.hear(welcomeFrame(null));
  const before = session.others;
  lose(1006);
  assert.match(opened[1].url, /match=1&role=spectator$/);
  assert.deepEqual(opened[1].socket.sent, [hello("")], "a new one, which takes nothing up");
  opened[1].socket.hear(welcomeFrame(null));
  opened[1].socket.hear(Uint8Array.of(0x81, 9, 0, 0, 0));
  assert.equal(session.state.type, "playing");
  assert.ok(session.others && session.others !== before, "nothing of before is shown");
  session.close();
});

test("a spectator takes up nobody's seat", (context) => {
  const storage = { getItem: () => REMEMBERED, setItem() {}, removeItem() {} } as unknown as Storage;
  const { session, opened } = open(context, { spectate: true, storage });
  assert.match(opened[0].url, /match=auto&role=spectator$/);
  assert.deepEqual(opened[0].socket.sent, [hello("")]);
  session.close();
});

test("each time that it is joined, a ticket is asked for", async (context) => {
  const asked: (number | "auto")[] = [];
  const ticket = (match: number | "auto") => `t${asked.push(match)}`;
  const { session, opened, lose } = open(context, { ticket });
  await settled();
  assert.match(opened[0].url, /match=auto&ticket=t1$/);
  opened[0].socket.hear(welcomeFrame());
  lose(1006);
  assert.match(opened[1].url, /match=1&resume=1$/, "none to take the session up");
  lose(4012);
  await settled();
  assert.match(opened[2].url, /match=auto&ticket=t2$/);
  session.close();
  assert.deepEqual(asked, ["auto", "auto"]);
});

test("a spectator's next ticket is for the match that it watched", async (context) => {
  const ticket = async (match: number | "auto") => `for-${match}`;
  const { session, opened, lose } = open(context, { spectate: true, ticket });
  await settled();
  opened[0].socket.hear(welcomeFrame(null));
  lose(1006);
  await settled();
  assert.match(opened[1].url, /match=1&role=spectator&ticket=for-1$/);
  session.close();
});

test("while there is no ticket it is asked for again", async (context) => {
  context.mock.method(console, "warn", () => {});
  const states: string[] = [];
  const answers = [() => Promise.reject(new Error("away")), () => assert.fail("broken"), () => "t"];
  const ticket = () => answers.shift()!();
  const handlers = { state: ({ type }: SessionState) => states.push(type) };
  const { session, opened } = open(context, { ticket, handlers });
  for (let n = 0; n < 3; n++) {
    await settled();
    context.mock.timers.tick(5_000);
  }
  assert.deepEqual(states, ["resuming", "resuming"]);
  assert.match(opened[0].url, /ticket=t$/);
  session.close();
});

test("a session without a ticket gives up after a minute", async (context) => {
  context.mock.method(console, "warn", () => {});
  const fail = () => Promise.reject(new Error("away"));
  const { session, opened } = open(context, { ticket: fail });
  context.mock.method(performance, "now", () => 1);
  await settled();
  context.mock.method(performance, "now", () => 61_000);
  context.mock.timers.tick(5_000);
  await settled();
  assert.deepEqual(session.state, { type: "ended", code: 1006, reason: "no ticket could be had" });
  assert.equal(opened.length, 0);
});

test("a ticket that comes after the end opens nothing", async (context) => {
  const { session, opened } = open(context, { ticket: async () => "t" });
  session.close();
  await settled();
  assert.equal(opened.length, 0);
});

test("a session that has ended stays so", (context) => {
  const states: string[] = [];
  const handlers = { state: ({ type }: SessionState) => states.push(type) };
  const { session, opened } = open(context, { handlers });
  const { socket } = opened[0];
  socket.hear(welcomeFrame());
  const late = socket.onmessage;
  session.close();
  assert.deepEqual([socket.onopen, socket.onmessage, socket.onclose], [null, null, null]);
  late?.({ data: Uint8Array.of(0x81, 9, 0, 0, 0).buffer });
  session.close();
  assert.deepEqual(states, ["ended"]);
  assert.deepEqual(session.state, { type: "ended", code: 1000, reason: "bye" });
});

test("a name is cut to what the server takes", (context) => {
  const { session, opened } = open(context, { name: "🦀".repeat(400) });
  assert.deepEqual(opened[0].socket.sent, [hello("🦀".repeat(24))]);
  session.close();
});

test("an input that is none of the schema's changes nothing", (context) => {
  let value = NaN;
  const { session, opened } = open(context, { input: () => [value] });
  const { socket } = opened[0];
  socket.hear(welcomeFrame());
  socket.hear(Uint8Array.of(0x81, 9, 0, 0, 0));
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

test("what is too long for a line is refused here", (context) => {
  const refused: unknown[] = [];
  const handlers = { chatRefused: (why: unknown) => refused.push(why) };
  const { session, opened } = open(context, { handlers });
  opened[0].socket.hear(welcomeFrame());
  const sent = opened[0].socket.sent.length;
  session.chat("界".repeat(201));
  assert.deepEqual(refused, [{ reason: "too-long" }]);
  assert.equal(opened[0].socket.sent.length, sent);
  session.chat(` ${"界".repeat(200)} `);
  assert.equal(opened[0].socket.sent.length, sent + 1);
  session.close();
});

test("a page that may keep nothing plays all the same", (context) => {
  const fail = () => {
    throw new Error("no storage");
  };
  const storage = { getItem: () => "{broken", setItem: fail, removeItem: fail } as unknown as Storage;
  const { session, opened } = open(context, { storage });
  opened[0].socket.hear(welcomeFrame());
  assert.equal(session.seat, 3);
  session.close();
});

test("what was remembered counts only if it makes sense", () => {
  const isRemembered = (text: string | null) =>
    Session.isRemembered({ getItem: () => text } as unknown as Storage, "http://server");
  assert.ok(isRemembered(REMEMBERED));
  for (const text of [null, "", "{broken", "null", "{}", "[1,2]", REMEMBERED.replace("7", '"7"')]) {
    assert.ok(!isRemembered(text), `${text}`);
  }
});

/** A session whose connections are fakes, each opened as soon as it is due, unless a ticket is awaited. */
function open(context: TestContext, options: Partial<SessionOptions>) {
  context.mock.timers.enable({ apis: ["setInterval", "setTimeout"] });
  context.mock.method(performance, "now", () => 0);
  const opened: { url: string; socket: FakeSocket }[] = [];
  const openSocket = (url: string) => {
    const socket = new FakeSocket();
    opened.push({ url, socket });
    return socket;
  };
  const session = new Session({ url: "http://server", openSocket, ...options });
  opened[0]?.socket.onopen?.({});
  const lose = (code: number) => {
    opened.at(-1)!.socket.onclose?.({ code, reason: "" });
    context.mock.timers.tick(5_000);
    opened.at(-1)!.socket.onopen?.({});
  };
  return { session, opened, lose };
}

/** Until promises that wait for nothing else have been heard. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** What a client says that takes nothing up. */
function hello(name: string): Uint8Array {
  const out = new ByteWriter();
  writeHello({ version: PROTOCOL_VERSION, schemaHash: null, resume: null, name }, out);
  return out.written().slice();
}

function acknowledgements(socket: FakeSocket): number[] {
  const frames = socket.sent.filter((frame) => frame[0] === ACK);
  return frames.map((frame) => new DataView(frame.buffer).getUint32(1, true));
}
