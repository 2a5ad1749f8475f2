/** The join dialog: a name, a match, and whether to play or to watch. */

import { element, make } from "./elements.js";
import { Lobby } from "./lobby.js";

const REFRESH_MS = 2_000;
/** Prefix of the choice "any match"; the mode follows. */
const ANY = "auto:";

/** What the user chose. */
export interface JoinRequest {
  name: string;
  match: number | "auto";
  /** With "auto", the mode; the default is the game's first one. */
  mode?: string | undefined;
  spectate: boolean;
}

interface Match {
  id: number;
  mode?: string;
  players: number;
  seats: number;
}

/** A page of the list of matches. `next` is the `after` of the next page, if there is one. */
interface MatchPage {
  game: string;
  modes: string[];
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
    join: (request: JoinRequest) => void,
    /** Called with the name of the game that the server runs. */
    readonly onGame: (game: string) => void,
  ) {
    this.#name.value = recall("name");
    const form = element<HTMLFormElement>("join-form");
    form.addEventListener("submit", (event) => {
      const button = event.submitter as HTMLButtonElement | null;
      const chosen = String(new FormData(form).get("match") ?? ANY);
      const mode = chosen.startsWith(ANY) ? chosen.slice(ANY.length) : null;
      const name = this.#name.value.trim();
      remember("name", name);
      clearInterval(this.#timer);
      this.#lobby.close();
      const spectate = button?.value === "watch";
      join({ name, match: mode === null ? Number(chosen) : "auto", mode: mode || undefined, spectate });
    });
    // Escape must not close the dialog: there is nothing behind it.
    this.#dialog.addEventListener("cancel", (event) => event.preventDefault());
    // When Escape is pressed again, browsers close it without a cancel event.
    this.#dialog.addEventListener("close", () => {
      if (this.#dialog.returnValue === "") this.#dialog.showModal();
    });
  }

  /** Opens the dialog. `why` is shown if it is not empty: the reason why a session has ended. */
  open(why: string): void {
    const reason = element("why");
    reason.textContent = why;
    reason.hidden = why === "";
    this.#dialog.returnValue = "";
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#lobby.open();
    clearInterval(this.#timer);
    this.#timer = setInterval(() => void this.#list(), REFRESH_MS);
    void this.#list();
  }

  async #list(): Promise<void> {
    if (this.#isListing) return;
    this.#isListing = true;
    const { game, modes, matches } = await allMatches();
    this.#isListing = false;
    if (game !== null) this.onGame(game);
    const text = JSON.stringify([modes, matches]);
    if (text === this.#listed) return;
    this.#listed = text;
    const any = modes.length > 0 ? modes : [""];
    const list = element("matches");
    const inputs = () => [...list.querySelectorAll("input")];
    const chosen = inputs().find((input) => input.checked)?.value;
    const isFocused = list.contains(document.activeElement);
    list.replaceChildren(
      ...any.map((mode) => choice(ANY + mode, "Any with a free seat", mode)),
      ...matches.map(({ id, mode, players, seats }) => {
        const taken = `${players} of ${seats} seats taken`;
        return choice(String(id), `Match ${id}`, mode ? `${mode}, ${taken}` : taken);
      }),
    );
    const input = inputs().find((input) => input.value === chosen) ?? inputs()[0];
    input.checked = true;
    if (isFocused) input.focus({ preventScroll: true });
  }
}

/** All matches that could be listed. If the server can't be reached, joining any match reports that. */
async function allMatches(): Promise<{ game: string | null; modes: string[]; matches: Match[] }> {
  const all = { game: null as string | null, modes: [] as string[], matches: [] as Match[] };
  try {
    let query = "";
    do {
      const answer = await fetch(`v1/matches${query}`);
      if (!answer.ok) break;
      const { game, modes, matches, next } = (await answer.json()) as MatchPage;
      Object.assign(all, { game, modes });
      all.matches.push(...matches);
      query = next === undefined ? "" : `?after=${next}`;
    } while (query);
  } catch {
    // The server can't be reached.
  }
  return all;
}

function choice(value: string, text: string, more: string): HTMLElement {
  const label = make("label");
  const input = document.createElement("input");
  Object.assign(input, { type: "radio", name: "match", value });
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
    // The user has to type it again next time.
  }
}
