/** The static background: the arena as an architect would draw it, made once for each size and theme. */

import { cm, HEIGHT, RADIUS, STEPS_PER_M, WALLS, WIDTH } from "../arena/map.js";
import type { Theme } from "./theme.js";

/** Space around the arena, for its dimension lines. */
export const MARGIN = 2 * STEPS_PER_M;
/** Most pixels of the drawing: Safari on iOS before 18 leaves a larger canvas blank. */
const AREA_MAX = 4_096 * 4_096;

export class Plan {
  readonly canvas = document.createElement("canvas");
  /** Device pixels. The canvas has fewer if there would be too many. */
  width = 0;
  height = 0;
  #scale = 0;
  #theme: Theme | null = null;

  constructor() {
    // A canvas whose memory the system had taken back is blank afterwards.
    this.canvas.addEventListener("contextrestored", () => (this.#scale = 0));
  }

  /** Makes the drawing with `scale` device pixels per position step, unless it is made already. Returns whether it made it. */
  prepare(scale: number, theme: Theme): boolean {
    if (scale === this.#scale && theme === this.#theme) return false;
    this.#scale = scale;
    this.#theme = theme;
    this.width = Math.ceil((WIDTH + 2 * MARGIN) * scale);
    this.height = Math.ceil((HEIGHT + 2 * MARGIN) * scale);
    const part = Math.min(1, Math.sqrt(AREA_MAX / (this.width * this.height)));
    this.canvas.width = Math.floor(this.width * part);
    this.canvas.height = Math.floor(this.height * part);
    const context = this.canvas.getContext("2d", { alpha: false });
    if (context) this.#draw(context, theme, scale * part);
    return true;
  }

  #draw(context: CanvasRenderingContext2D, theme: Theme, scale: number): void {
    context.fillStyle = theme.groundDeep;
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    context.scale(scale, scale);
    context.translate(MARGIN, MARGIN);
    context.fillStyle = theme.ground;
    context.fillRect(0, 0, WIDTH, HEIGHT);
    const pixel = 1 / scale;
    grid(context, theme, pixel);
    centre(context, theme, pixel);
    for (const wall of WALLS) {
      const { left, top, right, bottom } = wall;
      block(context, theme, pixel, left, top, right - left, bottom - top);
    }
    border(context, theme, pixel);
    dimensions(context, theme, pixel);
  }
}

function grid(context: CanvasRenderingContext2D, theme: Theme, pixel: number): void {
  for (let metre = 1; metre * STEPS_PER_M < WIDTH; metre++) {
    const at = metre * STEPS_PER_M;
    context.lineWidth = pixel * (metre % 5 === 0 ? 2 : 1);
    context.strokeStyle = theme.grid;
    context.beginPath();
    context.moveTo(at, 0);
    context.lineTo(at, HEIGHT);
    if (at < HEIGHT) {
      context.moveTo(0, at);
      context.lineTo(WIDTH, at);
    }
    context.stroke();
  }
}

/** The axes of the map, which is symmetric under half a turn. */
function centre(context: CanvasRenderingContext2D, theme: Theme, pixel: number): void {
  context.strokeStyle = theme.faint;
  context.lineWidth = pixel;
  context.setLineDash([24, 8, 4, 8].map((part) => part * 2));
  context.beginPath();
  context.moveTo(WIDTH / 2, 0);
  context.lineTo(WIDTH / 2, HEIGHT);
  context.moveTo(0, HEIGHT / 2);
  context.lineTo(WIDTH, HEIGHT / 2);
  context.stroke();
  context.setLineDash([]);
  context.beginPath();
  context.arc(WIDTH / 2, HEIGHT / 2, 5 * STEPS_PER_M, 0, 2 * Math.PI);
  context.stroke();
}

/** A wall: a hatched outline. */
function block(
  context: CanvasRenderingContext2D,
  theme: Theme,
  pixel: number,
  x: number,
  y: number,
  width: number,
  height: number,
): void {
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.fillStyle = theme.groundDeep;
  context.fill();
  context.clip();
  context.strokeStyle = theme.hatch;
  context.lineWidth = pixel;
  context.beginPath();
  const step = 0.22 * STEPS_PER_M;
  // On one raster for all walls, so that hatchings of adjacent walls meet.
  const first = Math.floor((x - y - height) / step) * step;
  for (let at = first; at < x + width - y; at += step) {
    context.moveTo(at + y, y);
    context.lineTo(at + y + height, y + height);
  }
  context.stroke();
  context.restore();
  context.strokeStyle = theme.wall;
  context.lineWidth = Math.max(2 * pixel, 6);
  context.strokeRect(x, y, width, height);
}

function border(context: CanvasRenderingContext2D, theme: Theme, pixel: number): void {
  context.strokeStyle = theme.wall;
  context.lineWidth = Math.max(3 * pixel, 10);
  const outside = context.lineWidth / 2;
  context.strokeRect(-outside, -outside, WIDTH + 2 * outside, HEIGHT + 2 * outside);
  context.lineWidth = pixel;
  const gap = 0.35 * STEPS_PER_M;
  context.strokeRect(-gap, -gap, WIDTH + 2 * gap, HEIGHT + 2 * gap);
}

/** Dimension lines along the upper and left border, with a stroke at each fifth metre. */
function dimensions(context: CanvasRenderingContext2D, theme: Theme, pixel: number): void {
  const away = -0.95 * STEPS_PER_M;
  const stroke = RADIUS / 3;
  context.strokeStyle = theme.soft;
  context.fillStyle = theme.soft;
  context.lineWidth = pixel;
  context.font = `${cm(55)}px ${theme.font}`;
  context.textAlign = "center";
  context.textBaseline = "bottom";
  for (const [length, turn] of [[WIDTH, 0], [HEIGHT, -1]] as const) {
    context.save();
    if (turn) {
      context.rotate(-Math.PI / 2);
      context.translate(-HEIGHT, 0);
    }
    context.beginPath();
    context.moveTo(0, away);
    context.lineTo(length, away);
    for (let at = 0; at <= length; at += 5 * STEPS_PER_M) {
      context.moveTo(at - stroke, away + stroke);
      context.lineTo(at + stroke, away - stroke);
    }
    context.stroke();
    for (let at = 5 * STEPS_PER_M; at < length; at += 5 * STEPS_PER_M) {
      context.fillText(String(at / STEPS_PER_M), at, away - cm(12));
    }
    context.restore();
  }
}
