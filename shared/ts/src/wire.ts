/** The low-rate messages, in bincode. They mirror `shared/src/wire.rs` and `social.rs`. */

import { type ByteReader, type ByteWriter, fnv } from "./bytes.js";
import { fault } from "./fault.js";
import { readSchema, type Schema } from "./schema.js";

export const PROTOCOL_VERSION = 1;
export const SUBPROTOCOL = "tickwire.v1";

/** First byte of a bincode message, both ways. */
export const MESSAGE = 0x00;

/** The client's half of the handshake. */
export interface Hello {
  version: number;
  /** The hash of the schema that the client still has; `null` asks for the schema. */
  schemaHash: number | null;
  resume: Resume | null;
  /** The player's name as others see it. The server cleans it, and chooses one when it is empty. */
  name: string;
}

/** A request to resume an earlier session. */
interface Resume {
  /** The 16 bytes of `resume` in the session's welcome. */
  token: Uint8Array;
  /** What the client still has; `null` when it has nothing but the token, as after a reload of the page. */
  kept: Kept | null;
}

/** What a client still has of the session that it resumes. */
export interface Kept {
  /** The newest snapshot that it has applied; the next one may be a delta against it. */
  applied: number | null;
  /** How many of the session's events it has received. */
  events: number;
  /** The hash of the codec statistics that it uses. */
  modelHash: number;
}

/** The server's answer to an accepted hello. */
export interface Welcome {
  session: number;
  /** The token with which the client can resume the session on a new connection. */
  resume: Uint8Array;
  matchId: number;
  /** `null` for a spectator. */
  seat: number | null;
  /** The newest input received on the session's earlier connections. */
  seq: number;
  /** How many events the session was sent before those that now follow. */
  events: number;
  /** How many chat lines the server has received on the session's earlier connections. */
  lines: number;
  /** Ticks per second. */
  hz: number;
  schemaHash: number;
  /** `null` if the hello had its hash. */
  schema: Schema | null;
  /** The codec's current statistics; `null` if the hello had their hash. */
  model: Uint8Array | null;
}

/** A sample of the server's clock and tick schedule. All times are microseconds. */
export interface Pong {
  /** The ping's. */
  clientTime: number;
  /** When the ping arrived, on the server's clock. */
  serverTime: number;
  /** How long the ping then waited until it was read and answered. */
  held: number;
  /** The match's newest tick. */
  tick: number;
  /** When that tick was due, on the server's clock. */
  tickTime: number;
}

/** The schedule of a match's ticks: an overloaded server lengthens the tick interval. */
export interface Pace {
  /** Factor by which the ticks after `tick` are farther apart than the welcome's rate says; normally 1. */
  slowdown: number;
  tick: number;
  /** When that tick was due, in microseconds on the server's clock. */
  tickTime: number;
}

/** A player with a seat. */
export interface Player {
  seat: number;
  /** Not unique. */
  name: string;
  presence: Presence;
}

/** Connected; or the connection is lost, and the seat kept for the grace period; or the seat is free. */
export type Presence = "here" | "away" | "gone";

/** A line of chat, or a notice, to everyone in a match. Show its text as text, not as markup. */
export interface Line {
  /** Counts up within a match, from 1. */
  id: number;
  /** When the server received it, in milliseconds since 1970. */
  sentAt: number;
  /** The player at that time; `null` if the line is a notice from the server's operator. */
  speaker: { seat: number; name: string } | null;
  text: string;
}

/** Why the server rejected a line of chat. */
export type ChatRefused =
  | { reason: "empty" | "too-long" | "not-seated" }
  | { reason: "too-fast"; waitMicros: number };

export type ServerMessage =
  | { type: "welcome"; welcome: Welcome }
  | { type: "pong"; pong: Pong }
  | { type: "event"; tick: number; kind: number; values: number[] }
  | { type: "model"; model: Uint8Array }
  | { type: "pace"; pace: Pace }
  | { type: "leaving"; withinMicros: number }
  | { type: "roster"; players: Player[] }
  | { type: "presence"; player: Player }
  | { type: "line"; line: Line }
  | { type: "chat-refused"; refused: ChatRefused };

/** Reads a server's message, which must fill the rest of the frame. */
export function readServer(reader: ByteReader): ServerMessage {
  const message = readMessage(reader);
  reader.end();
  return message;
}

function readMessage(reader: ByteReader): ServerMessage {
  switch (reader.varu32()) {
    case 0:
      return { type: "welcome", welcome: readWelcome(reader) };
    case 1: {
      const [clientTime, serverTime, held] = [reader.varu64(), reader.varu64(), reader.varu64()];
      return { type: "pong", pong: { clientTime, serverTime, held, tick: reader.varu32(), tickTime: reader.varu64() } };
    }
    case 2: {
      const [tick, kind] = [reader.varu32(), reader.u8()];
      return { type: "event", tick, kind, values: reader.list(() => reader.vari32()) };
    }
    case 3:
      return { type: "model", model: reader.blob().slice() };
    case 4: {
      const [slowdown, tick] = [reader.u8(), reader.varu32()];
      if (slowdown === 0) fault("a slowdown of 0");
      return { type: "pace", pace: { slowdown, tick, tickTime: reader.varu64() } };
    }
    case 5:
      return { type: "leaving", withinMicros: reader.varu64() };
    case 6:
      return readSocial(reader);
    default:
      return fault("an unknown message");
  }
}

function readWelcome(reader: ByteReader): Welcome {
  const welcome: Welcome = {
    session: reader.varu32(),
    resume: reader.take(16).slice(),
    matchId: reader.varu32(),
    seat: reader.option(() => reader.varu16()),
    seq: reader.varu32(),
    events: reader.varu32(),
    lines: reader.varu32(),
    hz: reader.varint(128),
    schemaHash: reader.varu32(),
    schema: null,
    model: null,
  };
  if (welcome.hz === 0) fault("a tick rate of 0");
  const start = reader.position + 1;
  welcome.schema = reader.option(() => readSchema(reader));
  if (welcome.schema && fnv(reader.bytes.subarray(start, reader.position)) !== welcome.schemaHash) {
    fault("the schema does not match its hash");
  }
  welcome.model = reader.option(() => reader.blob().slice());
  return welcome;
}

function readSocial(reader: ByteReader): ServerMessage {
  switch (reader.varu32()) {
    case 0:
      return { type: "roster", players: reader.list(() => readPlayer(reader)) };
    case 1:
      return { type: "presence", player: readPlayer(reader) };
    case 2:
      return { type: "line", line: readLine(reader) };
    case 3:
      return { type: "chat-refused", refused: readRefused(reader) };
    default:
      return fault("an unknown social message");
  }
}

function readPlayer(reader: ByteReader): Player {
  const [seat, name, presence] = [reader.varu16(), reader.text(), reader.varu32()];
  return { seat, name, presence: (["here", "away", "gone"] as const)[presence] ?? fault("an unknown presence") };
}

function readLine(reader: ByteReader): Line {
  const [id, sentAt, variant] = [reader.varu32(), reader.varu64(), reader.varu32()];
  if (variant > 1) fault("an unknown speaker");
  const speaker = variant === 1 ? { seat: reader.varu16(), name: reader.text() } : null;
  return { id, sentAt, speaker, text: reader.text() };
}

function readRefused(reader: ByteReader): ChatRefused {
  switch (reader.varu32()) {
    case 0:
      return { reason: "empty" };
    case 1:
      return { reason: "too-long" };
    case 2:
      return { reason: "too-fast", waitMicros: reader.varu64() };
    case 3:
      return { reason: "not-seated" };
    default:
      return fault("chat was rejected for an unknown reason");
  }
}

export function writeHello({ version, schemaHash, resume, name }: Hello, out: ByteWriter): void {
  out.u8(MESSAGE);
  out.varint(0);
  out.varint(version);
  out.option(schemaHash, (hash) => out.varint(hash));
  out.option(resume, ({ token, kept }) => {
    out.raw(token);
    out.option(kept, ({ applied, events, modelHash }) => {
      out.option(applied, (tick) => out.varint(tick));
      out.varint(events);
      out.varint(modelHash);
    });
  });
  out.text(name);
}

/** `clientTime` in whole microseconds. */
export function writePing(clientTime: number, out: ByteWriter): void {
  out.u8(MESSAGE);
  out.varint(1);
  out.varint(clientTime);
}

export function writeResync(out: ByteWriter): void {
  out.u8(MESSAGE);
  out.varint(2);
}

export function writeChat(text: string, out: ByteWriter): void {
  out.u8(MESSAGE);
  out.varint(3);
  out.text(text);
}
