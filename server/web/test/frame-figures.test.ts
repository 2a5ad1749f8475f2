import assert from "node:assert/strict";
import { test } from "node:test";
import { screenshot, TestBrowser, TestServer, until } from "./chromium.js";

/** Largest p95 of the script time per frame. */
const FRAME_MS_MAX = 8;
const HEAP_GROWTH_MAX = 1_000_000;
const WARM_UP_MS = 15_000;
const MEASURED_MS = 60_000;

const browser = await TestBrowser.start();
const server = await TestServer.start("--npcs", "15", "--seats", "16");
const page = await browser.open(`${server.url}/?match=auto&name=Ada`);
await until(page, "16 players", "globalThis.tickwire?.session.link.rows?.length >= 1 + 12 + 16");

test("with 16 players a frame takes little script time, and the heap does not grow", async () => {
  // Play like a user: move, aim and fire.
  await page.focus("#scene");
  await page.mouse.move(900, 300);
  await page.mouse.down();
  await page.keyboard.down("KeyD");
  await page.waitForTimeout(2_000);
  await screenshot(page, "playing");
  await page.keyboard.up("KeyD");
  await page.waitForTimeout(WARM_UP_MS);
  const heapBefore = await heap();
  await page.waitForTimeout(MEASURED_MS);
  const heapAfter = await heap();
  const times = await page.evaluate<number[]>("[...tickwire.frameTimes].sort((a, b) => a - b)");
  const at = (part: number) => times[Math.floor(times.length * part)];
  const perS = await page.evaluate<number>("tickwire.session.stats.bytesInPerS");
  console.log(`script per frame: p50 ${at(0.5).toFixed(2)} ms, p95 ${at(0.95).toFixed(2)} ms, p99 ${at(0.99).toFixed(2)} ms`);
  console.log(`heap: ${((heapAfter - heapBefore) / 1e3).toFixed(0)} kB more after ${MEASURED_MS / 1e3} s; ${perS} B/s received`);
  assert.ok(at(0.95) <= FRAME_MS_MAX, `p95 ${at(0.95)} ms`);
  assert.ok(heapAfter - heapBefore <= HEAP_GROWTH_MAX, `${heapAfter - heapBefore} bytes`);
  assert.equal(await page.evaluate("tickwire.session.stats.resyncs"), 0);
  assert.deepEqual(browser.errors, []);
});

/** Bytes of the script heap that are in use after a garbage collection. */
async function heap(): Promise<number> {
  const session = await page.context().newCDPSession(page);
  await session.send("HeapProfiler.collectGarbage");
  const { usedSize } = await session.send("Runtime.getHeapUsage");
  await session.detach();
  return usedSize;
}
