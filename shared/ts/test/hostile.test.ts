import assert from "node:assert/strict";
import { test } from "node:test";
import { ServerFault } from "../src/fault.js";
import { ClientLink } from "../src/link/client.js";
import { dice } from "./dice.js";
import { fromHex, vectors } from "./vectors.js";
import { open } from "./open.js";
import { welcomeFrame } from "./welcome.js";

const ROUNDS = 10_000;

test("random frames throw nothing but faults", () => {
  const next = dice(1);
  check(() => Uint8Array.from({ length: next(60) }, () => next(256)));
});

test("random snapshots are applied or throw a fault", () => {
  const next = dice(2);
  check(() => {
    const frame = Uint8Array.from({ length: 1 + next(80) }, () => next(256));
    frame[0] = [0x81, 0x81, 0x80, 0x82, 0x8d, 0x90][next(6)];
    return frame;
  });
});

test("mutated frames are accepted or throw a fault", () => {
  const next = dice(3);
  const known = vectors<{ server: { frame: string }[] }>("social.json").server.map(({ frame }) => fromHex(frame));
  known.push(welcomeFrame());
  check(() => {
    const frame = known[next(known.length)].slice();
    for (let n = next(4); n >= 0; n--) frame[next(frame.length)] = [0, 255, 253, 128, next(256)][next(5)];
    return next(3) === 0 ? frame.subarray(0, next(frame.length + 1)) : frame;
  });
});

test("a rejected frame leaves the newest snapshot as it was", () => {
  const link = new ClientLink();
  link.handleFrame(welcomeFrame(), 0);
  link.handleFrame(Uint8Array.of(0x81, 9, 0, 0, 0), 0);
  assert.throws(() => link.handleFrame(Uint8Array.of(0x81, 10, 0, 0, 0, ...new Uint8Array(7), 1), 0), ServerFault);
  assert.throws(() => link.handleFrame(Uint8Array.of(0x81, 9, 0, 0, 0), 0), /not newer/);
  assert.throws(() => link.handleFrame(welcomeFrame(), 0), ServerFault);
  assert.deepEqual([link.applied, link.rows?.length], [9, 0]);
  link.handleFrame(Uint8Array.of(0x80), 0);
  assert.equal(link.applied, 10);
});

test("a schema's names must be valid and unique", () => {
  const read = (name: string, wrong: string) => () => {
    const bytes = Buffer.from(welcomeFrame());
    bytes.write(wrong, bytes.indexOf(String.fromCharCode(name.length) + name) + 1, "latin1");
    new ClientLink().handleFrame(Uint8Array.from(bytes), 0);
  };
  read("turn a", "turn a")();
  assert.throws(read("turn a", "turn\n"), /a name/);
  assert.throws(read("turn a", "turn b"), /the same/);
  assert.throws(read("marker", "mark\u007fr"), /a name/);
});

test("a session survives hostile frames and handlers that throw", (context) => {
  const next = dice(4);
  const reports = (["error", "warn"] as const).map((name) => context.mock.method(console, name, () => {}));
  const handlers = { welcome: () => assert.fail("the page throws"), state: () => assert.fail("again") };
  const { session, opened } = open(context, { handlers });
  for (let n = 0; n < 2; n++) {
    const { socket } = opened.at(-1)!;
    if (n > 0) socket.onopen?.({});
    socket.receive(welcomeFrame());
    for (let m = 0; m < 200; m++) socket.receive(Uint8Array.from({ length: next(40) }, () => next(256)));
    socket.onmessage?.({ data: "text" });
    context.mock.timers.tick(500);
  }
  session.close();
  assert.equal(opened.length, 3, "it reconnects");
  assert.equal(session.stats.faults, 2);
  for (const { mock } of reports) assert.ok(mock.callCount() >= 2, "it logs the faults, and what the page throws");
});

/** Passes frames to a link, and replaces it by a new one after each fault. No other error may occur. */
function check(makeFrame: () => Uint8Array): void {
  let link = new ClientLink();
  link.handleFrame(welcomeFrame(), 0);
  let longest = 0;
  for (let n = 0; n < ROUNDS; n++) {
    const frame = makeFrame();
    const before = process.cpuUsage();
    try {
      link.handleFrame(frame, n);
    } catch (error) {
      assert.ok(error instanceof ServerFault, `${Buffer.from(frame).toString("hex")}: ${error}`);
      link = new ClientLink();
      if (n % 2 === 0) link.handleFrame(welcomeFrame(), n);
    }
    longest = Math.max(longest, process.cpuUsage(before).user / 1_000);
  }
  // No short frame may keep a page busy for long, in CPU time, since the machine may be busy with something else. The
  // longest is mostly garbage collection.
  assert.ok(longest < 500, `${longest} ms for one frame`);
}
