/**
 * A decoder that records what it reads, and a range encoder that encodes the record again. The bytes
 * must be the same as those of the body, since each body has exactly one encoding.
 */

import { RangeDecoder } from "../src/codec/range.js";
import { FIRST_BUCKET, LONG, sharedFamily, TOTAL_BITS } from "../src/codec/table.js";

type Item =
  | { type: "number"; table: number; value: number }
  | { type: "bit"; odds: number; yes: boolean }
  | { type: "raw"; value: number; count: number };

/** A decoder that records everything it has read since `begin`. */
export class RecordingDecoder extends RangeDecoder {
  items: Item[] = [];
  /** Above 0 inside of `number` or `raw`: the bits that these read are no items of their own. */
  #depth = 0;

  override begin(bytes: Uint8Array): void {
    this.items = [];
    super.begin(bytes);
  }

  override number(table: number): number {
    return this.#record((value) => ({ type: "number", table, value }), () => super.number(table));
  }

  override bit(odds: number): boolean {
    return this.#record((yes) => ({ type: "bit", odds, yes }), () => super.bit(odds));
  }

  override raw(count: number): number {
    return this.#record((value) => ({ type: "raw", value, count }), () => super.raw(count));
  }

  #record<T>(item: (value: T) => Item, read: () => T): T {
    this.#depth++;
    const value = read();
    this.#depth--;
    if (this.#depth === 0) this.items.push(item(value));
    return value;
  }

  /** The encoding of everything that was read. */
  written(): Uint8Array {
    const encoder = new RangeEncoder();
    for (const item of this.items) {
      if (item.type === "number") encoder.number(item.table, item.value);
      else if (item.type === "bit") encoder.bit(item.odds, item.yes);
      else encoder.raw(item.value, item.count);
    }
    return encoder.finish();
  }
}

class RangeEncoder {
  /** Bits that were shifted out of the low end of the range, oldest first; a carry may still change them. */
  readonly #bits: number[] = [];
  #low = 0;
  #range = 2 ** RANGE_BITS;
  readonly #rawBits: number[] = [];

  number(table: number, value: number): void {
    const magnitude = Math.abs(value);
    const sign = value < 0 ? 1 : 0;
    if (magnitude < 4) return this.#symbol(table, Math.max(0, magnitude * 2 - (1 - sign)));
    const log = 31 - Math.clz32(magnitude);
    if (log > 11) {
      this.#symbol(table, LONG);
      this.raw(log, 5);
      this.raw(sign, 1);
      return this.raw(magnitude - 2 ** log, log);
    }
    const half = (magnitude >> (log - 1)) & 1;
    this.#symbol(table, FIRST_BUCKET + 2 * (log - 2) + half);
    this.raw((sign << (log - 1)) | (magnitude & ((1 << (log - 1)) - 1)), log);
  }

  bit(odds: number, yes: boolean): void {
    const no = (this.#range * (2 ** TOTAL_BITS - odds)) >> TOTAL_BITS;
    if (yes) this.#narrow(no, this.#range);
    else this.#narrow(0, no);
  }

  raw(value: number, count: number): void {
    for (let bit = 0; bit < count; bit++) this.#rawBits.push((value >>> bit) & 1);
  }

  /** Writes the fewest bits that identify the last range, whatever bits follow. */
  finish(): Uint8Array {
    const hasRaw = this.#rawBits.length > 0;
    for (let free = RANGE_BITS; free >= 0; free--) {
      const unit = 2 ** free;
      const value = Math.ceil(this.#low / unit) * unit;
      const last = hasRaw ? value + unit - 1 : value;
      if (last >= this.#low + this.#range) continue;
      if (value >= 2 ** RANGE_BITS) this.#carry();
      for (let bit = RANGE_BITS - 1; bit >= free; bit--) this.#bits.push((value >> bit) & 1);
      break;
    }
    const bytes = new Uint8Array(Math.ceil((this.#bits.length + this.#rawBits.length) / 8));
    this.#bits.forEach((bit, n) => (bytes[n >> 3] |= bit << (7 - (n & 7))));
    this.#rawBits.forEach((bit, n) => (bytes[bytes.length - 1 - (n >> 3)] |= bit << (n & 7)));
    let length = bytes.length;
    while (!hasRaw && length > 0 && bytes[length - 1] === 0) length--;
    return bytes.slice(0, length);
  }

  #symbol(table: number, symbol: number): void {
    const starts = sharedFamily();
    const [start, end] = [starts[table + symbol], starts[table + symbol + 1]];
    this.#narrow((this.#range * start) >> TOTAL_BITS, (this.#range * end) >> TOTAL_BITS);
  }

  #narrow(start: number, end: number): void {
    this.#low += start;
    if (this.#low >= 2 ** RANGE_BITS) {
      this.#carry();
      this.#low -= 2 ** RANGE_BITS;
    }
    this.#range = end - start;
    while (this.#range < 2 ** (RANGE_BITS - 1)) {
      this.#bits.push(this.#low >> (RANGE_BITS - 1));
      this.#low = (this.#low << 1) & (2 ** RANGE_BITS - 1);
      this.#range <<= 1;
    }
  }

  #carry(): void {
    for (let at = this.#bits.length - 1; at >= 0; at--) {
      this.#bits[at] ^= 1;
      if (this.#bits[at] === 1) return;
    }
  }
}

const RANGE_BITS = 15;
