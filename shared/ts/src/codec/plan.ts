/** A schema, prepared for decoding. */

import { codingOrder, codingRounds, moves, type KindSchema, type Schema } from "../schema.js";
import { width } from "../integers.js";

export interface Plan {
  kinds: KindPlan[];
  /** Ticks of a substep; 0 if there are none. */
  substep: number;
}

/** One kind of entity. */
export interface KindPlan {
  /** By their place in the row. */
  fields: FieldPlan[];
  /** Fields that move, in coding order; a quaternion's components follow from its first. */
  movers: number[];
  /** The same by their place in the row, with components. */
  moving: number[];
  /** Fields that are held and move no other, in coding order. */
  stills: number[];
  /** The field before which the moment is told, or -1. */
  momentBefore: number;
  /** The fields from which the moment can be told. */
  paced: number[];
}

/** How a field moves; the order is of no meaning. */
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
  /** Bits that a value needs as it is. */
  width: number;
  motion: number;
  /** Whether `max` is followed by `min`. */
  turns: boolean;
  /** Steps of a whole turn. */
  circle: number;
  /** The first field that moves this one, or -1. */
  rate: number;
  /** What one step of that moves this one by in a tick; radians, for a quaternion. */
  perTick: number;
  /** The integer that a quaternion's component of 1 would have. */
  scale: number;
  /** Whether its kind's rows may be of any moment. */
  hasOwnClock: boolean;
  /** Whether the moment is told from it. */
  isPaced: boolean;
  /** Whether the field before it in coding order moves alike, so that it shows what to expect. */
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
  // Those whose rates are told before the moment is.
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
      // Switches that move another field are a number.
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
