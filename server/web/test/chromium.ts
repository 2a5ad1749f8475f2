/** Real Chromium, and a server of one's own, for tests. */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
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
const root = new URL("../../../", import.meta.url);
const BINARY = process.env.SERVER_BINARY ?? fileURLToPath(new URL("target/release/tickwire-server", root));
/** Where pictures for the README go, if they are wanted. */
const pictures = process.env.SCREENSHOTS;

export class TestServer {
  private constructor(
    readonly url: string,
    readonly process: ChildProcess,
  ) {}

  static start(...args: string[]): Promise<TestServer> {
    return TestServer.run(BINARY, ...args);
  }

  /** The server with another game: an example, built beside it. */
  static startExample(name: string, ...args: string[]): Promise<TestServer> {
    return TestServer.run(join(dirname(BINARY), "examples", name), ...args);
  }

  private static async run(binary: string, ...args: string[]): Promise<TestServer> {
    const server = spawn(binary, ["--listen", "127.0.0.1:0", "--log", "warn", ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const url = await new Promise<string>((resolve, reject) => {
      server.on("error", reject);
      server.on("exit", (code) => reject(new Error(`the server ended with ${code}`)));
      server.stdout.on("data", (text) => {
        const said = /listening on (\S+)/.exec(String(text));
        if (said) resolve(said[1]);
      });
    });
    return new TestServer(url, server);
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.process.on("exit", resolve));
    this.process.kill("SIGTERM");
    await ended;
  }
}

/** A browser whose pages' errors are kept. */
export class TestBrowser {
  readonly errors: string[] = [];

  private constructor(readonly browser: Browser) {}

  static async start(): Promise<TestBrowser> {
    return new TestBrowser(await chromium.launch({ executablePath: EXECUTABLE, args: FLAGS }));
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

  async close(): Promise<void> {
    await this.browser.close();
  }
}

/** Keeps a picture of a page for the README, if that is wanted. */
export async function picture(page: Page, name: string): Promise<void> {
  if (!pictures) return;
  mkdirSync(pictures, { recursive: true });
  await page.screenshot({ path: `${pictures}/${name}.png` });
}

/** Waits until something holds in a page, which is asked ten times a second. */
export async function until(
  page: Page,
  what: string,
  holds: string | (() => Promise<boolean>),
  ms = 15_000,
): Promise<void> {
  const end = Date.now() + ms;
  while (!(await (typeof holds === "string" ? page.evaluate(holds) : holds()))) {
    if (Date.now() > end) throw new Error(`in vain waited for ${what}: ${holds}`);
    await page.waitForTimeout(100);
  }
}
