/**
 * Reads and writes numbers as bytes: little endian, and in bincode's standard configuration (an
 * integer below 251 is one byte; the bytes 251, 252 and 253 precede one of 2, 4 and 8 bytes; signed
 * integers are zigzag encoded).
 *
 * Numbers are exact below 2^53; larger ones are rejected.
 */

import { fault } from "./fault.js";

const UTF8_IN = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const UTF8_OUT = new TextEncoder();

/** Reads from bytes. Throws a `ServerFault` rather than read beyond their end. */
export class ByteReader {
  position: number;
  readonly #view: DataView;

  constructor(readonly bytes: Uint8Array, position = 0) {
    this.position = position;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.bytes.length - this.position;
  }

  u8(): number {
    return this.bytes[this.#take(1)];
  }

  i8(): number {
    return this.#view.getInt8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  f32(): number {
    return this.#view.getFloat32(this.#take(4), true);
  }

  /** An unsigned integer that is at most `max`. */
  varint(max: number): number {
    const tag = this.u8();
    let value = tag;
    if (tag === 251) value = this.u16();
    else if (tag === 252) value = this.u32();
    else if (tag === 253) value = this.u32() + this.u32() * 2 ** 32;
    else if (tag > 253) fault("an integer is too long");
    return value <= max ? value : fault("an integer is too large");
  }

  varu16(): number {
    return this.varint(0xffff);
  }

  varu32(): number {
    return this.varint(0xffff_ffff);
  }

  varu64(): number {
    return this.varint(Number.MAX_SAFE_INTEGER);
  }

  vari32(): number {
    const zigzag = this.varu32();
    return (zigzag >>> 1) ^ -(zigzag & 1);
  }

  flag(): boolean {
    const byte = this.u8();
    return byte > 1 ? fault("a flag is neither 0 nor 1") : byte === 1;
  }

  /** An optional value: a flag, then the value if it is set. */
  option<T>(read: () => T): T | null {
    return this.flag() ? read() : null;
  }

  /** A list: its length, then the values, each of which must take at least one byte. */
  list<T>(read: () => T): T[] {
    const length = this.#length();
    const list: T[] = [];
    for (let i = 0; i < length; i++) list.push(read());
    return list;
  }

  /** The next `count` bytes, without copying them. */
  take(count: number): Uint8Array {
    const start = this.#take(count);
    return this.bytes.subarray(start, start + count);
  }

  blob(): Uint8Array {
    return this.take(this.#length());
  }

  text(): string {
    try {
      return UTF8_IN.decode(this.blob());
    } catch {
      return fault("a text is not UTF-8");
    }
  }

  end(): void {
    if (this.left > 0) fault("bytes follow the last field");
  }

  #length(): number {
    return this.varint(this.left);
  }

  #take(count: number): number {
    const start = this.position;
    if (count > this.left) fault("the frame ends too early");
    this.position += count;
    return start;
  }
}

/** Writes into a buffer that grows as needed, and is reused for every frame. */
export class ByteWriter {
  #bytes = new Uint8Array(64);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  clear(): this {
    this.#length = 0;
    return this;
  }

  /** The bytes written since `clear`; valid until the next write. */
  written(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  u8(value: number): void {
    const at = this.#more(1);
    this.#bytes[at] = value;
  }

  u16(value: number): void {
    const at = this.#more(2);
    this.#view.setUint16(at, value, true);
  }

  u32(value: number): void {
    const at = this.#more(4);
    this.#view.setUint32(at, value, true);
  }

  varint(value: number): void {
    if (value < 251) return this.u8(value);
    if (value <= 0xffff) {
      this.u8(251);
      return this.u16(value);
    }
    this.u8(value <= 0xffff_ffff ? 252 : 253);
    this.u32(value % 2 ** 32);
    if (value > 0xffff_ffff) this.u32(Math.floor(value / 2 ** 32));
  }

  option<T>(value: T | null, write: (value: T) => void): void {
    this.u8(value === null ? 0 : 1);
    if (value !== null) write(value);
  }

  raw(bytes: Uint8Array): void {
    const at = this.#more(bytes.length);
    this.#bytes.set(bytes, at);
  }

  text(text: string): void {
    const bytes = UTF8_OUT.encode(text);
    this.varint(bytes.length);
    this.raw(bytes);
  }

  /** Makes room for `count` bytes, and returns the position of the first. */
  #more(count: number): number {
    const start = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#length);
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return start;
  }
}

/** 32-bit FNV-1a. */
export function fnv(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
