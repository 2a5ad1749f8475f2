import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { after, test } from "node:test";
import { PLAYING, TestBrowser, TestServer, until } from "./chromium.js";

const PREFIX = "/games/arena";
const browser = await TestBrowser.start();
const server = await TestServer.start("--npcs", "0");
const { port } = new URL(server.url);

// A proxy that passes on what is below the prefix, without it.
const proxy = createServer((asked, answer) => {
  if (!asked.url?.startsWith(PREFIX)) {
    answer.writeHead(404).end();
    return;
  }
  const { method, headers } = asked;
  const path = asked.url.slice(PREFIX.length);
  const passed = request({ port, path, method, headers: { ...headers, via: "1.1 proxy" } }, (got) => {
    answer.writeHead(got.statusCode ?? 500, got.headers);
    got.pipe(answer);
  });
  asked.pipe(passed);
  answer.on("close", () => passed.destroy());
});
proxy.on("upgrade", ({ url, rawHeaders }, client) => {
  const lines = rawHeaders.flatMap((name, n) => (n % 2 === 0 ? [`${name}: ${rawHeaders[n + 1]}`] : []));
  const head = [`GET ${url?.slice(PREFIX.length)} HTTP/1.1`, ...lines, "Via: 1.1 proxy", "", ""].join("\r\n");
  const upstream = connect(Number(port), "127.0.0.1", () => upstream.write(head));
  upstream.pipe(client).pipe(upstream);
  for (const stream of [upstream, client]) stream.on("error", () => [upstream, client].forEach((end) => end.destroy()));
});
proxy.listen(0, "127.0.0.1");
await once(proxy, "listening");
after(() => (proxy.closeAllConnections(), proxy.close()));
const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}${PREFIX}/`;

test("the pages work under a path of a proxy's", async () => {
  const page = await browser.open(url);
  await page.fill("#lobby-saying", "anybody here?");
  await page.press("#lobby-saying", "Enter");
  await page.waitForSelector("#lobby-lines >> text=anybody here?");
  await page.click("text=Watch");
  await until(page, "to watch", PLAYING);
  await page.goto(`${url}?match=auto&name=Ada`);
  await until(page, "to play", PLAYING);
  await page.reload();
  await until(page, "to play on", PLAYING);
  assert.equal(await page.evaluate("tickwire.session.link.welcome.matchId"), 1);
  await page.goto(`${url}monitor`);
  await until(page, "the monitor", "/live/.test(document.getElementById('state').textContent)");
  await page.click("text=Play");
  await until(page, "to play on", PLAYING);
  assert.equal(page.url(), url);
  assert.deepEqual(browser.errors, []);
});
