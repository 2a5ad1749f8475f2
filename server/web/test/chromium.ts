/** Tests' real Chromium, and servers. Each ends with the test that has started it, or else with the test file. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

const EXECUTABLE = process.env.CHROMIUM ?? "/usr/bin/chromium";
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-dev-shm-usage",
];
/** Long enough for anything that should happen, on a busy machine. */
const PATIENCE_MS = 60_000;
/** How long a player walks in one direction: three seconds of the match. */
const WALK_TICKS = 90;
/** Whether a page plays or watches, and shows the others. */
export const PLAYING = "globalThis.tickwire?.session?.state.type === 'playing' && tickwire.session.others?.rows != null";
/** Position steps in a metre. */
export const METRE = 128;
const root = new URL("../../../", import.meta.url);
const BINARY = process.env.SERVER_BINARY ?? fileURLToPath(new URL("target/release/tickwire-server", root));
/** The folder for screenshots for the README; none are taken if it is not set. */
const screenshots = process.env.SCREENSHOTS;

export class TestServer {
  private constructor(
    readonly url: string,
    readonly process: ChildProcess,
  ) {}

  static start(...args: string[]): Promise<TestServer> {
    return TestServer.run(BINARY, ...args);
  }

  /** Starts a server with another game: an example of the server's crate. */
  static startExample(name: string, ...args: string[]): Promise<TestServer> {
    return TestServer.run(join(dirname(BINARY), "examples", name), ...args);
  }

  private static async run(binary: string, ...args: string[]): Promise<TestServer> {
    const listen = args.includes("--listen") ? [] : ["--listen", "127.0.0.1:0"];
    const server = spawn(binary, [...listen, "--log", "warn", ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    after(() => end(server));
    const url = await new Promise<string>((resolve, reject) => {
      server.on("error", reject);
      server.on("exit", (code) => reject(new Error(`the server ended with ${code}`)));
      server.stdout.on("data", (text) => {
        const match = /listening on (\S+)/.exec(String(text));
        if (match) resolve(match[1]);
      });
    });
    return new TestServer(url, server);
  }

  stop(): Promise<void> {
    return end(this.process);
  }
}

async function end(server: ChildProcess): Promise<void> {
  const ended = once(server, "exit");
  // It may have ended already, or never begun.
  if (server.kill("SIGTERM")) await ended;
}

/** A browser that collects the errors of its pages. */
export class TestBrowser {
  readonly errors: string[] = [];

  private constructor(readonly browser: Browser) {}

  static async start(): Promise<TestBrowser> {
    const browser = await chromium.launch({ executablePath: EXECUTABLE, args: FLAGS });
    after(() => browser.close());
    return new TestBrowser(browser);
  }

  async open(url: string, options: BrowserContextOptions = {}): Promise<Page> {
    const context = await this.browser.newContext({
      viewport: { width: 1280, height: 720 },
      colorScheme: "dark",
      ...options,
    });
    const page = await context.newPage();
    page.on("console", (message) => {
      if (message.type() === "error") this.errors.push(`${url}: ${message.text()} ${message.location().url}`);
    });
    page.on("pageerror", (error) => this.errors.push(`${url}: ${error.stack ?? error}`));
    await page.goto(url);
    return page;
  }
}

/** Takes a screenshot of a page for the README, if `SCREENSHOTS` is set. */
export async function screenshot(page: Page, name: string): Promise<void> {
  if (!screenshots) return;
  mkdirSync(screenshots, { recursive: true });
  await page.screenshot({ path: `${screenshots}/${name}.png` });
}

/** Waits until `holds` is true in a page; it is checked ten times a second. `what` names it in the error. */
export async function until(page: Page, what: string, holds: string | (() => Promise<boolean>)): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  while (!(await (typeof holds === "string" ? page.evaluate(holds) : holds()))) {
    if (Date.now() > end) throw new Error(`timed out waiting for ${what}: ${holds}`);
    await page.waitForTimeout(100);
  }
}

/** Walks with a page's player until `isFar`, in one direction after the other: there may be walls on one or two sides. */
export async function walk(page: Page, isFar: () => Promise<boolean>): Promise<void> {
  await page.bringToFront();
  await page.focus("#scene");
  for (const key of ["KeyD", "KeyS", "KeyA", "KeyW"]) {
    const start = await page.evaluate<number>("tickwire.session.link.applied");
    const isEnough = () => page.evaluate<boolean>(`tickwire.session.link.applied > ${start + WALK_TICKS}`);
    await page.keyboard.down(key);
    await until(page, "a walk", async () => (await isFar()) || (await isEnough()));
    await page.keyboard.up(key);
    if (await isFar()) return;
  }
  throw new Error("the player does not move");
}
