import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { METRE, TestBrowser, TestServer, until, walk } from "./chromium.js";

const PLACE = "(({ x, y }) => [x, y])(tickwire.scene.figure(0))";
/** The same in the newest snapshot, which the journal has: not predicted, and not interpolated. */
const SERVED = `(({ rows, schema }) => {
  const { fields, firstSeat } = schema.kinds.find(({ name }) => name === "player");
  const start = rows.start(rows.find(firstSeat));
  return ["x", "y"].map((axis) => rows.values[start + fields.findIndex(({ name }) => name === axis)]);
})(tickwire.session.link)`;

const folder = mkdtempSync(join(tmpdir(), "tickwire-"));
after(() => rmSync(folder, { recursive: true }));
const browser = await TestBrowser.start();

test("spectators watch a match again from its journal", async () => {
  const played = await TestServer.start("--npcs", "0", "--journal-folder", folder);
  const ada = await browser.open(`${played.url}/?match=auto&name=Ada`);
  await until(ada, "life", "tickwire.session?.own?.isActive");
  const [fromX, fromY] = await ada.evaluate<[number, number]>(SERVED);
  await walk(ada, async () => {
    const [x, y] = await ada.evaluate<[number, number]>(SERVED);
    return Math.hypot(x - fromX, y - fromY) > 3 * METRE;
  });
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
});
