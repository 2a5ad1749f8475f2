/** Touch controls: the left thumb moves, the right one aims and, further out, fires. */

import { element } from "../hud/elements.js";

/** CSS pixels from where a thumb was put down to full speed. */
const REACH = 46;
/** CSS pixels from there to where the right thumb begins to fire. */
const FIRE_FROM = 22;

interface Thumb {
  id: number;
  x: number;
  y: number;
  dx: number;
  dy: number;
}

export class Touch {
  readonly #move: Thumb = { id: -1, x: 0, y: 0, dx: 0, dy: 0 };
  readonly #aim: Thumb = { id: -1, x: 0, y: 0, dx: 0, dy: 0 };
  readonly #button = element("rocket-button");
  isRocketing = false;

  constructor(canvas: HTMLCanvasElement) {
    // The line of chat is where the left thumb rests: a tap opens it, a drag moves.
    for (const place of [canvas, element("saying")]) {
      place.addEventListener("pointerdown", (event) => {
        if (place === canvas || place !== document.activeElement) this.#down(event);
      });
      place.addEventListener("pointermove", (event) => this.#drag(event));
    }
    for (const end of ["pointerup", "pointercancel"] as const) {
      addEventListener(end, (event) => this.#up(event));
    }
    this.#button.addEventListener("pointerdown", () => (this.isRocketing = true));
    for (const end of ["pointerup", "pointercancel", "pointerleave"] as const) {
      this.#button.addEventListener(end, () => (this.isRocketing = false));
    }
  }

  /** Lifts both thumbs. */
  release(): void {
    for (const thumb of [this.#move, this.#aim]) this.#lift(thumb);
    this.isRocketing = false;
  }

  get isMoving(): boolean {
    return this.#move.id >= 0 && this.moveX ** 2 + this.moveY ** 2 > 0.04;
  }

  /** -1 to 1. */
  get moveX(): number {
    return this.#move.dx / REACH;
  }

  get moveY(): number {
    return this.#move.dy / REACH;
  }

  get isAiming(): boolean {
    return this.#aim.id >= 0 && Math.hypot(this.#aim.dx, this.#aim.dy) > 6;
  }

  /** In radians. */
  get aim(): number {
    return Math.atan2(this.#aim.dy, this.#aim.dx);
  }

  get isFiring(): boolean {
    return this.#aim.id >= 0 && Math.hypot(this.#aim.dx, this.#aim.dy) > FIRE_FROM;
  }

  #down(event: PointerEvent): void {
    if (event.pointerType !== "touch") return;
    element("touch").hidden = false;
    const thumb = event.clientX < innerWidth / 2 ? this.#move : this.#aim;
    if (thumb.id >= 0) return;
    Object.assign(thumb, { id: event.pointerId, x: event.clientX, y: event.clientY, dx: 0, dy: 0 });
    this.#show(thumb);
  }

  #drag(event: PointerEvent): void {
    for (const thumb of [this.#move, this.#aim]) {
      if (thumb.id !== event.pointerId) continue;
      const dx = event.clientX - thumb.x;
      const dy = event.clientY - thumb.y;
      const far = Math.max(Math.hypot(dx, dy) / REACH, 1);
      thumb.dx = dx / far;
      thumb.dy = dy / far;
      this.#show(thumb);
    }
  }

  #up(event: PointerEvent): void {
    for (const thumb of [this.#move, this.#aim]) {
      if (thumb.id === event.pointerId) this.#lift(thumb);
    }
  }

  #lift(thumb: Thumb): void {
    thumb.id = -1;
    thumb.dx = thumb.dy = 0;
    this.#show(thumb);
  }

  #show(thumb: Thumb): void {
    const { style } = element(thumb === this.#move ? "stick" : "aim-stick");
    style.display = thumb.id >= 0 ? "block" : "none";
    style.left = `${thumb.x}px`;
    style.top = `${thumb.y}px`;
    style.setProperty("--x", `${thumb.dx}px`);
    style.setProperty("--y", `${thumb.dy}px`);
  }
}
