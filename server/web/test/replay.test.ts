import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { TestBrowser, TestServer, until, walk } from "./chromium.js";

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
  const own = () => ada.evaluate<[number, number]>("[tickwire.scene.ownX, tickwire.scene.ownY]");
  const [fromX, fromY] = await own();
  await walk(ada, async () => Math.hypot((await own())[0] - fromX, (await own())[1] - fromY) > 3 * METRE);
  await played.stop();
  const [journal] = readdirSync(folder);
  const server = await TestServer.start("--watch", join(folder, journal));
  const eve = await browser.open(`${server.url}/?match=auto&role=spectator`);
  await until(eve, "Ada", "tickwire.session?.others?.rows?.find(0) >= 0");
  const place = () => eve.evaluate<[number, number]>(PLACE);
  const [x, y] = await place();
  // It plays over and over.
  const far = async () => Math.hypot((await place())[0] - x, (await place())[1] - y) > METRE;
  await until(eve, "a step", far);
  const bob = await browser.open(`${server.url}/?match=auto&name=Bob`);
  await until(bob, "the end", "tickwire.session.state.type === 'ended'");
  assert.equal(await bob.evaluate<number>("tickwire.session.state.code"), 4018);
  await server.stop();
});
