/**
 * A view of any game, from its schema alone: an entity with fields `x` and `y` is a dot at its place,
 * and all other fields are text, as are the values that only the player receives. Players have their
 * names, and the player's own dot has its own colour. So the author of a new game can see and play
 * it at once, before it has a page of its own; `shared/ts` has an example of one.
 */

import type { KindSchema, Schema, Session } from "@tickwire/client";
import type { Scene } from "./scene.js";

/** CSS pixels around the field, which the HUD covers in part. */
const MARGIN = 90;
/** On a narrow screen, the margin on each side as a part of its width. */
const SIDE_PART = 0.12;
const DOT = 7;
/** With more rows than this, fields are not shown, and only players have names: the text would cover the field. */
const DETAILED_MAX = 40;
/** Then the others' dots are this small, and have the colour of their kind. */
const SMALL_DOT = 3;

/** A kind, with the indices of its fields `x` and `y`, or -1. */
interface Kind extends KindSchema {
  x: number;
  y: number;
}

export class PlainView {
  readonly #kinds: Kind[];
  /** The range of all places, in the game's own unit. */
  readonly #left: number;
  readonly #top: number;
  readonly #width: number;
  readonly #height: number;

  constructor(
    readonly scene: Scene,
    readonly schema: Schema,
  ) {
    this.#kinds = schema.kinds.map((kind) => {
      const at = (name: string) => kind.fields.findIndex((field) => field.name === name);
      return { ...kind, x: at("x"), y: at("y") };
    });
    const placed = this.#kinds.filter(isPlaced);
    const ends = (axis: "x" | "y") => {
      const fields = placed.map((kind) => kind.fields[kind[axis]]);
      return [Math.min(...fields.map((f) => f.min * f.step)), Math.max(...fields.map((f) => f.max * f.step))];
    };
    const [[left, right], [top, bottom]] = placed.length > 0 ? [ends("x"), ends("y")] : [[0, 1], [0, 1]];
    [this.#left, this.#top, this.#width, this.#height] = [left, top, right - left, bottom - top];
  }

  draw(session: Session): void {
    const { camera, canvas, theme } = this.scene;
    camera.fit(canvas, true);
    const { density } = camera;
    const context = canvas.getContext("2d")!;
    const [width, height] = [camera.width / density, camera.height / density];
    const side = Math.min(MARGIN, SIDE_PART * width);
    const scale = Math.min((width - 2 * side) / this.#width, (height - 2 * MARGIN) / this.#height);
    const x0 = (width - this.#width * scale) / 2;
    const y0 = (height - this.#height * scale) / 2;
    context.setTransform(density, 0, 0, density, 0, 0);
    context.fillStyle = theme.groundDeep;
    context.fillRect(0, 0, width, height);
    context.fillStyle = theme.ground;
    context.fillRect(x0, y0, this.#width * scale, this.#height * scale);
    context.strokeStyle = theme.soft;
    context.strokeRect(x0, y0, this.#width * scale, this.#height * scale);
    context.font = `13px ${theme.font}`;
    context.textBaseline = "middle";
    const { others } = session;
    if (!others?.rows) return;
    const { rows } = others;
    const isCrowded = rows.length > DETAILED_MAX;
    let listed = 0;
    for (let row = 0; row < rows.length; row++) {
      others.interpolate(row);
      const kind = this.#kinds[rows.kinds[row]];
      if (!isPlaced(kind)) {
        context.fillStyle = theme.soft;
        context.fillText(`${kind.name} ${describe(kind, others.values)}`, 16, 24 + 18 * listed++);
        continue;
      }
      const id = rows.ids[row];
      const seat = kind.firstSeat === null ? null : id - kind.firstSeat;
      const x = x0 + (others.values[kind.x] * kind.fields[kind.x].step - this.#left) * scale;
      const y = y0 + (others.values[kind.y] * kind.fields[kind.y].step - this.#top) * scale;
      const isOwn = seat !== null && seat === session.seat;
      const colour = seat ?? (isCrowded ? rows.kinds[row] : id);
      context.fillStyle = isOwn ? theme.own : theme.seats[colour % theme.seats.length];
      context.beginPath();
      context.arc(x, y, seat === null && isCrowded ? SMALL_DOT : DOT, 0, 2 * Math.PI);
      context.fill();
      if (seat === null && isCrowded) continue;
      context.fillText(seat === null ? `${kind.name} ${id}` : this.scene.name(seat), x + 1.5 * DOT, y - 8);
      if (isCrowded) continue;
      context.fillStyle = theme.soft;
      context.fillText(describe(kind, others.values), x + 1.5 * DOT, y + 8);
    }
  }

  /** The values that only the player receives, as text; empty for spectators. */
  describeOwn({ seat, link: { rows, owner } }: Session): string {
    if (seat === null || !rows || !owner) return "";
    return this.schema.owner.map(({ name }, i) => `${name} ${owner[i]}`).join("  ");
  }
}

function isPlaced(kind: Kind): boolean {
  return kind.x >= 0 && kind.y >= 0;
}

/** All fields of a row but its place, as text. */
function describe(kind: Kind, values: ArrayLike<number>): string {
  const say = ({ name, step }: { name: string; step: number }, i: number) => `${name} ${+(values[i] * step).toFixed(2)}`;
  return kind.fields.map((field, i) => (i === kind.x || i === kind.y ? "" : say(field, i))).filter(Boolean).join("  ");
}
