import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { TestBrowser, TestServer, until } from "./chromium.js";

const folder = mkdtempSync(join(tmpdir(), "tickwire-guests-"));
const PLAYING = "globalThis.tickwire?.session?.state.type === 'playing'";

let server: TestServer;
let browser: TestBrowser;

before(async () => {
  const secret = join(folder, "secret");
  writeFileSync(secret, "a secret of tests, which is longer than 32 bytes");
  server = await TestServer.start("--ticket-secret-file", secret, "--guests", "--seats", "1");
  browser = await TestBrowser.start();
});

after(async () => {
  await browser?.close();
  await server?.stop();
  rmSync(folder, { recursive: true });
});

test("guests get tickets to play and to watch, and new ones when they join again", async () => {
  const ada = await browser.open(`${server.url}/?match=auto&name=Ada`);
  await until(ada, "to play", PLAYING);
  const watcher = await browser.open(server.url);
  await watcher.click("text=Match 1");
  await watcher.click("text=Watch");
  await until(watcher, "to watch a match that is full", PLAYING);
  assert.equal(await watcher.evaluate("tickwire.session.seat"), null);
  await watcher.evaluate("tickwire.session.cut()");
  await until(watcher, "to watch again", PLAYING);
  // Checked before the third guest, whose rejection the browser logs as an error.
  assert.deepEqual(browser.errors, []);
  const third = await browser.open(`${server.url}/?match=1&name=Eve`);
  await until(third, "the reason for the rejection", "document.body.innerText.includes('no seat of the match is free')");
});
