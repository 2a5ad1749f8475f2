/** The page at `/`: joins a match, draws it, and plays or watches. */

import { Session, type SessionState } from "@tickwire/client";
import { ArenaPredictor } from "./arena/body.js";
import { Arena, valueOf } from "./arena/rows.js";
import { PlainView } from "./draw/plain.js";
import { Scene } from "./draw/scene.js";
import { colourOf } from "./draw/theme.js";
import { Chat } from "./hud/chat.js";
import { element, setText } from "./hud/elements.js";
import { Hud } from "./hud/hud.js";
import { JoinDialog, type JoinRequest } from "./hud/join.js";
import { NetworkPanel } from "./hud/network.js";
import { Controls } from "./input/controls.js";
import { openConditioned } from "./net/conditioner.js";

/** How often the HUD is updated. */
const HUD_MS = 150;
/** A network that stalls for longer is shown to the player, in seconds: a session waits for several before it reconnects. */
const STALL_S = 1;
/** Time from a shot to the next, by the weapon that was fired. */
const GUN_COOLDOWN_S = 0.2;
const ROCKET_COOLDOWN_S = 0.9;
const ARENA_LABEL =
  "The arena, seen from above. W, A, S, D move; the mouse or the left and right arrow keys aim; " +
  "click or arrow up fires; right click, space or arrow down fires a rocket.";

/** `?match=1&name=Ada&role=spectator&ticket=…`, or `?match=auto&mode=…`, joins without the dialog. */
const query = new URLSearchParams(location.search);
/** The server's URL: this page's, which may be behind a prefix of a proxy's. */
const server = new URL(".", location.href).href;
const canvas = element<HTMLCanvasElement>("scene");
const scene = new Scene(canvas, nameOf);
const controls = new Controls(scene);
const hud = new Hud(scene, colourOfSeat);
const chat = new Chat(() => session, colourOfSeat, () => canvas.focus());
const panel = new NetworkPanel(() => session?.cut());
const join = new JoinDialog(enter, styleFor);

let session: Session | null = null;
let arena: Arena | null = null;
/** Used instead of the arena if the server runs another game. */
let plain: PlainView | null = null;
let hudAt = 0;
/** The tick from which the player may fire again. */
let readyAt = 0;
let isLost = false;
let isStalled = false;
/** Why the server gave no ticket; empty if it did, or needs none. */
let refused = "";
/** Whether the page is styled for the arena. */
let isArena = false;
/** Milliseconds of script time of the last frames. */
const frameTimes = new Float64Array(1_024);
let frames = 0;

const storage = storageOfTab();

for (const name of ["net", "help"] as const) {
  element(`${name}-button`).addEventListener("click", () => toggle(name));
}
element("leave").addEventListener("click", () => session?.close());
// A click on the HUD returns the focus to the game; keyboard navigation keeps it.
element("hud").addEventListener("pointerup", ({ target }) => {
  if (!(target as HTMLElement).matches("#saying")) canvas.focus();
});
addEventListener("keydown", shortcut);
requestAnimationFrame(draw);

if (query.has("match")) {
  const match = query.get("match")!;
  const isId = /^\d+$/.test(match) && Number(match) < 2 ** 32;
  enter({
    name: query.get("name") ?? "",
    match: isId ? Number(match) : "auto",
    mode: query.get("mode") ?? undefined,
    spectate: query.get("role") === "spectator",
  });
} else if (isRemembered()) {
  // The page was reloaded: resume the session.
  enter({ name: "", match: "auto", spectate: false });
} else {
  join.open("");
}

function isRemembered(): boolean {
  return storage !== null && Session.isRemembered(storage, server);
}

/** The tab's session storage; `null` if the browser allows this page none. */
function storageOfTab(): Storage | null {
  try {
    return sessionStorage;
  } catch {
    return null;
  }
}

function enter({ name, match, mode, spectate }: JoinRequest): void {
  arena = plain = null;
  scene.ownHealth = 0;
  refused = "";
  isStalled = false;
  element("hud").hidden = false;
  element("lines").replaceChildren();
  hud.clear();
  session = new Session({
    url: server,
    match,
    mode,
    spectate,
    name,
    ticket: query.get("ticket") ?? ((match) => guestTicket({ name, match, mode, spectate })),
    input: () => (arena ? controls.values() : controls.valuesFor(session!.link.schema!.input)),
    predictor: new ArenaPredictor(() => arena),
    openSocket: openConditioned,
    storage: storage ?? undefined,
    handlers: {
      state: handleState,
      welcome: handleWelcome,
      input: showOwnShot,
      snapshot: showDamage,
      event: handleEvent,
      line: (line) => chat.line(line),
      chatRefused: (refused) => chat.refused(refused),
      leaving: (ms) => chat.note(`The server goes away within ${Math.ceil(ms / 1_000)} s; you are put into a match again when it is back.`),
    },
  });
  // For tests, and for the browser's console.
  Object.assign(globalThis, { tickwire: { session, scene, controls, frameTimes } });
}

function handleWelcome(): void {
  const schema = session!.link.schema!;
  const isFirst = !arena && !plain;
  arena = Arena.of(schema);
  if (!arena && !plain) {
    plain = new PlainView(scene, schema);
    chat.note(`The server runs “${schema.game}”, which this page can't draw: it shows what the schema describes.`);
  }
  if (isFirst) chat.note(session!.seat !== null ? howToPlay() : howToWatch());
  styleFor(schema.game);
  chat.seat(session!.seat !== null);
  // After a reconnection the focus stays, such as in a line of chat that is being written.
  if (isFirst) canvas.focus();
}

/** The first note in the chat of a player. */
function howToPlay(): string {
  const isTouched = matchMedia("(pointer: coarse)").matches;
  if (!arena) return isTouched ? "Left thumb moves; right thumb, further out, fires." : "W, A, S, D and space play it.";
  return isTouched
    ? "Left thumb runs; right thumb aims and, further out, fires."
    : "W, A, S, D move, the mouse aims, a click fires, a right click fires a rocket. H shows all keys.";
}

function howToWatch(): string {
  return arena ? "You watch. Click a name in the list to follow it." : "You watch.";
}

/** Styles the page for a game. One other than the arena gets its name as the title, and none of the arena's parts. */
function styleFor(game: string): void {
  isArena = Arena.isCalled(game);
  document.body.classList.toggle("plain", !isArena);
  document.title = isArena ? "Tickwire arena" : game;
  canvas.setAttribute("aria-label", isArena ? ARENA_LABEL : game);
  setText("join-title", isArena ? "Tickwire" : game);
  setText("rocket-button", isArena ? "Rocket" : "Fire");
}

/**
 * Gets a ticket, if the server requires one and admits guests; else returns "". If the server then rejects the
 * connection, the reason is in `refused` or in the connection's close.
 */
async function guestTicket({ name, match, mode, spectate }: JoinRequest): Promise<string> {
  const role = spectate ? "spectator" : "player";
  const body = JSON.stringify({ name, role, match, ...(match === "auto" && { mode }) });
  const answer = await fetch("v1/join", { method: "POST", body });
  // What a proxy says of an error is no JSON.
  const said: { ticket?: string | null; error?: { message: string } } = await answer.json().catch(() => ({}));
  const why = said.error?.message ?? (answer.ok ? "" : `the server answered ${answer.status}`);
  refused = answer.status === 401 ? "this server admits only players with a ticket" : why;
  // These errors may be temporary, so the session tries again.
  if (answer.status === 429 || answer.status >= 500) throw new Error(refused);
  return said.ticket ?? "";
}

/** Shows the player's own shot at once, without waiting for the server. */
function showOwnShot(tick: number): void {
  const { rows, owner, welcome } = session!.link;
  if (!arena || !rows || !owner || !welcome) return;
  // `readyAt` is a tick of another match.
  if (readyAt - tick > welcome.hz) readyAt = 0;
  const isOver = valueOf(rows, 0, arena.round.over) > 0;
  if (isOver || scene.ownHealth <= 0 || tick < readyAt) return;
  if (controls.isFiring && owner[arena.bullets] > 0) {
    readyAt = tick + Math.ceil(GUN_COOLDOWN_S * welcome.hz);
    scene.ownShot(session!.seat ?? 0, performance.now());
  } else if (controls.isRocketing && owner[arena.rockets] > 0) {
    readyAt = tick + Math.ceil(ROCKET_COOLDOWN_S * welcome.hz);
  }
}

/** Shows a hit on the player with the snapshot that has it, without the interpolation delay. */
function showDamage(): void {
  const rows = session?.link.rows;
  const seat = session?.seat;
  if (!rows || !arena || seat == null) return;
  const health = valueOf(rows, arena.playerId(seat), arena.player.health);
  if (health < scene.ownHealth) scene.hurt(performance.now());
  scene.ownHealth = health;
}

function handleEvent(name: string, values: Record<string, number>): void {
  if (!arena) {
    const list = Object.entries(values).map(([what, value]) => `${what} ${value}`);
    return chat.note(`${name}: ${list.join(", ")}`);
  }
  const seat = session?.seat ?? null;
  switch (name) {
    case "kill":
      hud.kill(values.victim, values.killer, values.weapon, seat);
      if (values.victim === seat) {
        const who = values.killer === seat ? "You blew yourself up" : `${nameOf(values.killer)} got you`;
        hud.banner(who, "back in two seconds", 1_900);
      } else if (values.killer === seat) hud.banner("", `You got ${nameOf(values.victim)}`, 1_600);
      break;
    case "hit": {
      const { x, y } = scene.figure(values.victim);
      scene.effects.add("number", performance.now(), x, y, values.victim, 0, 0, values.damage);
      break;
    }
    case "round_over":
      hud.banner(values.winner < 0 ? "A draw" : `${nameOf(values.winner)} wins`, `Round ${values.number} is over`, 5_800);
      break;
    case "round_start":
      hud.banner(`Round ${values.number}`, "", 2_000);
      break;
  }
}

function handleState(state: SessionState): void {
  switch (state.type) {
    case "connecting":
      break;
    case "resuming":
      if (!isLost && (arena || plain)) chat.note("The connection is lost; reconnecting…");
      isLost = true;
      hud.banner(
        arena || plain ? "Connection lost" : refused ? "Not in yet" : "No connection",
        session?.seat == null ? `${refused ? `${refused}; ` : ""}trying again…` : "your seat is kept for a while",
        Infinity,
      );
      break;
    case "playing":
      refused = "";
      if (isLost) chat.note("Connected again.");
      if (isLost) hud.banner("", "", 0);
      isLost = false;
      break;
    case "ended":
      isLost = false;
      session = null;
      element("hud").hidden = true;
      join.open(state.code === 1000 ? "" : `The session has ended: ${refused || state.reason || "the server can't be reached"}.`);
  }
}

function draw(): void {
  requestAnimationFrame(draw);
  const now = performance.now();
  controls.update(now);
  session?.frame();
  if (session && arena) scene.draw(session, arena, now);
  else if (session && plain) plain.draw(session);
  else if (isArena) scene.drawPlan();
  if (session && (arena || plain) && now - hudAt > HUD_MS) {
    hudAt = now;
    if (arena) hud.update(session, arena, now);
    else if (plain) setText("own-values", plain.describeOwn(session));
    panel.update(session, scene.theme.line);
    if (!isLost) showStall(session);
  }
  frameTimes[frames++ % frameTimes.length] = performance.now() - now;
}

function showStall(session: Session): void {
  const { applied, clock } = session.link;
  const isNow = applied !== null && clock !== null && session.tick() - applied > STALL_S * clock.hz;
  if (isNow !== isStalled) hud.banner(isNow ? "The network stalls" : "", "", isNow ? Infinity : 0);
  isStalled = isNow;
}

function shortcut(event: KeyboardEvent): void {
  if (!session || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.code === "Escape") {
    toggle(null);
    canvas.focus();
  }
  // Elsewhere in the HUD the keys are that element's own.
  if (event.target !== canvas) return;
  if (event.code === "KeyN") toggle("net");
  else if (event.code === "KeyH" && isArena) toggle("help");
  else if (event.key === "Enter") {
    event.preventDefault();
    chat.open();
  }
}

/** Opens or closes a drawer. There is room for only one, so the other one closes; `null` closes both. */
function toggle(name: "net" | "help" | null): void {
  for (const drawer of ["net", "help"] as const) {
    const isOpen = drawer === name && element(drawer).hidden;
    element(drawer).hidden = !isOpen;
    element(`${drawer}-button`).setAttribute("aria-expanded", String(isOpen));
  }
}

function nameOf(seat: number): string {
  return session?.people.get(seat)?.name ?? `Computer ${seat + 1}`;
}

function colourOfSeat(seat: number): string {
  return colourOf(scene.theme, seat, session?.seat ?? null);
}
