import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Page } from "playwright-core";
import { METRE, PLAYING, TestBrowser, TestServer, until, walk } from "./chromium.js";

const folder = mkdtempSync(join(tmpdir(), "tickwire-"));
after(() => rmSync(folder, { recursive: true }));
const browser = await TestBrowser.start();
let server = await start();

function start(listen = "127.0.0.1:0"): Promise<TestServer> {
  return TestServer.start("--npcs", "0", "--handover-file", join(folder, "handover"), "--listen", listen);
}

test("players stay in their match, and in control, when the server is restarted", async () => {
  const ada = await browser.open(`${server.url}/?match=auto&name=Ada`);
  const eve = await browser.open(`${server.url}/?match=1&role=spectator`);
  for (const page of [ada, eve]) await until(page, "to be in", PLAYING);
  await until(ada, "life", "tickwire.session.own.isActive");
  await ada.keyboard.press("Enter");
  await ada.keyboard.type("back soon");
  await ada.keyboard.press("Enter");
  await until(eve, "the line", "/back soon/.test(lines.textContent)");
  const before = await ada.evaluate<number[]>("[tickwire.session.seat, tickwire.session.link.applied]");
  for (let n = 0; n < 2; n++) {
    await server.stop();
    await until(ada, "the loss", "tickwire.session.state.type === 'resuming'");
    server = await start(new URL(server.url).host);
    for (const page of [ada, eve]) await until(page, "to be back", PLAYING);
  }
  const [seat, tick] = await ada.evaluate<number[]>("[tickwire.session.seat, tickwire.session.link.applied]");
  assert.equal(seat, before[0]);
  assert.ok(tick > before[1], `tick ${tick} is not after ${before[1]}`);
  assert.match(await eve.evaluate<string>("lines.textContent"), /back soon/);
  await until(eve, "the name", "[...tickwire.session.people.values()].map((p) => p.name).join() === 'Ada'");
  const from = await place(eve, seat);
  await walk(ada, async () => Math.hypot(...difference(await place(eve, seat), from)) > 2 * METRE);
});

/** Where a page shows the player in a seat. */
function place(page: Page, seat: number): Promise<[number, number]> {
  return page.evaluate(`(({ x, y }) => [x, y])(tickwire.scene.figure(${seat}))`);
}

function difference([x, y]: [number, number], from: [number, number]): [number, number] {
  return [x - from[0], y - from[1]];
}
