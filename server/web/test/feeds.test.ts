import assert from "node:assert/strict";
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { after, test } from "node:test";
import { TestBrowser, TestServer, until } from "./chromium.js";

const NAMES = ["opened", "ended", "join", "leave", "away", "back", "score", "kill", "round_over", "round_start", "chat", "notice", "gap"];

const browser = await TestBrowser.start();
const server = await TestServer.start("--npcs", "8", "--seats", "8");

test("an event source reconnects without losing or repeating events", async () => {
  await fetch(`${server.url}/v1/join`, { method: "POST" });
  const reference = await follow(`${server.url}/v1/events`);
  const line = await Line.to(server.url);
  const page = await browser.open(`${line.url}/monitor`);
  // The server ends a match that stays empty.
  const player = await browser.open(`${server.url}/?match=auto&name=Ada`);
  await page.evaluate(`{
    const source = new EventSource("/v1/events");
    globalThis.received = [];
    for (const name of ${JSON.stringify(NAMES)}) {
      source.addEventListener(name, (event) => received.push([event.lastEventId, name]));
    }
  }`);
  const received = () => page.evaluate<[string, string][]>("received");
  for (let cut = 0; ; cut++) {
    const before = (await received()).length;
    await until(page, "events", async () => (await received()).length >= before + 15);
    if (cut === 3) break;
    line.cut();
  }
  const events = await received();
  const ids = events.map(([id]) => id);
  assert.ok(!events.some(([, name]) => name === "gap"), "nothing was missed");
  const first = reference.indexOf(ids[0]);
  assert.ok(first >= 0, `${ids[0]} is in the reference`);
  await until(page, "the reference", async () => reference.includes(ids.at(-1)!));
  assert.deepEqual(ids, reference.slice(first, first + ids.length));
  await player.close();
});

/** A TCP proxy between a browser and the server, whose connections can be cut. */
class Line {
  readonly #sockets = new Set<Socket>();

  private constructor(readonly url: string) {}

  static async to(target: string): Promise<Line> {
    const { hostname, port } = new URL(target);
    const listener = createServer((here) => {
      const there = connect(Number(port), hostname);
      for (const socket of [here, there]) {
        line.#sockets.add(socket);
        socket.on("error", () => socket.destroy());
        socket.on("close", () => line.#sockets.delete(socket));
      }
      here.pipe(there);
      there.pipe(here);
    });
    listener.listen(0, "127.0.0.1");
    await once(listener, "listening");
    const line = new Line(`http://127.0.0.1:${(listener.address() as AddressInfo).port}`);
    after(() => {
      line.#destroy();
      listener.close();
    });
    return line;
  }

  cut(): void {
    assert.ok(this.#sockets.size > 0, "there is a connection to cut");
    this.#destroy();
  }

  #destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** Reads a feed without an `EventSource`, and collects the ids of its events. */
async function follow(url: string): Promise<string[]> {
  const request = get(url);
  after(() => request.destroy());
  const [response] = (await once(request, "response")) as [IncomingMessage];
  const ids: string[] = [];
  let rest = "";
  response.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.startsWith("id: ")) ids.push(line.slice(4));
  });
  return ids;
}
