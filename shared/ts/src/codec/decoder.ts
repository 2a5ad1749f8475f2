/**
 * Decodes snapshot bodies to rows. Each field is forecast from the basis, and only the residual, the
 * forecast's error, is encoded, by a range coder whose tables the model selects; `PROTOCOL.md` has
 * the details. Entities that changed are coded in groups of one kind, and a group by columns: one
 * field of all of them, then the next field. All arithmetic is on doubles, in the same order as on
 * the server, so that both get the same results.
 */

import { fault } from "../fault.js";
import type { Rows } from "../rows.js";
import type { Schema } from "../schema.js";
import {
  classOf,
  CLASSES,
  classOfSteps,
  type FieldModel,
  type KindModel,
  makeOdds,
  type Model,
  nearest,
  PLAIN,
  priorModel,
  readModel,
  SPAWNED,
} from "./model.js";
import { Past } from "./past.js";
import * as plan from "./plan.js";
import type { FieldPlan, KindPlan, Plan } from "./plan.js";
import { RangeDecoder } from "./range.js";
import { Structure } from "./structure.js";
import { tableAt } from "./table.js";
import { halfAngles, largestOf, OTHERS, type Quaternion, turned, unpackQuaternion, type Vector } from "./turn.js";

/** Most entities of a group. */
const GROUP_MAX = 16;
/** The integer that stands for a weight of 1 in a model. */
const WEIGHT_ONE = 64;
/** Whether the last kept entity that was not settled changed, if there was one; the order is that of contexts. */
const NOTHING = 0;
const SAME = 1;
const CHANGED = 2;

/** Decodes the bodies of one match's encoder. */
export class Decoder {
  readonly #plan: Plan;
  readonly #odds = makeOdds();
  readonly #range: RangeDecoder;
  readonly #structure = new Structure();
  #model: Model;
  #values = new Int32Array(0);

  // The group that is being decoded, by entity.
  readonly #pasts = Array.from({ length: GROUP_MAX }, () => new Past());
  readonly #starts = new Int32Array(GROUP_MAX);
  readonly #elapsed = new Float64Array(GROUP_MAX);
  /** The sizes of the last two residuals of the same sort: the next one is likely to be of a similar size. */
  readonly #lastMisses = new Float64Array(GROUP_MAX);
  readonly #olderMisses = new Float64Array(GROUP_MAX);
  /** The forecast of the next rotation, in a component's steps, and its activity. */
  readonly #turns = Array.from({ length: GROUP_MAX }, () => new Float64Array(4));
  readonly #activities = new Float64Array(GROUP_MAX);
  #count = 0;

  // The entity of the group that is being decoded.
  #past = this.#pasts[0];
  #start = 0;
  #member = 0;
  /** The last forecast: the base, three features, and the activity (how much the field has changed lately). */
  readonly #forecast = new Float64Array(5);

  /** Tests pass a range decoder that logs what it reads. */
  constructor(schema: Schema, hz: number, range = new RangeDecoder()) {
    this.#range = range;
    this.#plan = plan.makePlan(schema, hz);
    this.#model = priorModel(this.#plan);
  }

  /** Sets the model for all later bodies. */
  setModel(bytes: Uint8Array): void {
    this.#model = readModel(bytes, this.#plan, this.#range);
  }

  /**
   * Replaces `rows` by those of a body, which is a delta against `basis` (newest first), whose
   * snapshots are `ages` ticks older. `none` has no rows: it is the baseline of a full snapshot.
   */
  decode(basis: readonly Rows[], ages: readonly number[], body: Uint8Array, rows: Rows, none: Rows): void {
    const baseline = basis.length > 0 ? basis[0] : none;
    const kinds = this.#plan.kinds;
    rows.clear();
    // The previous body may have been malformed, and left a group behind.
    this.#count = 0;
    this.#range.begin(body);
    this.#structure.read(this.#range, baseline, kinds.length);
    for (const past of this.#pasts) past.begin(basis, ages);
    let before = NOTHING;
    let group = 0;
    while (this.#structure.advance(baseline)) {
      const { id, kind } = this.#structure;
      if (kind !== group || this.#count === GROUP_MAX) {
        this.#decodeGroup(group);
        group = kind;
      }
      this.#start = rows.push(id, kind, kinds[kind].fields.length);
      this.#values = rows.values;
      if (this.#structure.before < 0) {
        this.#spawned(kinds[kind], this.#model.kinds[kind]);
        continue;
      }
      const changed = this.#changed(this.#structure.before, before, kinds[kind], this.#model.kinds[kind]);
      if (!this.#past.isSettled) before = changed ? CHANGED : SAME;
    }
    this.#decodeGroup(group);
    if (!this.#range.isFinished()) fault("bytes follow the end of the snapshot body");
  }

  /** Decodes whether an entity of the baseline changed. If so, it joins the group. */
  #changed(index: number, before: number, kind: KindPlan, model: KindModel): boolean {
    const past = this.#pasts[this.#count];
    this.#past = past;
    past.look(index);
    const age = past.isSettled ? 4 : Math.min(past.elapsed, 4) - 1;
    const span = past.changes > 0 ? Math.min(past.span(0), 3) : 0;
    const context = (age * 4 + span) * 3 + before;
    if (this.#range.bit(this.#odds[model.changes[context]])) {
      this.#starts[this.#count] = this.#start;
      this.#elapsed[this.#count++] = past.elapsed;
      return true;
    }
    for (let i = 0; i < kind.fields.length; i++) this.#values[this.#start + i] = past.now(i);
    return false;
  }

  /** Decodes the row of an entity that was not in the baseline. */
  #spawned({ fields }: KindPlan, model: KindModel): void {
    for (let i = 0; i < fields.length; i++) {
      const { min, max, width } = fields[i];
      const table = model.fields[i].tables[SPAWNED];
      if (table === PLAIN) {
        this.#set(fields[i], i, (min + this.#range.raw(width)) | 0);
      } else {
        const expected = Math.min(Math.max(0, min), max);
        this.#set(fields[i], i, (expected + this.#range.number(tableAt(table, 0))) | 0);
      }
    }
  }

  /** Decodes the group of entities that changed, and clears it. */
  #decodeGroup(group: number): void {
    if (this.#count === 0) return;
    const kind = this.#plan.kinds[group];
    const model = this.#model.kinds[group];
    for (const i of kind.movers) {
      if (kind.momentBefore === i) {
        for (let member = 0; member < this.#count; member++) {
          this.#select(member);
          this.#moment(kind, model);
        }
      }
      this.#column(kind, i, model);
    }
    if (kind.stills.length > 0) this.#stills(kind, model);
    this.#count = 0;
  }

  #select(member: number): void {
    this.#member = member;
    this.#past = this.#pasts[member];
    this.#start = this.#starts[member];
  }

  /**
   * Decodes the stills of the entities of which a still changed. If no mover of an entity changed,
   * one of its stills must have, and nothing is coded for it.
   */
  #stills(kind: KindPlan, model: KindModel): void {
    const members = this.#count;
    this.#count = 0;
    for (let member = 0; member < members; member++) {
      this.#select(member);
      const hasMoved = kind.moving.some((i) => this.#values[this.#start + i] !== this.#past.now(i));
      if (hasMoved && !this.#range.bit(this.#odds[model.stills[0]])) {
        for (const i of kind.stills) this.#values[this.#start + i] = this.#past.now(i);
        continue;
      }
      // Remove the skipped entities from the group.
      this.#pasts[member] = this.#pasts[this.#count];
      this.#pasts[this.#count] = this.#past;
      this.#starts[this.#count] = this.#start;
      this.#elapsed[this.#count++] = 1;
    }
    for (const i of kind.stills) this.#column(kind, i, model);
  }

  /** Decodes one field of all entities of the group. */
  #column(kind: KindPlan, i: number, model: KindModel): void {
    const field = kind.fields[i];
    if (!field.hasNeighbour) this.#forgetMisses();
    if (field.motion === plan.QUATERNION) {
      this.#quaternions(kind, i, model);
      return;
    }
    for (let member = 0; member < this.#count; member++) {
      this.#select(member);
      if (field.motion === plan.FLAGS) {
        this.#flags(field, i, model);
      } else {
        this.#makeForecast(field, i);
        this.#value(field, i, model.fields[i]);
      }
    }
  }

  #forgetMisses(): void {
    this.#lastMisses.fill(0);
    this.#olderMisses.fill(0);
  }

  /** Makes the forecast of a field. */
  #makeForecast(field: FieldPlan, i: number): void {
    const past = this.#past;
    const elapsed = this.#elapsed[this.#member];
    const forecast = this.#forecast;
    const now = past.now(i);
    switch (field.motion) {
      case plan.CARRIED:
      case plan.TURNED: {
        const old = past.now(field.rate) * field.perTick;
        const fresh = this.#values[this.#start + field.rate] * field.perTick;
        const change = (fresh - old) * elapsed;
        forecast[0] = now + old * elapsed;
        forecast[1] = change;
        forecast[2] = field.hasOwnClock ? 0 : this.#surprise(field, i);
        forecast[3] = 0;
        forecast[4] = Math.abs(change);
        break;
      }
      case plan.LINEAR:
      case plan.ANGLE:
        forecast[0] = now;
        this.#slopes(field, i, now, elapsed);
        forecast[4] = 0.5 * (Math.abs(forecast[1]) + Math.abs(forecast[1] - forecast[2]));
        break;
      default: {
        const change = past.changes > 0 ? (now - past.state(1, i)) * (past.perSpan(0) * elapsed) : 0;
        forecast[0] = now;
        forecast[1] = forecast[2] = forecast[3] = 0;
        forecast[4] = Math.abs(change);
      }
    }
  }

  /**
   * Sets the features to the changes of the field at the pace of the last change, of the one before,
   * and so on. The pace of the oldest known change stands for that of older ones.
   */
  #slopes(field: FieldPlan, i: number, now: number, elapsed: number): void {
    const past = this.#past;
    let newer = now;
    let last = 0;
    for (let change = 0; change < 3; change++) {
      if (change < past.changes) {
        const older = past.state(change + 1, i);
        last = beyond(field, newer, older) * (past.perSpan(change) * elapsed);
        newer = older;
      }
      this.#forecast[1 + change] = last;
    }
  }

  /** By how much the field's last change exceeded what its rate accounts for. */
  #surprise(field: FieldPlan, i: number): number {
    const past = this.#past;
    if (past.changes === 0) return 0;
    const mean = (past.now(field.rate) + past.state(1, field.rate)) * 0.5 * field.perTick;
    return beyond(field, past.now(i), past.state(1, i)) - mean * past.span(0);
  }

  /** How far a field moves in a tick: the mean of its old and new velocity, or else the pace of its last change. */
  #pace(field: FieldPlan, i: number): number {
    const past = this.#past;
    if (field.motion !== plan.CARRIED) {
      return past.changes > 0 ? (past.now(i) - past.state(1, i)) * past.perSpan(0) : 0;
    }
    return (past.now(field.rate) + this.#values[this.#start + field.rate]) * 0.5 * field.perTick;
  }

  /** Decodes a value for which a forecast was made. */
  #value(field: FieldPlan, i: number, model: FieldModel): void {
    const forecast = this.#forecast;
    const weights = model.weights;
    let value =
      forecast[0] +
      ((weights[0] / WEIGHT_ONE) * forecast[1] +
        (weights[1] / WEIGHT_ONE) * forecast[2] +
        (weights[2] / WEIGHT_ONE) * forecast[3]);
    const { min, max } = field;
    value = field.turns ? wrapped(field, value) : Math.min(Math.max(value, min), max);
    const rounded = nearest(value);
    const rest = value - rounded;
    let expected = rounded;
    // Within half a step of the end of the circle, the nearest integer may be the other end.
    if (field.turns && rounded > max) expected = min;
    else if (field.turns && rounded < min) expected = max;

    const member = this.#member;
    const misses = classOf(2 * this.#lastMisses[member] + this.#olderMisses[member]);
    const context = classOfSteps(forecast[4]) * CLASSES + misses;
    const centre = nearest(Math.abs(rest) * 8);
    const residual = this.#range.number(tableAt(model.tables[context], centre));
    this.#olderMisses[member] = this.#lastMisses[member];
    this.#lastMisses[member] = Math.abs(residual);
    // Tables are only centred above the integer: below it, the residual is negated.
    const step = rest < 0 ? -residual | 0 : residual;
    this.#set(field, i, field.turns ? nearest(wrapped(field, expected + step)) : (expected + step) | 0);
  }

  /** Decodes flags: the distance to each next bit that changed, ended by a 0. */
  #flags(field: FieldPlan, i: number, kind: KindModel): void {
    let toggled = 0;
    let place = 0;
    for (let n = 0; n < 32; n++) {
      const table = kind.fields[i].tables[Math.min(n, CLASSES - 1)];
      const step = this.#range.number(tableAt(table, 0));
      if (step <= 0 || step > 32 - place) break;
      place += step;
      toggled |= 1 << (place - 1);
    }
    this.#set(field, i, this.#past.now(i) ^ toggled);
  }

  /** Decodes the four fields of each quaternion, from a forecast of the next rotation. */
  #quaternions(kind: KindPlan, i: number, model: KindModel): void {
    const { scale } = kind.fields[i];
    for (let member = 0; member < this.#count; member++) {
      this.#select(member);
      const [forecast, activity] = this.#turn(kind.fields[i], i, model);
      const [expected, margin] = largestOf(forecast);
      const context = classOfSteps(margin * scale * 0.125) * CLASSES;
      const table = model.fields[i].tables[context];
      const largest = (expected + this.#range.number(tableAt(table, 0))) & 3;
      this.#values[this.#start + i] = largest;
      const sign = forecast[largest] < 0 ? -scale : scale;
      for (let place = 0; place < 4; place++) this.#turns[member][place] = forecast[place] * sign;
      this.#activities[member] = activity;
    }
    this.#forgetMisses();
    for (let part = 0; part < 3; part++) {
      const component = i + 1 + part;
      for (let member = 0; member < this.#count; member++) {
        this.#select(member);
        const place = OTHERS[this.#values[this.#start + i]][part];
        this.#forecast.fill(0);
        this.#forecast[0] = this.#turns[member][place];
        this.#forecast[4] = this.#activities[member];
        this.#value(kind.fields[component], component, model.fields[component]);
      }
    }
  }

  /** The forecast of the next rotation, and its activity in a component's steps. */
  #turn(field: FieldPlan, i: number, model: KindModel): [Quaternion, number] {
    const past = this.#past;
    const elapsed = this.#elapsed[this.#member];
    const { scale, rate, perTick } = field;
    const read = (state: number) =>
      unpackQuaternion(
        past.state(state, i),
        [past.state(state, i + 1), past.state(state, i + 2), past.state(state, i + 3)],
        1 / scale,
      );
    const now = read(0);
    const weight = model.fields[i].weights[0] / WEIGHT_ONE;
    let half: Vector = [0, 0, 0];
    let activity = 0;
    if (rate >= 0) {
      const factor = 0.5 * perTick * elapsed;
      const change: Vector = [0, 0, 0];
      for (let n = 0; n < 3; n++) {
        const old = past.now(rate + n) * factor;
        change[n] = this.#values[this.#start + rate + n] * factor - old;
        half[n] = old + weight * change[n];
      }
      activity = size(change) + size(half) * 0.125;
    } else if (past.changes > 0) {
      const factor = elapsed * past.perSpan(0);
      half = halfAngles(read(1), now).map((part) => part * factor) as Vector;
      activity = size(half) * 0.0625;
      half = half.map((part) => part * weight) as Vector;
    }
    return [turned(now, half), activity * scale];
  }

  /** Decodes the ticks that really passed for this entity, in a schema with substeps. */
  #moment(kind: KindPlan, model: KindModel): void {
    const { substep } = this.#plan;
    let speed = 0;
    for (const i of kind.paced) speed += Math.abs(this.#pace(kind.fields[i], i));
    const perSubstep = speed * substep;
    if (perSubstep < 0.5) return;
    const context = classOfSteps(perSubstep) * CLASSES + Math.min(this.#past.elapsed, CLASSES - 1);
    const table = model.fields[kind.fields.length].tables[context];
    const substeps = this.#range.number(tableAt(table, 0));
    this.#elapsed[this.#member] = Math.max(0, this.#elapsed[this.#member] + substeps * substep);
  }

  #set(field: FieldPlan, i: number, value: number): void {
    if (value < field.min || value > field.max) fault("a value is outside its field's range");
    this.#values[this.#start + i] = value;
  }
}

/** How far a value is above another; for an angle, the shorter way round. */
function beyond(field: FieldPlan, value: number, other: number): number {
  const straight = value - other;
  return field.turns ? straight - wholeTurns(field, straight) : straight;
}

/** The same angle between `min` and `max`, give or take half a step. */
function wrapped(field: FieldPlan, value: number): number {
  return value - wholeTurns(field, value - (field.min + field.max) * 0.5);
}

/** The nearest number of whole turns to `steps`, in steps. */
function wholeTurns({ circle }: FieldPlan, steps: number): number {
  return circle * nearest(steps / circle);
}

function size(parts: Vector): number {
  return Math.abs(parts[0]) + Math.abs(parts[1]) + Math.abs(parts[2]);
}
