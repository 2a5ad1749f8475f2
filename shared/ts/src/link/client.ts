/**
 * The client's side of one session, without I/O: it sends the hello, applies snapshots, checks their
 * digests, numbers inputs, estimates the server's clock, paces inputs, and resumes the session after
 * the connection was lost. All times are microseconds on the caller's clock.
 *
 * Whatever the server sends, a frame is either applied completely or rejected with a `ServerFault`.
 */

import { ByteReader, type ByteWriter, fnv } from "../bytes.js";
import { BASIS_MAX } from "../codec/past.js";
import { Decoder } from "../codec/decoder.js";
import { fault } from "../fault.js";
import { check, pack, unpack } from "../integers.js";
import { Rows } from "../rows.js";
import type { Schema } from "../schema.js";
import * as wire from "../wire.js";
import { ChatQueue } from "./chat.js";
import { Clock, roundTrip, ticksBetween } from "./clock.js";
import { SNAPSHOT, SnapshotHead, writeAck, writeInputHead } from "./frames.js";
import { InputPace } from "./pace.js";

/** A snapshot that is this many ticks old is no baseline any more. */
const HISTORY_LEN = 64;
/** Time between two pings. */
const PING_INTERVAL = 500_000;
/** Time between the first `FIRST_PINGS` pings of a connection. */
const FIRST_PING_INTERVAL = 100_000;
const FIRST_PINGS = 8;

/** What a frame from the server contained. */
export type ClientEvent =
  | Exclude<wire.ServerMessage, { type: "pong" } | { type: "model" }>
  | { type: "pong"; rtt: number }
  | { type: "model" }
  | SnapshotEvent;

/** A snapshot was applied: `ClientLink.rows` are those of a newer tick. One object is reused for all. */
export interface SnapshotEvent {
  type: "snapshot";
  tick: number;
  /** The digest compared with the decoded rows. If it differs, request a full snapshot with `writeResync`. */
  digest: "absent" | "agrees" | "differs";
}

type Stage = "awaiting-welcome" | "awaiting-snapshot" | "playing";

export class ClientLink {
  #joined: Joined | null = null;

  /**
   * Appends the hello, which must be the first frame of a connection. It resumes the session that
   * this link has, or else the one that `token` belongs to; without either, it asks for a new one.
   */
  writeHello(name: string, token: Uint8Array | null, out: ByteWriter): void {
    const hello = { version: wire.PROTOCOL_VERSION, schemaHash: null, resume: null, name };
    if (this.#joined) wire.writeHello({ ...hello, ...this.#joined.resumeHello() }, out);
    else wire.writeHello({ ...hello, resume: token && { token, kept: null } }, out);
  }

  /** Handles one frame from the server. */
  handleFrame(frame: Uint8Array, now: number): ClientEvent {
    if (frame.length === 0) fault("an empty frame");
    if (frame[0] & SNAPSHOT) return this.#welcomed().apply(frame);
    if (frame[0] !== wire.MESSAGE) fault("a frame of an unknown kind");
    const message = wire.readServer(new ByteReader(frame, 1));
    switch (message.type) {
      case "welcome":
        if (this.#joined) this.#joined.resume(message.welcome);
        else this.#joined = new Joined(message.welcome);
        return message;
      case "pong":
        this.#welcomed().clock.handlePong(message.pong, now);
        return { type: "pong", rtt: roundTrip(message.pong, now) };
      case "model":
        this.#welcomed().setModel(message.model);
        return { type: "model" };
      case "pace":
        this.#welcomed().clock.setPace(message.pace, now);
        return message;
      case "event": {
        const joined = this.#welcomed();
        if (message.values.length !== joined.schema.events[message.kind]?.values.length) {
          fault("an event that the schema does not have");
        }
        joined.events = (joined.events + 1) >>> 0;
        return message;
      }
      default:
        this.#welcomed();
        return message;
    }
  }

  get welcome(): wire.Welcome | null {
    return this.#joined?.welcome ?? null;
  }

  get schema(): Schema | null {
    return this.#joined?.schema ?? null;
  }

  /** The tick of the newest snapshot. */
  get applied(): number | null {
    return this.#joined?.tick ?? null;
  }

  /** The rows of the newest snapshot. A few snapshots later, the same object is reused for other rows. */
  get rows(): Rows | null {
    return this.#joined?.basis[0]?.rows ?? null;
  }

  /** The values that only this seat's owner receives, as of the newest snapshot. */
  get owner(): Int32Array | null {
    return this.#joined?.owner ?? null;
  }

  /** The newest input that the newest snapshot includes. */
  get processed(): number {
    return this.#joined?.processed ?? 0;
  }

  get clock(): Clock | null {
    return this.#joined?.clock ?? null;
  }

  get pace(): InputPace | null {
    return this.#joined?.pace ?? null;
  }

  /** Whether inputs may be sent. */
  get isPlaying(): boolean {
    return this.#joined?.stage === "playing";
  }

  /**
   * Sets the moment at which the player sees the others, for the next inputs: `ticksBefore` before
   * `tick`. It only moves forward.
   */
  setSeen(tick: number, ticksBefore: number): void {
    this.#joined?.setSeen(tick, ticksBefore);
  }

  /** The tick for which to make an input now, or -1. Call this until it returns -1. */
  pollInput(now: number): number {
    const joined = this.#joined;
    return joined?.stage === "playing" ? joined.pace.poll(joined.clock, now) : -1;
  }

  /**
   * Appends an input for `tick` and returns its number. Only while `isPlaying`. Throws a `RangeError` unless `values`
   * fit the schema's `input`.
   */
  writeInput(tick: number, values: ArrayLike<number>, out: ByteWriter): number {
    if (!this.#joined || this.#joined.stage !== "playing") throw new Error("not playing");
    return this.#joined.writeInput(tick, values, out);
  }

  /** Appends an acknowledgement of the newest snapshot, for a client that sends no inputs. */
  writeAck(out: ByteWriter): void {
    const joined = this.#joined;
    if (joined?.stage === "playing" && joined.tick !== null) writeAck(joined.tick, out);
  }

  /** Appends a ping if one is due: often at first, then twice a second. */
  pollPing(now: number, out: ByteWriter): void {
    const joined = this.#joined;
    if (!joined || joined.stage === "awaiting-welcome" || now < joined.pingDue) return;
    joined.pings++;
    joined.pingDue = now + (joined.pings < FIRST_PINGS ? FIRST_PING_INTERVAL : PING_INTERVAL);
    wire.writePing(now, out);
  }

  /**
   * Queues a line of chat to everyone in the match. Returns why it is rejected, or `null`; the server may reject it for
   * other reasons.
   */
  chat(text: string): wire.ChatRefused | null {
    return this.#joined ? this.#joined.chat.push(text) : { reason: "not-seated" };
  }

  /**
   * Appends the next queued line of chat, or one that was lost with the previous connection. Call this after `chat` and
   * after a welcome, until it returns `false`.
   */
  pollChat(out: ByteWriter): boolean {
    const joined = this.#joined;
    const line = joined && joined.stage !== "awaiting-welcome" ? joined.chat.poll() : null;
    if (line === null) return false;
    wire.writeChat(line, out);
    return true;
  }

  #welcomed(): Joined {
    if (!this.#joined || this.#joined.stage === "awaiting-welcome") fault("a frame before the welcome");
    return this.#joined;
  }
}

interface Slot {
  tick: number;
  rows: Rows;
}

/** The link's state once the server has welcomed it. */
class Joined {
  readonly schema: Schema;
  readonly clock: Clock;
  readonly pace = new InputPace();
  readonly owner: Int32Array;
  /** The owner's values of the snapshot being decoded. */
  readonly #nextOwner: Int32Array;
  stage: Stage = "awaiting-snapshot";
  /** The last snapshots that were applied, newest first: the next one is a delta against these. */
  basis: Slot[] = [];
  tick: number | null = null;
  processed: number;
  events: number;
  readonly chat: ChatQueue;
  pings = 0;
  pingDue = 0;
  #seq: number;
  #seen: { tick: number; before: number } | null = null;
  /** The seen moment in the newest input of this connection: it must never go back. */
  #seenSent: { tick: number; parts: number } | null = null;
  readonly #decoder: Decoder;
  #modelHash: number;
  #spare: Slot[] = Array.from({ length: BASIS_MAX + 1 }, () => ({ tick: 0, rows: new Rows() }));
  readonly #none = new Rows();
  readonly #head = new SnapshotHead();
  readonly #event: SnapshotEvent = { type: "snapshot", tick: 0, digest: "absent" };
  readonly #rowsOfBasis: Rows[] = [];
  readonly #ages: number[] = [];

  constructor(public welcome: wire.Welcome) {
    const { schema, model, hz, seq, events, lines } = welcome;
    if (!schema || !model) fault("a welcome without a schema or model");
    this.schema = schema;
    this.#decoder = new Decoder(schema, hz);
    this.#decoder.setModel(model);
    this.#modelHash = fnv(model);
    this.clock = new Clock(hz);
    this.owner = Int32Array.from(schema.owner, ({ min }) => min);
    this.#nextOwner = this.owner.slice();
    this.processed = this.#seq = seq;
    this.events = events;
    this.chat = new ChatQueue(lines);
  }

  setModel(model: Uint8Array): void {
    this.#decoder.setModel(model);
    this.#modelHash = fnv(model);
  }

  /** Handles a new connection, and returns what its hello must say to resume the session. */
  resumeHello(): Pick<wire.Hello, "schemaHash" | "resume"> {
    this.stage = "awaiting-welcome";
    this.pace.reconnect();
    this.#seen = this.#seenSent = null;
    const kept = { applied: this.tick, events: this.events, modelHash: this.#modelHash };
    return { schemaHash: this.welcome.schemaHash, resume: { token: this.welcome.resume, kept } };
  }

  /** Handles the welcome of the same session on a new connection. */
  resume(welcome: wire.Welcome): void {
    const isSame =
      this.stage === "awaiting-welcome" &&
      welcome.session === this.welcome.session &&
      welcome.schemaHash === this.welcome.schemaHash &&
      !welcome.schema;
    if (!isSame) fault("a welcome to another session");
    this.chat.resume(welcome.lines);
    if (welcome.model) this.setModel(welcome.model);
    this.stage = "awaiting-snapshot";
    this.#truncateBasis(1);
    this.processed = this.#seq = welcome.seq;
    this.events = welcome.events;
    this.clock.reconnect();
    this.pings = this.pingDue = 0;
    this.welcome = welcome;
  }

  apply(frame: Uint8Array): SnapshotEvent {
    const head = this.#head;
    const reader = new ByteReader(frame);
    head.read(reader, this.tick, this.processed);
    if (this.tick !== null && ticksBetween(this.tick, head.tick) <= 0) fault("a snapshot that is not newer");
    if (head.owner) unpack(this.schema.owner, reader, this.#nextOwner);
    const usable = head.full ? 0 : this.#usable(head.tick);
    if (!head.full && usable === 0) fault("a delta against a snapshot that is too old");
    this.#rowsOfBasis.length = this.#ages.length = usable;
    for (let i = 0; i < usable; i++) {
      this.#rowsOfBasis[i] = this.basis[i].rows;
      this.#ages[i] = ticksBetween(this.basis[i].tick, head.tick);
    }
    const slot = this.#spare.pop();
    if (!slot) throw new Error("there is one slot more than a basis has snapshots");
    try {
      const body = frame.subarray(reader.position);
      this.#decoder.decode(this.#rowsOfBasis, this.#ages, body, slot.rows, this.#none);
    } catch (error) {
      this.#spare.push(slot);
      throw error;
    }
    if (head.owner) this.owner.set(this.#nextOwner);
    slot.tick = head.tick;
    this.#truncateBasis(Math.min(usable, BASIS_MAX - 1));
    this.basis.unshift(slot);
    this.stage = "playing";
    if (head.hasLead) this.pace.handleLead(head.lead, head.processed, this.clock.interval);
    this.tick = head.tick;
    this.processed = head.processed;
    this.#event.tick = head.tick;
    this.#event.digest = compare(head.digest, slot.rows);
    return this.#event;
  }

  setSeen(tick: number, before: number): void {
    const seen = this.#seen;
    if (seen && ticksBetween(seen.tick, tick) - before <= -seen.before) return;
    if (!seen) this.#seen = { tick, before };
    else [seen.tick, seen.before] = [tick, before];
  }

  writeInput(tick: number, values: ArrayLike<number>, out: ByteWriter): number {
    // First, so that an error changes and writes nothing.
    check(this.schema.input, values);
    const applied = this.tick ?? 0;
    const seen = this.#seen;
    const behind = seen ? ticksBetween(seen.tick, applied) + seen.before : 0;
    let parts = Math.min(Math.max(Math.ceil(behind * 256), 0), 0xffff);
    const sent = this.#seenSent;
    if (sent) parts = Math.max(Math.min(parts, ticksBetween(sent.tick, applied) * 256 + sent.parts), 0);
    const seq = (this.#seq + 1) >>> 0;
    writeInputHead(seq, tick, applied, parts, out);
    pack(this.schema.input, values, out);
    this.#seenSent = { tick: applied, parts };
    this.#seq = seq;
    this.pace.recordInput(this.#seq);
    return this.#seq;
  }

  /** How many snapshots of the basis are recent enough for a delta to `tick`. */
  #usable(tick: number): number {
    let count = this.basis.length;
    while (count > 0 && ticksBetween(this.basis[count - 1].tick, tick) >= HISTORY_LEN) count--;
    return count;
  }

  /** Keeps the newest `count` snapshots of the basis. */
  #truncateBasis(count: number): void {
    while (this.basis.length > count) {
      const slot = this.basis.pop();
      if (slot) this.#spare.push(slot);
    }
  }
}

/** Compares the digest that the server sent, or -1, with the rows. */
function compare(digest: number, rows: Rows): SnapshotEvent["digest"] {
  if (digest < 0) return "absent";
  return digest === rows.digest() ? "agrees" : "differs";
}
