/** Remembers a session's seat, so that a reloaded page can resume it. */

import type { Address } from "./address.js";

/** The part of the browser's `Storage` that is used. */
export interface Store {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

interface Seat {
  match: number;
  /** The 16 bytes with which the session can be resumed. */
  token: Uint8Array;
}

/**
 * The remembered seat on one server. Other sessions of the page, or other pages, may use the same store. The query is
 * not part of the key: in an answer to `POST /v1/join` it has a ticket, which is another one after a reload.
 */
export class Remembered {
  readonly #store: Store | undefined;
  readonly #key: string;

  constructor(store: Store | undefined, { play }: Address) {
    this.#store = store;
    this.#key = `tickwire ${play.href}`;
  }

  get(): Seat | null {
    try {
      const numbers: unknown = JSON.parse(this.#store?.getItem(this.#key) ?? "[]");
      if (!Array.isArray(numbers) || numbers.length !== 17 || !numbers.every(Number.isInteger)) return null;
      const [match, ...token] = numbers as number[];
      return { match, token: Uint8Array.from(token) };
    } catch {
      return null;
    }
  }

  keep({ match, token }: Seat): void {
    this.#try((store) => store.setItem(this.#key, JSON.stringify([match, ...token])));
  }

  /** Forgets the seat with this token, but not one that has replaced it since. */
  forget(token: Uint8Array): void {
    if (String(this.get()?.token) === String(token)) this.#try((store) => store.removeItem(this.#key));
  }

  #try(change: (store: Store) => void): void {
    try {
      if (this.#store) change(this.#store);
    } catch {
      // The browser allows this page no storage, or it is full: the seat is not remembered.
    }
  }
}
