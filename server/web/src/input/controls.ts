/** Reads keyboard, mouse, touch and gamepad, and makes inputs of the arena of them: [move x, move y, aim, buttons]. */

import type { Integer } from "@tickwire/client";
import { MOVE_MAX } from "../arena/body.js";
import type { Scene } from "../draw/scene.js";
import { GamepadInput } from "./gamepad.js";
import { Touch } from "./touch.js";

const ANGLES = 1 << 16;
const FIRE = 1;
const ALT_FIRE = 2;
/** Bits of `MouseEvent.buttons`. */
const LEFT = 1;
const RIGHT = 2;
/** How fast arrow keys turn the weapon, in radians per second. */
const TURN_PER_S = 3.6;

const KEYS = ["KeyW", "KeyS", "KeyA", "KeyD", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Space"];

export class Controls {
  /** In radians. */
  aim = 0;
  readonly #values = new Int32Array(4);
  /** The keys that are held. */
  readonly #held = new Set<string>();
  readonly #touch: Touch;
  readonly #gamepad = new GamepadInput();
  /** Where the mouse points; `null` once another device aims. */
  #mouse: { x: number; y: number } | null = null;
  /** The mouse buttons that were pressed over the canvas and are still held. */
  #buttons = 0;
  #turnedAt = 0;

  constructor(readonly scene: Scene) {
    const { canvas } = scene;
    this.#touch = new Touch(canvas);
    canvas.addEventListener("keydown", (event) => this.#key(event, true));
    addEventListener("keyup", (event) => this.#key(event, false));
    canvas.addEventListener("pointermove", (event) => this.#point(event));
    canvas.addEventListener("pointerdown", (event) => this.#press(event));
    addEventListener("pointerup", (event) => this.#release(event));
    addEventListener("pointercancel", (event) => this.#release(event));
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    // Without focus the page does not receive the release of a key, button or thumb.
    addEventListener("blur", () => this.#releaseAll());
    document.addEventListener("visibilitychange", () => this.#releaseAll());
  }

  /** Updates the aim for the next frame. */
  update(now: number): void {
    const passed = Math.min((now - this.#turnedAt) / 1e3, 0.1);
    this.#turnedAt = now;
    this.#gamepad.update();
    const { camera, ownX, ownY } = this.scene;
    const turn = Number(this.#held.has("ArrowRight")) - Number(this.#held.has("ArrowLeft"));
    const aiming = this.#touch.isAiming ? this.#touch : this.#gamepad;
    if (turn !== 0) {
      this.#mouse = null;
      this.aim += turn * TURN_PER_S * passed;
    } else if (aiming.isAiming) {
      this.#mouse = null;
      this.aim = aiming.aim;
    } else if (this.#touch.isMoving && !this.#mouse) {
      this.aim = Math.atan2(this.#touch.moveY, this.#touch.moveX);
    } else if (this.#mouse) {
      this.aim = Math.atan2(camera.placeY(this.#mouse.y) - ownY, camera.placeX(this.#mouse.x) - ownX);
    }
    this.scene.ownAim = this.aim;
  }

  /** The current input. The same array is returned each time. */
  values(): Int32Array {
    const held = (key: string) => Number(this.#held.has(key));
    const values = this.#values;
    values[0] = (held("KeyD") - held("KeyA")) * MOVE_MAX;
    values[1] = (held("KeyS") - held("KeyW")) * MOVE_MAX;
    const moving = this.#touch.isMoving ? this.#touch : this.#gamepad;
    if (moving.isMoving) {
      values[0] = Math.round(moving.moveX * MOVE_MAX);
      values[1] = Math.round(moving.moveY * MOVE_MAX);
    }
    const turns = this.aim / (2 * Math.PI);
    values[2] = Math.round((turns - Math.floor(turns)) * ANGLES) % ANGLES;
    const fires = held("ArrowUp") || this.#buttons & LEFT || this.#touch.isFiring || this.#gamepad.isFiring;
    const rockets =
      held("Space") || held("ArrowDown") || this.#buttons & RIGHT || this.#touch.isRocketing || this.#gamepad.isRocketing;
    values[3] = (fires ? FIRE : 0) | (rockets ? ALT_FIRE : 0);
    return values;
  }

  /**
   * The current input for another game: the first two integers whose range includes both signs are for
   * moving, and the first of the others is the trigger. A new array each time.
   */
  valuesFor(input: readonly Integer[]): Int32Array {
    const [moveX, moveY, , buttons] = this.values();
    const unused = { ways: [moveX / MOVE_MAX, moveY / MOVE_MAX], triggers: [buttons] };
    return Int32Array.from(input, ({ min, max }) => {
      if (min < 0 && max > 0) {
        const way = unused.ways.shift() ?? 0;
        return Math.round(way < 0 ? way * -min : way * max);
      }
      return unused.triggers.shift() ? max : Math.min(Math.max(0, min), max);
    });
  }

  get isFiring(): boolean {
    return (this.#values[3] & FIRE) !== 0;
  }

  get isRocketing(): boolean {
    return (this.#values[3] & ALT_FIRE) !== 0;
  }

  #key(event: KeyboardEvent, isDown: boolean): void {
    // A release counts with any modifier. A Mac reports no release of other keys while Meta is held.
    if (!isDown) {
      this.#held.delete(event.code);
      if (event.key === "Meta") this.#held.clear();
    } else if (KEYS.includes(event.code) && !event.ctrlKey && !event.metaKey && !event.altKey) {
      this.#held.add(event.code);
      event.preventDefault();
    }
  }

  #releaseAll(): void {
    this.#held.clear();
    this.#buttons = 0;
    this.#touch.release();
    this.#gamepad.release();
  }

  /** Handles a move. Browsers also report a second button as a move, while the first one is held. */
  #point(event: PointerEvent): void {
    if (event.pointerType === "touch") return;
    this.#mouse = { x: event.clientX, y: event.clientY };
    if (this.#buttons) this.#buttons = event.buttons;
  }

  #press(event: PointerEvent): void {
    this.scene.canvas.focus();
    if (event.pointerType === "touch") return;
    this.#buttons = event.buttons;
    this.#point(event);
    // With the pointer captured, aiming continues over the HUD and outside the window.
    this.scene.canvas.setPointerCapture(event.pointerId);
  }

  #release(event: PointerEvent): void {
    if (event.pointerType !== "touch") this.#buttons = 0;
  }
}
