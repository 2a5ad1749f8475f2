/** The way in: a name, a match, and whether to play or to watch. */

import { element, make } from "./elements.js";
import { Lobby } from "./lobby.js";

const REFRESH_MS = 2_000;

export interface Wish {
  name: string;
  match: number | "auto";
  spectate: boolean;
}

interface Match {
  id: number;
  players: number;
  seats: number;
}

/** A page of the list, and what `after` is for the one that follows. */
interface MatchPage {
  game: string;
  matches: Match[];
  next?: number;
}

export class JoinDialog {
  readonly #dialog = element<HTMLDialogElement>("join");
  readonly #name = element<HTMLInputElement>("name");
  #timer: ReturnType<typeof setInterval> | undefined;
  #listed = "";
  #isListing = false;
  readonly #lobby = new Lobby(() => this.#name.value.trim());

  constructor(
    wish: (wish: Wish) => void,
    /** Is told which game the server runs. */
    readonly tell: (game: string) => void,
  ) {
    this.#name.value = recall("name");
    const form = element<HTMLFormElement>("join-form");
    form.addEventListener("submit", (event) => {
      const button = event.submitter as HTMLButtonElement | null;
      const match = new FormData(form).get("match");
      const name = this.#name.value.trim();
      remember("name", name);
      clearInterval(this.#timer);
      this.#lobby.close();
      wish({ name, match: match && match !== "auto" ? Number(match) : "auto", spectate: button?.value === "watch" });
    });
    // There is nothing behind it to go back to.
    this.#dialog.addEventListener("cancel", (event) => event.preventDefault());
  }

  /** Opens it, and says why if it was not the user's wish. */
  open(why: string): void {
    const reason = element("why");
    reason.textContent = why;
    reason.hidden = why === "";
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#lobby.open();
    clearInterval(this.#timer);
    this.#timer = setInterval(() => void this.#list(), REFRESH_MS);
    void this.#list();
  }

  async #list(): Promise<void> {
    if (this.#isListing) return;
    this.#isListing = true;
    const { game, matches } = await allMatches();
    this.#isListing = false;
    if (game !== null) this.tell(game);
    const text = JSON.stringify(matches);
    if (text === this.#listed) return;
    this.#listed = text;
    const chosen = element("matches").querySelector<HTMLInputElement>("input:checked")?.value;
    element("matches").replaceChildren(
      choice("auto", "Any with a free seat", "", chosen === undefined || chosen === "auto"),
      ...matches.map(({ id, players, seats }) =>
        choice(String(id), `Match ${id}`, `${players} of ${seats} seats taken`, chosen === String(id)),
      ),
    );
  }
}

/** As many as are told: the server may be away, and then "any" will say so. */
async function allMatches(): Promise<{ game: string | null; matches: Match[] }> {
  const all = { game: null as string | null, matches: [] as Match[] };
  try {
    let query = "";
    do {
      const answer = await fetch(`/v1/matches${query}`);
      if (!answer.ok) break;
      const { game, matches, next } = (await answer.json()) as MatchPage;
      all.game = game;
      all.matches.push(...matches);
      query = next === undefined ? "" : `?after=${next}`;
    } while (query);
  } catch {
    // It is away.
  }
  return all;
}

function choice(value: string, text: string, more: string, isChosen: boolean): HTMLElement {
  const label = make("label");
  const input = document.createElement("input");
  Object.assign(input, { type: "radio", name: "match", value, checked: isChosen });
  label.append(input, text, make("span", more));
  return label;
}

/** Private windows may have no storage. */
function recall(key: string): string {
  try {
    return localStorage.getItem(`tickwire ${key}`) ?? "";
  } catch {
    return "";
  }
}

function remember(key: string, value: string): void {
  try {
    localStorage.setItem(`tickwire ${key}`, value);
  } catch {
    // Then it is typed again.
  }
}
