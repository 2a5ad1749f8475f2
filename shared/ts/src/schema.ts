/**
 * What the integers in a game's rows, inputs and events mean. The server sends the schema in its
 * welcome, so that a client can read and draw a match that it was not built for.
 */

import type { ByteReader } from "./bytes.js";
import { fault } from "./fault.js";

/** Everything that a client must know about a game to play it. */
export interface Schema {
  game: string;
  /** Kinds of entity; a row names its kind by the index in this list. */
  kinds: KindSchema[];
  /** Physics steps per tick, if the game's physics does not run in step with ticks; else 0. See `PROTOCOL.md`. */
  substeps: number;
  /** State that only the player in a seat receives, such as ammunition. */
  owner: Integer[];
  /** The integers of an input. */
  input: Integer[];
  /** Kinds of event; an event names its kind by the index in this list. */
  events: EventSchema[];
}

export interface KindSchema {
  name: string;
  /** A row of this kind has one integer for each field. */
  fields: Field[];
  /** If these entities are the players: the id of the entity of seat 0. That of seat `n` has this id plus `n`. */
  firstSeat: number | null;
}

export interface Field {
  name: string;
  /** What one integer step is worth, in the game's own unit. */
  step: number;
  /** Least integer, inclusive. */
  min: number;
  /** Greatest integer, inclusive. */
  max: number;
  predict: Predict;
}

/**
 * How the codec forecasts a field's next value. `rate` is the index of the field that is its velocity, and `spin` that
 * of the first of the three fields of an angular velocity. `PROTOCOL.md` describes each type.
 */
export type Predict =
  | { type: "held" | "linear" | "angle" | "counter" | "flags" | "component" }
  | { type: "carried" | "turned"; rate: number }
  | { type: "quaternion"; spin: number | null };

/** An integer within a range, both ends inclusive: part of an input, or of the owner's state. */
export interface Integer {
  name: string;
  min: number;
  max: number;
}

/** A kind of event. */
export interface EventSchema {
  name: string;
  /** Names of the values: an event of this kind has one integer for each. */
  values: string[];
}

/**
 * Values by their names: those of a row, which begin at `start`, in the fields' own units, or integers of the schema's
 * `owner` or `input`.
 */
export function named(
  fields: readonly (Field | Integer)[],
  values: ArrayLike<number>,
  start = 0,
): Record<string, number> {
  const step = (field: Field | Integer) => ("step" in field ? field.step : 1);
  return Object.fromEntries(fields.map((field, i) => [field.name, values[start + i] * step(field)]));
}

const KINDS_MAX = 32;
const NAME_BYTES_MAX = 48;
const FIELDS_MAX = 32;
const EVENTS_MAX = 64;

/** Reads a schema, and throws a `ServerFault` unless it is valid. */
export function readSchema(reader: ByteReader): Schema {
  const integer = (): Integer => ({
    name: reader.text(),
    min: reader.vari32(),
    max: reader.vari32(),
  });
  const schema: Schema = {
    game: reader.text(),
    kinds: reader.list(() => ({
      name: reader.text(),
      fields: reader.list(() => readField(reader)),
      firstSeat: reader.option(() => reader.varu32()),
    })),
    substeps: reader.u8(),
    owner: reader.list(integer),
    input: reader.list(integer),
    events: reader.list(() => ({ name: reader.text(), values: reader.list(() => reader.text()) })),
  };
  validate(schema);
  return schema;
}

function readField(reader: ByteReader): Field {
  return {
    name: reader.text(),
    step: reader.f32(),
    min: reader.vari32(),
    max: reader.vari32(),
    predict: readPredict(reader),
  };
}

function readPredict(reader: ByteReader): Predict {
  switch (reader.varu32()) {
    case 0:
      return { type: "held" };
    case 1:
      return { type: "linear" };
    case 2:
      return { type: "carried", rate: reader.u8() };
    case 3:
      return { type: "angle" };
    case 4:
      return { type: "turned", rate: reader.u8() };
    case 5:
      return { type: "counter" };
    case 6:
      return { type: "flags" };
    case 7:
      return { type: "quaternion", spin: reader.option(() => reader.u8()) };
    case 8:
      return { type: "component" };
    default:
      return fault("a field has an unknown way to predict it");
  }
}

function validate({ game, kinds, owner, input, events }: Schema): void {
  const named = (list: { name: string }[]) => list.map(({ name }) => name);
  validateNames([game], 1);
  validateNames(named(kinds), KINDS_MAX);
  validateNames(named(events), EVENTS_MAX);
  for (const list of [owner, input, ...kinds.map(({ fields }) => fields)]) validateNames(named(list), FIELDS_MAX);
  for (const { values } of events) validateNames(values, FIELDS_MAX);
  for (const kind of kinds) validateKind(kind);
  for (const { name, min, max } of [...owner, ...input]) {
    if (min > max) fault(`${name} has its minimum above its maximum`);
  }
}

/** Checks that a list has at most `max` entries, with valid and unique names. */
function validateNames(names: readonly string[], max: number): void {
  if (names.length > max) fault("the schema has more kinds, fields or events than the protocol allows");
  if (new Set(names).size < names.length) fault("two of the schema's names are the same");
  for (const name of names) {
    const bytes = new TextEncoder().encode(name).length;
    if (bytes === 0 || bytes > NAME_BYTES_MAX || /\p{Cc}/u.test(name)) fault("a name in the schema is not valid");
  }
}

function validateKind(kind: KindSchema): void {
  let componentsDue = 0;
  kind.fields.forEach(({ name, min, max, step, predict }, i) => {
    if (min > max) fault(`${name} has its minimum above its maximum`);
    if (!(step > 0 && Number.isFinite(step))) fault(`the step of ${name} is not positive`);
    const [first, count] = rates(predict);
    if (first + count > kind.fields.length) fault(`the kind of ${name} lacks the rate that it names`);
    const bad = () => fault(`${name} is not one of four that make a quaternion`);
    if ((predict.type === "component") !== componentsDue > 0) bad();
    if (componentsDue > 0) {
      const whole = kind.fields[i + componentsDue - 3];
      if (min !== whole.min || max !== whole.max || min !== -max || max === 0) bad();
      componentsDue--;
    }
    if (predict.type === "quaternion") {
      if (min !== 0 || max !== 3 || i + 3 >= kind.fields.length) bad();
      componentsDue = 3;
    }
  });
  if (codingRounds(kind) === null) fault(`the rates of the fields of ${kind.name} form a cycle`);
}

/** The fields that hold a field's velocity: the index of the first, and how many. */
function rates(predict: Predict): [number, number] {
  if (predict.type === "carried" || predict.type === "turned") return [predict.rate, 1];
  if (predict.type === "quaternion" && predict.spin !== null) return [predict.spin, 3];
  return [0, 0];
}

/** Whether a field is expected to change continually (a *mover*) rather than occasionally (a *still*). */
export function moves(kind: KindSchema, index: number): boolean {
  if (!["held", "counter", "flags"].includes(kind.fields[index].predict.type)) return true;
  return kind.fields.some(({ predict }) => {
    const [first, count] = rates(predict);
    return index >= first && index < first + count;
  });
}

/**
 * The round in which each field is encoded: one after the last of its rates, 0 for a field without
 * rates. A quaternion's components share its round. `null` when rates form a cycle.
 */
export function codingRounds(kind: KindSchema): number[] | null {
  const rounds = kind.fields.map(() => 0);
  for (let n = 0; n <= kind.fields.length; n++) {
    const before = rounds.join();
    kind.fields.forEach(({ predict }, i) => {
      const [first, count] = rates(predict);
      if (count > 0) rounds[i] = 1 + Math.max(...rounds.slice(first, first + count));
      else if (predict.type === "component") rounds[i] = rounds[i - 1];
    });
    if (rounds.join() === before) return rounds;
  }
  return null;
}

/**
 * The order in which a row's fields are encoded: movers before stills, then by round, then as in the
 * row. A quaternion's components are not listed: they are encoded right after it.
 */
export function codingOrder(kind: KindSchema, rounds: readonly number[]): number[] {
  const listed = [...rounds.keys()].filter((i) => kind.fields[i].predict.type !== "component");
  const isStill = kind.fields.map((_, i) => Number(!moves(kind, i)));
  return listed.sort((a, b) => isStill[a] - isStill[b] || rounds[a] - rounds[b]);
}
