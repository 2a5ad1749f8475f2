/**
 * A session in a browser: a `ClientLink` with a WebSocket, a clock, and what is shown. It takes the
 * session up again when the connection is lost, and keeps it while the page is in the background.
 *
 * Call `frame` once for each picture; then `others` and `own` say what to draw. Everything else is
 * told by `handlers`. An exception in one of them, or in a predictor, is reported to the page and
 * changes nothing here.
 */

import { type Address, checkMatch, readAddress } from "./address.js";
import { ByteWriter } from "./bytes.js";
import { Company } from "./company.js";
import { ServerFault } from "./fault.js";
import { check } from "./integers.js";
import { ClientLink } from "./link/client.js";
import type { SessionOptions, SessionState, Socket } from "./options.js";
import { Interpolation } from "./replica/interpolation.js";
import { Prediction } from "./replica/prediction.js";
import { Remembered, type Store } from "./remembered.js";
import { call, report } from "./report.js";
import { Stats } from "./stats.js";
import type { Player, Welcome } from "./wire.js";
import { SUBPROTOCOL, writeChat, writeResync } from "./wire.js";

/** Codes after which a session can be taken up, or is worth another try; see `PROTOCOL.md`. */
const CODES_TO_RETRY = new Set([1001, 1006, 1011, 1012, 1013, 4014, 4015]);
/**
 * Codes that say that what there was is gone: another schema, no such match, nothing to resume. So is a match for
 * which there is no ticket any more.
 */
const CODES_OF_GONE = new Set([4002, 4011, 4012, 4020, 4021, 4022, 4023]);
/** Another connection has the session now, and what was remembered is its own. */
const CODE_OF_REPLACED = 4013;
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
/** A browser does not tell pages more. */
const NO_CONNECTION = "no connection could be made: is the server there, and does it take this page's origin?";

export class Session {
  readonly stats = new Stats();
  /** What the others are shown as. */
  others: Interpolation | null = null;
  /** One's own player, if it is predicted. */
  own: Prediction | null = null;
  state: SessionState = { type: "connecting" };

  readonly #options: SessionOptions;
  readonly #address: Address;
  readonly #wished: number | "auto";
  readonly #spectate: boolean;
  readonly #remembered: Remembered;
  readonly #company: Company;
  readonly #out = new ByteWriter();
  #link = new ClientLink();
  #socket: Socket | null = null;
  #token: Uint8Array | null = null;
  #match: number | "auto";
  #spokeAt = 0;
  /** The newest snapshot that the server was told of. */
  #acknowledged: number | null = null;
  #attempts = 0;
  #lostAt = 0;
  #heardAt = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  readonly #watch: ReturnType<typeof setInterval>;

  /** Throws a `TypeError` when `url`, `match` or `name` can't be meant. */
  constructor(options: SessionOptions) {
    const { url, match, spectate, name, storage, handlers } = options;
    if (name !== undefined && typeof name !== "string") throw new TypeError("name is no string");
    this.#options = options;
    this.#address = readAddress(url);
    this.#wished = checkMatch(match ?? this.#address.match ?? "auto");
    this.#spectate = spectate ?? this.#address.spectate;
    this.#company = new Company(handlers ?? {});
    this.#remembered = new Remembered(this.#spectate ? undefined : storage, url);
    this.#match = this.#wished;
    const seat = this.#remembered.get();
    if (seat && (this.#wished === "auto" || this.#wished === seat.match)) {
      this.#match = seat.match;
      this.#token = seat.token;
    }
    this.#connect();
    this.#watch = setInterval(() => this.#look(), WATCH_MS);
  }

  /** Whether there is a session that a page had before it was loaded again. */
  static isRemembered(storage: Store, url: string): boolean {
    return new Remembered(storage, url).get() !== null;
  }

  get link(): ClientLink {
    return this.#link;
  }

  /** Who has a seat, by seat. */
  get people(): ReadonlyMap<number, Player> {
    return this.#company.people;
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
      if (this.#isPlaying) this.#poll(now);
    }
    const { own } = this;
    // Without a connection one's own player stands still, as it does for the others.
    if (clock && pace && own && pace.newest !== null && this.#isPlaying) {
      own.look(clock.ticksSince(pace.newest, now + pace.ahead, now), this.#input(), now);
    }
  }

  /** The server's tick now, with parts; NaN as long as its clock is unknown. */
  tick(): number {
    const { clock, applied } = this.#link;
    if (!clock || applied === null) return NaN;
    const now = micros();
    return applied + clock.ticksSince(applied, now, now);
  }

  /** Says something to everyone in the match. Whether it was sent: not while there is no connection. */
  chat(text: string): boolean {
    const line = text.trim();
    if ([...line].length > LINE_MAX) {
      call(this.#options.handlers?.chatRefused, { reason: "too-long" });
      return false;
    }
    if (!this.#isPlaying) return false;
    writeChat(line, this.#out.clear());
    this.#send();
    return true;
  }

  /** Leaves. The seat is free at once, or, while there is no connection, when the server no longer waits. */
  close(): void {
    this.#hangUp(1000, "bye");
    // A seat of before that was not taken up yet is not given up.
    this.#end(1000, "bye", this.#link.welcome === null);
  }

  /** Cuts the connection as a bad network would. For tests, and to feel it. */
  cut(): void {
    if (!this.#socket) return;
    this.#hangUp(CLIENT_FAULT, "cut");
    this.#lost(1006, "cut");
  }

  get #isPlaying(): boolean {
    return this.state.type === "playing" && this.#socket?.readyState === 1;
  }

  #connect(): void {
    this.#retry = undefined;
    const ticket = this.#options.ticket ?? this.#address.ticket ?? "";
    if (this.#token) this.#open("");
    else if (typeof ticket === "function") this.#ask(ticket);
    else this.#open(ticket);
  }

  #ask(tickets: (match: number | "auto") => string | Promise<string>): void {
    const since = micros();
    // What throws at once rejects as well, so that it is told when whoever makes this session has it.
    const asked = new Promise<string>((resolve) => resolve(tickets(this.#match)));
    asked.then(
      (ticket) => {
        if (this.state.type === "ended") return;
        // Somebody may have had to log in.
        if (this.#lostAt > 0) this.#lostAt += micros() - since;
        this.#attempt(() => this.#open(ticket));
      },
      (error: unknown) => {
        console.warn("tickwire: no ticket:", error);
        // The match may be gone for which it was wanted.
        this.#match = this.#wished;
        this.#lost(1006, "no ticket could be had");
      },
    );
  }

  /** What can't be opened again ends the session: nobody is there to catch an exception. */
  #attempt(connect: () => void): void {
    try {
      connect();
    } catch (error) {
      report(error);
      this.#end(CLIENT_FAULT, String(error));
    }
  }

  /** Connects, to join with a ticket or to take the session up. */
  #open(ticket: string): void {
    const target = new URL(this.#address.play);
    target.searchParams.set("match", String(this.#match));
    const mode = this.#options.mode ?? this.#address.mode;
    if (mode && this.#match === "auto") target.searchParams.set("mode", mode);
    if (this.#spectate) target.searchParams.set("role", "spectator");
    if (this.#token) target.searchParams.set("resume", "1");
    if (ticket) target.searchParams.set("ticket", ticket);
    const open = this.#options.openSocket ?? ((url, subprotocol) => new WebSocket(url, subprotocol) as Socket);
    const socket = open(target.href, SUBPROTOCOL);
    let wasOpen = false;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      wasOpen = true;
      const name = [...(this.#options.name ?? "")].slice(0, NAME_MAX).join("");
      this.#link.writeHello(name, this.#token, this.#out.clear());
      this.#send();
    };
    socket.onmessage = ({ data }) => this.#hear(data);
    socket.onclose = ({ code, reason }) => this.#lost(code, reason || (wasOpen ? "" : NO_CONNECTION));
    // The close that follows says as much; some sockets throw what nobody hears.
    socket.onerror = () => {};
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
        this.#company.hear(event);
    }
  }

  #welcome(welcome: Welcome): void {
    const schema = this.#link.schema!;
    if (welcome.matchId !== this.#match) this.#company.change();
    this.#match = welcome.matchId;
    // A spectator's session ends with its connection.
    this.#token = welcome.seat === null ? null : welcome.resume;
    if (this.#token) this.#remembered.keep({ match: this.#match, token: this.#token });
    if (this.others && welcome.schema === null) {
      this.others.restart();
      this.own?.restart();
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
    if (this.state.type !== "playing") {
      this.#attempts = this.#lostAt = 0;
      this.#become({ type: "playing" });
    }
    const { own } = this;
    if (own) call(() => own.answer(tick, rows));
    call(this.#options.handlers?.snapshot, rows, tick);
    // In the background there are no pictures, and hardly any timers, but there are snapshots.
    if (typeof document !== "undefined" && document.hidden) this.frame();
    if (now - this.#spokeAt > ACK_MS * 1_000) this.#acknowledge();
    this.#ping(now);
  }

  /** Makes the inputs that are due. */
  #poll(now: number): void {
    if (!this.#options.input || this.seat === null) return;
    for (let tick = this.#link.pollInput(now); tick >= 0; tick = this.#link.pollInput(now)) {
      const values = this.#input();
      this.#link.writeInput(tick, values, this.#out.clear());
      this.#send();
      this.#acknowledged = this.#link.applied;
      this.own?.input(tick, values);
      call(this.#options.handlers?.input, tick, values);
    }
  }

  /** What the player wants at this moment. */
  #input(): ArrayLike<number> {
    const values = this.#options.input?.() ?? [];
    if (this.#options.input) check(this.#link.schema!.input, values);
    return values;
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
    this.stats.turn(now);
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
    const isGone = CODES_OF_GONE.has(code) && (this.#token !== null || this.#match !== this.#wished);
    if (isGone) {
      this.#forget();
      this.#match = this.#wished;
    }
    if (!this.#token) {
      this.#link = new ClientLink();
      this.others = this.own = null;
    }
    const isFinal = code !== CLIENT_FAULT && !CODES_TO_RETRY.has(code) && !isGone;
    if (isFinal || now - this.#lostAt > GIVE_UP_MS * 1_000) {
      this.#end(code, reason);
      return;
    }
    // At random, so that many clients don't come back at the same moment.
    const inMs = Math.random() * Math.min(BACKOFF_MS * 2 ** this.#attempts++, BACKOFF_MS_MAX);
    this.#retry = setTimeout(() => this.#attempt(() => this.#connect()), inMs);
    this.#become({ type: "resuming", inMs, code, reason });
  }

  #end(code: number, reason: string, isRemembered = code === CODE_OF_REPLACED): void {
    if (this.state.type === "ended") return;
    clearInterval(this.#watch);
    clearTimeout(this.#retry);
    if (!isRemembered) this.#forget();
    this.#become({ type: "ended", code, reason });
  }

  #forget(): void {
    if (this.#token) this.#remembered.forget(this.#token);
    this.#token = null;
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
}

/** Microseconds on the page's clock. */
function micros(): number {
  return Math.floor(performance.now() * 1_000);
}
