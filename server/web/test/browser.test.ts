import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page, Route } from "playwright-core";
import { METRE, PLAYING, screenshot, TestBrowser, TestServer, until, walk } from "./chromium.js";

/** Loses the connection, and says what has become of the session. */
const CUT = "(tickwire.session.cut(), tickwire.session.state.type)";

const browser = await TestBrowser.start();
const server = await TestServer.start("--npcs", "0");
const ada = await browser.open(`${server.url}/?match=auto&name=Ada`);
await until(ada, "Ada to play", PLAYING);
const grace = await browser.open(`${server.url}/?match=1&name=Grace`, { colorScheme: "light" });
const watcher = await browser.open(`${server.url}/?match=1&role=spectator`);
for (const page of [grace, watcher]) await until(page, "all to be in", PLAYING);

test("two players and a spectator are in one match", async () => {
  const match = (page: Page) => page.evaluate<number>("tickwire.session.link.welcome.matchId");
  const seat = (page: Page) => page.evaluate<number | null>("tickwire.session.seat");
  assert.equal(await match(ada), await match(grace));
  assert.equal(await match(ada), await match(watcher));
  assert.notEqual(await seat(ada), await seat(grace));
  assert.equal(await seat(watcher), null);
});

test("the start screen says what the arena is", async () => {
  const start = await browser.open(server.url);
  await start.waitForSelector("text=A small arena for sixteen");
  assert.equal(await start.title(), "Tickwire arena");
  await screenshot(start, "start");
  await start.close();
});

test("the start screen stays, however often Escape is pressed", async () => {
  const start = await browser.open(server.url);
  for (let n = 0; n < 4; n++) await start.keyboard.press("Escape");
  await until(start, "the dialog", "join.open && join.matches(':modal')");
  await start.close();
});

test("the lobby shows each line once, also if the answer to an earlier visit is late", async () => {
  const start = await browser.open(server.url);
  const asked: Route[] = [];
  await start.route("**/v1/chat", (route) => {
    if (route.request().method() !== "GET" || asked.push(route) > 1) return route.continue();
  });
  await start.reload();
  await until(start, "the first visit", async () => asked.length === 1);
  await start.click("text=Watch");
  await until(start, "to watch", PLAYING);
  await start.click("#leave");
  await start.fill("#lobby-saying", "anybody here?");
  await start.press("#lobby-saying", "Enter");
  const lines = "[...document.getElementById('lobby-lines').children].filter(({ textContent }) => /anybody/.test(textContent)).length";
  await until(start, "the line", `${lines} > 0`);
  const answered = start.waitForResponse("**/v1/chat");
  await asked[0].continue();
  await (await answered).finished();
  await start.evaluate("new Promise(requestAnimationFrame)");
  assert.equal(await start.evaluate(lines), 1);
  await start.close();
});

test("an invalid match in the URL means any match", async () => {
  for (const match of ["", "-1", "4294967296", "1.5", "best"]) {
    const page = await browser.open(`${server.url}/?match=${match}&role=spectator`);
    await until(page, `to be in, with match=${match}`, PLAYING);
    await page.close();
  }
});

test("every client shows the names of all players", async () => {
  for (const page of [ada, grace, watcher]) {
    await until(page, "names", "[...tickwire.session.people.values()].map((p) => p.name).sort().join() === 'Ada,Grace'");
    await until(page, "the list", "/Ada/.test(players.textContent) && /Grace/.test(players.textContent)");
  }
});

test("each client sees the other player move", async () => {
  const seats = await Promise.all([ada, grace].map((page) => page.evaluate<number>("tickwire.session.seat")));
  for (const [mover, seat, others] of [
    [ada, seats[0], [grace, watcher]],
    [grace, seats[1], [ada, watcher]],
  ] as const) {
    await until(mover, "life", "tickwire.session.own.isActive");
    const place = (page: Page) =>
      page.evaluate<{ x: number; y: number }>(`(({ x, y }) => ({ x, y }))(tickwire.scene.figure(${seat}))`);
    const own = () => mover.evaluate<number[]>("[tickwire.scene.ownX, tickwire.scene.ownY]");
    const [fromX, fromY] = await own();
    await walk(mover, async () => {
      const [x, y] = await own();
      return Math.hypot(x - fromX, y - fromY) > 2 * METRE;
    });
    for (const page of others) {
      // On an overloaded server, a late correction may still move the player.
      await until(page, "the move", async () => {
        const [[x, y], seen] = await Promise.all([own(), place(page)]);
        return Math.hypot(seen.x - x, seen.y - y) < METRE / 2;
      });
    }
  }
});

test("a player shoots another one, and all clients show it", async () => {
  const enemy = await grace.evaluate<number>("tickwire.session.seat");
  await ada.bringToFront();
  // Grace stands still: with an interpolation delay beyond the rewind limit, a moving player can't be hit.
  // It is shown for two seconds only.
  await grace.evaluate("tickwire.news = [], new MutationObserver(() => tickwire.news.push(banner.textContent)).observe(banner, { childList: true })");
  await ada.evaluate(HUNT, enemy);
  for (const page of [ada, grace, watcher]) {
    await until(page, "a kill", "/gun|rocket/.test(feed.textContent)");
  }
  await until(grace, "who it was", "tickwire.news.some((text) => /Ada got you/.test(text))");
  await screenshot(watcher, "watching");
  await ada.evaluate("clearInterval(tickwire.hunt), tickwire.controls.values = tickwire.own");
});

test("the user's own player is shown alive with the newest snapshot, without the interpolation delay", async () => {
  await ada.bringToFront();
  await until(ada, "life", "tickwire.session.own.isActive");
  await ada.evaluate(`(() => {
    const { others } = tickwire.session;
    others.interpolate = (index) => (Object.getPrototypeOf(others).interpolate.call(others, index), tickwire.looked = others.values.fill(0));
  })()`);
  await until(ada, "a frame in which the interpolated rows are all 0", "tickwire.looked");
  assert.ok(await ada.evaluate("tickwire.scene.figure(tickwire.session.seat).health > 0"));
  await ada.evaluate("delete tickwire.session.others.interpolate");
});

test("effects of more than two seconds without a frame are not shown afterwards", async () => {
  const seat = await grace.evaluate<number>("tickwire.session.seat");
  await ada.bringToFront();
  await until(ada, "Grace", `tickwire.scene.figure(${seat}).health > 0`);
  const moment = "tickwire.session.others.shown.tick - tickwire.session.others.shown.ticksBefore";
  await ada.evaluate(`tickwire.left = ${moment}, tickwire.scene.draw = () => {}`);
  await until(ada, "two seconds and more", `${moment} - tickwire.left > 65`);
  await ada.evaluate(`(() => {
    const { scene } = tickwire;
    tickwire.seen = [];
    scene.effects.add = (kind) => tickwire.seen.push(kind);
    scene.figure(${seat}).shots--;
    delete scene.draw;
  })()`);
  await until(ada, "a frame", `tickwire.scene.figure(${seat}).shots >= 0 && tickwire.session.tick() - tickwire.left > 75`);
  assert.deepEqual(await ada.evaluate("tickwire.seen"), []);
  await ada.evaluate("delete tickwire.scene.effects.add");
});

test("players are shown the keys and may chat, and spectators not", async () => {
  await until(ada, "the keys", "/W, A, S, D move/.test(lines.textContent)");
  assert.equal(await ada.isEnabled("#saying"), true);
  assert.equal(await watcher.isEnabled("#saying"), false);
  assert.equal(await watcher.evaluate("/W, A, S, D/.test(lines.textContent)"), false);
});

test("a spectator can follow a player", async () => {
  const seat = await ada.evaluate<number>("tickwire.session.seat");
  await watcher.bringToFront();
  const scale = () => watcher.evaluate<number>("tickwire.scene.camera.scale");
  const whole = await scale();
  await watcher.click("#players button:has-text('Ada')");
  await until(watcher, "a closer look", async () => (await scale()) > 1.2 * whole);
  assert.ok(await watcher.evaluate(`(({ x, y }) => tickwire.scene.camera.sees(x, y, 0))(tickwire.scene.figure(${seat}))`));
  await screenshot(watcher, "following");
  await watcher.click("#players button:has-text('Ada')");
  await until(watcher, "the whole arena", async () => (await scale()) === whole);
});

test("a part of the HUD that covers the user's own player becomes transparent", async () => {
  await ada.bringToFront();
  await until(ada, "life", "tickwire.session.own.isActive");
  await ada.evaluate("document.querySelector('.chat').style.cssText = 'inset: 0; width: auto'");
  await until(ada, "the figure under the chat", "document.querySelector('.chat').matches('.over')");
  await ada.evaluate("document.querySelector('.chat').style.cssText = 'left: -100vw'");
  await until(ada, "the chat to be opaque again, beside the figure", "!document.querySelector('.chat').matches('.over')");
  await ada.evaluate("document.querySelector('.chat').style.cssText = ''");
});

test("markup in chat is shown as text", async () => {
  await ada.bringToFront();
  await ada.focus("#scene");
  await ada.keyboard.press("Enter");
  await ada.keyboard.type("<b onload=alert(1)>hello</b>");
  await ada.keyboard.press("Enter");
  for (const page of [ada, grace, watcher]) {
    await until(page, "the line", "lines.lastElementChild?.textContent === 'Ada <b onload=alert(1)>hello</b>'");
  }
});

test("a client resumes in the same seat after a lost connection", async () => {
  const identity = "JSON.stringify([tickwire.session.link.welcome.session, tickwire.session.seat])";
  const before = await grace.evaluate(identity);
  assert.equal(await grace.evaluate(CUT), "resuming");
  await until(grace, "the return", PLAYING);
  assert.equal(await grace.evaluate(identity), before);
  await until(grace, "a note", "/Connected again/.test(lines.textContent)");
  assert.equal(await grace.evaluate("tickwire.session.stats.resyncs"), 0);
});

test("a stalled network is shown while the connection still lives", async () => {
  await grace.bringToFront();
  await until(grace, "the connection", PLAYING);
  await grace.evaluate("tickwire.session.tick = () => tickwire.session.link.applied + 40");
  await until(grace, "the banner", "banner.textContent === 'The network stalls'");
  await grace.evaluate("delete tickwire.session.tick");
  await until(grace, "its end", "banner.textContent !== 'The network stalls'");
});

test("a reconnection does not interrupt a line of chat that is being written", async () => {
  await grace.bringToFront();
  await grace.focus("#scene");
  await grace.keyboard.press("Enter");
  await grace.keyboard.type("still h");
  assert.equal(await grace.evaluate(CUT), "resuming");
  await until(grace, "the return", PLAYING);
  await grace.keyboard.type("ere");
  await grace.keyboard.press("Enter");
  await until(ada, "the line", "lines.lastElementChild?.textContent === 'Grace still here'");
});

test("a reloaded page resumes in the same seat", async () => {
  const identity = "JSON.stringify([tickwire.session.link.welcome.session, tickwire.session.seat])";
  const before = await grace.evaluate(identity);
  await grace.goto(`${server.url}/`);
  await until(grace, "the return", PLAYING);
  assert.equal(await grace.evaluate(identity), before);
});

test("the network panel shows readings, and adds latency", async () => {
  await ada.bringToFront();
  await ada.focus("#scene");
  await ada.keyboard.press("KeyN");
  await until(ada, "readings", "/Ping[\\d.]+ ms/.test(readings.textContent)");
  await ada.evaluate("latency.value = 150, latency.dispatchEvent(new Event('input'))");
  await until(ada, "a longer ping", "tickwire.session.link.clock.rtt > 140_000");
  await screenshot(ada, "network");
  await ada.evaluate("latency.value = 0, latency.dispatchEvent(new Event('input'))");
  await until(ada, "a short ping", "tickwire.session.link.clock.rtt < 100_000");
  assert.equal(await ada.evaluate("tickwire.session.state.type"), "playing");
  await ada.keyboard.press("KeyN");
});

test("a page shows that no seat is free, and joins once there is one", async () => {
  const full = await TestServer.start("--npcs", "0", "--seats", "1", "--matches-max", "1");
  const first = await browser.open(`${full.url}/?match=auto&name=First`);
  await until(first, "the seat", PLAYING);
  const patient = await browser.open(`${full.url}/?match=auto&name=Patient`);
  await until(patient, "the reason", "/as many matches as it may; trying again/.test(banner.textContent)");
  await first.click("#leave");
  await until(patient, "a seat", PLAYING);
  for (const page of [first, patient]) await page.close();
  await full.stop();
  // Errors that the browser itself logs for the 503, and for the feed that ends.
  browser.errors.splice(0, browser.errors.length, ...browser.errors.filter((error) => !error.includes(full.url)));
});

test("all clients show an operator's notice", async () => {
  const body = JSON.stringify({ text: "The server restarts at noon" });
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${server.url}/v1/notices`, { method: "POST", headers, body });
  assert.equal(answer.status, 201);
  for (const page of [ada, grace, watcher]) {
    await until(page, "the notice", "/restarts at noon/.test(lines.textContent)");
  }
});

test("the monitor shows the match", async () => {
  const monitor = await browser.open(`${server.url}/monitor`);
  const match = `[...document.querySelectorAll("tr")].some(({ cells }) => {
    const [id, players, seats, spectators] = [...cells].map((cell) => Number(cell.textContent));
    return id === 1 && players >= 2 && seats === 16 && spectators === 1;
  })`;
  await until(monitor, "the match", match);
  await until(monitor, "the bandwidth by field", "/bit\\/s/.test(document.body.textContent)");
  const size = (selector: string) => monitor.evaluate<number>(`parseFloat(getComputedStyle(document.querySelector("${selector}")).fontSize)`);
  assert.ok((await size(".plot > b")) > (await size("body")), "a plot's newest value is large");
  await monitor.waitForTimeout(4_000);
  await screenshot(monitor, "monitor");
  await monitor.close();
});

test("no page has logged an error", () => {
  assert.deepEqual(browser.errors, []);
});

/** Controls a page's player: runs towards the enemy, with random detours where it gets stuck, and fires. */
const HUNT = (enemy: number) => {
  const { controls, session, scene } = (globalThis as any).tickwire;
  let detour = 0;
  let last = { x: 0, y: 0 };
  (globalThis as any).tickwire.own = controls.values;
  const input = new Int32Array(4);
  (globalThis as any).tickwire.hunt = setInterval(() => {
    const there = scene.figure(enemy);
    const angle = Math.atan2(there.y - scene.ownY, there.x - scene.ownX);
    const moved = Math.hypot(scene.ownX - last.x, scene.ownY - last.y);
    last = { x: scene.ownX, y: scene.ownY };
    if (moved < 10) detour = (Math.random() - 0.5) * 4;
    else detour *= 0.9;
    input[0] = Math.round(127 * Math.cos(angle + detour));
    input[1] = Math.round(127 * Math.sin(angle + detour));
    input[2] = Math.round(((angle / (2 * Math.PI) + 1) % 1) * 65_535);
    // From further away, walls might take all bullets.
    const isNear = Math.hypot(there.x - scene.ownX, there.y - scene.ownY) < 10 * 128;
    input[3] = isNear && session.tick() % 60 < 50 ? 1 : 0;
  }, 100);
  controls.values = () => input;
};
