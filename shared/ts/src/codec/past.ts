/**
 * What both ends know of one entity: the states that it went through in the basis, and when. The
 * same object for all entities of a snapshot, one after the other.
 */

import type { Rows } from "../rows.js";

/** Snapshots that a basis may have. */
export const BASIS_MAX = 5;
/** Older than this counts as this old, so that a long gap does not throw forecasts far away. */
const AGE_MAX = 64;

export class Past {
  #snapshots: readonly Rows[] = [];
  #count = 0;
  readonly #snapshotAges = new Int32Array(BASIS_MAX);
  /** The first row of each snapshot that is not yet passed. */
  readonly #next = new Int32Array(BASIS_MAX);
  /** Different states, newest first: which rows' values, and where in them. */
  readonly #values: Int32Array[] = [];
  readonly #starts = new Int32Array(BASIS_MAX);
  /** How many ticks before the new snapshot each state was first seen. */
  readonly #ages = new Int32Array(BASIS_MAX);
  #length = 0;
  /** Ticks for which things have moved on since the newest state. */
  elapsed = 0;
  /** Whether the entity was at rest all through a basis of several snapshots. */
  isSettled = false;

  /** A basis, newest first, with how many ticks old each is. */
  begin(snapshots: readonly Rows[], ages: readonly number[]): void {
    this.#snapshots = snapshots;
    this.#count = snapshots.length;
    this.#next.fill(0);
    for (let i = 0; i < this.#count; i++) {
      this.#snapshotAges[i] = Math.min(Math.max(ages[i], 1), AGE_MAX);
    }
  }

  /** The entity whose row in the newest snapshot is at `index`. To be asked for in order. */
  look(index: number): void {
    const baseline = this.#snapshots[0];
    const id = baseline.ids[index];
    const kind = baseline.kinds[index];
    const start = baseline.start(index);
    const fields = baseline.ends[index] - start;
    let length = 1;
    let seen = 1;
    this.#values[0] = baseline.values;
    this.#starts[0] = start;
    this.#ages[0] = this.elapsed = this.#snapshotAges[0];
    for (let older = 1; older < this.#count; older++) {
      const found = this.#find(older, id, kind);
      if (found < 0) break;
      const values = this.#snapshots[older].values;
      if (!same(values, found, this.#values[length - 1], this.#starts[length - 1], fields)) {
        this.#values[length] = values;
        this.#starts[length] = found;
        length++;
      }
      this.#ages[length - 1] = this.#snapshotAges[older];
      seen++;
    }
    this.#length = length;
    this.isSettled = length === 1 && seen > 1;
    if (length > 1) this.elapsed = this.#ages[0];
  }

  /** The newest value of a field. */
  now(field: number): number {
    return this.#values[0][this.#starts[0] + field];
  }

  /** The value of a field in the state that is `index` changes older, or of the newest. */
  state(index: number, field: number): number {
    const known = index < this.#length ? index : 0;
    return this.#values[known][this.#starts[known] + field];
  }

  /** Ticks between two neighbouring states, of which the newer is `index` changes old. */
  span(index: number): number {
    return this.#ages[index + 1] - this.#ages[index];
  }

  /** One over `span`; 0 when both are too old to be told apart. */
  perSpan(index: number): number {
    const span = this.span(index);
    return span > 0 ? 1 / span : 0;
  }

  /** Changes that are known. */
  get changes(): number {
    return this.#length - 1;
  }

  /** Where the row of the same entity begins in an older snapshot, or -1. */
  #find(older: number, id: number, kind: number): number {
    const rows = this.#snapshots[older];
    let next = this.#next[older];
    while (next < rows.length && rows.ids[next] < id) next++;
    this.#next[older] = next;
    const isSame = next < rows.length && rows.ids[next] === id && rows.kinds[next] === kind;
    return isSame ? rows.start(next) : -1;
  }
}

function same(a: Int32Array, aStart: number, b: Int32Array, bStart: number, count: number): boolean {
  for (let i = 0; i < count; i++) {
    if (a[aStart + i] !== b[bStart + i]) return false;
  }
  return true;
}
