/**
 * A session in a browser: a `ClientLink` with a WebSocket, a clock, interpolation and prediction. It
 * resumes the session after the connection was lost, and keeps it while the page is in the
 * background.
 *
 * Call `frame` once for each rendered frame; then draw what `others` and `own` have. Everything else
 * is passed to `handlers`. An exception in a handler, or in the predictor when a snapshot arrives, is
 * reported to the page and changes nothing here.
 */

import { type Address, checkMatch, readAddress } from "./address.js";
import { type Back, backAfter } from "./back.js";
import { Backoff } from "./backoff.js";
import { ByteWriter } from "./bytes.js";
import { ServerFault } from "./fault.js";
import { check, listed } from "./integers.js";
import { ClientLink } from "./link/client.js";
import type { SessionOptions, SessionState, Socket } from "./options.js";
import { Interpolation } from "./replica/interpolation.js";
import { Prediction } from "./replica/prediction.js";
import { Remembered, type Store } from "./remembered.js";
import { call, report } from "./report.js";
import { Social } from "./social.js";
import { Stats } from "./stats.js";
import { type Player, SUBPROTOCOL, type Welcome, writeResync } from "./wire.js";

/** Another connection has resumed the session, and the remembered seat is now that one's. */
const CODE_REPLACED = 4013;
/** Our own close code: the server has sent an invalid frame. */
const CLIENT_FAULT = 4900;
/** A connection on which nothing was received for this long is dead. */
const TIMEOUT_MS = 6_000;
/** Interval of the work that does not depend on rendered frames: acknowledgements, pings, the timeout. */
const TIMER_MS = 250;
/** Most characters of a name. */
const NAME_MAX = 24;
/** If nothing was sent for this long, the next snapshot gets an acknowledgement of its own. */
const ACK_MS = 100;
/** A browser gives a page no reason. */
const NO_CONNECTION = "no connection could be made: is the server there, and does it take this page's origin?";

export class Session {
  readonly stats = new Stats();
  /** The other entities, interpolated; `null` before the first welcome. */
  others: Interpolation | null = null;
  /** The player's own entity, if it is predicted. */
  own: Prediction | null = null;
  state: SessionState = { type: "connecting" };

  readonly #options: SessionOptions;
  readonly #address: Address;
  readonly #requestedMatch: number | "auto";
  readonly #spectate: boolean;
  readonly #remembered: Remembered;
  readonly #social: Social;
  readonly #out = new ByteWriter();
  readonly #backoff = new Backoff();
  #link = new ClientLink();
  #socket: Socket | null = null;
  #token: Uint8Array | null = null;
  #match: number | "auto";
  #sentAt = 0;
  /** The newest snapshot that was acknowledged. */
  #acknowledged: number | null = null;
  #receivedAt = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  readonly #timer: ReturnType<typeof setInterval>;
  /** Reconnects at once when the device has a network again. */
  readonly #online = () => {
    if (this.#retry === undefined) return;
    clearTimeout(this.#retry);
    this.#attempt(() => this.#connect());
  };

  /** Throws a `TypeError` when `url`, `match` or `name` is invalid. */
  constructor(options: SessionOptions) {
    const { url, match, spectate, name, storage, handlers } = options;
    if (name !== undefined && typeof name !== "string") throw new TypeError("name is no string");
    this.#options = options;
    this.#address = readAddress(url);
    this.#requestedMatch = checkMatch(match ?? this.#address.match ?? "auto");
    this.#spectate = spectate ?? this.#address.spectate;
    this.#social = new Social(handlers ?? {});
    this.#remembered = new Remembered(this.#spectate ? undefined : storage, this.#address);
    this.#match = this.#requestedMatch;
    const seat = this.#remembered.get();
    if (seat && (this.#requestedMatch === "auto" || this.#requestedMatch === seat.match)) {
      this.#match = seat.match;
      this.#token = seat.token;
    }
    this.#connect();
    this.#timer = setInterval(() => this.#handleTimer(), TIMER_MS);
    // Not in Node.
    globalThis.addEventListener?.("online", this.#online);
  }

  /** Whether `storage` has the seat that the page had before it was reloaded. */
  static isRemembered(storage: Store, url: string): boolean {
    return new Remembered(storage, readAddress(url)).get() !== null;
  }

  get link(): ClientLink {
    return this.#link;
  }

  /** The players with a seat, by seat. */
  get people(): ReadonlyMap<number, Player> {
    return this.#social.people;
  }

  get seat(): number | null {
    return this.#link.welcome?.seat ?? null;
  }

  /** Sends the inputs that are due, and updates `others` and `own`. Call it once for each rendered frame. */
  frame(): void {
    const now = micros();
    const { clock, pace } = this.#link;
    if (clock && this.others?.advance(clock, now)) {
      this.#link.setSeen(this.others.shown.tick, this.others.shown.ticksBefore);
      if (this.#isPlaying) this.#pollInputs(now);
    }
    const { own } = this;
    // Without a connection the player's own entity stands still, as it does for other players.
    if (clock && pace && own && pace.newest !== null && this.#isPlaying) {
      own.show(clock.ticksSince(pace.newest, now + pace.ahead, now), this.#input(), now);
    }
  }

  /** The server's current tick, with fraction; NaN while its clock is unknown. */
  tick(): number {
    const { clock, applied } = this.#link;
    if (!clock || applied === null) return NaN;
    const now = micros();
    return applied + clock.ticksSince(applied, now, now);
  }

  /**
   * Sends a line of chat to everyone in the match. Returns `false` if it is too long, if too many wait, or if there is
   * no session yet. While the connection is lost, lines wait, and those that were lost with it are sent again when the
   * session is resumed. If it can't be, they are discarded.
   */
  chat(text: string): boolean {
    if (this.state.type === "ended" || !this.#link.welcome) return false;
    const refused = this.#link.chat(text);
    if (refused) call(this.#options.handlers?.chatRefused, refused);
    this.#pollChat();
    return refused === null;
  }

  /** Leaves the match. The seat is free at once, or, without a connection, at the end of the grace period. */
  close(): void {
    this.#disconnect(1000, "bye");
    // A remembered seat that was not resumed yet stays remembered.
    this.#end(1000, "bye", this.#link.welcome === null);
  }

  /** Cuts the connection as a bad network would. For tests and demonstrations. */
  cut(): void {
    if (!this.#socket) return;
    this.#disconnect(CLIENT_FAULT, "cut");
    this.#handleLoss(1006, "cut");
  }

  get #isPlaying(): boolean {
    return this.state.type === "playing" && this.#socket?.readyState === 1;
  }

  #connect(): void {
    this.#retry = undefined;
    const ticket = this.#options.ticket ?? this.#address.ticket ?? "";
    if (this.#token) this.#open("");
    else if (typeof ticket === "function") this.#requestTicket(ticket);
    else this.#open(ticket);
  }

  #requestTicket(tickets: (match: number | "auto") => string | Promise<string>): void {
    const since = micros();
    // The promise also catches what `tickets` throws, so that it is reported after the constructor has returned.
    const requested = new Promise<string>((resolve) => resolve(tickets(this.#match)));
    requested.then(
      (ticket) => {
        if (this.state.type === "ended") return;
        // The user may have had to log in.
        this.#backoff.handleDelay(micros() - since);
        this.#attempt(() => this.#open(ticket));
      },
      (error: unknown) => {
        console.warn("tickwire: no ticket:", error);
        // The match that the ticket was for may be gone.
        this.#match = this.#requestedMatch;
        this.#handleLoss(1006, `could not get a ticket: ${error instanceof Error ? error.message : String(error)}`);
      },
    );
  }

  /** Ends the session if `connect` throws: in a timer or promise, no caller could catch the exception. */
  #attempt(connect: () => void): void {
    try {
      connect();
    } catch (error) {
      report(error);
      this.#end(CLIENT_FAULT, String(error));
    }
  }

  /** Connects, to join with a ticket or to resume the session. */
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
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code, reason }) => this.#handleLoss(code, reason || (wasOpen ? "" : NO_CONNECTION));
    // A close follows every error; but some sockets throw an error that has no listener.
    socket.onerror = () => {};
    this.#socket = socket;
    this.#receivedAt = micros();
  }

  #receive(data: unknown): void {
    // A socket from `openSocket` may deliver frames after it was closed.
    if (this.state.type === "ended") return;
    const now = micros();
    this.#receivedAt = now;
    try {
      if (!(data instanceof ArrayBuffer)) throw new ServerFault("a text frame");
      this.stats.receive(data.byteLength, now);
      this.#handle(new Uint8Array(data), now);
    } catch (error) {
      if (!(error instanceof ServerFault)) throw error;
      this.#handleFault(error);
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
        this.#social.handle(event);
    }
  }

  #welcome(welcome: Welcome): void {
    const schema = this.#link.schema!;
    if (welcome.matchId !== this.#match) this.#social.reset();
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
    this.#pollChat();
    call(this.#options.handlers?.welcome, welcome);
  }

  #snapshot(tick: number, differs: boolean, now: number): void {
    const { clock, rows, owner } = this.#link;
    if (!clock || !rows || !owner) return;
    if (differs) {
      this.stats.resyncs++;
      writeResync(this.#out.clear());
      this.#send();
    }
    this.stats.snapshot(now - clock.due(tick, now));
    this.others?.push(tick, rows, clock, now);
    if (this.state.type !== "playing") {
      this.#backoff.handlePlaying(now);
      this.#setState({ type: "playing" });
    }
    const { own } = this;
    if (own) call(() => own.reconcile(tick, rows, owner));
    call(this.#options.handlers?.snapshot, rows, tick);
    // In the background a browser renders no frames and slows timers down, but snapshots arrive.
    if (typeof document !== "undefined" && document.hidden) this.frame();
    if (now - this.#sentAt > ACK_MS * 1_000) this.#acknowledge();
    this.#ping(now);
  }

  /** Makes and sends the inputs that are due. */
  #pollInputs(now: number): void {
    if (!this.#options.input || this.seat === null) return;
    for (let tick = this.#link.pollInput(now); tick >= 0; tick = this.#link.pollInput(now)) {
      const values = this.#input();
      this.#link.writeInput(tick, values, this.#out.clear());
      this.#send();
      this.#acknowledged = this.#link.applied;
      this.own?.push(tick, values);
      call(this.#options.handlers?.input, tick, values);
    }
  }

  /** The player's current input; empty without an `input` option. */
  #input(): ArrayLike<number> {
    const { input } = this.#options;
    if (!input) return [];
    const schema = this.#link.schema!.input;
    const made = input();
    const values = isList(made) ? made : listed(schema, made);
    check(schema, values);
    return values;
  }

  #acknowledge(): void {
    this.#acknowledged = this.#link.applied;
    this.#link.writeAck(this.#out.clear());
    this.#send();
  }

  #pollChat(): void {
    if (this.#socket?.readyState !== 1) return;
    while (this.#link.pollChat(this.#out.clear())) this.#send();
  }

  #ping(now: number): void {
    this.#link.pollPing(now, this.#out.clear());
    this.#send();
  }

  #send(): void {
    const bytes = this.#out.written();
    if (bytes.length === 0 || this.#socket?.readyState !== 1) return;
    this.#sentAt = micros();
    this.stats.send(bytes.length);
    this.#socket.send(bytes);
  }

  #handleTimer(): void {
    const now = micros();
    this.stats.turn(now);
    if (!this.#socket) return;
    // While the congestion window is full, no further snapshot arrives that would be acknowledged.
    if (this.#link.applied !== this.#acknowledged) this.#acknowledge();
    this.#ping(now);
    if (now - this.#receivedAt > TIMEOUT_MS * 1_000) {
      this.#disconnect();
      this.#handleLoss(1006, "the connection timed out");
    }
  }

  /** Handles an invalid frame: starts again with an empty link, in the same seat if possible. */
  #handleFault(error: ServerFault): void {
    console.warn(`tickwire: ${error.message}`);
    this.stats.faults++;
    this.#backoff.handleFault();
    this.#link = new ClientLink();
    this.others = this.own = null;
    this.#disconnect(CLIENT_FAULT, "malformed");
    this.#handleLoss(CLIENT_FAULT, error.message, "resume");
  }

  /** Handles the end of a connection: resumes, joins again, or ends the session. */
  #handleLoss(code: number, reason: string, back: Back = backAfter(code)): void {
    this.#socket = null;
    if (this.state.type === "ended") return;
    const now = micros();
    this.#backoff.handleLoss(now);
    const isGone = back === "anew" && (this.#token !== null || this.#match !== this.#requestedMatch);
    if (isGone) {
      this.#forget();
      this.#match = this.#requestedMatch;
      this.#backoff.handleAnswer();
    }
    if (!this.#token) {
      this.#link = new ClientLink();
      this.others = this.own = null;
    }
    const mayTry = isGone || back === "resume";
    const inMs = mayTry ? this.#backoff.nextAttempt(now) : null;
    if (inMs === null) {
      // The server may keep the seat for longer than a session tries to come back to it.
      this.#end(code, reason, code === CODE_REPLACED || back === "resume");
      return;
    }
    this.#retry = setTimeout(() => this.#attempt(() => this.#connect()), inMs);
    this.#setState({ type: "resuming", inMs, code, reason });
  }

  #end(code: number, reason: string, isRemembered = false): void {
    if (this.state.type === "ended") return;
    clearInterval(this.#timer);
    clearTimeout(this.#retry);
    globalThis.removeEventListener?.("online", this.#online);
    if (!isRemembered) this.#forget();
    this.#setState({ type: "ended", code, reason });
  }

  #forget(): void {
    if (this.#token) this.#remembered.forget(this.#token);
    this.#token = null;
  }

  #setState(state: SessionState): void {
    this.state = state;
    call(this.#options.handlers?.state, state);
  }

  /** Closes the connection, if there is one, and handles no more of its events. */
  #disconnect(code?: number, reason?: string): void {
    const socket = this.#socket;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(code, reason);
  }
}

function isList(values: ReturnType<NonNullable<SessionOptions["input"]>>): values is ArrayLike<number> {
  return Symbol.iterator in values;
}

/** Microseconds on the page's clock. */
function micros(): number {
  return Math.floor(performance.now() * 1_000);
}
