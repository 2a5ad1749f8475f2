/** The low-rate messages, as bincode; `shared/src/wire.rs` and `social.rs` are their originals. */

import { type ByteReader, type ByteWriter, fnv } from "./bytes.js";
import { fault } from "./fault.js";
import { readSchema, type Schema } from "./schema.js";

export const PROTOCOL_VERSION = 1;
export const SUBPROTOCOL = "tickwire.v1";

/** First byte of a message, both ways. */
export const MESSAGE = 0x00;

/** How a client introduces itself. */
export interface Hello {
  version: number;
  /** Of the schema that the client still has; `null` asks for the schema. */
  schemaHash: number | null;
  resume: Resume | null;
  /** How others are to call a player; the server cleans it. */
  name: string;
}

/** How a client takes up an earlier session. */
export interface Resume {
  /** The 16 bytes of its welcome's. */
  token: Uint8Array;
  /** `null` when nothing but the token is left, as after a reload of the page. */
  kept: Kept | null;
}

export interface Kept {
  /** The newest snapshot that was applied. */
  applied: number | null;
  /** How many events the session was told. */
  events: number;
  modelHash: number;
}

/** What a client must know to take part. */
export interface Welcome {
  session: number;
  resume: Uint8Array;
  matchId: number;
  /** `null` for a spectator. */
  seat: number | null;
  /** The newest input that earlier connections brought. */
  seq: number;
  /** How many events the session was told before those that follow. */
  events: number;
  /** Ticks per second. */
  hz: number;
  schemaHash: number;
  /** `null` if the hello named the same hash. */
  schema: Schema | null;
  model: Uint8Array | null;
}

/** The server's clock; all in microseconds but the tick. */
export interface Pong {
  clientTime: number;
  /** When the ping arrived. */
  serverTime: number;
  /** How long it then waited for its answer. */
  held: number;
  tick: number;
  tickTime: number;
}

/** By how much ticks are farther apart than the welcome's rate says: an overloaded server is slow. */
export interface Pace {
  slowdown: number;
  tick: number;
  /** When that tick was due, in microseconds on the server's clock. */
  tickTime: number;
}

/** Somebody with a seat. */
export interface Player {
  seat: number;
  name: string;
  presence: Presence;
}

/** Connected; connection lost and seat kept for a while; seat free. */
export type Presence = "here" | "away" | "gone";

/** Something that was said to everyone in a match. Its text is to be shown as text, not markup. */
export interface Line {
  /** Counts up within a match, from 1. */
  id: number;
  /** Milliseconds since 1970, on the server's clock. */
  sentAt: number;
  /** A player, or `null`: whoever runs the server. */
  speaker: { seat: number; name: string } | null;
  text: string;
}

/** Why a line of chat did not go out. */
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

/** Reads a server's message, up to its end. */
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
      if (slowdown === 0) fault("ticks that are no time apart");
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
    hz: reader.varint(128),
    schemaHash: reader.varu32(),
    schema: null,
    model: null,
  };
  if (welcome.hz === 0) fault("a match without ticks");
  const start = reader.position + 1;
  welcome.schema = reader.option(() => readSchema(reader));
  if (welcome.schema && fnv(reader.bytes.subarray(start, reader.position)) !== welcome.schemaHash) {
    fault("the schema is not the one it is said to be");
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
      return fault("an unknown message about people");
  }
}

function readPlayer(reader: ByteReader): Player {
  const [seat, name, presence] = [reader.varu16(), reader.text(), reader.varu32()];
  return { seat, name, presence: (["here", "away", "gone"] as const)[presence] ?? fault("neither here nor away") };
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
      return fault("chat was refused for an unknown reason");
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
