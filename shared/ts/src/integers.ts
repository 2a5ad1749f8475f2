/**
 * Packs integers of known ranges: inputs, and the values that only a seat's owner receives. Each
 * value takes the fewest bits that its range needs, least significant bit first, in the schema's
 * order; the last byte is padded with zeros.
 */

import type { ByteReader, ByteWriter } from "./bytes.js";
import { fault } from "./fault.js";
import type { Integer } from "./schema.js";

/** Throws a `RangeError` unless there is one value for each integer, within its range. */
export function check(integers: readonly Integer[], values: ArrayLike<number>): void {
  if (values.length !== integers.length) {
    const names = integers.map(({ name }) => name).join(", ");
    throw new RangeError(`${values.length} values, not the ${integers.length} of the schema: ${names}`);
  }
  for (let i = 0; i < integers.length; i++) {
    const { name, min, max } = integers[i];
    const value = values[i];
    if (!(value >= min && value <= max && Number.isInteger(value))) {
      throw new RangeError(`${name} is ${value}, not an integer from ${min} to ${max}`);
    }
  }
}

/** The values in the schema's order; what has no value is as near to 0 as its range allows. */
export function listed(integers: readonly Integer[], values: Readonly<Record<string, number>>): number[] {
  const unknown = Object.keys(values).find((name) => !integers.some((integer) => integer.name === name));
  if (unknown !== undefined) {
    throw new RangeError(`${unknown} is none of the schema's: ${integers.map(({ name }) => name).join(", ")}`);
  }
  return integers.map(({ name, min, max }) => values[name] ?? Math.min(Math.max(0, min), max));
}

/** Appends `values`, which must have passed `check`. */
export function pack(integers: readonly Integer[], values: ArrayLike<number>, out: ByteWriter): void {
  let pending = 0;
  let pendingBits = 0;
  for (let i = 0; i < integers.length; i++) {
    const { min, max } = integers[i];
    // Doubles, since 7 pending bits and 32 more don't fit into 32.
    pending += (values[i] - min) * 2 ** pendingBits;
    pendingBits += width(min, max);
    for (; pendingBits >= 8; pendingBits -= 8) {
      out.u8(pending % 256);
      pending = Math.floor(pending / 256);
    }
  }
  if (pendingBits > 0) out.u8(pending);
}

/** Reads a packed list into `values`. */
export function unpack(integers: readonly Integer[], reader: ByteReader, values: Int32Array): void {
  let pending = 0;
  let pendingBits = 0;
  for (let i = 0; i < integers.length; i++) {
    const { min, max } = integers[i];
    const bits = width(min, max);
    for (; pendingBits < bits; pendingBits += 8) pending += reader.u8() * 2 ** pendingBits;
    const steps = pending % 2 ** bits;
    pending = Math.floor(pending / 2 ** bits);
    pendingBits -= bits;
    if (steps > max - min) fault("an integer is out of its range");
    values[i] = min + steps;
  }
  if (pending !== 0) fault("a list of integers has bits beyond its end");
}

/** Bits that a range needs. */
export function width(min: number, max: number): number {
  return 32 - Math.clz32(max - min);
}
