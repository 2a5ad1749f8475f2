// A hand-written server on `ws`: binary frames, one buffer for a whole match, ticks that don't drift.
import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import { NO_INPUT, spawn, step } from "./arena.mjs";
import { announce, host, port, rate, seats } from "./args.mjs";

const WELCOME = 0;
const STATE = 1;
const HEAD_BYTES = 7; // kind u8, tick u32, players u16
const ROW_BYTES = 30;

class Match {
  players = [];
  tick = 0;
  due = performance.now();

  constructor() {
    this.run();
  }

  join(socket) {
    const id = this.players.length;
    const player = { id, socket, body: spawn(id), input: NO_INPUT, lastInputSeq: 0 };
    this.players.push(player);
    const welcome = Buffer.alloc(3);
    welcome.writeUInt8(WELCOME, 0);
    welcome.writeUInt16LE(id, 1);
    socket.send(welcome);
    socket.on("message", (data) => {
      if (data.length !== 9) return socket.close(1007);
      player.input = {
        seq: data.readUInt32LE(0),
        mx: data.readInt8(4),
        my: data.readInt8(5),
        aim: data.readUInt16LE(6),
        btn: data.readUInt8(8),
      };
    });
    socket.on("close", () => this.players.splice(this.players.indexOf(player), 1));
  }

  run() {
    this.tick++;
    for (const player of this.players) {
      step(player.body, player.input, 1 / rate, (this.tick + player.id) % rate === 0);
      player.lastInputSeq = player.input.seq;
    }
    const state = this.encode();
    for (const { socket } of this.players) socket.send(state);
    this.due += 1000 / rate;
    setTimeout(() => this.run(), Math.max(0, this.due - performance.now()));
  }

  encode() {
    const out = Buffer.allocUnsafe(HEAD_BYTES + this.players.length * ROW_BYTES);
    out.writeUInt8(STATE, 0);
    out.writeUInt32LE(this.tick, 1);
    let at = out.writeUInt16LE(this.players.length, 5);
    for (const { id, lastInputSeq, body } of this.players) {
      at = out.writeUInt16LE(id, at);
      at = out.writeUInt32LE(lastInputSeq, at);
      at = out.writeFloatLE(body.x, at);
      at = out.writeFloatLE(body.y, at);
      at = out.writeFloatLE(body.vx, at);
      at = out.writeFloatLE(body.vy, at);
      at = out.writeFloatLE(body.yaw, at);
      at = out.writeUInt8(body.health, at);
      at = out.writeUInt16LE(body.score, at);
      at = out.writeUInt8(body.anim, at);
    }
    return out;
  }
}

const matches = [];
const server = createServer();
new WebSocketServer({ server, perMessageDeflate: false, maxPayload: 64 }).on("connection", (socket) => {
  let match = matches.find(({ players }) => players.length < seats);
  if (!match) matches.push((match = new Match()));
  match.join(socket);
});
server.listen(port, host, 4096, () => announce(server));
