/**
 * Which entities a snapshot has, encoded as the difference from the baseline: despawned entities by
 * their position, spawned ones by id and kind. An entity that changes its kind is both.
 */

import { fault } from "../fault.js";
import type { Rows } from "../rows.js";
import type { RangeDecoder } from "./range.js";
import { TOTAL_BITS } from "./table.js";

/** Most entities of a snapshot: a bound on the memory that a hostile body can make a client reserve. */
const ENTITIES_MAX = 4096;
const ID_MAX = 0xffff_fffe;
/** Likelihood in 2^14 that an entity spawned or despawned. */
const CHANGED = 1 << (TOTAL_BITS - 6);

/** The difference, and an iteration over the entities of the new snapshot, in order of id. */
export class Structure {
  /** Positions in the baseline, ascending. */
  readonly #despawned: number[] = [];
  readonly #spawnedIds: number[] = [];
  readonly #spawnedKinds: number[] = [];
  #old = 0;
  #spawned = 0;
  #gone = 0;
  /** The current entity. */
  id = 0;
  kind = 0;
  /** Its position in the baseline, or -1 if it has spawned. */
  before = -1;

  read(range: RangeDecoder, baseline: Rows, kinds: number): void {
    this.#despawned.length = this.#spawnedIds.length = this.#spawnedKinds.length = 0;
    this.#old = this.#spawned = this.#gone = 0;
    if (!range.bit(CHANGED)) return;
    let next = 0;
    for (let left = takeCount(range); left > 0; left--) {
      const position = takeCount(range) + next;
      if (position >= baseline.length) bad();
      this.#despawned.push(position);
      next = position + 1;
    }
    const spawned = takeCount(range);
    if (baseline.length - this.#despawned.length + spawned > ENTITIES_MAX) bad();
    this.#readSpawned(range, baseline, kinds, spawned);
  }

  #readSpawned(range: RangeDecoder, baseline: Rows, kinds: number, count: number): void {
    const beyond = baseline.length === 0 ? 0 : baseline.ids[baseline.length - 1] + 1;
    const kindBits = kinds < 2 ? 0 : 32 - Math.clz32(kinds - 1);
    let next = count > 0 && range.raw(1) === 1 ? beyond : 0;
    let gone = 0;
    for (let n = 0; n < count; n++) {
      if (n > 0) next++;
      const id = next + takeCount(range);
      const kind = range.raw(kindBits);
      if (id > ID_MAX || kind >= kinds) bad();
      const kept = baseline.find(id);
      while (gone < this.#despawned.length && this.#despawned[gone] < kept) gone++;
      if (kept >= 0 && this.#despawned[gone] !== kept) bad();
      this.#spawnedIds.push(id);
      this.#spawnedKinds.push(kind);
      next = id;
    }
  }

  /** Moves on to the next entity; returns `false` if there is none. */
  advance(baseline: Rows): boolean {
    while (this.#gone < this.#despawned.length && this.#despawned[this.#gone] === this.#old) {
      this.#gone++;
      this.#old++;
    }
    const isKept = this.#old < baseline.length;
    if (this.#spawned < this.#spawnedIds.length) {
      const id = this.#spawnedIds[this.#spawned];
      if (!isKept || id < baseline.ids[this.#old]) {
        this.id = id;
        this.kind = this.#spawnedKinds[this.#spawned++];
        this.before = -1;
        return true;
      }
    }
    if (!isKept) return false;
    this.id = baseline.ids[this.#old];
    this.kind = baseline.kinds[this.#old];
    this.before = this.#old++;
    return true;
  }
}

/**
 * Reads a number that is usually small (Exp-Golomb): of the number plus 1, the bit length less 1 as
 * ones ended by a zero, then the bits below the highest.
 */
function takeCount(range: RangeDecoder): number {
  let length = 0;
  while (range.raw(1) === 1) {
    if (++length > 31) bad();
  }
  return 2 ** length - 1 + range.raw(length);
}

function bad(): never {
  return fault("spawns or despawns are out of order or too many");
}
