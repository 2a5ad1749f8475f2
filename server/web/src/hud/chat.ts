/** Chat: what others say is text, whatever it looks like. */

import type { ChatRefused, Line, Session } from "@tickwire/client";
import { element, make } from "./elements.js";

const LINES_SHOWN = 40;

export class Chat {
  readonly #input = element<HTMLInputElement>("saying");

  constructor(
    readonly session: () => Session | null,
    readonly colour: (seat: number) => string,
    readonly done: () => void,
  ) {
    element("say").addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#input.value.trim();
      // What was not sent stays, for another try.
      if (text && !this.session()?.chat(text)) return;
      this.#input.value = "";
      this.#input.blur();
      this.done();
    });
    this.#input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      // The key that opened it may still be held.
      if (event.key === "Enter" && event.repeat) event.preventDefault();
      if (event.key !== "Escape") return;
      this.#input.blur();
      this.done();
    });
  }

  /** Whether one may speak. */
  seat(isSeated: boolean): void {
    this.#input.disabled = !isSeated;
    this.#input.placeholder = isSeated ? "Enter to chat" : "Spectators only listen";
  }

  open(): void {
    this.#input.focus();
  }

  line({ speaker, text, sentAt }: Line): void {
    const line = make("p", "", speaker ? "" : "notice");
    line.title = new Date(sentAt).toLocaleTimeString();
    const name = make("b", speaker ? speaker.name : "Notice");
    if (speaker) name.style.color = this.colour(speaker.seat);
    line.append(name, make("bdi", text));
    this.#add(line);
  }

  /** Something that the page itself says. */
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
