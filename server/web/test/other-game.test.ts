import assert from "node:assert/strict";
import { test } from "node:test";
import { screenshot, TestBrowser, TestServer, until } from "./chromium.js";

const browser = await TestBrowser.start();
const server = await TestServer.startExample("tag");

test("the start screen shows the name of an unknown game, and nothing of the arena", async () => {
  const page = await browser.open(server.url);
  await until(page, "the name", "document.querySelector('h1').innerText.toLowerCase() === 'tag'");
  assert.equal(await page.title(), "tag");
  assert.doesNotMatch(await page.innerText("body"), /arena/i);
  assert.equal(await page.getAttribute("#scene", "aria-label"), "tag");
  await screenshot(page, "other-game-start");
  await page.close();
});

test("an unknown game is drawn by its schema, and played with the keys", async () => {
  const page = await browser.open(`${server.url}/?match=auto&name=Ada`);
  await until(page, "to play", "globalThis.tickwire?.session.link.rows?.length === 1");
  await page.waitForSelector("text=The server runs “tag”");
  const bob = await browser.open(`${server.url}/?match=1&name=Bob`);
  await until(page, "the second player", "globalThis.tickwire?.session.link.rows?.length === 2");
  // Ada is "it", and Bob stands three metres below her.
  await page.keyboard.down("KeyS");
  await page.waitForSelector("text=caught: seat 1");
  await page.keyboard.up("KeyS");
  await page.keyboard.press("KeyH");
  assert.ok(await page.isHidden("text=How to play"));
  await bob.waitForSelector("text=caught: seat 1");
  await screenshot(page, "other-game");
  assert.deepEqual(browser.errors, []);
});
