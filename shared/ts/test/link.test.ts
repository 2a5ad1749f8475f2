import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteReader, ByteWriter, fnv } from "../src/bytes.js";
import { ServerFault } from "../src/fault.js";
import { pack } from "../src/integers.js";
import { ClientLink } from "../src/link/client.js";
import { SnapshotHead, writeAck, writeInputHead } from "../src/link/frames.js";
import type { Field, Predict, Schema } from "../src/schema.js";
import * as wire from "../src/wire.js";
import type { ServerMessage, Welcome } from "../src/wire.js";
import { fromHex, toHex, vectors } from "./vectors.js";
import { resumedFrame, welcomeFrame } from "./welcome.js";

interface Framed {
  frame: string;
  message: any;
}

const file = vectors<{
  schema: unknown;
  schema_hash: number;
  model_hashes: { model: string; hash: number }[];
  client: Framed[];
  server: Framed[];
  inputs: { frame: string; seq: number; tick: number; applied: number; behind: number; values: number[] }[];
  acks: { frame: string; applied: number }[];
  snapshot_heads: ({ frame: string; before: { tick: number; processed: number } } & Head)[];
  malformed: string[];
}>("link.json");

const social = vectors<{ client: Framed[]; server: Framed[] }>("social.json");

interface Head {
  tick: number;
  full: boolean;
  digest: number | null;
  processed: number;
  lead: number | null;
  owner: boolean;
}

test("the server's messages are decoded to its values", () => {
  for (const { frame, message } of [...file.server, ...social.server]) {
    assert.deepEqual(asServer(wire.readServer(new ByteReader(fromHex(frame), 1))), message, frame);
  }
});

test("the client's messages are encoded as the server expects them", () => {
  for (const { frame, message } of [...file.client, ...social.client]) {
    assert.equal(written((out) => writeMessage(message, out)), frame);
  }
});

test("inputs and acknowledgements are encoded as the server expects them", () => {
  const { welcome } = wire.readServer(new ByteReader(fromHex(file.server[0].frame), 1)) as { welcome: Welcome };
  for (const { frame, seq, tick, applied, behind, values } of file.inputs) {
    const write = (out: ByteWriter) => {
      writeInputHead(seq, tick, applied, behind, out);
      pack(welcome.schema!.input, values, out);
    };
    assert.equal(written(write), frame);
  }
  for (const { frame, applied } of file.acks) assert.equal(written((out) => writeAck(applied, out)), frame);
});

test("snapshot heads are decoded to the server's values", () => {
  for (const { frame, before, ...expected } of file.snapshot_heads) {
    const head = new SnapshotHead();
    const reader = new ByteReader(fromHex(frame));
    head.read(reader, before.tick, before.processed);
    const { tick, full, digest, processed, lead, hasLead, owner } = head;
    const read = { tick, full, digest: digest < 0 ? null : digest, processed, lead: hasLead ? lead : null, owner };
    assert.deepEqual(read, expected, frame);
    assert.equal(reader.left, 0);
  }
});

test("malformed frames are rejected", () => {
  for (const frame of file.malformed) {
    const link = new ClientLink();
    link.writeHello("", null, new ByteWriter());
    link.handleFrame(fromHex(file.server[0].frame), 0);
    assert.throws(() => link.handleFrame(fromHex(frame), 0), ServerFault, frame);
  }
});

test("hashes of models are the same as the server's", () => {
  for (const { model, hash } of file.model_hashes) assert.equal(fnv(fromHex(model)), hash);
});

test("the seen moment in inputs never goes back", () => {
  const link = new ClientLink();
  const [hello, out] = [new ByteWriter(), new ByteWriter()];
  link.writeHello("", null, hello);
  link.handleFrame(welcomeFrame(), 0);
  // A full snapshot without rows.
  const apply = (tick: number) => link.handleFrame(Uint8Array.of(0x81, tick, 0, 0, 0), 0);
  /** The seen moment in an input, in 256ths of a tick. */
  const seen = () => {
    out.clear();
    link.writeInput(9, [0], out);
    const view = new DataView(out.written().slice().buffer);
    return view.getUint32(9, true) * 256 - view.getUint16(13, true);
  };
  apply(9);
  assert.equal(seen(), 9 * 256, "nothing was shown yet");
  link.setSeen(9, 1.5);
  assert.equal(seen(), 9 * 256);
  apply(10);
  link.setSeen(10, 0.25);
  assert.equal(seen(), 9.75 * 256);
});

test("a slowdown ends with the connection, unless the next one says it again", () => {
  const link = new ClientLink();
  const hello = new ByteWriter();
  link.writeHello("", null, hello);
  link.handleFrame(welcomeFrame(), 0);
  const interval = link.clock!.interval;
  // A pace: slowdown 3, tick 1, at 0.
  link.handleFrame(Uint8Array.of(0, 4, 3, 1, 0), 0);
  assert.equal(link.clock!.interval, 3 * interval);
  link.writeHello("", null, hello);
  link.handleFrame(resumedFrame(0), 0);
  assert.equal(link.clock!.interval, interval);
});

function written(write: (out: ByteWriter) => void): string {
  const out = new ByteWriter();
  write(out);
  return toHex(out.written());
}

function writeMessage(message: any, out: ByteWriter): void {
  if (message === "Resync") return wire.writeResync(out);
  if ("Chat" in message) return wire.writeChat(message.Chat, out);
  if ("Ping" in message) return wire.writePing(message.Ping.client_time, out);
  const { version, schema_hash, resume, name } = message.Hello;
  const kept = resume?.kept && {
    applied: resume.kept.applied,
    events: resume.kept.events,
    modelHash: resume.kept.model_hash,
  };
  const token = resume && { token: Uint8Array.from(resume.token), kept };
  wire.writeHello({ version, schemaHash: schema_hash, resume: token, name }, out);
}

/** The message in the form in which the server serializes it. */
function asServer(message: ServerMessage): unknown {
  switch (message.type) {
    case "welcome":
      return { Welcome: welcome(message.welcome) };
    case "pong": {
      const { clientTime, serverTime, held, tick, tickTime } = message.pong;
      return { Pong: { client_time: clientTime, server_time: serverTime, held, tick, tick_time: tickTime } };
    }
    case "event":
      return { Event: { tick: message.tick, kind: message.kind, values: message.values } };
    case "model":
      return { Model: [...message.model] };
    case "pace": {
      const { slowdown, tick, tickTime } = message.pace;
      return { Pace: { slowdown, tick, tick_time: tickTime } };
    }
    case "leaving":
      return { Leaving: { within: message.withinMicros } };
    case "roster":
      return { Social: { Roster: message.players } };
    case "presence":
      return { Social: { Presence: message.player } };
    case "line": {
      const { id, sentAt, speaker, text } = message.line;
      return { Social: { Line: { id, sent_at: sentAt, speaker: speaker ? { Player: speaker } : "Operator", text } } };
    }
    case "chat-refused":
      return { Social: { ChatRefused: refused(message.refused) } };
  }
}

function refused(refused: wire.ChatRefused): unknown {
  if (refused.reason === "too-fast") return { TooFast: { wait: refused.waitMicros } };
  return { empty: "Empty", "too-long": "TooLong", "not-seated": "NotSeated" }[refused.reason];
}

function welcome({ matchId, schemaHash, hz, schema, model, resume, ...rest }: Welcome): unknown {
  return {
    ...rest,
    resume: [...resume],
    match_id: matchId,
    tick_rate: hz,
    schema_hash: schemaHash,
    schema: schema && asServerSchema(schema),
    model: model && [...model],
  };
}

function asServerSchema({ kinds, ...rest }: Schema): unknown {
  const field = ({ predict, ...rest }: Field) => ({ ...rest, predict: asServerPredict(predict) });
  return { ...rest, kinds: kinds.map(({ name, fields, firstSeat }) => ({ name, fields: fields.map(field), first_seat: firstSeat })) };
}

function asServerPredict({ type, ...rest }: Predict): unknown {
  const name = type[0].toUpperCase() + type.slice(1);
  return Object.keys(rest).length > 0 ? { [name]: rest } : name;
}
