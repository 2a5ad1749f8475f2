/**
 * The other way round: a range coder that writes, and a decoder that keeps what it has read. What
 * a body says, written again, must be the same bytes: there is one spelling of each.
 */

import { RangeDecoder } from "../src/codec/range.js";
import { FIRST_BUCKET, LONG, sharedFamily, TOTAL_BITS } from "../src/codec/table.js";

type Item =
  | { type: "number"; table: number; value: number }
  | { type: "bit"; odds: number; yes: boolean }
  | { type: "raw"; value: number; count: number };

/** Reads, and remembers what it has read since `begin`. */
export class RecordingDecoder extends RangeDecoder {
  items: Item[] = [];
  /** A number is made of raw bits, which are not items of their own. */
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

  override rawLong(count: number): number {
    return this.#record((value) => ({ type: "raw", value, count }), () => super.rawLong(count));
  }

  #record<T>(item: (value: T) => Item, read: () => T): T {
    this.#depth++;
    const value = read();
    this.#depth--;
    if (this.#depth === 0) this.items.push(item(value));
    return value;
  }

  /** What was read, written again. */
  written(): Uint8Array {
    const encoder = new RangeEncoder();
    for (const item of this.items) {
      if (item.type === "number") encoder.number(item.table, item.value);
      else if (item.type === "bit") encoder.bit(item.odds, item.yes);
      else encoder.rawLong(item.value, item.count);
    }
    return encoder.finish();
  }
}

class RangeEncoder {
  readonly #out: number[] = [];
  #low = 0;
  #range = 0xffff_ffff;

  number(table: number, value: number): void {
    const magnitude = Math.abs(value);
    const sign = value < 0 ? 1 : 0;
    if (magnitude < 4) return this.#symbol(table, Math.max(0, magnitude * 2 - (1 - sign)));
    const log = 31 - Math.clz32(magnitude);
    if (log > 11) {
      this.#symbol(table, LONG);
      this.raw(log, 5);
      this.raw(sign, 1);
      return this.rawLong(magnitude - 2 ** log, log);
    }
    const half = (magnitude >> (log - 1)) & 1;
    this.#symbol(table, FIRST_BUCKET + 2 * (log - 2) + half);
    this.raw((sign << (log - 1)) | (magnitude & ((1 << (log - 1)) - 1)), log);
  }

  bit(odds: number, yes: boolean): void {
    const no = (1 << TOTAL_BITS) - odds;
    if (yes) this.#narrow(no, odds, TOTAL_BITS);
    else this.#narrow(0, no, TOTAL_BITS);
  }

  raw(value: number, count: number): void {
    this.#narrow(value, 1, count);
  }

  rawLong(value: number, count: number): void {
    const low = Math.min(count, 16);
    this.raw(value % 2 ** low, low);
    if (count > low) this.raw(Math.floor(value / 2 ** low), count - low);
  }

  /** Writes as few bytes as tell the last range from all others. */
  finish(): Uint8Array {
    for (let bytes = 0; bytes <= 4; bytes++) {
      const unit = 2 ** (32 - 8 * bytes);
      const value = Math.ceil(this.#low / unit) * unit;
      if (value >= this.#low + this.#range) continue;
      if (value >= 2 ** 32) this.#carry();
      for (let n = 0; n < bytes; n++) this.#out.push((value >>> (24 - 8 * n)) & 0xff);
      break;
    }
    while (this.#out[this.#out.length - 1] === 0) this.#out.pop();
    return Uint8Array.from(this.#out);
  }

  #symbol(table: number, symbol: number): void {
    const starts = sharedFamily();
    const start = starts[table + symbol];
    this.#narrow(start, starts[table + symbol + 1] - start, TOTAL_BITS);
  }

  #narrow(start: number, size: number, totalBits: number): void {
    const unit = this.#range >>> totalBits;
    const low = this.#low + unit * start;
    if (low >= 2 ** 32) this.#carry();
    this.#low = low >>> 0;
    this.#range = unit * size;
    while (this.#range < 1 << 24) {
      this.#out.push(this.#low >>> 24);
      this.#low = (this.#low << 8) >>> 0;
      this.#range = (this.#range << 8) >>> 0;
    }
  }

  #carry(): void {
    for (let at = this.#out.length - 1; at >= 0; at--) {
      this.#out[at] = (this.#out[at] + 1) & 0xff;
      if (this.#out[at] !== 0) return;
    }
  }
}
