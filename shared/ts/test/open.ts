/** Sessions of tests, with fake sockets and mocked time. */

import type { TestContext } from "node:test";
import { ByteWriter } from "../src/bytes.js";
import type { SessionOptions } from "../src/options.js";
import { Session } from "../src/session.js";
import { PROTOCOL_VERSION, writeHello } from "../src/wire.js";
import { FakeSocket } from "./fake-socket.js";

/** A full snapshot of tick 9 without rows. */
export const FULL = Uint8Array.of(0x81, 9, 0, 0, 0);

/** A session, each of whose sockets opens at once. `lose` closes the last one, and waits for the next. */
export function open(context: TestContext, options: Partial<SessionOptions>) {
  context.mock.timers.reset();
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

/** The hello of a client that resumes nothing. */
export function hello(name: string): Uint8Array {
  const out = new ByteWriter();
  writeHello({ version: PROTOCOL_VERSION, schemaHash: null, resume: null, name }, out);
  return out.written().slice();
}
