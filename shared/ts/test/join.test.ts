import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { SessionOptions, SessionState } from "../src/options.js";
import type { Store } from "../src/remembered.js";
import { Session } from "../src/session.js";
import { FakeSocket } from "./fake-socket.js";
import { FULL, hello, open } from "./open.js";
import { welcomeFrame } from "./welcome.js";

/** The key under which a seat is stored, and a seat of match 7. */
const KEY = "tickwire ws://server/v1/play";
const REMEMBERED = JSON.stringify([7, ...new Uint8Array(16).fill(9)]);

test("a session reconnects at once when the device has a network again", (context) => {
  const device = new EventTarget();
  Object.assign(globalThis, {
    addEventListener: device.addEventListener.bind(device),
    removeEventListener: device.removeEventListener.bind(device),
  });
  context.after(() => Object.assign(globalThis, { addEventListener: undefined, removeEventListener: undefined }));
  const { session, opened } = open(context, {});
  opened[0].socket.receive(welcomeFrame());
  device.dispatchEvent(new Event("online"));
  assert.equal(opened.length, 1, "it is connected");
  opened[0].socket.onclose?.({ code: 1006, reason: "" });
  device.dispatchEvent(new Event("online"));
  assert.equal(opened.length, 2);
  device.dispatchEvent(new Event("online"));
  context.mock.timers.tick(5_000);
  assert.equal(opened.length, 2, "it is connecting, and no longer waits");
  opened[1].socket.onclose?.({ code: 1006, reason: "" });
  session.close();
  device.dispatchEvent(new Event("online"));
  assert.equal(opened.length, 2, "it has ended");
});

test("a client joins anew after a restart of the server", (context) => {
  const { session, opened, lose } = open(context, {});
  opened[0].socket.receive(welcomeFrame());
  lose(1012);
  assert.match(opened[1].url, /match=1&resume=1$/);
  lose(4011);
  assert.match(opened[2].url, /match=auto$/);
  assert.equal(session.state.type, "resuming");
  lose(4011);
  assert.deepEqual(session.state, { type: "ended", code: 4011, reason: "" }, "the requested match does not exist");
});

test("a session comes back after the close codes that the protocol says", (context) => {
  const table = readFileSync(new URL("../../PROTOCOL.md", import.meta.url), "utf8").split("| code | meaning | back |\n")[1];
  const rows = table.slice(0, table.indexOf("\n\n")).split("\n").slice(1);
  const codes = rows.map((row) => row.split("|")).flatMap(([, codes, , back]) =>
    codes.split(",").flatMap((range) => {
      const [first, last = first] = range.split("–").map(Number);
      return Array.from({ length: last - first + 1 }, (_, n) => ({ code: first + n, back: back.trim() }));
    }),
  );
  assert.ok(codes.length > 30);
  for (const { code, back } of [...codes, ...[1005, 1006, 1011].map((code) => ({ code, back: "yes" }))]) {
    const { session, opened, lose } = open(context, {});
    opened[0].socket.receive(welcomeFrame());
    lose(code);
    const [, match = "no"] = opened[1]?.url.match(/match=(.*)/) ?? [];
    assert.equal(match, { yes: "1&resume=1", anew: "auto", no: "no" }[back], `after ${code}`);
    session.close();
  }
});

test("a session whose server was restarted joins as soon as it knows", (context) => {
  context.mock.method(Math, "random", () => 0.99);
  const { session, opened, lose } = open(context, {});
  opened[0].socket.receive(welcomeFrame());
  for (let n = 0; n < 8; n++) lose(1006);
  opened.at(-1)!.socket.onclose?.({ code: 4012, reason: "" });
  context.mock.timers.tick(250);
  assert.match(opened.at(-1)!.url, /match=auto$/);
  session.close();
});

test("a spectator joins anew after a lost connection", (context) => {
  const { session, opened, lose } = open(context, { spectate: true });
  opened[0].socket.receive(welcomeFrame(null));
  const before = session.others;
  lose(1006);
  assert.match(opened[1].url, /match=1&role=spectator$/);
  assert.deepEqual(opened[1].socket.sent, [hello("")], "a hello that resumes nothing");
  opened[1].socket.receive(welcomeFrame(null));
  opened[1].socket.receive(FULL);
  assert.equal(session.state.type, "playing");
  assert.ok(session.others && session.others !== before, "nothing of the old session is shown");
  session.close();
});

test("a spectator neither resumes nor forgets a remembered seat", (context) => {
  const storage = new MapStore();
  storage.setItem(KEY, REMEMBERED);
  const { session, opened } = open(context, { spectate: true, storage });
  assert.match(opened[0].url, /match=auto&role=spectator$/);
  assert.deepEqual(opened[0].socket.sent, [hello("")]);
  opened[0].socket.receive(welcomeFrame(null));
  session.close();
  assert.equal(storage.getItem(KEY), REMEMBERED);
});

test("a seat is remembered until the player leaves it", (context) => {
  const storage = new MapStore();
  const of = (text: string | null) => text && (JSON.parse(text) as number[])[0];
  const first = open(context, { storage });
  first.opened[0].socket.receive(welcomeFrame());
  assert.equal(of(storage.getItem(KEY)), 1);
  first.session.close();
  assert.equal(storage.getItem(KEY), null);
  // A session that is closed before it connects, as in React's strict mode, keeps the remembered seat.
  storage.setItem(KEY, REMEMBERED);
  const hasty = new Session({ url: "http://server", storage, openSocket: () => new FakeSocket() });
  hasty.close();
  assert.equal(storage.getItem(KEY), REMEMBERED);
  // Another tab has resumed the session, or remembers another seat.
  const second = open(context, { storage });
  assert.match(second.opened[0].url, /match=7&resume=1$/);
  second.opened[0].socket.receive(welcomeFrame());
  second.lose(4013);
  assert.equal(of(storage.getItem(KEY)), 1);
  const third = open(context, { storage });
  third.opened[0].socket.receive(welcomeFrame());
  const others = JSON.stringify([5, ...new Uint8Array(16).fill(1)]);
  storage.setItem(KEY, others);
  third.session.close();
  assert.equal(storage.getItem(KEY), others);
});

test("a seat is remembered when the server could not be reached for a minute", (context) => {
  const storage = new MapStore();
  const first = open(context, { storage });
  first.opened[0].socket.receive(welcomeFrame());
  context.mock.method(performance, "now", () => 1);
  first.lose(1006);
  context.mock.method(performance, "now", () => 61_000);
  first.opened.at(-1)!.socket.onclose?.({ code: 1006, reason: "" });
  assert.equal(first.session.state.type, "ended");
  const second = open(context, { storage });
  assert.match(second.opened[0].url, /match=1&resume=1$/);
  second.session.close();
});

test("a page that is reloaded with the answer to another join resumes its seat", (context) => {
  const storage = new MapStore();
  const answer = (ticket: string) => `ws://server/v1/play?match=1&ticket=${ticket}`;
  const first = open(context, { storage, url: answer("a") });
  first.opened[0].socket.receive(welcomeFrame());
  assert.ok(Session.isRemembered(storage, answer("b")) && Session.isRemembered(storage, "http://server/"));
  assert.ok(!Session.isRemembered(storage, "http://other"));
  const second = open(context, { storage, url: answer("b") });
  assert.match(second.opened[0].url, /match=1&resume=1$/);
  for (const { session } of [first, second]) session.close();
});

test("invalid options are rejected before a socket is opened", (context) => {
  for (const url of ["not a url", "server:8080", "", "/api", "ftp://server", undefined as unknown as string]) {
    assert.throws(() => open(context, { url }), /^TypeError: url is .*, and should be such as/, url);
  }
  for (const match of [NaN, -1, 1.5, 2 ** 32, "7" as unknown as number]) {
    assert.throws(() => open(context, { match }), /^TypeError: match is/, `${match}`);
  }
  for (const match of ["", "best", "1e1", "4294967296"]) {
    const url = `ws://server/v1/play?match=${match}`;
    assert.throws(() => open(context, { url }), /^TypeError: match is ("|4294967296)/, match);
  }
  assert.throws(() => open(context, { name: 42 as unknown as string }), /^TypeError: name is no string/);
});

test("the URL of the WebSocket is made from the server's URL and the options", (context) => {
  const opens = (options: Partial<SessionOptions>) => {
    const { session, opened } = open(context, options);
    session.close();
    return opened[0].url;
  };
  assert.equal(opens({ url: "https://play.example" }), "wss://play.example/v1/play?match=auto");
  assert.equal(opens({ url: "wss://play.example/game/eu-1/" }), "wss://play.example/game/eu-1/v1/play?match=auto");
  const url = "ws://server/eu/v1/play?match=7&ticket=t&role=spectator";
  assert.equal(opens({ url }), "ws://server/eu/v1/play?match=7&role=spectator&ticket=t");
  // A mode is only sent with "auto"; options take precedence over the URL.
  assert.equal(opens({ url: "ws://server", mode: "duel" }), "ws://server/v1/play?match=auto&mode=duel");
  assert.equal(opens({ url: "ws://server", match: 7, mode: "duel" }), "ws://server/v1/play?match=7");
  const ofMode = "ws://server/v1/play?match=auto&mode=duel";
  assert.equal(opens({ url: ofMode }), ofMode);
  assert.equal(opens({ url: ofMode, mode: "teams" }), ofMode.replace("duel", "teams"));
  assert.equal(opens({ url, match: 8, spectate: false, ticket: "u" }), "ws://server/eu/v1/play?match=8&ticket=u");
});

test("an exception while reconnecting ends the session", (context) => {
  context.mock.method(console, "error", () => {});
  const { session, opened, lose } = open(context, {});
  opened[0].socket.receive(welcomeFrame());
  opened.push = () => assert.fail("no more sockets");
  lose(1006);
  assert.deepEqual(session.state.type === "ended" && session.state.code, 4900);
});

test("an exception while connecting ends the session", async (context) => {
  context.mock.method(console, "error", () => {});
  const openSocket = () => assert.fail("no sockets here");
  const { session } = open(context, { openSocket, ticket: async () => "t" });
  await settled();
  assert.deepEqual(session.state.type === "ended" && session.state.code, 4900);
});

test("a ticket is requested for each join, but not to resume", async (context) => {
  const asked: (number | "auto")[] = [];
  const ticket = (match: number | "auto") => `t${asked.push(match)}`;
  const { session, opened, lose } = open(context, { ticket });
  await settled();
  assert.match(opened[0].url, /match=auto&ticket=t1$/);
  opened[0].socket.receive(welcomeFrame());
  lose(1006);
  assert.match(opened[1].url, /match=1&resume=1$/, "no ticket to resume");
  lose(4012);
  await settled();
  assert.match(opened[2].url, /match=auto&ticket=t2$/);
  session.close();
  assert.deepEqual(asked, ["auto", "auto"]);
});

test("a spectator's next ticket is for the same match", async (context) => {
  const ticket = async (match: number | "auto") => `for-${match}`;
  const { session, opened, lose } = open(context, { spectate: true, ticket });
  await settled();
  opened[0].socket.receive(welcomeFrame(null));
  lose(1006);
  await settled();
  assert.match(opened[1].url, /match=1&role=spectator&ticket=for-1$/);
  session.close();
});

test("a client without a ticket for its last match joins the requested one", async (context) => {
  context.mock.method(console, "warn", () => {});
  const asked: (number | "auto")[] = [];
  const ticket = async (match: number | "auto") => {
    asked.push(match);
    if (match === 1 && asked.length < 4) throw new Error("no such match");
    return match === 1 ? "" : "t";
  };
  const { opened, lose, session } = open(context, { spectate: true, ticket });
  const join = async () => {
    await settled();
    opened.at(-1)!.socket.receive(welcomeFrame(null));
  };
  await join();
  lose(1006);
  await settled();
  context.mock.timers.tick(5_000);
  await join();
  assert.deepEqual(asked, ["auto", 1, "auto"], "the request for a ticket fails");
  lose(1006);
  await settled();
  lose(4020);
  await join();
  assert.deepEqual(asked.slice(3), [1, "auto"], "the server requires a ticket, but there is none");
  session.close();
});

test("the time that a ticket takes does not count towards the give-up time", async (context) => {
  const { session, opened, lose } = open(context, { ticket: async () => "t" });
  let now = 1;
  context.mock.method(performance, "now", () => now);
  await settled();
  lose(1006);
  now += 65_000;
  await settled();
  assert.equal(opened.length, 2);
  lose(1006);
  assert.equal(session.state.type, "resuming");
  session.close();
});

test("a ticket is requested again until there is one", async (context) => {
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
  assert.deepEqual(session.state, { type: "ended", code: 1006, reason: "could not get a ticket: away" });
  assert.equal(opened.length, 0);
});

test("a ticket that arrives after the session has ended opens no socket", async (context) => {
  const { session, opened } = open(context, { ticket: async () => "t" });
  session.close();
  await settled();
  assert.equal(opened.length, 0);
});

test("a page without storage can play", (context) => {
  const fail = () => {
    throw new Error("no storage");
  };
  const storage = { getItem: () => "{broken", setItem: fail, removeItem: fail };
  const { session, opened } = open(context, { storage });
  opened[0].socket.receive(welcomeFrame());
  assert.equal(session.seat, 3);
  session.close();
});

test("an invalid remembered seat is ignored", () => {
  const isRemembered = (text: string | null) =>
    Session.isRemembered({ getItem: () => text, setItem() {}, removeItem() {} }, "http://server");
  assert.ok(isRemembered(REMEMBERED));
  for (const text of [null, "", "{broken", "null", "{}", "[1,2]", REMEMBERED.replace("7", '"7"')]) {
    assert.ok(!isRemembered(text), `${text}`);
  }
});

class MapStore extends Map<string, string> implements Store {
  getItem = (key: string) => this.get(key) ?? null;
  setItem = (key: string, value: string) => void this.set(key, value);
  removeItem = (key: string) => void this.delete(key);
}

/** Resolves after all promises that are ready have been handled. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
