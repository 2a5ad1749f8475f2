import assert from "node:assert/strict";
import { test } from "node:test";
import type { BrowserContextOptions, Page } from "playwright-core";
import { PLAYING, TestBrowser, TestServer, until } from "./chromium.js";

const FOCUSED = "document.activeElement.id || document.activeElement.value";
/** The least contrast of text with what is behind it (WCAG 2.2, 1.4.3). */
const CONTRAST_MIN = 4.5;
/** CSS pixels of the smallest target, for a mouse (WCAG 2.2, 2.5.8) and for a thumb. */
const TARGET_MIN = 24;
const THUMB_MIN = 44;
/** The pixels of the largest canvas that Safari draws on iOS before 18. */
const CANVAS_MAX = 4_096 * 4_096;

const browser = await TestBrowser.start();
const server = await TestServer.start("--npcs", "4");

test("a list of matches that changes keeps the keyboard's focus and the choice", async () => {
  const start = await browser.open(server.url);
  await create();
  await until(start, "a match", "matches.querySelectorAll('input').length > 1");
  await start.focus("#matches label:last-child input");
  await start.keyboard.press("Space");
  const chosen = await start.evaluate(FOCUSED);
  const count = await start.evaluate<number>("matches.querySelectorAll('input').length");
  await create();
  await until(start, "another match", `matches.querySelectorAll('input').length > ${count}`);
  assert.equal(await start.evaluate(FOCUSED), chosen);
  assert.equal(await start.evaluate("matches.querySelector(':checked').value"), chosen);
  await start.close();
});

test("Enter that ends the composition of a word does not send a line to the lobby", async () => {
  const start = await browser.open(server.url);
  await start.fill("#lobby-saying", "にほん");
  for (const how of ["isComposing: true", "keyCode: 229"]) {
    const event = `new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true, ${how} })`;
    assert.ok(await start.evaluate(`document.getElementById("lobby-saying").dispatchEvent(${event})`), how);
  }
  await start.press("#lobby-saying", "Enter");
  await until(start, "the line", "document.getElementById('lobby-lines').textContent.endsWith('にほん')");
  assert.equal(await start.evaluate("document.getElementById('lobby-lines').children.length"), 1);
  await start.close();
});

test("the start screen is drawn once, not in each frame", async () => {
  const start = await browser.open(server.url);
  await until(start, "the list", "matches.querySelector('input')");
  await start.evaluate(FRAMES);
  await start.evaluate(WATCH_IMAGES);
  await start.evaluate(FRAMES);
  assert.deepEqual(await start.evaluate("drawn.length"), 0);
  await start.setViewportSize({ width: 900, height: 700 });
  await until(start, "the plan in another size", "drawn.length > 0");
  await start.close();
});

test("Escape closes a drawer, and gives the keyboard back to the game", async () => {
  const page = await play({});
  assert.equal(await page.evaluate("scene.role"), "application");
  assert.equal(await page.evaluate("getComputedStyle(scene).outlineStyle"), "solid");
  await page.keyboard.press("KeyN");
  await page.focus("#cut");
  await page.keyboard.press("KeyN");
  assert.ok(await page.isVisible("#net"), "the key is not for the game");
  await page.keyboard.press("Escape");
  assert.ok(await page.isHidden("#net"));
  assert.equal(await page.getAttribute("#net-button", "aria-expanded"), "false");
  await page.keyboard.down("KeyD");
  assert.equal(await page.evaluate("tickwire.controls.values()[0]"), 127);
  await page.context().close();
});

test("screen readers announce chat and the player's own news, but no kills and no numbers that change all the time", async () => {
  const live = "[...document.querySelectorAll('output, [aria-live], [role=status], [role=log], [role=alert]')].map((e) => e.id)";
  const page = await play({});
  assert.deepEqual(await page.evaluate(live), ["banner", "lines", "why", "lobby-lines"]);
  await page.keyboard.press("KeyN");
  await page.focus("#stalls");
  await page.keyboard.press("ArrowRight");
  assert.equal(await page.getAttribute("#stalls", "aria-valuetext"), await page.textContent("#stalls-out"));
  await page.context().close();
  const monitor = await browser.open(`${server.url}/monitor`);
  await until(monitor, "a sample", "document.querySelector('canvas')?.ariaLabel");
  assert.deepEqual(await monitor.evaluate(live), ["state"]);
  await monitor.close();
});

test("the plan is no larger than what Safari can draw, and made again when it is lost", async () => {
  const page = await play({ viewport: { width: 1_366, height: 1_024 }, deviceScaleFactor: 2 });
  await page.evaluate(WATCH_IMAGES);
  const largest = "drawn.reduce((a, b) => (a.width * a.height > b.width * b.height ? a : b))";
  await until(page, "a frame", "drawn.length > 0");
  const area = await page.evaluate<number>(`(({ width, height }) => width * height)(globalThis.plan = ${largest})`);
  assert.ok(area > CANVAS_MAX / 2 && area <= CANVAS_MAX, `${area} pixels`);
  const corner = "[...plan.getContext('2d').getImageData(0, 0, 1, 1).data].join()";
  const before = await page.evaluate(corner);
  await page.evaluate("plan.getContext('2d').reset()");
  assert.notEqual(await page.evaluate(corner), before);
  await page.evaluate("plan.dispatchEvent(new Event('contextrestored'))");
  await until(page, "the plan", async () => (await page.evaluate(corner)) === before);
  await page.context().close();
});

test("a thumb on the line of chat moves the player, and a tap opens the chat", async () => {
  const page = await play(phone(375, 667));
  const touch = await thumbOn(page);
  const box = await page.locator("#saying").boundingBox();
  const [x, y] = [box!.x + 40, box!.y + 20];
  await touch("touchStart", { x, y });
  await touch("touchMove", { x: x + 20, y });
  await touch("touchMove", { x: x + 46, y });
  await until(page, "the move", "tickwire.controls.values()[0] === 127");
  // Without focus the page may not receive the end of the touch.
  await page.evaluate("dispatchEvent(new Event('blur'))");
  assert.equal(await page.evaluate("tickwire.controls.values()[0]"), 0);
  await touch("touchEnd");
  assert.equal(await page.evaluate(FOCUSED), "scene");
  // On a busy machine the browser may take a tap for a long press.
  await until(page, "the line of chat", async () => {
    await page.tap("#saying");
    return (await page.evaluate(FOCUSED)) === "saying";
  });
  await page.context().close();
});

test("a player who writes a line of chat can scroll to those before", async () => {
  const page = await play({});
  await page.evaluate(MANY_LINES);
  assert.ok(await page.evaluate(isSeen("lastElementChild")), "the newest line");
  await page.keyboard.press("Enter");
  await page.mouse.move(60, 560);
  await page.mouse.wheel(0, -5_000);
  await until(page, "the oldest line", isSeen("firstElementChild"));
  assert.equal(await page.evaluate(FOCUSED), "saying");
  await page.keyboard.press("Escape");
  assert.ok(await page.evaluate(isSeen("lastElementChild")), "the newest line again");
  await page.context().close();
});

test("a spectator can scroll to older lines of chat by wheel, keyboard and thumb, and follow a player", async () => {
  const watcher = await browser.open(`${server.url}/?match=auto&role=spectator`, phone(568, 320));
  await until(watcher, "the names", `${PLAYING} && players.querySelector('button')`);
  await watcher.evaluate(MANY_LINES);
  const [oldest, newest] = [isSeen("firstElementChild"), isSeen("lastElementChild")];
  const box = (await watcher.locator("#history").boundingBox())!;
  const [x, y] = [box.x + box.width - 40, box.y + box.height / 2];

  await watcher.mouse.move(x, y);
  await watcher.mouse.wheel(0, -5_000);
  await until(watcher, "the oldest line, by wheel", oldest);
  await watcher.mouse.wheel(0, 5_000);
  await until(watcher, "the newest line, by wheel", newest);

  while ((await watcher.evaluate(FOCUSED)) !== "history") await watcher.keyboard.press("Tab");
  await watcher.keyboard.press("Home");
  await until(watcher, "the oldest line, by keyboard", oldest);
  await watcher.keyboard.press("End");
  await until(watcher, "the newest line, by keyboard", newest);

  const touch = await thumbOn(watcher);
  await touch("touchStart", { x, y });
  for (let down = 20; down <= 100; down += 20) await touch("touchMove", { x, y: y + down });
  await touch("touchEnd");
  await until(watcher, "an older line, by thumb", `!${newest}`);

  assert.deepEqual(await watcher.evaluate(COVERED), [], "names that can't be tapped");
  // On a busy machine the browser may take a tap for a long press.
  await until(watcher, "a player to be followed", async () => {
    await watcher.tap("#players button");
    return watcher.evaluate<boolean>("tickwire.scene.followed !== null");
  });
  await watcher.context().close();
});

test("on every screen the parts of the HUD are beside each other, and large enough for a thumb", async () => {
  for (const [width, height, notch] of [
    [320, 568, 0],
    [375, 667, 0],
    [667, 375, 0],
    [852, 393, 59],
    [1_366, 1_024, 0],
  ]) {
    const page = await play({ ...phone(width, height) });
    const cdp = await page.context().newCDPSession(page);
    const insets = { left: notch, right: notch };
    await cdp.send("Emulation.setSafeAreaInsetsOverride", { insets });
    await page.evaluate(FRAMES);
    assert.deepEqual(await page.evaluate(OVERLAPS), [], `${width} × ${height}`);
    assert.deepEqual(await page.evaluate(SMALL, THUMB_MIN), [], `${width} × ${height}`);
    const { y } = (await page.locator("#leave").boundingBox())!;
    if (height < 480) assert.ok(y < height / 2, "Leave is not where the right thumb rests");
    await page.context().close();
  }
});

test("no field of the start screen is hidden behind its buttons when the keyboard reaches it", async () => {
  const start = await browser.open(server.url, { viewport: { width: 667, height: 375 } });
  await until(start, "the list", "matches.querySelector('input')");
  for (let n = 0; n < 6; n++) {
    const isSeen = `(({ left, right, top, bottom }) =>
      document.elementFromPoint((left + right) / 2, bottom - 2) === document.activeElement)(document.activeElement.getBoundingClientRect())`;
    assert.ok(await start.evaluate(isSeen), await start.evaluate<string>(FOCUSED));
    await start.keyboard.press("Tab");
  }
  await start.close();
});

test("the names that a spectator can click are large enough for a mouse, and nothing is shown for thumbs", async () => {
  const watcher = await browser.open(`${server.url}/?match=auto&role=spectator`);
  await until(watcher, "the names", `${PLAYING} && players.querySelector('button')`);
  assert.deepEqual(await watcher.evaluate(SMALL, TARGET_MIN), []);
  await watcher.evaluate("scene.dispatchEvent(new PointerEvent('pointerdown', { pointerType: 'touch', bubbles: true }))");
  assert.ok(await watcher.isHidden("#rocket-button"));
  await watcher.context().close();
});

test("the colours of all names can be read, in both themes", async () => {
  for (const colorScheme of ["dark", "light"] as const) {
    const page = await play({ colorScheme });
    const least = await page.evaluate<number>(CONTRAST);
    assert.ok(least >= CONTRAST_MIN, `${least} with ${colorScheme}`);
    await page.context().close();
  }
});

test("a name that is pressed while the list changes is followed", async () => {
  const watcher = await browser.open(`${server.url}/?match=auto&role=spectator`);
  await until(watcher, "two names", `${PLAYING} && players.querySelectorAll("button").length > 1`);
  const [pressed, other] = await watcher.evaluate<string[]>("[...players.querySelectorAll('button')].map(({ value }) => value)");
  await watcher.hover(`#players button[value="${pressed}"]`);
  await watcher.mouse.down();
  await watcher.evaluate(`tickwire.scene.followed = ${other}`);
  await watcher.evaluate(FRAMES);
  await watcher.mouse.up();
  await until(watcher, "the pressed name", `players.querySelector("[aria-pressed=true]")?.value === "${pressed}"`);
  await watcher.context().close();
});

test("no page has logged an error", () => {
  assert.deepEqual(browser.errors, []);
});

async function play(options: BrowserContextOptions): Promise<Page> {
  const page = await browser.open(`${server.url}/?match=auto&name=Ada`, options);
  await until(page, "to play", `${PLAYING} && tickwire.session.own?.isActive`);
  return page;
}

function phone(width: number, height: number): BrowserContextOptions {
  return { viewport: { width, height }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };
}

async function thumbOn(page: Page) {
  const cdp = await page.context().newCDPSession(page);
  return (type: "touchStart" | "touchMove" | "touchEnd", ...touchPoints: { x: number; y: number }[]) =>
    cdp.send("Input.dispatchTouchEvent", { type, touchPoints });
}

/** Creates a match, which the server keeps for a while without players. */
async function create(): Promise<void> {
  const { status } = await fetch(`${server.url}/v1/matches`, { method: "POST" });
  assert.equal(status, 201);
}

/** Collects the canvases that are drawn on the canvas of the page. */
const WATCH_IMAGES = `(() => {
  globalThis.drawn = [];
  const { drawImage } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.drawImage = function (image, ...rest) {
    if (drawn.length < 100) drawn.push(image);
    drawImage.call(this, image, ...rest);
  };
})()`;

/** Waits for 20 frames. */
const FRAMES = "new Promise((done) => { let n = 0; const count = () => (++n < 20 ? requestAnimationFrame(count) : done()); count(); })";

/** Fills the history of the chat. */
const MANY_LINES = `for (let n = 0; n < 30; n++) lines.prepend(Object.assign(document.createElement("p"), { textContent: "line " + n }))`;

/** Whether a line of the history is in view. */
const isSeen = (line: string) =>
  `(({ top, bottom }, box) => bottom > box.top + 1 && top < box.bottom - 1)(lines.${line}.getBoundingClientRect(), document.querySelector(".history").getBoundingClientRect())`;

/** The names whose middle is covered by another part of the HUD. */
const COVERED = `[...players.querySelectorAll("button")]
  .filter((button) => button.offsetParent)
  .filter((button) => {
    const { left, right, top, bottom } = button.getBoundingClientRect();
    return document.elementFromPoint((left + right) / 2, (top + bottom) / 2) !== button;
  })
  .map((button) => button.textContent)`;

/** The pairs of parts of the HUD that overlap. */
const OVERLAPS = `(() => {
  const parts = [".players", ".title-block", ".vitals", "#saying"];
  const box = (part) => document.querySelector(part).getBoundingClientRect();
  const isOver = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  return parts.flatMap((a, i) => parts.slice(i + 1).filter((b) => isOver(box(a), box(b))).map((b) => a + " and " + b));
})()`;

/** The targets that are smaller than this, or than their text. */
const SMALL = (least: number) =>
  [...document.querySelectorAll("#hud :is(button, input)")]
    .map((target) => ({ target, box: target.getBoundingClientRect() }))
    .filter(({ target, box }) => box.width > 0 && (box.width < least || box.height < least || target.scrollWidth > target.clientWidth))
    .map(({ target, box }) => `${target.id || target.textContent} is ${box.width} × ${box.height}`);

/** The least contrast of the colours of names with the ground of the arena. */
const CONTRAST = `(() => {
  const { seats, own, ground } = tickwire.scene.theme;
  const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const luminance = (colour) => {
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map((byte) => {
      const part = byte / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  return Math.min(...[...seats, own].map((colour) => ratio(luminance(colour), luminance(ground))));
})()`;
