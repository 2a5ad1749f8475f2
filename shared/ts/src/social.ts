/** Presence, chat and notices of a match. */

import type { Handlers } from "./options.js";
import { call } from "./report.js";
import type { Line, Player, ServerMessage } from "./wire.js";

export class Social {
  readonly people = new Map<number, Player>();
  readonly #handlers: Handlers;
  /** The newest line of chat: a server sends the last lines again after a reconnection. */
  #line: Pick<Line, "id" | "sentAt"> | null = null;

  constructor(handlers: Handlers) {
    this.#handlers = handlers;
  }

  /** Handles the change to another match, which counts its lines anew. */
  reset(): void {
    this.#line = null;
  }

  /** Handles a message; those of other types are ignored. */
  handle(event: ServerMessage): void {
    const { people, line, chatRefused } = this.#handlers;
    switch (event.type) {
      case "roster":
        this.people.clear();
        for (const player of event.players) this.people.set(player.seat, player);
        return call(people, new Map(this.people));
      case "presence":
        if (event.player.presence === "gone") this.people.delete(event.player.seat);
        else this.people.set(event.player.seat, event.player);
        return call(people, new Map(this.people));
      case "line":
        if (this.#isNew(event.line)) call(line, event.line);
        return;
      case "chat-refused":
        return call(chatRefused, event.refused);
    }
  }

  #isNew({ id, sentAt }: Line): boolean {
    // A match that was restarted counts from 1 again, but its lines are later.
    if (this.#line && id <= this.#line.id && sentAt <= this.#line.sentAt) return false;
    this.#line = { id, sentAt };
    return true;
  }
}
