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
const cards = await TestServer.startExample("cards", "--tick-rate", "5", "--seats", "2", "--origin", origin);

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

test("two play cards, each of which is laid once, over a reload and a lost connection", async () => {
  const sit = (name: string) => browser.open(`${origin}/cards.html?server=${cards.url}&name=${name}`);
  const ada = await sit("Ada");
  const bob = await sit("Bob");
  const press = (page: typeof ada, card: number) => page.click(`#hand button:text-is("${card}")`);
  await until(ada, "the first round", "prize.textContent.startsWith('Round 1:')");
  await press(ada, 5);
  await until(bob, "Ada's card, face down", "players.textContent.includes('Ada: 0 points, has laid a card')");
  assert.ok(!(await bob.textContent("body"))?.includes("Ada laid"));
  await press(bob, 9);
  for (const page of [ada, bob]) {
    await until(page, "the cards", "/^Ada laid 5. Bob laid 9. Bob gets \\d+ points.$/.test(shown.textContent)");
    await until(page, "the next round", "prize.textContent.startsWith('Round 2:')");
  }
  await ada.reload();
  await until(ada, "Ada's hand", "[...hand.children].map(({ disabled }) => +disabled).join('') === '0000100000000'");
  await press(ada, 6);
  await until(ada, "the card", "hand.children[5].getAttribute('aria-pressed') === 'true'");
  await press(bob, 5);
  await until(bob, "the cards", "shown.textContent.startsWith('Ada laid 6. Bob laid 5. Ada gets ')");
  await ada.context().close();
  await until(bob, "Ada's absence", "players.textContent.includes(', is away')");
  await press(bob, 1);
  await until(bob, "Ada's lowest card", "shown.textContent === 'Ada laid 1. Bob laid 1. '");
  assert.deepEqual(browser.errors, []);
});
