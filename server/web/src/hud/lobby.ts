/** The lobby's chat, for users who have not joined a match yet: the last lines, then live lines from the event feed. */

import { follow } from "../net/follow.js";
import { element, make } from "./elements.js";

const LINES_SHOWN = 30;
/** How many lines are remembered to detect repeats; the server sends the last 32 again. */
const LINES_SEEN = 256;

interface LobbyLine {
  /** `null` for a line of the lobby. */
  match: number | null;
  at: number;
  name: string;
  text: string;
}

export class Lobby {
  #end = () => {};
  /** The newest lines that are shown, to detect repeats. */
  readonly #seen = new Set<string>();

  constructor(readonly name: () => string) {
    const input = element<HTMLInputElement>("lobby-saying");
    input.addEventListener("keydown", (event) => {
      // An Enter key that ends the composition of a word sends nothing; Safari reports it after the end, as key 229.
      if (event.key !== "Enter" || event.isComposing || event.keyCode === 229) return;
      // Enter must not submit the form, which would join a match.
      event.preventDefault();
      void this.#say(input);
    });
  }

  open(): void {
    this.#end();
    this.#seen.clear();
    element("lobby-lines").replaceChildren();
    // Open the feed first, so that a line sent in between arrives twice rather than not at all.
    this.#end = follow("v1/events", { chat: (data) => this.#receive(JSON.parse(data) as LobbyLine) });
    void fetch("v1/chat")
      .then((answer) => (answer.ok ? answer.json() : { lines: [] }))
      .then(({ lines }: { lines: LobbyLine[] }) => lines.forEach((line) => this.#receive(line)))
      .catch(() => {});
  }

  close(): void {
    this.#end();
  }

  async #say(input: HTMLInputElement): Promise<void> {
    const text = input.value.trim();
    if (!text) return;
    const body = JSON.stringify({ text, name: this.name() });
    const headers = { "content-type": "application/json" };
    try {
      const answer = await fetch("v1/chat", { method: "POST", headers, body });
      const { error } = (await answer.json()) as { error?: { message: string } };
      if (error) this.#show({ match: null, at: Date.now(), name: "", text: `Not sent: ${error.message}.` });
      else input.value = "";
    } catch {
      // The text stays in the input, so that the user can try again.
    }
  }

  /** Shows a line of the lobby, once. */
  #receive(line: LobbyLine): void {
    const key = `${line.at} ${line.name} ${line.text}`;
    if (line.match !== null || this.#seen.has(key)) return;
    this.#seen.add(key);
    const [oldest] = this.#seen;
    if (this.#seen.size > LINES_SEEN) this.#seen.delete(oldest);
    this.#show(line);
  }

  #show({ name, text, at }: LobbyLine): void {
    const line = make("p", "", name ? "" : "quiet");
    line.title = new Date(at).toLocaleTimeString();
    if (name) line.append(make("b", name), " ");
    line.append(make("bdi", text));
    const lines = element("lobby-lines");
    lines.append(line);
    while (lines.children.length > LINES_SHOWN) lines.firstElementChild?.remove();
    lines.scrollTop = lines.scrollHeight;
  }
}
