/**
 * Draws the arena: the plan, and on it everything that moves. It reads a session's `others` and
 * `own`, and derives the effects of shots and blasts from changes of rows, since they are not events.
 */

import type { Session } from "@tickwire/client";
import { cm, HEIGHT, RADIUS, reach, WIDTH } from "../arena/map.js";
import type { Arena } from "../arena/rows.js";
import { Camera } from "./camera.js";
import { Effects } from "./effects.js";
import { MARGIN, Plan } from "./plan.js";
import { colourOf, onThemeChange, readTheme } from "./theme.js";

/** Most seats of a match. */
const SEATS_MAX = 1024;
/** Rockets have this many consecutive ids, which are then reused, so each id has a slot of its own. */
const ROCKETS_MAX = 512;
/** If more of the match than this, in seconds, passed since the last frame, changes show no effects. */
const UNSEEN_S = 2;

/** A player as last drawn. */
class Figure {
  x = 0;
  y = 0;
  aim = 0;
  health = 0;
  shots = -1;
  computer = false;
  /** The last frame that it was in. */
  frame = -1;
  name = "";
  label: HTMLCanvasElement | null = null;
}

export class Scene {
  readonly camera = new Camera();
  readonly effects = new Effects();
  /** The user's own player: its newest aim and health, and its predicted position. Others are shown in the past. */
  ownAim = 0;
  ownHealth = 0;
  ownX = WIDTH / 2;
  ownY = HEIGHT / 2;
  /** The seat that a spectator follows; if `null`, the whole arena is visible. */
  followed: number | null = null;
  theme = readTheme();

  readonly #context: CanvasRenderingContext2D;
  readonly #plan = new Plan();
  readonly #figures = Array.from({ length: SEATS_MAX }, () => new Figure());
  readonly #rocketIds = new Float64Array(ROCKETS_MAX).fill(-1);
  readonly #rocketPlaces = new Float64Array(ROCKETS_MAX * 3);
  readonly #rocketFrames = new Int32Array(ROCKETS_MAX);
  #frame = 0;
  /** The tick, with fraction, at which the others were shown in the last frame. */
  #moment = 0;
  #hurtAt = -Infinity;
  #isPlanShown = false;

  constructor(
    readonly canvas: HTMLCanvasElement,
    readonly name: (seat: number) => string,
  ) {
    const context = canvas.getContext("2d", { alpha: false });
    if (!context) throw new Error("this browser has no canvas");
    this.#context = context;
    onThemeChange(() => {
      this.theme = readTheme();
      for (const figure of this.#figures) figure.label = null;
    });
  }

  /** A player as last drawn, by seat. */
  figure(seat: number): Readonly<Figure> {
    return this.#figures[seat % SEATS_MAX];
  }

  /** Flashes the border of the screen, because the user's player has lost health. */
  hurt(now: number): void {
    this.#hurtAt = now;
  }

  /** Draws the empty plan, unless the canvas shows it already. */
  drawPlan(): void {
    if (!this.#begin(true) && this.#isPlanShown) return;
    this.#drawGround();
    this.#isPlanShown = true;
  }

  draw(session: Session, arena: Arena, now: number): void {
    const ownSeat = session.seat ?? -1;
    const { others, own } = session;
    this.#frame++;
    this.#isPlanShown = false;
    if (own?.isActive) [this.ownX, this.ownY] = [own.values[0], own.values[1]];
    const followed = ownSeat < 0 && this.followed !== null ? this.figure(this.followed) : null;
    const isFollowing = followed?.frame === this.#frame - 1;
    this.#begin(ownSeat < 0 && !isFollowing);
    if (ownSeat >= 0) this.camera.look(this.ownX, this.ownY);
    else if (isFollowing) this.camera.look(followed.x, followed.y);
    this.#drawGround();
    const rows = others?.rows;
    if (!others || !rows) return;
    const moment = others.shown.tick - others.shown.ticksBefore;
    // Skip a frame number, so that all figures count as new.
    if (Math.abs(moment - this.#moment) > UNSEEN_S * session.link.clock!.hz) this.#frame++;
    this.#moment = moment;
    const context = this.#context;
    context.lineCap = "round";
    for (let i = 0; i < rows.length; i++) {
      others.interpolate(i);
      const kind = rows.kinds[i];
      if (kind === arena.pickup.kind) this.#drawPickup(arena, others.values);
      else if (kind === arena.player.kind) this.#seePlayer(arena, arena.seatOf(rows.ids[i]), others.values, ownSeat, now);
      else if (kind === arena.projectile.kind) this.#drawRocket(arena, rows.ids[i], others.values, ownSeat);
    }
    this.#blastRockets(now);
    this.effects.draw(context, this.theme, now, ownSeat);
    for (let seat = 0; seat < SEATS_MAX; seat++) {
      const figure = this.#figures[seat];
      if (figure.frame === this.#frame && figure.health > 0) this.#drawFigure(figure, seat, ownSeat);
    }
    this.#drawHurt(now);
  }

  /** Shows a shot of the user's own gun, without waiting for the server. */
  ownShot(seat: number, now: number): void {
    this.#shoot(seat, this.ownX, this.ownY, this.ownAim, now);
  }

  /** Returns whether the canvas or the plan has changed. */
  #begin(whole: boolean): boolean {
    const { camera } = this;
    const isResized = camera.fit(this.canvas, whole);
    if (isResized) for (const figure of this.#figures) figure.label = null;
    const isNew = this.#plan.prepare(camera.scale, this.theme);
    if (whole) camera.look(WIDTH / 2, HEIGHT / 2);
    return isResized || isNew;
  }

  #drawGround(): void {
    const context = this.#context;
    const { scale, width, height, x, y } = this.camera;
    const plan = this.#plan;
    context.setTransform(1, 0, 0, 1, 0, 0);
    const left = Math.round(width / 2 - (x + MARGIN) * scale);
    const top = Math.round(height / 2 - (y + MARGIN) * scale);
    if (left > 0 || top > 0 || left + plan.width < width || top + plan.height < height) {
      context.fillStyle = this.theme.groundDeep;
      context.fillRect(0, 0, width, height);
    }
    context.drawImage(plan.canvas, left, top, plan.width, plan.height);
    context.setTransform(scale, 0, 0, scale, left + MARGIN * scale, top + MARGIN * scale);
  }

  #seePlayer(arena: Arena, seat: number, values: Float64Array, ownSeat: number, now: number): void {
    const { player } = arena;
    const figure = this.#figures[seat % SEATS_MAX];
    const isNew = figure.frame !== this.#frame - 1;
    const isOwn = seat === ownSeat;
    const health = isOwn ? this.ownHealth : values[player.health];
    const x = isOwn ? this.ownX : values[player.x];
    const y = isOwn ? this.ownY : values[player.y];
    if (!isNew) {
      if (health <= 0 && figure.health > 0) this.effects.add("death", now, figure.x, figure.y, seat);
      if (health > 0 && figure.health <= 0) this.effects.add("arrival", now, x, y, seat);
    }
    figure.frame = this.#frame;
    figure.x = x;
    figure.y = y;
    figure.aim = isOwn ? this.ownAim : values[player.aim] * player.aimStep;
    figure.health = health;
    figure.computer = values[player.computer] > 0;
    const shots = values[player.shots];
    if (!isNew && !isOwn && shots !== figure.shots) this.#shoot(seat, x, y, figure.aim, now);
    figure.shots = shots;
  }

  #shoot(seat: number, x: number, y: number, aim: number, now: number): void {
    const dx = Math.cos(aim);
    const dy = Math.sin(aim);
    let far = reach(x, y, dx, dy);
    for (let other = 0; other < SEATS_MAX; other++) {
      const figure = this.#figures[other];
      if (other === seat || figure.health <= 0 || figure.frame < this.#frame - 1) continue;
      const along = (figure.x - x) * dx + (figure.y - y) * dy;
      const beside = Math.abs((figure.x - x) * dy - (figure.y - y) * dx);
      if (along > 0 && beside < RADIUS) far = Math.min(far, along - RADIUS / 2);
    }
    const muzzle = Math.min(cm(60), far);
    this.effects.add("shot", now, x + dx * muzzle, y + dy * muzzle, seat, x + dx * far, y + dy * far);
  }

  #drawFigure(figure: Figure, seat: number, ownSeat: number): void {
    const { x, y, aim, health } = figure;
    if (!this.camera.sees(x, y, cm(200))) return;
    const context = this.#context;
    const { theme } = this;
    const colour = colourOf(theme, seat, ownSeat);
    context.strokeStyle = theme.line;
    context.lineWidth = cm(13);
    context.beginPath();
    context.moveTo(x + Math.cos(aim) * cm(18), y + Math.sin(aim) * cm(18));
    context.lineTo(x + Math.cos(aim) * cm(64), y + Math.sin(aim) * cm(64));
    context.stroke();
    context.beginPath();
    context.arc(x, y, RADIUS - cm(4), 0, 2 * Math.PI);
    context.fillStyle = colour;
    context.fill();
    context.strokeStyle = theme.groundDeep;
    context.lineWidth = cm(8);
    context.stroke();
    if (figure.computer) {
      context.beginPath();
      context.arc(x, y, cm(17), 0, 2 * Math.PI);
      context.fillStyle = theme.groundDeep;
      context.fill();
    }
    context.lineCap = "butt";
    context.lineWidth = cm(9);
    context.strokeStyle = theme.faint;
    context.beginPath();
    context.arc(x, y, cm(58), 0, 2 * Math.PI);
    context.stroke();
    context.strokeStyle = health > 35 ? theme.line : theme.bad;
    context.beginPath();
    context.arc(x, y, cm(58), -Math.PI / 2, -Math.PI / 2 + (health / 100) * 2 * Math.PI);
    context.stroke();
    context.lineCap = "round";
    this.#drawLabel(figure, seat, colour, x, y);
  }

  /** Draws a name from a cached image, since drawing text is slow. */
  #drawLabel(figure: Figure, seat: number, colour: string, x: number, y: number): void {
    const name = this.name(seat);
    if (!figure.label || figure.name !== name) {
      figure.name = name;
      figure.label = this.#makeLabel(name, colour);
    }
    const { scale } = this.camera;
    const width = figure.label.width / scale;
    const height = figure.label.height / scale;
    this.#context.drawImage(figure.label, x - width / 2, y - cm(75) - height, width, height);
  }

  #makeLabel(name: string, colour: string): HTMLCanvasElement {
    const label = document.createElement("canvas");
    const context = label.getContext("2d");
    const size = Math.round(13 * this.camera.density);
    const font = `600 ${size}px ${this.theme.font}`;
    if (!context) return label;
    context.font = font;
    label.width = Math.ceil(context.measureText(name).width) + size;
    label.height = Math.ceil(size * 1.4);
    context.font = font;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineJoin = "round";
    context.lineWidth = size / 4;
    context.strokeStyle = this.theme.ground;
    context.fillStyle = colour;
    context.strokeText(name, label.width / 2, label.height / 2);
    context.fillText(name, label.width / 2, label.height / 2);
    return label;
  }

  #drawPickup({ pickup }: Arena, values: Float64Array): void {
    const x = values[pickup.x];
    const y = values[pickup.y];
    const isThere = values[pickup.present] > 0;
    if (!this.camera.sees(x, y, cm(50))) return;
    const context = this.#context;
    context.strokeStyle = isThere ? this.theme.line : this.theme.faint;
    context.lineWidth = cm(5);
    context.beginPath();
    const half = cm(31);
    // The pickup's place is marked by corners, also while the pickup is absent.
    for (const [sx, sy] of CORNERS) {
      context.moveTo(x + sx * half, y + sy * half * 0.45);
      context.lineTo(x + sx * half, y + sy * half);
      context.lineTo(x + sx * half * 0.45, y + sy * half);
    }
    context.stroke();
    if (isThere) this.#drawStock(values[pickup.stock], x, y);
  }

  #drawStock(stock: number, x: number, y: number): void {
    const context = this.#context;
    context.beginPath();
    context.lineWidth = cm(10);
    if (stock === 2) {
      context.strokeStyle = this.theme.good;
      context.moveTo(x - cm(15), y);
      context.lineTo(x + cm(15), y);
      context.moveTo(x, y - cm(15));
      context.lineTo(x, y + cm(15));
    } else if (stock === 0) {
      context.lineWidth = cm(7);
      for (let n = -1; n <= 1; n++) {
        context.moveTo(x + n * cm(12), y - cm(12));
        context.lineTo(x + n * cm(12), y + cm(12));
      }
    } else {
      context.strokeStyle = this.theme.bad;
      context.lineWidth = cm(6);
      context.moveTo(x - cm(15), y + cm(13));
      context.lineTo(x, y - cm(17));
      context.lineTo(x + cm(15), y + cm(13));
      context.closePath();
    }
    context.stroke();
  }

  #drawRocket({ projectile }: Arena, id: number, values: Float64Array, ownSeat: number): void {
    const x = values[projectile.x];
    const y = values[projectile.y];
    const slot = id % ROCKETS_MAX;
    this.#rocketIds[slot] = id;
    this.#rocketFrames[slot] = this.#frame;
    this.#rocketPlaces[slot * 3] = x;
    this.#rocketPlaces[slot * 3 + 1] = y;
    const seat = values[projectile.shooter];
    this.#rocketPlaces[slot * 3 + 2] = seat;
    const speed = Math.hypot(values[projectile.velocityX], values[projectile.velocityY]) || 1;
    const dx = values[projectile.velocityX] / speed;
    const dy = values[projectile.velocityY] / speed;
    const context = this.#context;
    context.strokeStyle = colourOf(this.theme, seat, ownSeat);
    context.globalAlpha = 0.35;
    context.lineWidth = cm(12);
    context.beginPath();
    context.moveTo(x - dx * cm(130), y - dy * cm(130));
    context.lineTo(x, y);
    context.stroke();
    context.globalAlpha = 1;
    context.lineWidth = cm(22);
    context.beginPath();
    context.moveTo(x - dx * cm(12), y - dy * cm(12));
    context.lineTo(x + dx * cm(12), y + dy * cm(12));
    context.stroke();
  }

  /** Adds blasts for rockets that were in the last frame and are gone: they have exploded. */
  #blastRockets(now: number): void {
    for (let slot = 0; slot < ROCKETS_MAX; slot++) {
      if (this.#rocketIds[slot] < 0 || this.#rocketFrames[slot] === this.#frame) continue;
      this.#rocketIds[slot] = -1;
      if (this.#rocketFrames[slot] < this.#frame - 1) continue;
      const at = slot * 3;
      const places = this.#rocketPlaces;
      this.effects.add("blast", now, places[at], places[at + 1], places[at + 2]);
    }
  }

  #drawHurt(now: number): void {
    const part = (now - this.#hurtAt) / 350;
    if (!(part < 1)) return;
    const context = this.#context;
    const { width, height, density } = this.camera;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.globalAlpha = 0.7 * (1 - part);
    context.strokeStyle = this.theme.bad;
    context.lineWidth = 14 * density;
    context.strokeRect(0, 0, width, height);
    context.globalAlpha = 1;
  }
}

const CORNERS = [
  [-1, -1],
  [1, -1],
  [1, 1],
  [-1, 1],
] as const;
