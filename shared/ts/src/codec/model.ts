/**
 * The model: a match's statistics, which both ends use. It has one of the family's tables for each
 * context of each field, the weights of a field's forecast, and the likelihood that an entity
 * changes.
 */

import { fault } from "../fault.js";
import * as plan from "./plan.js";
import type { FieldPlan, KindPlan, Plan } from "./plan.js";
import { PRIOR_ODDS, PRIOR_TABLES } from "./prior.js";
import type { RangeDecoder } from "./range.js";
import { MEMBERS, tableAt, TOTAL_BITS } from "./table.js";

/** Number of classes, both of a field's recent activity and of the last forecasts' errors. */
export const CLASSES = 8;
const CONTEXTS = CLASSES * CLASSES + 1;
/** The context of a spawned entity. */
export const SPAWNED = CONTEXTS - 1;
/** Stands for no table: the plain value, in as many bits as its range needs. */
export const PLAIN = MEMBERS;
/** Contexts of whether an entity changed. */
const CHANGE_CONTEXTS = 5 * 4 * 3;
const MODEL_BYTES_MAX = 4096;

export interface Model {
  kinds: KindModel[];
}

export interface KindModel {
  /** By context, index of the odds that an entity changed. */
  changes: Uint8Array;
  /** Index of the odds that a changed entity's stills changed too. */
  stills: Uint8Array;
  /** By place in the row; the last is the moment. */
  fields: FieldModel[];
}

export interface FieldModel {
  /** In 64ths. */
  weights: Int8Array;
  /** A member of the family for each context; `PLAIN` is possible for `SPAWNED` only. */
  tables: Uint8Array;
}

/** Twice a magnitude plus 1, from which on it is in the last class. */
const CLASSED_MAX = 1 << (2 * CLASSES - 3);

/** The class of a magnitude: 0 below a half, then one class for each factor of about four. */
export function classOf(magnitude: number): number {
  return (32 - Math.clz32(Math.min(2 * magnitude + 1, CLASSED_MAX))) >> 1;
}

/** The class of an amount in a field's steps: that of the amount in eighths. */
export function classOfSteps(steps: number): number {
  return classOf(steps * 8);
}

/** Adding this rounds a double to an integer, halves to even. */
const ROUNDING = 6_755_399_441_055_744;

/** The integer nearest to `value`, which must be below 2^31 in size. */
export function nearest(value: number): number {
  return value + ROUNDING - ROUNDING;
}

const ODDS = 56;

/** Likelihoods in 2^14, from about 1 in 4096 to about 4095 in 4096. */
export function makeOdds(): Uint16Array {
  const total = 1 << TOTAL_BITS;
  const odds = new Uint16Array(ODDS);
  let ratio = 1 / 4096;
  for (let i = 0; i < ODDS; i++) {
    odds[i] = Math.floor((ratio / (1 + ratio)) * total);
    ratio *= 1.35;
  }
  return odds;
}

/** The model that every match starts with. */
export function priorModel({ kinds }: Plan): Model {
  return { kinds: kinds.map(priorOfKind) };
}

/** Sorts of numbers that have the same prior, whatever the game: indices in the prior's tables. */
const SORT_HELD = 0;
const SORT_LINEAR = 1;
const SORT_CARRIED = 2;
const SORT_LARGEST = 3;
const SORT_COMPONENT = 4;
const SORT_MOMENT = 5;

function priorOfKind({ fields }: KindPlan): KindModel {
  return {
    changes: Uint8Array.from(PRIOR_ODDS.slice(0, CHANGE_CONTEXTS)),
    stills: Uint8Array.from(PRIOR_ODDS.slice(CHANGE_CONTEXTS)),
    fields: [...fields.map(priorOfField), priorOf(SORT_MOMENT, 0, 0, 0)],
  };
}

function priorOfField({ motion, rate, isPaced }: FieldPlan): FieldModel {
  switch (motion) {
    case plan.LINEAR:
      return isPaced ? priorOf(SORT_LINEAR, 64, 0, 0) : priorOf(SORT_LINEAR, 28, 14, 4);
    case plan.ANGLE:
      return priorOf(SORT_LINEAR, 48, 0, 0);
    case plan.CARRIED:
    case plan.TURNED:
      return priorOf(SORT_CARRIED, 36, 0, 0);
    case plan.QUATERNION:
      return priorOf(SORT_LARGEST, rate < 0 ? 64 : 32, 0, 0);
    case plan.COMPONENT:
      return priorOf(SORT_COMPONENT, 0, 0, 0);
    default:
      return priorOf(SORT_HELD, 0, 0, 0);
  }
}

function priorOf(sort: number, ...weights: number[]): FieldModel {
  return { weights: Int8Array.from(weights), tables: Uint8Array.from(PRIOR_TABLES[sort]) };
}

/** Likelihood in 2^14 that a part of a model differs from the prior, or from the pattern of a list. */
const DIFFERS = 1 << (TOTAL_BITS - 3);

/** Decodes a model from a message, which has its differences from the prior. */
export function readModel(bytes: Uint8Array, plan: Plan, range: RangeDecoder): Model {
  if (bytes.length > MODEL_BYTES_MAX) bad();
  const model = priorModel(plan);
  range.begin(bytes);
  for (const { changes, stills } of model.kinds) {
    if (!range.bit(DIFFERS)) continue;
    readIndices(range, changes, CHANGE_CONTEXTS, ODDS);
    readIndices(range, stills, 1, ODDS);
  }
  for (const field of model.kinds.flatMap((kind) => kind.fields)) {
    if (range.bit(DIFFERS)) readField(range, field);
  }
  if (!range.isFinished()) bad();
  return model;
}

function readField(range: RangeDecoder, { weights, tables }: FieldModel): void {
  for (let i = 0; i < weights.length; i++) {
    const weight = weights[i] + range.number(tableAt(8, 0));
    if (weight < -128 || weight > 127) bad();
    weights[i] = weight;
  }
  readIndices(range, tables, SPAWNED, MEMBERS);
  readIndices(range, tables.subarray(SPAWNED), 1, MEMBERS + 1);
}

/** Reads indices below `end`. Each one's difference from the prior's is coded relative to the last such difference. */
function readIndices(range: RangeDecoder, indices: Uint8Array, count: number, end: number): void {
  let difference = 0;
  for (let i = 0; i < count; i++) {
    if (range.bit(DIFFERS)) difference += range.number(tableAt(4, 0));
    const index = indices[i] + difference;
    if (!(index >= 0 && index < end)) bad();
    indices[i] = index;
  }
}

function bad(): never {
  return fault("the codec's model is malformed");
}
