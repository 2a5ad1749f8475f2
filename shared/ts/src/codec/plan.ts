/** A schema prepared for decoding: each kind's fields, in coding order. */

import { codingOrder, codingRounds, moves, type KindSchema, type Schema } from "../schema.js";
import { width } from "../integers.js";

export interface Plan {
  kinds: KindPlan[];
  /** Length of a substep in ticks; 0 if the schema has none. */
  substep: number;
}

/** One kind of entity. */
export interface KindPlan {
  /** By place in the row. */
  fields: FieldPlan[];
  /** Fields that change continually, in coding order; a quaternion's components are part of its first field. */
  movers: number[];
  /** The movers and their components, by place in the row. */
  moving: number[];
  /** Fields that change occasionally, and are no other field's rate, in coding order. */
  stills: number[];
  /** The field just before which the moment is coded, or -1. */
  momentBefore: number;
  /** The fields from which the moment is derived, in coding order. */
  paced: number[];
}

/** How a field moves. The numbers have no meaning. */
export const HELD = 0;
export const LINEAR = 1;
export const CARRIED = 2;
export const ANGLE = 3;
export const TURNED = 4;
export const FLAGS = 5;
export const QUATERNION = 6;
export const COMPONENT = 7;

/** One field. */
export interface FieldPlan {
  min: number;
  max: number;
  /** Bits of a plain value. */
  width: number;
  motion: number;
  /** Whether values wrap around from `max` to `min`. */
  turns: boolean;
  /** Steps of a full turn. */
  circle: number;
  /** Index of the field that is this one's velocity (of the first, for a quaternion's angular velocity), or -1. */
  rate: number;
  /** How far one step of that moves this one in a tick: in this one's steps, or in radians for a quaternion. */
  perTick: number;
  /** For a quaternion, the integer that a component of 1 would have. */
  scale: number;
  /** Whether rows have moments of their own; see `substeps` of `Schema`. */
  hasOwnClock: boolean;
  /** Whether the moment is derived from it. */
  isPaced: boolean;
  /**
   * Whether the field before it in coding order has the same step and motion, so that its residual
   * shows what to expect.
   */
  hasNeighbour: boolean;
}

export function makePlan(schema: Schema, hz: number): Plan {
  return { kinds: schema.kinds.map((kind) => kindPlan(kind, schema.substeps, hz)), substep: schema.substeps > 0 ? 1 / schema.substeps : 0 };
}

function kindPlan(kind: KindSchema, substeps: number, hz: number): KindPlan {
  const rounds = codingRounds(kind) ?? [];
  const order = codingOrder(kind, rounds);
  const fields = kind.fields.map((_, i) => fieldPlan(kind, i, hz));
  for (let n = 1; n < order.length; n++) {
    const before = kind.fields[order[n - 1]];
    const field = kind.fields[order[n]];
    fields[order[n]].hasNeighbour =
      moves(kind, order[n - 1]) === moves(kind, order[n]) &&
      before.step === field.step &&
      before.predict.type === field.predict.type;
  }
  const of = (motion: number) => order.filter((i) => fields[i].motion === motion);
  // Fields whose rates are coded before the moment.
  const carried = of(CARRIED).filter((i) => rounds[fields[i].rate] === 0);
  const paced = substeps === 0 ? [] : carried.length > 0 ? carried : of(LINEAR);
  for (const field of fields) field.hasOwnClock = substeps > 0;
  for (const i of paced) fields[i].isPaced = true;
  return {
    fields,
    movers: order.filter((i) => moves(kind, i)),
    moving: [...fields.keys()].filter((i) => moves(kind, i)),
    stills: order.filter((i) => !moves(kind, i)),
    momentBefore: paced[0] ?? -1,
    paced,
  };
}

function fieldPlan(kind: KindSchema, i: number, hz: number): FieldPlan {
  const { fields } = kind;
  const { min, max, step, predict } = fields[i];
  const plan: FieldPlan = {
    min,
    max,
    width: width(min, max),
    motion: HELD,
    turns: predict.type === "angle" || predict.type === "turned",
    circle: max - min + 1,
    rate: -1,
    perTick: 0,
    scale: 0,
    hasOwnClock: false,
    isPaced: false,
    hasNeighbour: false,
  };
  switch (predict.type) {
    case "held":
    case "counter":
      break;
    case "linear":
      plan.motion = LINEAR;
      break;
    case "angle":
      plan.motion = ANGLE;
      break;
    case "flags":
      // Flags that are another field's rate are coded as a number.
      if (!moves(kind, i)) plan.motion = FLAGS;
      break;
    case "component":
      plan.motion = COMPONENT;
      break;
    case "carried":
    case "turned":
      plan.motion = predict.type === "carried" ? CARRIED : TURNED;
      plan.rate = predict.rate;
      plan.perTick = fields[predict.rate].step / step / hz;
      break;
    case "quaternion":
      plan.motion = QUATERNION;
      plan.scale = fields[i + 1].max * Math.SQRT2;
      if (predict.spin !== null) {
        plan.rate = predict.spin;
        plan.perTick = fields[predict.spin].step / hz;
      }
      break;
  }
  return plan;
}
