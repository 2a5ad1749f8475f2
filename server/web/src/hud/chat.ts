/** Chat. Lines are shown as text, whatever markup they contain. */

import type { ChatRefused, Line, Session } from "@tickwire/client";
import { element, make } from "./elements.js";

const LINES_SHOWN = 40;

export class Chat {
  readonly #input = element<HTMLInputElement>("saying");
  readonly #history = element("history");

  constructor(
    readonly session: () => Session | null,
    readonly colour: (seat: number) => string,
    readonly done: () => void,
  ) {
    element("say").addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#input.value.trim();
      // A line that was not sent stays, so that the player can try again.
      if (text && !this.session()?.chat(text)) return;
      this.#input.value = "";
      this.#input.blur();
      this.done();
    });
    // Back to the newest line.
    this.#input.addEventListener("blur", () => (this.#history.scrollTop = 0));
    this.#input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      // The Enter key that opened the chat may still be held.
      if (event.key === "Enter" && event.repeat) event.preventDefault();
      if (event.key !== "Escape" || event.isComposing) return;
      this.#input.blur();
      this.done();
    });
  }

  /** Sets whether the user has a seat: spectators can't chat. */
  seat(isSeated: boolean): void {
    this.#input.disabled = !isSeated;
    // So that the keyboard can scroll it.
    this.#history.tabIndex = isSeated ? -1 : 0;
    const how = matchMedia("(pointer: coarse)").matches ? "Tap to chat" : "Enter to chat";
    this.#input.placeholder = isSeated ? how : "Spectators only listen";
  }

  open(): void {
    this.#input.focus();
  }

  line({ speaker, text, sentAt }: Line): void {
    const line = make("p", "", speaker ? "" : "notice");
    line.title = new Date(sentAt).toLocaleTimeString();
    const name = make("b", speaker ? speaker.name : "Notice");
    if (speaker) name.style.color = this.colour(speaker.seat);
    // With a space, so that screen readers don't read the name and the text as one word.
    line.append(name, " ", make("bdi", text));
    this.#add(line);
  }

  /** Adds a note of the page itself. */
  note(text: string): void {
    this.#add(make("p", text, "quiet"));
  }

  refused(refused: ChatRefused): void {
    switch (refused.reason) {
      case "too-fast":
        return this.note(`Not sent: wait ${Math.ceil(refused.waitMicros / 1e6)} s before the next line.`);
      case "too-long":
        return this.note("Not sent: a line has at most 200 characters.");
      case "not-seated":
        return this.note("Not sent: spectators only listen.");
      case "empty":
        return;
    }
  }

  #add(line: HTMLElement): void {
    const lines = element("lines");
    lines.append(line);
    while (lines.children.length > LINES_SHOWN) lines.firstElementChild?.remove();
  }
}
