import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { TestBrowser, TestServer, until } from "./chromium.js";

const client = new URL("../../../shared/ts/", import.meta.url);
const LINES_MAX = 60;

let server: TestServer;
let browser: TestBrowser;
let pages: Server;

before(async () => {
  // A web server of another origin.
  pages = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://x").pathname.slice(1);
    response.setHeader("content-type", path.endsWith(".js") ? "text/javascript" : "text/html");
    if (path === "favicon.ico") response.writeHead(204).end();
    else response.end(readFileSync(new URL(path, client)));
  });
  pages.listen(0, "127.0.0.1");
  await once(pages, "listening");
  server = await TestServer.start("--npcs", "8", "--origin", origin());
  browser = await TestBrowser.start();
});

after(async () => {
  await browser?.close();
  pages?.close();
  await server?.stop();
});

test("the example plays in a page of another origin", async () => {
  const lines = readFileSync(new URL("example.html", client), "utf8").trimEnd().split("\n").length;
  assert.ok(lines <= LINES_MAX, `${lines} lines`);
  const page = await browser.open(`${origin()}/example.html?server=${server.url}`);
  await until(page, "to play", "state.textContent === 'playing'");
  const drawn = "field.getContext('2d').getImageData(0, 0, 800, 600).data.some((byte) => byte > 0)";
  await until(page, "something drawn", drawn);
  assert.deepEqual(browser.errors, []);
});

function origin(): string {
  return `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;
}
