import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteReader, ByteWriter } from "../src/bytes.js";
import { type ChatRefused, type Line, type Player, readServer, type ServerMessage, writeChat } from "../src/wire.js";
import { fromHex, toHex, vectors } from "./hex.js";

interface Vector {
  frame: string;
  message: unknown;
}

const { server, client } = vectors<{ server: Vector[]; client: Vector[] }>("social.json");

test("social messages are decoded to the server's values", () => {
  for (const { frame, message } of server) {
    assert.deepEqual({ Social: asServer(readServer(new ByteReader(fromHex(frame), 1))) }, message, frame);
  }
});

test("chat is encoded as the server expects it", () => {
  for (const { frame, message } of client) {
    const out = new ByteWriter();
    writeChat((message as { Chat: string }).Chat, out);
    assert.equal(toHex(out.written()), frame);
  }
});

/** The message in the form in which the server serializes it. */
function asServer(message: ServerMessage): unknown {
  switch (message.type) {
    case "roster":
      return { Roster: message.players.map(player) };
    case "presence":
      return { Presence: player(message.player) };
    case "line":
      return { Line: line(message.line) };
    case "chat-refused":
      return { ChatRefused: refused(message.refused) };
    default:
      return message;
  }
}

function player({ seat, name, presence }: Player): unknown {
  return { seat, name, presence };
}

function line({ id, sentAt, speaker, text }: Line): unknown {
  return { id, sent_at: sentAt, speaker: speaker ? { Player: speaker } : "Operator", text };
}

function refused(refused: ChatRefused): unknown {
  if (refused.reason === "too-fast") return { TooFast: { wait: refused.waitMicros } };
  return { empty: "Empty", "too-long": "TooLong", "not-seated": "NotSeated" }[refused.reason];
}
