/** The frames of every tick: snapshot heads, inputs and acknowledgements. */

import type { ByteReader, ByteWriter } from "../bytes.js";
import { fault } from "../fault.js";

const INPUT = 0x01;
const ACK = 0x02;
/** Set in the first byte of a snapshot; the other bits are flags for its optional parts. */
export const SNAPSHOT = 0x80;
const FULL = 0x01;
const GAP = 0x02;
const DIGEST = 0x04;
const OWNER = 0x08;
const PROCESSED_NEXT = 0x10;
const PROCESSED = 0x20;
const LEAD = 0x40;

/** Steps of an encoded lead, in microseconds: fine ones first, and after so many of them coarse ones. */
const LEAD_FINE = 2_000;
const LEAD_COARSE = 32_000;
const LEAD_FINE_STEPS = 64;
/** The least lead that can be encoded; it also stands for anything less. */
export const LEAD_MIN = decodeLead(-128);

/** The part of a snapshot before the owner's values and the body. One object is reused for all. */
export class SnapshotHead {
  tick = 0;
  /** Whether this is a full snapshot; otherwise the body is a delta against earlier ones. */
  full = false;
  /** A checksum of the rows, or -1. */
  digest = -1;
  /** The newest input of this client that the rows include. */
  processed = 0;
  /** The least lead of the inputs since the last report, in microseconds, if `hasLead`. */
  lead = 0;
  hasLead = false;
  /** Whether the owner's values follow. */
  owner = false;

  /** Reads a head, which is encoded relative to the last snapshot's tick (`null`: none) and `processed`. */
  read(reader: ByteReader, earlier: number | null, processed: number): void {
    const flags = reader.u8();
    const has = (bits: number) => (flags & bits) === bits;
    if (!has(SNAPSHOT) || has(FULL | GAP) || has(PROCESSED_NEXT | PROCESSED)) {
      fault("a snapshot's head contradicts itself");
    }
    this.full = has(FULL);
    if (this.full) {
      this.tick = reader.u32();
    } else {
      const gap = has(GAP) ? reader.u8() : 1;
      if (earlier === null || (has(GAP) && gap < 2)) fault("a delta without a baseline, or with an invalid gap");
      this.tick = (earlier + gap) >>> 0;
    }
    this.digest = has(DIGEST) ? reader.u32() : -1;
    this.processed = has(PROCESSED) ? reader.u32() : (processed + (has(PROCESSED_NEXT) ? 1 : 0)) >>> 0;
    this.hasLead = has(LEAD);
    this.lead = this.hasLead ? decodeLead(reader.i8()) : 0;
    this.owner = has(OWNER);
  }
}

function decodeLead(encoded: number): number {
  const near = Math.min(Math.max(encoded, -LEAD_FINE_STEPS), LEAD_FINE_STEPS);
  return near * LEAD_FINE + (encoded - near) * LEAD_COARSE;
}

/** Appends an input's head; the packed values follow. `behind` is in 256ths of a tick. */
export function writeInputHead(
  seq: number,
  tick: number,
  applied: number,
  behind: number,
  out: ByteWriter,
): void {
  out.u8(INPUT);
  out.u32(seq);
  out.u32(tick);
  out.u32(applied);
  out.u16(behind);
}

export function writeAck(applied: number, out: ByteWriter): void {
  out.u8(ACK);
  out.u32(applied);
}
