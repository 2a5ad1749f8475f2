import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { TestBrowser, TestServer, until } from "./chromium.js";

const client = new URL("../../../shared/ts/", import.meta.url);
const LINES_MAX = 60;

// A web server of another origin.
const pages = createServer((request, response) => {
  const path = new URL(request.url ?? "/", "http://x").pathname.slice(1);
  response.setHeader("content-type", path.endsWith(".js") ? "text/javascript" : "text/html");
  if (path === "favicon.ico") response.writeHead(204).end();
  else response.end(readFileSync(new URL(path, client)));
});
pages.listen(0, "127.0.0.1");
await once(pages, "listening");
after(() => pages.close());
const origin = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;
const browser = await TestBrowser.start();
const server = await TestServer.start("--npcs", "8", "--origin", origin);
const couriers = await TestServer.startExample("couriers", "--tick-rate", "4", "--origin", origin);

test("the example plays in a page of another origin", async () => {
  const lines = readFileSync(new URL("example.html", client), "utf8").trimEnd().split("\n").length;
  assert.ok(lines <= LINES_MAX, `${lines} lines`);
  const page = await browser.open(`${origin}/example.html?server=${server.url}`);
  await until(page, "to play", "state.textContent === 'playing'");
  const drawn = "field.getContext('2d').getImageData(0, 0, 800, 600).data.some((byte) => byte > 0)";
  await until(page, "something drawn", drawn);
  assert.deepEqual(browser.errors, []);
});

test("a phone reports its position, and everybody sees it on the map", async () => {
  const phone = await browser.open(`${origin}/courier.html?server=${couriers.url}`, {
    geolocation: { latitude: 52.52, longitude: 13.405 },
    permissions: ["geolocation"],
  });
  await until(phone, "to play", "state.textContent === 'playing'");
  const map = await browser.open(`${couriers.url}/?match=auto&role=spectator`);
  const row = "globalThis.tickwire?.session.link.rows?.values.slice(0, 3).join()";
  await until(map, "the courier at the depot", `${row} === '0,0,0'`);
  await phone.context().setGeolocation({ latitude: 52.5199, longitude: 13.405 });
  await until(map, "the courier eleven metres to the south", `${row} === '0,11,0'`);
  await phone.click("#load");
  await until(map, "the parcel", `${row} === '0,11,1'`);
  await phone.click("#load");
  await map.waitForSelector("text=delivered: seat 0");
  assert.deepEqual(browser.errors, []);
});
