// Colyseus in two ways. By default as in its tutorials: 32-bit floats, inputs as messages, and timers of its own for
// simulation and patches. With `--quantised`, with all that it offers: quantised fields, its input buffers, whose
// acknowledgement is part of each patch, and patches sent by the tick itself.
import { createServer } from "node:http";
import { Room, defineRoom, defineServer } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { WebSocketTransport } from "@colyseus/ws-transport";
import { NO_INPUT, SIDE, SPEED_MAX, spawn, step } from "./arena.mjs";
import { announce, host, port, quantised, rate, seats } from "./args.mjs";

const rarely = { health: t.uint8(), score: t.uint16(), anim: t.uint8() };

const Player = schema({
  x: t.float32(), y: t.float32(), vx: t.float32(), vy: t.float32(), yaw: t.float32(),
  ...rarely,
  lastInputSeq: t.uint32(),
}, "Player");

class TutorialRoom extends Room {
  state = new (schema({ players: t.map(Player) }, "State"))();
  maxClients = seats;
  patchRate = 1000 / rate;
  messages = {
    0: (client, input) => { client.userData.input = input; },
  };

  onCreate() {
    let tick = 0;
    this.setTimestep(() => {
      tick++;
      for (const client of this.clients) {
        const { id, input } = client.userData;
        const player = this.state.players.get(client.sessionId);
        step(player, input, 1 / rate, (tick + id) % rate === 0);
        player.lastInputSeq = input.seq;
      }
    }, 1000 / rate);
  }

  onJoin(client) {
    const id = this.state.players.size;
    client.userData = { id, input: NO_INPUT };
    this.state.players.set(client.sessionId, new Player().assign({ ...spawn(id), lastInputSeq: 0 }));
  }

  onLeave(client) {
    this.state.players.delete(client.sessionId);
  }
}

const position = () => t.quantized({ min: 0, max: SIDE, bits: 16, mode: "wrap" });
const velocity = () => t.quantized({ min: -SPEED_MAX, max: SPEED_MAX, bits: 16 });
const QuantisedPlayer = schema({
  x: position(), y: position(), vx: velocity(), vy: velocity(),
  yaw: t.quantized({ min: 0, max: 2 * Math.PI, bits: 16, mode: "wrap" }),
  ...rarely,
}, "Player");
const Input = schema({ mx: t.int8(), my: t.int8(), aim: t.uint16(), btn: t.uint8() }, "Input");

class QuantisedRoom extends Room {
  state = new (schema({ players: t.map(QuantisedPlayer) }, "State"))();
  inputs = this.defineInput(Input);
  maxClients = seats;
  patchRate = null;

  onCreate() {
    let tick = 0;
    this.setTimestep(() => {
      tick++;
      for (const client of this.clients) {
        const { id, body, player } = client.userData;
        const input = this.inputs.get(client.sessionId);
        input.drain(); // only the newest input is used
        step(body, input.latest, 1 / rate, (tick + id) % rate === 0);
        Object.assign(player, body);
      }
      this.broadcastPatch();
    }, 1000 / rate);
  }

  onJoin(client) {
    const id = this.state.players.size;
    const player = new QuantisedPlayer();
    // Simulated separately from the state, which rounds assigned values.
    client.userData = { id, player, body: spawn(id) };
    this.state.players.set(client.sessionId, player.assign(client.userData.body));
  }

  onLeave(client) {
    this.state.players.delete(client.sessionId);
  }
}

const server = createServer();
const game = defineServer({
  rooms: { arena: defineRoom(quantised ? QuantisedRoom : TutorialRoom) },
  transport: new WebSocketTransport({ server }),
  greet: false,
});
await game.listen(port, host, 4096);
announce(server);
