import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { follow } from "../src/net/follow.js";

test("a feed is requested again after an error, until it is ended", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  Object.assign(globalThis, { EventSource: FakeSource });
  const received: string[] = [];
  const end = follow("/v1/events", { chat: (data) => received.push(data) }, () => received.push("lost"));
  const [first] = FakeSource.all;
  first.send("chat", "a");
  // The browser reconnects by itself.
  first.fail(FakeSource.CONNECTING);
  mock.timers.tick(60_000);
  assert.equal(FakeSource.all.length, 1);
  first.fail(FakeSource.CLOSED);
  mock.timers.tick(60_000);
  assert.equal(FakeSource.all.length, 2);
  FakeSource.all[1].send("chat", "b");
  assert.deepEqual(received, ["a", "lost", "lost", "b"]);

  FakeSource.all[1].fail(FakeSource.CLOSED);
  end();
  mock.timers.tick(60_000);
  assert.equal(FakeSource.all.length, 2);
  assert.equal(FakeSource.all[1].readyState, FakeSource.CLOSED);
  mock.timers.reset();
});

class FakeSource extends EventTarget {
  static readonly CONNECTING = 0;
  static readonly CLOSED = 2;
  static readonly all: FakeSource[] = [];
  readyState = FakeSource.CONNECTING;
  onerror = () => {};

  constructor() {
    super();
    FakeSource.all.push(this);
  }

  send(name: string, data: string): void {
    this.dispatchEvent(Object.assign(new Event(name), { data }));
  }

  fail(readyState: number): void {
    this.readyState = readyState;
    this.onerror();
  }

  close(): void {
    this.readyState = FakeSource.CLOSED;
  }
}
