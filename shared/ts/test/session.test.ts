import assert from "node:assert/strict";
import { test } from "node:test";
import { Session } from "../src/session.js";
import { FakeSocket } from "./fake-socket.js";
import { welcomeFrame } from "./welcome.js";

const ACK = 2;

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

function acknowledgements(socket: FakeSocket): number[] {
  const frames = socket.sent.filter((frame) => frame[0] === ACK);
  return frames.map((frame) => new DataView(frame.buffer).getUint32(1, true));
}
