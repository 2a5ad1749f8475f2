import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { PLAYING, TestBrowser, TestServer, until } from "./chromium.js";

const folder = mkdtempSync(join(tmpdir(), "tickwire-guests-"));
const secret = join(folder, "secret");
writeFileSync(secret, "a secret of tests, which is longer than 32 bytes");
const browser = await TestBrowser.start();
const server = await TestServer.start("--ticket-secret-file", secret, "--guests", "--seats", "1");
after(() => rmSync(folder, { recursive: true }));

test("a proxy's error is said, and not that it is no JSON", async () => {
  const page = await browser.open(server.url);
  await page.route("**/v1/join", (route) => route.fulfill({ status: 502, body: "<html>Bad gateway</html>" }));
  await page.click("button[value=play]");
  await until(page, "the reason", "/the server answered 502; trying again/.test(banner.textContent)");
  await page.unroute("**/v1/join");
  await until(page, "to play", PLAYING);
  await page.click("#leave");
  await page.close();
  // The browser itself logs the 502.
  browser.errors.length = 0;
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
