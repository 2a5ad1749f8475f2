import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { TestBrowser, TestServer, until } from "./chromium.js";

const PLACE = "(({ x, y }) => [x, y])(tickwire.scene.figure(0))";
const METRE = 128;

let folder: string;
let browser: TestBrowser;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "tickwire-"));
  browser = await TestBrowser.start();
});

after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true });
});

test("spectators watch a match again from its journal", async () => {
  const played = await TestServer.start("--npcs", "0", "--journal-folder", folder);
  const ada = await browser.open(`${played.url}/?match=auto&name=Ada`);
  await until(ada, "life", "tickwire.session?.own?.isActive");
  await ada.bringToFront();
  await ada.focus("#scene");
  // There may be walls on one or two sides.
  for (const key of ["KeyD", "KeyS", "KeyA", "KeyW"]) {
    await ada.keyboard.down(key);
    await ada.waitForTimeout(400);
    await ada.keyboard.up(key);
  }
  await played.stop();
  const [journal] = readdirSync(folder);
  const server = await TestServer.start("--watch", join(folder, journal));
  const eve = await browser.open(`${server.url}/?match=auto&role=spectator`);
  await until(eve, "Ada", "tickwire.session?.others?.rows?.find(0) >= 0");
  const place = () => eve.evaluate<[number, number]>(PLACE);
  const [x, y] = await place();
  // It plays over and over.
  const far = async () => Math.hypot((await place())[0] - x, (await place())[1] - y) > METRE;
  await until(eve, "a step", far, 30_000);
  const bob = await browser.open(`${server.url}/?match=auto&name=Bob`);
  await until(bob, "the end", "tickwire.session.state.type === 'ended'");
  assert.equal(await bob.evaluate<number>("tickwire.session.state.code"), 4018);
  await server.stop();
});
