import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { follow } from "../src/net/follow.js";

test("a feed that was answered an error is asked for again, until it is ended", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  Object.assign(globalThis, { EventSource: FakeSource });
  const said: string[] = [];
  const end = follow("/v1/events", { chat: (data) => said.push(data) }, () => said.push("lost"));
  const [first] = FakeSource.all;
  first.tell("chat", "a");
  // The browser comes back by itself.
  first.fail(FakeSource.CONNECTING);
  mock.timers.tick(60_000);
  assert.equal(FakeSource.all.length, 1);
  first.fail(FakeSource.CLOSED);
  mock.timers.tick(60_000);
  assert.equal(FakeSource.all.length, 2);
  FakeSource.all[1].tell("chat", "b");
  assert.deepEqual(said, ["a", "lost", "lost", "b"]);

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

  tell(name: string, data: string): void {
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
