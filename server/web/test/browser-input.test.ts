import assert from "node:assert/strict";
import { test } from "node:test";
import { METRE, PLAYING, screenshot, TestBrowser, TestServer, until } from "./chromium.js";

const browser = await TestBrowser.start();
const server = await TestServer.start("--npcs", "0");
const ada = await browser.open(`${server.url}/?match=auto&name=Ada`);
await until(ada, "Ada to play", PLAYING);

test("released keys and buttons do not stay held", async () => {
  await ada.bringToFront();
  await ada.focus("#scene");
  const checkInput = async (x: number, y: number, buttons: number) =>
    assert.deepEqual(await ada.evaluate("[...tickwire.controls.values()].filter((_, i) => i !== 2)"), [x, y, buttons]);
  // Both mouse buttons, released one after the other.
  await ada.mouse.move(640, 300);
  await ada.mouse.down();
  await checkInput(0, 0, 1);
  await ada.mouse.down({ button: "right" });
  await checkInput(0, 0, 3);
  await ada.mouse.up();
  await checkInput(0, 0, 2);
  await ada.mouse.up({ button: "right" });
  await checkInput(0, 0, 0);
  // A key that is released while Control is held.
  await ada.keyboard.down("KeyW");
  await checkInput(0, -127, 0);
  await ada.keyboard.down("ControlLeft");
  await ada.keyboard.up("KeyW");
  await checkInput(0, 0, 0);
  await ada.keyboard.up("ControlLeft");
  // One of two keys for the same.
  await ada.keyboard.down("Space");
  await ada.keyboard.press("ArrowDown");
  await checkInput(0, 0, 2);
  await ada.keyboard.up("Space");
  await checkInput(0, 0, 0);
  // A click on a button of the HUD leaves the keyboard to the game.
  await ada.click("#net-button");
  await ada.keyboard.down("KeyD");
  await checkInput(127, 0, 0);
  await ada.keyboard.up("KeyD");
  // So does a click on other parts of the HUD.
  await ada.click("#net h2");
  await ada.keyboard.down("KeyD");
  await checkInput(127, 0, 0);
  await ada.keyboard.up("KeyD");
  await ada.keyboard.press("KeyN");
  assert.ok(await ada.isHidden("#net"));
});

test("a key that repeats opens the chat or a drawer only once", async () => {
  await ada.bringToFront();
  await ada.focus("#scene");
  for (let n = 0; n < 4; n++) await ada.keyboard.down("Enter");
  await ada.keyboard.up("Enter");
  assert.equal(await ada.evaluate("document.activeElement.id"), "saying");
  await ada.keyboard.press("Escape");
  for (let n = 0; n < 4; n++) await ada.keyboard.down("KeyN");
  await ada.keyboard.up("KeyN");
  assert.ok(await ada.isVisible("#net"));
  await ada.keyboard.press("KeyN");
});

test("no shot is shown during the gun's cooldown", async () => {
  await ada.bringToFront();
  await ada.focus("#scene");
  await until(ada, "life", "tickwire.session.own.isActive");
  // On a busy machine, rockets that were launched before this test may still be on their way to the HUD.
  const start = await ada.evaluate<number>("tickwire.session.link.pace.newest");
  await until(ada, "all to be loaded", `tickwire.session.link.pace.newest > ${start + 60}`);
  const takeShot = async () => {
    await ada.evaluate(WATCH_SHOTS);
    const before = await ada.evaluate<number>("tickwire.session.link.pace.newest");
    const rockets = await ada.evaluate<string>("rockets.textContent");
    await ada.keyboard.down("Space");
    await until(ada, "a rocket", `rockets.textContent < ${rockets}`);
    await ada.keyboard.up("Space");
    await ada.keyboard.down("ArrowUp");
    await until(ada, "a shot", "tickwire.shotAt !== null");
    await ada.keyboard.up("ArrowUp");
    return ada.evaluate<[number, boolean]>(`[tickwire.shotAt - ${before}, tickwire.wasSetBack]`);
  };
  let [ticks, wasSetBack] = await takeShot();
  // When a server has stood still, its ticks are set back, and the cooldown is over.
  while (wasSetBack) [ticks, wasSetBack] = await takeShot();
  assert.ok(ticks > 27, `a shot ${ticks} ticks after a rocket, which takes 27`);
  await ada.evaluate("delete tickwire.scene.ownShot, delete tickwire.session.link.pace.poll");
});

test("a phone is played with two thumbs", async () => {
  const phone = await browser.open(`${server.url}/?match=1&name=Thumbs`, {
    viewport: { width: 390, height: 780 },
    hasTouch: true,
    isMobile: true,
    deviceScaleFactor: 2,
  });
  await until(phone, "life", "globalThis.tickwire?.session.own?.isActive");
  const touch = (type: string, ...points: [number, number][]) =>
    phone.evaluate(TOUCH, { type, points: points.map(([x, y], id) => ({ x, y, id: id + 2 })) });
  const before = await phone.evaluate<number[]>("[tickwire.scene.ownX, tickwire.scene.ownY]");
  const way = before[0] < 20 * METRE ? 60 : -60;
  await touch("pointerdown", [90, 600], [300, 600]);
  await touch("pointermove", [90 + way, 600], [300, 560]);
  await until(phone, "a step", `Math.hypot(tickwire.scene.ownX - ${before[0]}, tickwire.scene.ownY - ${before[1]}) > ${METRE}`);
  await screenshot(phone, "phone");
  await touch("pointerup", [90 + way, 600], [300, 560]);
  await phone.close();
});

test("a gamepad plays, and leaves the keyboard and the mouse alone while its sticks rest", async () => {
  await ada.bringToFront();
  await ada.focus("#scene");
  const input = () => ada.evaluate<number[]>("[...tickwire.controls.values()]");
  const isInput = (what: string, ...wanted: number[]) => until(ada, what, async () => `${await input()}` === `${wanted}`);
  const use = (axes: number[], ...buttons: number[]) => ada.evaluate(USE_GAMEPAD, { axes, buttons });
  const isMouseAiming = (x: number, y: number) =>
    `(({ scene: { camera, ownX, ownY }, controls }) =>
      Math.abs(Math.atan2(camera.placeY(${y}) - ownY, camera.placeX(${x}) - ownX) - controls.aim) < 0.1)(tickwire)`;
  await ada.evaluate(FAKE_GAMEPAD);
  await use([0, 0, 0, 0]);
  await ada.waitForTimeout(200);
  assert.equal(await ada.evaluate("gamepad.polls"), 0, "no gamepad is connected");
  await ada.evaluate("dispatchEvent(new Event('gamepadconnected'))");
  await until(ada, "the gamepad to be polled", "gamepad.polls > 0");

  await ada.mouse.move(640, 10);
  await until(ada, "the mouse to aim", isMouseAiming(640, 10));
  await ada.keyboard.down("KeyD");
  await use([-0.1, 0.1, 0.1, 0.1]);
  await ada.waitForTimeout(200);
  assert.equal((await input())[0], 127);
  await ada.keyboard.up("KeyD");
  await until(ada, "the mouse to aim still", isMouseAiming(640, 10));

  await use([-0.7, 0, 0, 1]);
  await isInput("a run to the left below full speed, aiming down", -79, 0, 16_384, 0);
  await use([0, -1, -1, 0], 7);
  await isInput("a shot", 0, -127, 32_768, 1);
  await use([0, 0, 0, 0], 0);
  await isInput("another shot, in the same direction", 0, 0, 32_768, 1);
  for (const button of [1, 6]) {
    await use([0, 0, 0, 0], button);
    await isInput("a rocket", 0, 0, 32_768, 2);
  }
  await use([0, 0, 0, 0]);
  await ada.mouse.move(640, 20);
  await until(ada, "the mouse to aim again", isMouseAiming(640, 20));

  await use([0, 1, 1, 0], 0);
  await isInput("all at once", 0, 127, 0, 1);
  await ada.evaluate("gamepad.isGone = true");
  await isInput("nothing, as the gamepad is gone", 0, 0, 0, 0);
  const polls = await ada.evaluate("gamepad.polls");
  await ada.waitForTimeout(200);
  assert.equal(await ada.evaluate("gamepad.polls"), polls);
  await ada.keyboard.press("KeyH");
  assert.ok(await ada.isVisible("text=With a gamepad"));
  await ada.keyboard.press("KeyH");
});

test("no page has logged an error", () => {
  assert.deepEqual(browser.errors, []);
});

/** Notes the tick of the next shot that is shown, and whether ticks were set back before. */
const WATCH_SHOTS = `(() => {
  const { pace } = tickwire.session.link;
  Object.assign(tickwire, { shotAt: null, wasSetBack: false });
  tickwire.scene.ownShot = () => (tickwire.shotAt ??= pace.newest);
  pace.poll = (...now) => {
    const before = pace.newest;
    const tick = Object.getPrototypeOf(pace).poll.apply(pace, now);
    if (tickwire.shotAt === null && pace.newest < before) tickwire.wasSetBack = true;
    return tick;
  };
})()`;

/** Gives the page a gamepad in the second place, after one with another mapping. */
const FAKE_GAMEPAD = `(() => {
  const other = { mapping: "", axes: [1, 1], buttons: [] };
  globalThis.gamepad = { mapping: "standard", polls: 0, isGone: false };
  navigator.getGamepads = () => (gamepad.polls++, gamepad.isGone ? [null, null] : [other, gamepad]);
})()`;

const USE_GAMEPAD = ({ axes, buttons }: { axes: number[]; buttons: number[] }) => {
  const { gamepad } = globalThis as any;
  gamepad.axes = axes;
  gamepad.buttons = Array.from({ length: 17 }, (_, n) => ({ pressed: buttons.includes(n) }));
};

const TOUCH = ({ type, points }: { type: string; points: { x: number; y: number; id: number }[] }) => {
  for (const { x, y, id } of points) {
    const init = { pointerId: id, pointerType: "touch", clientX: x, clientY: y, bubbles: true };
    document.getElementById("scene")?.dispatchEvent(new PointerEvent(type, init));
  }
};
