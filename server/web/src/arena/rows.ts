/** The indices of values in the arena's rows, looked up by name in the schema that the server sent. */

import type { Rows, Schema } from "@tickwire/client";

export class Arena {
  readonly round: ReturnType<typeof roundFields>;
  readonly pickup: ReturnType<typeof pickupFields>;
  readonly player: ReturnType<typeof playerFields>;
  readonly projectile: ReturnType<typeof projectileFields>;
  readonly bullets: number;
  readonly rockets: number;

  /** Looks up the indices; `null` if the schema is another game's. */
  static of(schema: Schema): Arena | null {
    return Arena.isCalled(schema.game) ? new Arena(schema) : null;
  }

  static isCalled(game: string): boolean {
    return game.startsWith("arena ");
  }

  private constructor(schema: Schema) {
    this.round = roundFields(schema);
    this.pickup = pickupFields(schema);
    this.player = playerFields(schema);
    this.projectile = projectileFields(schema);
    this.bullets = place(schema.owner, "bullets");
    this.rockets = place(schema.owner, "rockets");
  }

  playerId(seat: number): number {
    return this.player.first + seat;
  }

  seatOf(id: number): number {
    return id - this.player.first;
  }
}

/** A value of an entity in a snapshot; 0 if it is not there. */
export function valueOf(rows: Rows, id: number, field: number): number {
  const index = rows.find(id);
  return index < 0 ? 0 : rows.values[rows.start(index) + field];
}

function roundFields(schema: Schema) {
  const { kind, at } = lookUp(schema, "round");
  return { kind, over: at("over"), number: at("number"), winner: at("winner"), endsAtTick: at("ends_at_tick") };
}

function pickupFields(schema: Schema) {
  const { kind, at } = lookUp(schema, "pickup");
  return { kind, x: at("x"), y: at("y"), stock: at("stock"), present: at("present") };
}

function playerFields(schema: Schema) {
  const { kind, at, fields } = lookUp(schema, "player");
  return {
    kind,
    x: at("x"),
    y: at("y"),
    velocityX: at("velocity_x"),
    velocityY: at("velocity_y"),
    aim: at("aim"),
    health: at("health"),
    shots: at("shots"),
    kills: at("kills"),
    deaths: at("deaths"),
    computer: at("computer"),
    /** The id of the player in seat 0. */
    first: schema.kinds[kind].firstSeat ?? 0,
    /** Radians per step of `aim`. */
    aimStep: fields[at("aim")].step,
  };
}

function projectileFields(schema: Schema) {
  const { kind, at } = lookUp(schema, "projectile");
  const [velocityX, velocityY] = [at("velocity_x"), at("velocity_y")];
  return { kind, x: at("x"), y: at("y"), velocityX, velocityY, shooter: at("shooter") };
}

function lookUp(schema: Schema, name: string) {
  const kind = place(schema.kinds, name);
  const { fields } = schema.kinds[kind];
  return { kind, fields, at: (field: string) => place(fields, field) };
}

function place(list: readonly { name: string }[], name: string): number {
  const index = list.findIndex((item) => item.name === name);
  if (index < 0) throw new Error(`the match is not one of the arena: it has no ${name}`);
  return index;
}
