/** Which part of the arena is seen, and where on the screen. */

import { HEIGHT, STEPS_PER_M, WIDTH } from "../arena/map.js";
import { MARGIN } from "./plan.js";

/** Metres that one sees at least while playing: along the longer and the shorter side. */
const LONG_M = 27;
const SHORT_M = 16.5;
/** CSS pixels above and below the arena that what stands around the picture covers on a phone. */
const COVERED = 110;
/** Device pixels per CSS pixel that are drawn at most. */
const DENSITY_MAX = 2;

export class Camera {
  /** Device pixels per position step. */
  scale = 1;
  /** Device pixels. */
  width = 1;
  height = 1;
  density = 1;
  /** The arena's place in the middle of the screen. */
  x = WIDTH / 2;
  y = HEIGHT / 2;

  /** Fits the screen. Whether something changed. */
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

  /** Puts a place in the middle, as far as there is arena around it. */
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

  /** Whether something at a place, so large, is seen. */
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
