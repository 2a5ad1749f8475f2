/**
 * The different states that one entity had in the basis, and when it changed. One object is reused
 * for many entities.
 */

import type { Rows } from "../rows.js";

/** Most snapshots of a basis. */
export const BASIS_MAX = 5;
/** Largest age, in ticks; older snapshots count as this old, so that forecasts don't extrapolate too far. */
const AGE_MAX = 64;

export class Past {
  #snapshots: readonly Rows[] = [];
  #count = 0;
  readonly #snapshotAges = new Int32Array(BASIS_MAX);
  /** For each snapshot, the index of the first row whose id may still be looked for. */
  readonly #next = new Int32Array(BASIS_MAX);
  /** The states, newest first: the values of the rows that have it, and where it starts in them. */
  readonly #values: Int32Array[] = [];
  readonly #starts = new Int32Array(BASIS_MAX);
  /** How many ticks before the new snapshot each state was first seen. */
  readonly #ages = new Int32Array(BASIS_MAX);
  #length = 0;
  /** Ticks over which to extrapolate, from the newest state to the new snapshot. */
  elapsed = 0;
  /** Whether the entity is in two snapshots or more, and has not changed in any. */
  isSettled = false;

  /** Sets the basis, newest first, and how many ticks old each snapshot is. */
  begin(snapshots: readonly Rows[], ages: readonly number[]): void {
    this.#snapshots = snapshots;
    this.#count = snapshots.length;
    this.#next.fill(0);
    for (let i = 0; i < this.#count; i++) {
      this.#snapshotAges[i] = Math.min(Math.max(ages[i], 1), AGE_MAX);
    }
  }

  /** Looks up the entity at `index` of the newest snapshot. Call this in ascending order of `index`. */
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

  /** The value of a field `index` changes ago; the newest value if there were fewer changes. */
  state(index: number, field: number): number {
    const known = index < this.#length ? index : 0;
    return this.#values[known][this.#starts[known] + field];
  }

  /** Ticks that a change took; `index` is 0 for the last change. */
  span(index: number): number {
    return this.#ages[index + 1] - this.#ages[index];
  }

  /** One over `span`; 0 if both states are `AGE_MAX` old or older. */
  perSpan(index: number): number {
    const span = this.span(index);
    return span > 0 ? 1 / span : 0;
  }

  /** Number of changes in the basis. */
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
