/** A gamepad with the standard mapping: the left stick moves, the right one aims, the triggers fire. */

import { element } from "../hud/elements.js";

/** How far from its middle a stick may rest; 1 is as far as it goes. */
const DEAD_ZONE = 0.2;
/** Buttons of the standard mapping. */
const A = 0;
const B = 1;
const LEFT_TRIGGER = 6;
const RIGHT_TRIGGER = 7;

export class GamepadInput {
  /** -1 to 1. */
  moveX = 0;
  moveY = 0;
  isAiming = false;
  /** In radians. */
  aim = 0;
  isFiring = false;
  isRocketing = false;
  #isConnected = false;

  constructor() {
    // Some browsers have gamepads only with HTTPS or on localhost.
    element("gamepad-help").hidden = !("getGamepads" in navigator);
    addEventListener("gamepadconnected", () => (this.#isConnected = true));
  }

  get isMoving(): boolean {
    return this.moveX !== 0 || this.moveY !== 0;
  }

  /** Polls the gamepad: there are no events for sticks and buttons. */
  update(): void {
    if (!this.#isConnected) return;
    const gamepad = navigator.getGamepads().find((gamepad) => gamepad?.mapping === "standard");
    this.#isConnected = !!gamepad;
    if (!gamepad || !document.hasFocus()) return this.release();
    const { axes: [moveX, moveY, aimX, aimY], buttons } = gamepad;
    const move = Math.hypot(moveX, moveY);
    const speed = Math.max(0, Math.min(move, 1) - DEAD_ZONE) / (1 - DEAD_ZONE);
    this.moveX = speed && (moveX / move) * speed;
    this.moveY = speed && (moveY / move) * speed;
    this.isAiming = Math.hypot(aimX, aimY) > DEAD_ZONE;
    this.aim = Math.atan2(aimY, aimX);
    this.isFiring = buttons[RIGHT_TRIGGER].pressed || buttons[A].pressed;
    this.isRocketing = buttons[LEFT_TRIGGER].pressed || buttons[B].pressed;
  }

  /** Takes all sticks and buttons as released, until the next update. */
  release(): void {
    this.moveX = this.moveY = 0;
    this.isAiming = this.isFiring = this.isRocketing = false;
  }
}
