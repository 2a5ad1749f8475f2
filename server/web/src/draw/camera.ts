/** The part of the arena that is visible, and where on the screen. */

import { HEIGHT, STEPS_PER_M, WIDTH } from "../arena/map.js";
import { MARGIN } from "./plan.js";

/** Most metres that a player sees, along the longer and the shorter side of the screen. */
const LONG_M = 27;
const SHORT_M = 16.5;
/** CSS pixels above and below the arena that the HUD covers on a phone. */
const COVERED = 110;
/** Most device pixels per CSS pixel. */
const DENSITY_MAX = 2;

export class Camera {
  /** Device pixels per position step. */
  scale = 1;
  /** Device pixels. */
  width = 1;
  height = 1;
  density = 1;
  /** The place in the arena that is in the middle of the screen. */
  x = WIDTH / 2;
  y = HEIGHT / 2;

  /** Adapts to the size of the screen. Returns whether anything changed. */
  fit(canvas: HTMLCanvasElement, whole: boolean): boolean {
    this.density = Math.min(devicePixelRatio, DENSITY_MAX);
    const width = Math.round(canvas.clientWidth * this.density);
    const height = Math.round(canvas.clientHeight * this.density);
    const short = Math.min(width, height);
    const long = Math.max(width, height);
    const scale = whole
      ? Math.min(width / (WIDTH + 2 * MARGIN), height / (HEIGHT + 2 * MARGIN))
      : Math.max(short / SHORT_M, long / LONG_M) / STEPS_PER_M;
    const changed = width !== this.width || height !== this.height || scale !== this.scale;
    if (changed) {
      [this.width, this.height, this.scale] = [width, height, scale];
      [canvas.width, canvas.height] = [width, height];
    }
    return changed;
  }

  /** Moves a place to the middle of the screen, as far as the arena's borders allow. */
  look(x: number, y: number): void {
    const covered = this.height > this.width ? (COVERED * this.density) / this.scale : 0;
    this.x = within(x, this.width / this.scale, WIDTH, MARGIN);
    this.y = within(y, this.height / this.scale, HEIGHT, MARGIN + covered);
  }

  /** The place under a point of the screen, in CSS pixels. */
  placeX(pixels: number): number {
    return this.x + (pixels * this.density - this.width / 2) / this.scale;
  }

  placeY(pixels: number): number {
    return this.y + (pixels * this.density - this.height / 2) / this.scale;
  }

  /** The point of the screen, in CSS pixels, over a place. */
  pixelX(x: number): number {
    return ((x - this.x) * this.scale + this.width / 2) / this.density;
  }

  pixelY(y: number): number {
    return ((y - this.y) * this.scale + this.height / 2) / this.density;
  }

  /** Whether any part of a circle is visible. */
  sees(x: number, y: number, radius: number): boolean {
    return (
      Math.abs(x - this.x) * this.scale < this.width / 2 + radius * this.scale &&
      Math.abs(y - this.y) * this.scale < this.height / 2 + radius * this.scale
    );
  }
}

function within(middle: number, seen: number, size: number, margin: number): number {
  const most = size + margin - seen / 2;
  const least = seen / 2 - margin;
  return least > most ? size / 2 : Math.min(Math.max(middle, least), most);
}
