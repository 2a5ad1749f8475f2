import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteWriter, ClientLink } from "@tickwire/client";
import { WebSocket } from "ws";
import { TestServer } from "./chromium.js";

const DECODE_US_MAX = 50;
const RECORDED_MS = 8_000;
const REPLAYS = 40;

const server = await TestServer.start("--npcs", "16", "--seats", "16");

test("a snapshot of 16 players is decoded in 50 us", async () => {
  const frames = await record();
  const times: number[] = [];
  let snapshots = 0;
  let checked = 0;
  for (let n = 0; n < REPLAYS; n++) {
    const link = new ClientLink();
    for (const frame of frames) {
      const start = process.hrtime.bigint();
      const event = link.handleFrame(frame, 0);
      const nanos = Number(process.hrtime.bigint() - start);
      if (event.type !== "snapshot") continue;
      snapshots++;
      assert.notEqual(event.digest, "differs");
      if (event.digest === "agrees") checked++;
      // The first replay warms up the JIT compiler, and is not measured.
      if (n > 0) times.push(nanos / 1_000);
    }
    assert.ok(link.rows!.length >= 1 + 12 + 16, "16 players are there");
  }
  times.sort((a, b) => a - b);
  const at = (part: number) => times[Math.floor(times.length * part)];
  const bytes = frames.reduce((sum, frame) => sum + frame.length, 0) / (snapshots / REPLAYS);
  console.log(`${snapshots / REPLAYS} snapshots of ${bytes.toFixed(1)} bytes, ${checked / REPLAYS} with a digest`);
  console.log(`decoded in p50 ${at(0.5).toFixed(1)} us, p90 ${at(0.9).toFixed(1)} us, p99 ${at(0.99).toFixed(1)} us`);
  assert.ok(checked > 0);
  assert.ok(at(0.5) <= DECODE_US_MAX, `${at(0.5)} us`);
});

/** Joins a match for a while, and records all frames from the server. */
function record(): Promise<Uint8Array[]> {
  const url = new URL("/v1/play?match=auto", server.url.replace("http", "ws"));
  const socket = new WebSocket(url, "tickwire.v1");
  const link = new ClientLink();
  const out = new ByteWriter();
  const frames: Uint8Array[] = [];
  const send = () => socket.send(out.written());
  socket.on("open", () => {
    link.writeHello("Recorder", null, out.clear());
    send();
  });
  socket.on("message", (frame: Buffer) => {
    const copy = Uint8Array.from(frame);
    frames.push(copy);
    if (link.handleFrame(copy, 0).type !== "snapshot") return;
    link.writeAck(out.clear());
    send();
  });
  return new Promise((resolve, reject) => {
    socket.on("error", reject);
    setTimeout(() => {
      socket.close();
      resolve(frames);
    }, RECORDED_MS);
  });
}
