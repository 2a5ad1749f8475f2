import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { TestBrowser, TestServer, until } from "./chromium.js";

const browser = await TestBrowser.start();
const server = await TestServer.startExample("fog");

/** Waits until a page has the rows of these entities, and no others. */
function sees(page: Page, entities: number[]): Promise<void> {
  const rows = "globalThis.tickwire?.session.link.rows";
  const ids = `[...${rows}?.ids.slice(0, ${rows}.length) ?? []].join()`;
  return until(page, "these entities", `${ids} === "${entities.join()}"`);
}

test("an opponent in the fog is drawn when it comes near, and a spectator sees both", async () => {
  const ada = await browser.open(`${server.url}/?match=auto&name=Ada`);
  await sees(ada, [0]);
  const bob = await browser.open(`${server.url}/?match=1&name=Bob`);
  await sees(bob, [1]);
  const eve = await browser.open(`${server.url}/?match=1&role=spectator`);
  await sees(eve, [0, 1]);
  await sees(ada, [0]);
  await bob.keyboard.down("KeyA");
  await sees(ada, [0, 1]);
  await bob.keyboard.up("KeyA");
  await bob.keyboard.down("KeyD");
  await sees(ada, [0]);
  assert.deepEqual(browser.errors, []);
});
