/** The page at `/`: joins, draws, and plays. */

import { Session, type SessionState } from "@tickwire/client";
import { ArenaPredictor } from "./arena/body.js";
import { Arena } from "./arena/rows.js";
import { PlainView } from "./draw/plain.js";
import { Scene } from "./draw/scene.js";
import { Chat } from "./hud/chat.js";
import { element, setText } from "./hud/elements.js";
import { Hud } from "./hud/hud.js";
import { JoinDialog, type Wish } from "./hud/join.js";
import { NetworkPanel } from "./hud/network.js";
import { Controls } from "./input/controls.js";
import { openConditioned } from "./net/conditioner.js";

/** How often the furniture around the picture is looked at. */
const HUD_MS = 150;
/** From a shot to the next, by what was fired last. */
const GUN_COOLDOWN_S = 0.2;
const ROCKET_COOLDOWN_S = 0.9;
const ARENA_LABEL =
  "The arena, seen from above. W, A, S, D move; the mouse or the left and right arrow keys aim; " +
  "click or arrow up fires; right click, space or arrow down fires a rocket.";

/** `?match=1&name=Ada&role=spectator&ticket=…`, or `?match=auto&mode=…`, goes straight in. */
const wished = new URLSearchParams(location.search);
const canvas = element<HTMLCanvasElement>("scene");
const scene = new Scene(canvas);
const controls = new Controls(canvas, scene);
const hud = new Hud(scene, nameOf, colourOf);
const chat = new Chat(() => session, colourOf, () => canvas.focus());
const panel = new NetworkPanel(() => session?.cut());
const join = new JoinDialog(enter, dress);

let session: Session | null = null;
let arena: Arena | null = null;
/** Instead of the arena, where the server runs another game. */
let plain: PlainView | null = null;
let hudAt = 0;
/** The tick from which one may fire again. */
let readyAt = 0;
let isLost = false;
/** Why there was no ticket. */
let refused = "";
/** Whether the page is dressed as the arena. */
let isArena = false;
/** Milliseconds of script that the last pictures took. */
const frameTimes = new Float64Array(1_024);
let pictures = 0;

const storage = storageOfTab();

scene.names = nameOf;
for (const name of ["net", "help"] as const) {
  element(`${name}-button`).addEventListener("click", () => toggle(name));
}
element("leave").addEventListener("click", () => session?.close());
// Whoever clicks plays on; whoever came there by the keyboard stays.
element("hud").addEventListener("pointerup", ({ target }) => {
  if (!(target as HTMLElement).matches("#saying")) canvas.focus();
});
addEventListener("keydown", shortcut);
requestAnimationFrame(draw);

if (wished.has("match")) {
  const match = Number(wished.get("match"));
  enter({
    name: wished.get("name") ?? "",
    match: match === match >>> 0 ? match : "auto",
    mode: wished.get("mode") ?? undefined,
    spectate: wished.get("role") === "spectator",
  });
} else if (isRemembered()) {
  // The page was loaded again: back to the seat.
  enter({ name: "", match: "auto", spectate: false });
} else {
  join.open("");
}

function isRemembered(): boolean {
  return storage !== null && Session.isRemembered(storage, location.origin);
}

/** What lasts as long as the tab, unless the browser keeps nothing for this page. */
function storageOfTab(): Storage | null {
  try {
    return sessionStorage;
  } catch {
    return null;
  }
}

function enter({ name, match, mode, spectate }: Wish): void {
  arena = plain = null;
  scene.ownHealth = 0;
  refused = "";
  element("hud").hidden = false;
  element("lines").replaceChildren();
  hud.clear();
  session = new Session({
    url: location.origin,
    match,
    mode,
    spectate,
    name,
    ticket: wished.get("ticket") ?? ((match) => guestTicket({ name, match, mode, spectate })),
    input: () => (arena ? controls.values() : controls.valuesFor(session!.link.schema!.input)),
    predictor: new ArenaPredictor(() => arena),
    openSocket: openConditioned,
    storage: storage ?? undefined,
    handlers: {
      state: changed,
      welcome: () => {
        const schema = session!.link.schema!;
        const isFirst = !arena && !plain;
        arena = Arena.of(schema);
        if (!arena && !plain) {
          plain = new PlainView(canvas, scene, schema);
          chat.note(`The server runs “${schema.game}”, of which this page has no picture: it shows what the schema tells.`);
        }
        if (isFirst) chat.note(session!.seat !== null ? howToPlay() : howToWatch());
        dress(schema.game);
        chat.seat(session!.seat !== null);
        // Whoever writes while the connection is taken up again writes on.
        if (isFirst) canvas.focus();
      },
      input: shoot,
      snapshot: feel,
      event: happened,
      line: (line) => chat.line(line),
      chatRefused: (refused) => chat.refused(refused),
      leaving: (ms) => chat.note(`The server goes away within ${Math.ceil(ms / 1_000)} s; you are put into a match again when it is back.`),
    },
  });
  // For tests and the curious: everything is there to be looked at.
  Object.assign(globalThis, { tickwire: { session, scene, controls, frameTimes } });
}

/** What one has to know at first. */
function howToPlay(): string {
  const isTouched = matchMedia("(pointer: coarse)").matches;
  if (!arena) return isTouched ? "Left thumb moves; right thumb, further out, fires." : "W, A, S, D and space play it.";
  return isTouched
    ? "Left thumb runs; right thumb aims and, further out, fires."
    : "W, A, S, D move, the mouse aims, a click fires, a right click fires a rocket. H tells all keys.";
}

function howToWatch(): string {
  return arena ? "You watch. Click a name in the list to follow it." : "You watch.";
}

/** Puts on what the game has: without the arena's own things it is called by its name, and that is all. */
function dress(game: string): void {
  isArena = Arena.isCalled(game);
  document.body.classList.toggle("plain", !isArena);
  document.title = isArena ? "Tickwire arena" : game;
  canvas.setAttribute("aria-label", isArena ? ARENA_LABEL : game);
  setText("join-title", isArena ? "Tickwire" : game);
  setText("rocket-button", isArena ? "Rocket" : "Fire");
}

/** A ticket of a server that wants one and takes guests. Where there is none, `refused` or the connection tells why. */
async function guestTicket({ name, match, mode, spectate }: Wish): Promise<string> {
  const role = spectate ? "spectator" : "player";
  const body = JSON.stringify({ name, role, match, ...(match === "auto" && { mode }) });
  const answer = await fetch("/v1/join", { method: "POST", body });
  const { ticket, error } = (await answer.json()) as { ticket?: string | null; error?: { message: string } };
  refused = answer.status === 401 ? "whoever plays here needs a ticket" : (error?.message ?? "");
  // What a moment may change is tried again.
  if (answer.status === 429 || answer.status >= 500) throw new Error(refused);
  return ticket ?? "";
}

/** One's own shot is seen at once. */
function shoot(tick: number): void {
  const { rows, owner, welcome } = session!.link;
  if (!arena || !rows || !owner || !welcome) return;
  // Ticks of another match.
  if (readyAt - tick > welcome.hz) readyAt = 0;
  const isOver = rows.values[rows.start(rows.find(0)) + arena.round.over] > 0;
  if (isOver || scene.ownHealth <= 0 || tick < readyAt) return;
  if (controls.isFiring && owner[arena.bullets] > 0) {
    readyAt = tick + Math.ceil(GUN_COOLDOWN_S * welcome.hz);
    scene.ownShot(session!.seat ?? 0, performance.now());
  } else if (controls.isRocketing && owner[arena.rockets] > 0) {
    readyAt = tick + Math.ceil(ROCKET_COOLDOWN_S * welcome.hz);
  }
}

/** Being hit, as soon as it is known. */
function feel(): void {
  const rows = session?.link.rows;
  const seat = session?.seat;
  if (!rows || !arena || seat == null) return;
  const index = rows.find(arena.playerId(seat));
  const health = index < 0 ? 0 : rows.values[rows.start(index) + arena.player.health];
  if (health < scene.ownHealth) scene.hurt(performance.now());
  scene.ownHealth = health;
}

function happened(name: string, values: Record<string, number>): void {
  if (!arena) {
    const said = Object.entries(values).map(([what, value]) => `${what} ${value}`);
    return chat.note(`${name}: ${said.join(", ")}`);
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

function changed(state: SessionState): void {
  switch (state.type) {
    case "connecting":
      break;
    case "resuming":
      if (!isLost && (arena || plain)) chat.note("The connection is lost; taking it up again…");
      isLost = true;
      hud.banner(
        arena || plain ? "Connection lost" : refused ? "Not in yet" : "No connection",
        session?.seat == null ? `${refused ? `${refused}; ` : ""}trying again…` : "your seat is kept for a while",
        3_600_000,
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
    panel.update(session, scene.theme.line);
  }
  frameTimes[pictures++ % frameTimes.length] = performance.now() - now;
}

function shortcut(event: KeyboardEvent): void {
  const target = event.target as HTMLElement;
  if (!session || event.repeat || event.ctrlKey || event.metaKey || event.altKey || target.matches("input, select")) return;
  if (event.code === "KeyN") toggle("net");
  else if (event.code === "KeyH" && isArena) toggle("help");
  else if (event.code === "Enter" && !target.matches("button, a")) {
    event.preventDefault();
    chat.open();
  }
}

/** Opens or closes a drawer; there is room for one. */
function toggle(name: "net" | "help"): void {
  for (const drawer of ["net", "help"] as const) {
    const isOpen = drawer === name && element(drawer).hidden;
    element(drawer).hidden = !isOpen;
    element(`${drawer}-button`).setAttribute("aria-expanded", String(isOpen));
  }
}

function nameOf(seat: number): string {
  return session?.people.get(seat)?.name ?? `Computer ${seat + 1}`;
}

function colourOf(seat: number): string {
  return seat === session?.seat ? scene.theme.own : scene.theme.seats[seat % scene.theme.seats.length];
}
