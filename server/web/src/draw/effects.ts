/**
 * Short visual effects: shots, blasts, deaths, arrivals, damage numbers. There is a fixed number of
 * them, and a new one replaces the oldest, so that a busy match makes no garbage.
 */

import { cm, STEPS_PER_M } from "../arena/map.js";
import { colourOf, type Theme } from "./theme.js";

const EFFECTS_MAX = 96;

type EffectKind = "shot" | "blast" | "death" | "arrival" | "number";

const LIFE_MS: Record<EffectKind, number> = { shot: 110, blast: 420, death: 1_600, arrival: 450, number: 800 };

interface Effect {
  kind: EffectKind;
  x: number;
  y: number;
  toX: number;
  toY: number;
  seat: number;
  number: number;
  bornAt: number;
}

export class Effects {
  readonly #effects: Effect[] = Array.from({ length: EFFECTS_MAX }, () => ({
    kind: "shot",
    x: 0,
    y: 0,
    toX: 0,
    toY: 0,
    seat: 0,
    number: 0,
    bornAt: -Infinity,
  }));
  #next = 0;

  add(kind: EffectKind, now: number, x: number, y: number, seat: number, toX = 0, toY = 0, number = 0): void {
    const effect = this.#effects[this.#next];
    this.#next = (this.#next + 1) % EFFECTS_MAX;
    effect.kind = kind;
    effect.bornAt = now;
    effect.x = x;
    effect.y = y;
    effect.toX = toX;
    effect.toY = toY;
    effect.seat = seat;
    effect.number = number;
  }

  draw(context: CanvasRenderingContext2D, theme: Theme, now: number, ownSeat: number): void {
    for (const effect of this.#effects) {
      const part = (now - effect.bornAt) / LIFE_MS[effect.kind];
      if (!(part < 1)) continue;
      context.strokeStyle = context.fillStyle = colourOf(theme, effect.seat, ownSeat);
      context.globalAlpha = 1 - part;
      switch (effect.kind) {
        case "shot":
          shot(context, effect, part);
          break;
        case "blast":
          blast(context, effect, theme, part);
          break;
        case "death":
          death(context, effect);
          break;
        case "arrival":
          ring(context, effect, cm(40) + cm(120) * (1 - part), cm(6));
          break;
        case "number":
          context.textAlign = "center";
          context.font = `600 ${cm(70)}px ${theme.font}`;
          context.fillText(String(effect.number), effect.x, effect.y - cm(125) - cm(80) * part);
          break;
      }
    }
    context.globalAlpha = 1;
  }
}

function shot(context: CanvasRenderingContext2D, effect: Effect, part: number): void {
  context.lineWidth = cm(7) * (1 - part) + cm(2);
  context.beginPath();
  // The tail moves towards the tip.
  const tail = Math.max(0, part * 1.4 - 0.4);
  context.moveTo(effect.x + (effect.toX - effect.x) * tail, effect.y + (effect.toY - effect.y) * tail);
  context.lineTo(effect.toX, effect.toY);
  context.stroke();
  if (part < 0.5) {
    context.beginPath();
    context.arc(effect.toX, effect.toY, cm(16) * (1 - part), 0, 2 * Math.PI);
    context.fill();
  }
}

function blast(context: CanvasRenderingContext2D, effect: Effect, theme: Theme, part: number): void {
  const grown = 1 - (1 - part) ** 3;
  context.globalAlpha = 0.35 * (1 - part);
  context.beginPath();
  context.arc(effect.x, effect.y, 2.2 * STEPS_PER_M * grown, 0, 2 * Math.PI);
  context.fill();
  context.globalAlpha = 1 - part;
  ring(context, effect, 2.5 * STEPS_PER_M * grown, cm(9) * (1 - part) + 1);
  context.strokeStyle = theme.line;
  ring(context, effect, 1.3 * STEPS_PER_M * grown, cm(5));
}

function ring(context: CanvasRenderingContext2D, effect: Effect, radius: number, width: number): void {
  context.lineWidth = width;
  context.beginPath();
  context.arc(effect.x, effect.y, radius, 0, 2 * Math.PI);
  context.stroke();
}

function death(context: CanvasRenderingContext2D, { x, y }: Effect): void {
  const arm = cm(38);
  context.lineWidth = cm(9);
  context.beginPath();
  context.moveTo(x - arm, y - arm);
  context.lineTo(x + arm, y + arm);
  context.moveTo(x - arm, y + arm);
  context.lineTo(x + arm, y - arm);
  context.stroke();
}
