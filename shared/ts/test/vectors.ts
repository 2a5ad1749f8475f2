/** Golden vectors: files that the server's tests write and check. */

import { readFileSync } from "node:fs";

/** Reads a file of `shared/testdata`; tests run from `shared/ts/build`. */
export function vectors<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../../testdata/${name}`, import.meta.url), "utf8")) as T;
}

export function fromHex(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(hex.match(/../g) ?? [], (byte) => parseInt(byte, 16));
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
