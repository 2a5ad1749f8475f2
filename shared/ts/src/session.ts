/**
 * A session in a browser: a `ClientLink` with a WebSocket, a clock, and what is shown. It takes the
 * session up again when the connection is lost, and keeps it while the page is in the background.
 *
 * Call `frame` once for each picture; then `others` and `own` say what to draw. Everything else is
 * told by `handlers`. An exception in one of them is reported to the page and changes nothing here.
 */

import { ByteWriter } from "./bytes.js";
import { ServerFault } from "./fault.js";
import { ClientLink } from "./link/client.js";
import type { SessionOptions, SessionState, Socket } from "./options.js";
import { Interpolation } from "./replica/interpolation.js";
import { Prediction } from "./replica/prediction.js";
import { Stats } from "./stats.js";
import type { Player, ServerMessage, Welcome } from "./wire.js";
import { SUBPROTOCOL, writeChat, writeResync } from "./wire.js";

/** Codes after which a session can be taken up, or is worth another try; see `PROTOCOL.md`. */
const CODES_TO_RETRY = new Set([1001, 1006, 1011, 1012, 1013, 4014, 4015]);
/** Codes that say that what there was is gone: another schema, no such match, nothing to resume. */
const CODES_OF_GONE = new Set([4002, 4011, 4012]);
/** We could not make sense of what the server sent. */
const CLIENT_FAULT = 4900;
const BACKOFF_MS = 250;
const BACKOFF_MS_MAX = 5_000;
/** How long it is tried to come back: longer than a seat is kept. */
const GIVE_UP_MS = 60_000;
/** A connection that brought nothing for so long is dead. */
const SILENCE_MS = 6_000;
/** How often the session looks after itself when there are no pictures to be made. */
const WATCH_MS = 250;
/** Characters in a line of chat, and in a name. */
const LINE_MAX = 200;
const NAME_MAX = 24;
/** How long a client that has nothing to say may apply snapshots before it says so. */
const ACK_MS = 100;

export class Session {
  readonly stats = new Stats();
  /** What the others are shown as. */
  others: Interpolation | null = null;
  /** One's own player, if it is predicted. */
  own: Prediction | null = null;
  state: SessionState = { type: "connecting" };
  readonly people = new Map<number, Player>();

  readonly #options: SessionOptions;
  readonly #out = new ByteWriter();
  #link = new ClientLink();
  #socket: Socket | null = null;
  #token: Uint8Array | null = null;
  #match: number | "auto";
  /** The newest line of chat, since some come twice when a session is taken up. */
  #line = 0;
  #spokeAt = 0;
  /** The newest snapshot that the server was told of. */
  #acknowledged: number | null = null;
  #attempts = 0;
  #lostAt = 0;
  #heardAt = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  readonly #watch: ReturnType<typeof setInterval>;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#match = options.match ?? "auto";
    this.#recall();
    this.#watch = setInterval(() => this.#look(), WATCH_MS);
    this.#connect();
  }

  /** Whether there is a session that a page had before it was loaded again. */
  static isRemembered(storage: Storage, url: string): boolean {
    return remembered(storage, url).length > 0;
  }

  get link(): ClientLink {
    return this.#link;
  }

  get seat(): number | null {
    return this.#link.welcome?.seat ?? null;
  }

  /** To be called for each picture: sends what is due, and makes `others` and `own` current. */
  frame(): void {
    const now = micros();
    const { clock, pace } = this.#link;
    if (clock && this.others?.advance(clock, now)) {
      this.#link.setSeen(this.others.shown.tick, this.others.shown.ticksBefore);
      this.#poll(now);
    }
    const { own } = this;
    if (clock && pace && own && pace.newest !== null) {
      const input = this.#options.input?.() ?? [];
      own.look(clock.ticksSince(pace.newest, now + pace.ahead, now), input, now);
    }
  }

  /** The server's tick now, with parts; NaN as long as its clock is unknown. */
  tick(): number {
    const { clock, applied } = this.#link;
    if (!clock || applied === null) return NaN;
    const now = micros();
    return applied + clock.ticksSince(applied, now, now);
  }

  /** Says something to everyone in the match. */
  chat(text: string): void {
    const line = text.trim();
    if ([...line].length > LINE_MAX) {
      call(this.#options.handlers?.chatRefused, { reason: "too-long" });
      return;
    }
    writeChat(line, this.#out.clear());
    this.#send();
  }

  /** Leaves: the seat is free at once. */
  close(): void {
    this.#hangUp(1000, "bye");
    this.#end(1000, "bye");
  }

  /** Cuts the connection as a bad network would. For tests, and to feel it. */
  cut(): void {
    if (!this.#socket) return;
    this.#hangUp(CLIENT_FAULT, "cut");
    this.#lost(1006, "cut");
  }

  #connect(): void {
    this.#retry = undefined;
    const { ticket } = this.#options;
    if (this.#token) this.#open("");
    else if (typeof ticket === "function") this.#ask(ticket);
    else this.#open(ticket ?? "");
  }

  #ask(tickets: (match: number | "auto") => string | Promise<string>): void {
    // What throws at once rejects as well, so that it is told when whoever makes this session has it.
    const asked = new Promise<string>((resolve) => resolve(tickets(this.#match)));
    asked.then(
      (ticket) => {
        if (this.state.type !== "ended") this.#open(ticket);
      },
      (error: unknown) => {
        console.warn("tickwire: no ticket:", error);
        this.#lost(1006, "no ticket could be had");
      },
    );
  }

  /** Connects, to join with a ticket or to take the session up. */
  #open(ticket: string): void {
    const { url, spectate, openSocket } = this.#options;
    const target = new URL("/v1/play", url);
    target.protocol = target.protocol.replace("http", "ws");
    target.searchParams.set("match", String(this.#match));
    if (spectate) target.searchParams.set("role", "spectator");
    if (this.#token) target.searchParams.set("resume", "1");
    if (ticket) target.searchParams.set("ticket", ticket);
    const open = openSocket ?? ((url, subprotocol) => new WebSocket(url, subprotocol) as Socket);
    const socket = open(target.href, SUBPROTOCOL);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      const name = [...(this.#options.name ?? "")].slice(0, NAME_MAX).join("");
      this.#link.writeHello(name, this.#token, this.#out.clear());
      this.#send();
    };
    socket.onmessage = ({ data }) => this.#hear(data);
    socket.onclose = ({ code, reason }) => this.#lost(code, reason);
    this.#socket = socket;
    this.#heardAt = micros();
  }

  #hear(data: unknown): void {
    // What a page puts in between may be late.
    if (this.state.type === "ended") return;
    const now = micros();
    this.#heardAt = now;
    try {
      if (!(data instanceof ArrayBuffer)) throw new ServerFault("a text frame");
      this.stats.receive(data.byteLength, now);
      this.#handle(new Uint8Array(data), now);
    } catch (error) {
      if (!(error instanceof ServerFault)) throw error;
      this.#fault(error);
    }
  }

  #handle(frame: Uint8Array, now: number): void {
    const { handlers } = this.#options;
    const event = this.#link.handleFrame(frame, now);
    switch (event.type) {
      case "snapshot":
        this.#snapshot(event.tick, event.digest === "differs", now);
        break;
      case "welcome":
        this.#welcome(event.welcome);
        break;
      case "event": {
        const { name, values } = this.#link.schema!.events[event.kind];
        const named = Object.fromEntries(values.map((value, i) => [value, event.values[i]]));
        call(handlers?.event, name, named, event.tick);
        break;
      }
      case "pong":
      case "model":
      case "pace":
        break;
      case "leaving":
        call(handlers?.leaving, event.withinMicros / 1_000);
        break;
      default:
        this.#social(event);
    }
  }

  #welcome(welcome: Welcome): void {
    const schema = this.#link.schema!;
    // A spectator's session ends with its connection.
    this.#token = welcome.seat === null ? null : welcome.resume;
    this.#match = welcome.matchId;
    this.#remember();
    if (this.others && welcome.schema === null) {
      this.others.restart();
    } else {
      const { predictor } = this.#options;
      const isPredicted = predictor && welcome.seat !== null;
      this.others = new Interpolation(schema, welcome.hz);
      this.own = isPredicted
        ? new Prediction(predictor, welcome.seat!, welcome.hz, schema.input.length)
        : null;
    }
    call(this.#options.handlers?.welcome, welcome);
  }

  #snapshot(tick: number, differs: boolean, now: number): void {
    const { clock, rows } = this.#link;
    if (!clock || !rows) return;
    if (differs) {
      this.stats.resyncs++;
      writeResync(this.#out.clear());
      this.#send();
    }
    this.stats.snapshot(now - clock.due(tick, now));
    this.others?.push(tick, rows, clock, now);
    this.own?.answer(tick, rows);
    if (this.state.type !== "playing") {
      this.#attempts = this.#lostAt = 0;
      this.#become({ type: "playing" });
    }
    call(this.#options.handlers?.snapshot, rows, tick);
    // In the background there are no pictures, and hardly any timers, but there are snapshots.
    if (typeof document !== "undefined" && document.hidden) this.frame();
    if (now - this.#spokeAt > ACK_MS * 1_000) this.#acknowledge();
    this.#ping(now);
  }

  #social(event: ServerMessage): void {
    const { handlers } = this.#options;
    if (event.type === "roster") {
      this.people.clear();
      for (const player of event.players) this.people.set(player.seat, player);
      call(handlers?.people, this.people);
    } else if (event.type === "presence") {
      const { player } = event;
      if (player.presence === "gone") this.people.delete(player.seat);
      else this.people.set(player.seat, player);
      call(handlers?.people, this.people);
    } else if (event.type === "line" && event.line.id > this.#line) {
      this.#line = event.line.id;
      call(handlers?.line, event.line);
    } else if (event.type === "chat-refused") {
      call(handlers?.chatRefused, event.refused);
    }
  }

  /** Makes the inputs that are due. */
  #poll(now: number): void {
    const { input } = this.#options;
    if (!input || this.seat === null) return;
    for (let tick = this.#link.pollInput(now); tick >= 0; tick = this.#link.pollInput(now)) {
      const values = input();
      this.#link.writeInput(tick, values, this.#out.clear());
      this.#send();
      this.#acknowledged = this.#link.applied;
      this.own?.input(tick, values);
      call(this.#options.handlers?.input, tick, values);
    }
  }

  #acknowledge(): void {
    this.#acknowledged = this.#link.applied;
    this.#link.writeAck(this.#out.clear());
    this.#send();
  }

  #ping(now: number): void {
    this.#link.pollPing(now, this.#out.clear());
    this.#send();
  }

  #send(): void {
    const bytes = this.#out.written();
    if (bytes.length === 0 || this.#socket?.readyState !== 1) return;
    this.#spokeAt = micros();
    this.stats.send(bytes.length);
    this.#socket.send(bytes);
  }

  #look(): void {
    const now = micros();
    if (!this.#socket) return;
    // A server that waits to be told sends no snapshot that could make us tell it.
    if (this.#link.applied !== this.#acknowledged) this.#acknowledge();
    this.#ping(now);
    if (now - this.#heardAt > SILENCE_MS * 1_000) {
      this.#hangUp();
      this.#lost(1006, "nothing was heard");
    }
  }

  /** The server sent something that makes no sense: start anew, in the same seat if possible. */
  #fault(error: ServerFault): void {
    console.warn(`tickwire: ${error.message}`);
    this.stats.faults++;
    this.#link = new ClientLink();
    this.others = this.own = null;
    this.#hangUp(CLIENT_FAULT, "malformed");
    this.#lost(CLIENT_FAULT, error.message);
  }

  #lost(code: number, reason: string): void {
    this.#socket = null;
    if (this.state.type === "ended") return;
    const now = micros();
    this.#lostAt ||= now;
    const wished = this.#options.match ?? "auto";
    const isGone = CODES_OF_GONE.has(code) && (this.#token !== null || this.#match !== wished);
    if (isGone) {
      this.#token = null;
      this.#match = wished;
      this.#remember();
    }
    if (!this.#token) {
      this.#link = new ClientLink();
      this.others = this.own = null;
      this.#line = 0;
    }
    const isFinal = code !== CLIENT_FAULT && !CODES_TO_RETRY.has(code) && !isGone;
    if (isFinal || now - this.#lostAt > GIVE_UP_MS * 1_000) {
      this.#end(code, reason);
      return;
    }
    // At random, so that many clients don't come back at the same moment.
    const inMs = Math.random() * Math.min(BACKOFF_MS * 2 ** this.#attempts++, BACKOFF_MS_MAX);
    this.#retry = setTimeout(() => this.#connect(), inMs);
    this.#become({ type: "resuming", inMs });
  }

  #end(code: number, reason: string): void {
    if (this.state.type === "ended") return;
    clearInterval(this.#watch);
    clearTimeout(this.#retry);
    this.#token = null;
    this.#remember();
    this.#become({ type: "ended", code, reason });
  }

  #become(state: SessionState): void {
    this.state = state;
    call(this.#options.handlers?.state, state);
  }

  /** Closes the connection, if there is one, and hears nothing of it any more. */
  #hangUp(code?: number, reason?: string): void {
    const socket = this.#socket;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(code, reason);
  }

  #remember(): void {
    const { storage, url } = this.#options;
    try {
      if (!this.#token) storage?.removeItem(storageKey(url));
      else storage?.setItem(storageKey(url), JSON.stringify([this.#match, ...this.#token]));
    } catch {
      // The browser keeps nothing for this page.
    }
  }

  /** Takes up the session that this page had before it was loaded again. */
  #recall(): void {
    const { storage, url, match, spectate } = this.#options;
    if (!storage || spectate) return;
    const [id, ...token] = remembered(storage, url);
    if (token.length === 0 || (typeof match === "number" && match !== id)) return;
    this.#match = id;
    this.#token = Uint8Array.from(token);
  }
}

/** The match and the 16 bytes of the token that a page had before it was loaded again, or nothing. */
function remembered(storage: Storage, url: string): number[] {
  try {
    const numbers: unknown = JSON.parse(storage.getItem(storageKey(url)) ?? "[]");
    return Array.isArray(numbers) && numbers.length === 17 && numbers.every(Number.isInteger) ? numbers : [];
  } catch {
    return [];
  }
}

function storageKey(url: string): string {
  return `tickwire ${url}`;
}

/** Microseconds on the page's clock. */
function micros(): number {
  return Math.floor(performance.now() * 1_000);
}

function call<A extends unknown[]>(handler: ((...args: A) => void) | undefined, ...args: A): void {
  try {
    handler?.(...args);
  } catch (error) {
    console.error(error);
  }
}
