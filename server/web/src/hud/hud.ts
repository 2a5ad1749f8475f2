/**
 * The HUD around the arena: players, time, health, kills. It is updated a few times a second, and
 * changes only the elements whose content differs.
 */

import type { Rows, Session } from "@tickwire/client";
import { type Arena, valueOf } from "../arena/rows.js";
import type { Scene } from "../draw/scene.js";
import { element, make, setText } from "./elements.js";

const PLAYERS_SHOWN = 8;
const KILLS_SHOWN = 5;
const KILL_SHOWN_MS = 6_000;
const WEAPONS = ["gun", "rocket"];
/** The parts of the HUD that may cover the player's own figure. */
const COVERING = ".players, .vitals, .chat, .title-block";

interface Score {
  seat: number;
  kills: number;
  deaths: number;
}

export class Hud {
  #scores = "";
  #bannerUntil = 0;

  constructor(
    readonly scene: Scene,
    readonly colour: (seat: number) => string,
  ) {
    element("players").addEventListener("click", ({ target }) => {
      const button = (target as HTMLElement).closest("button");
      if (!button) return;
      const seat = Number(button.value);
      scene.followed = scene.followed === seat ? null : seat;
    });
  }

  /** Removes everything about the previous session's match. */
  clear(): void {
    this.#scores = "";
    this.scene.followed = null;
    element("players").replaceChildren();
    element("feed").replaceChildren();
    for (const id of ["match", "round", "ping"]) setText(id, "–");
    setText("time", "–:––");
    this.banner("", "", 0);
    element("vitals").hidden = true;
    setText("own-values", "");
  }

  /** Updates everything that does not come from events. */
  update(session: Session, arena: Arena, now: number): void {
    const { welcome, rows } = session.link;
    if (!welcome || !rows) return;
    const at = (id: number, field: number) => valueOf(rows, id, field);
    const { round, player } = arena;
    setText("match", String(welcome.matchId));
    setText("round", String(at(0, round.number)));
    const left = Math.max(0, (at(0, round.endsAtTick) - session.tick()) / welcome.hz);
    const isOver = at(0, round.over) > 0;
    if (!Number.isNaN(left)) {
      const seconds = Math.ceil(left);
      setText("time", `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`);
      setText("time-what", isOver ? "Next round" : "Time left");
    }
    const rtt = session.link.clock?.rtt ?? NaN;
    setText("ping", Number.isNaN(rtt) ? "–" : `${Math.round(rtt / 1_000)} ms`);
    const ownSeat = session.seat;
    element("vitals").hidden = ownSeat === null;
    if (ownSeat !== null) {
      const health = at(arena.playerId(ownSeat), player.health);
      setText("health-number", String(health));
      this.#showHealth(health);
      showStock("bullets", session.link.owner?.[arena.bullets] ?? 0);
      showStock("rockets", session.link.owner?.[arena.rockets] ?? 0);
    }
    this.#showScores(session, rows, arena, ownSeat);
    this.#seeThrough(ownSeat === null ? null : this.scene.figure(ownSeat));
    if (now > this.#bannerUntil) setText("banner", "");
  }

  /** Makes the parts of the HUD that cover the player's own figure transparent. */
  #seeThrough(own: { x: number; y: number } | null): void {
    const x = own ? this.scene.camera.pixelX(own.x) : -1;
    const y = own ? this.scene.camera.pixelY(own.y) : -1;
    for (const sheet of document.querySelectorAll(COVERING)) {
      const { left, right, top, bottom } = sheet.getBoundingClientRect();
      sheet.classList.toggle("over", x > left && x < right && y > top && y < bottom);
    }
  }

  #showHealth(health: number): void {
    const ruler = element("health");
    if (ruler.getAttribute("aria-valuenow") === String(health)) return;
    ruler.setAttribute("aria-valuenow", String(health));
    ruler.classList.toggle("low", health <= 35);
    (ruler.firstElementChild as HTMLElement).style.transform = `scaleX(${health / 100})`;
  }

  banner(text: string, more: string, ms: number): void {
    const banner = element("banner");
    banner.replaceChildren(make("span", text), make("small", more));
    this.#bannerUntil = performance.now() + ms;
  }

  kill(victim: number, killer: number, weapon: number, ownSeat: number | null): void {
    const line = make("li", "", victim === ownSeat || killer === ownSeat ? "own" : "");
    // `bdi`, since names may be in right-to-left scripts.
    const [who, whom] = [make("bdi", this.scene.name(killer)), make("bdi", this.scene.name(victim))];
    if (killer === victim) line.append(whom, make("span", " blew themselves up"));
    else line.append(who, make("span", ` ${WEAPONS[weapon] ?? "?"} › `), whom);
    const feed = element("feed");
    feed.append(line);
    while (feed.children.length > KILLS_SHOWN) feed.firstElementChild?.remove();
    setTimeout(() => line.remove(), KILL_SHOWN_MS);
  }

  #showScores(session: Session, rows: Rows, arena: Arena, ownSeat: number | null): void {
    const scores: Score[] = [];
    for (let i = 0; i < rows.length; i++) {
      if (rows.kinds[i] !== arena.player.kind) continue;
      const start = rows.start(i);
      const value = (field: number) => rows.values[start + field];
      scores.push({
        seat: arena.seatOf(rows.ids[i]),
        kills: value(arena.player.kills),
        deaths: value(arena.player.deaths),
      });
    }
    scores.sort((a, b) => b.kills - a.kills || a.deaths - b.deaths || a.seat - b.seat);
    const shown = scores.slice(0, PLAYERS_SHOWN);
    const own = scores.find(({ seat }) => seat === ownSeat);
    if (own && !shown.includes(own)) shown[shown.length - 1] = own;
    const lines = shown.map((score) => [score, this.scene.name(score.seat), session.people.get(score.seat)?.presence]);
    const key = JSON.stringify([lines, ownSeat, this.scene.followed]);
    const players = element("players");
    // A name that was removed between press and release would not be clicked.
    if (key === this.#scores || players.matches(":active")) return;
    this.#scores = key;
    const focused = players.querySelector<HTMLButtonElement>("button:focus")?.value;
    players.replaceChildren(...shown.map((score) => this.#scoreLine(score, session, ownSeat)));
    if (focused) players.querySelector<HTMLButtonElement>(`button[value="${focused}"]`)?.focus();
  }

  #scoreLine({ seat, kills, deaths }: Score, session: Session, ownSeat: number | null): HTMLElement {
    const line = make("tr", "", seat === ownSeat ? "own" : "");
    line.classList.toggle("away", session.people.get(seat)?.presence === "away");
    const name = make("td");
    const dot = make("i");
    dot.style.background = seat === ownSeat ? "var(--own)" : this.colour(seat);
    name.append(dot, ownSeat === null ? this.#followButton(seat) : this.scene.name(seat));
    line.append(name, make("td", String(kills)), make("td", String(deaths)));
    return line;
  }

  #followButton(seat: number): HTMLElement {
    const button = make("button", this.scene.name(seat));
    Object.assign(button, { type: "button", value: String(seat), title: "Follow" });
    button.setAttribute("aria-pressed", String(this.scene.followed === seat));
    return button;
  }
}

/** Shows how much ammunition is left, and marks it if there is none. */
function showStock(id: string, left: number): void {
  setText(id, String(left));
  element(id).parentElement!.classList.toggle("none", left === 0);
}
