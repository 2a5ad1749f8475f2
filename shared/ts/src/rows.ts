/**
 * The state of a match at one tick, as integers: one row for each entity, in order of id.
 *
 * Rows are stored in a few flat arrays. Clearing them keeps their memory for reuse, so a running
 * client makes no garbage.
 */
export class Rows {
  length = 0;
  ids = new Uint32Array(64);
  kinds = new Uint8Array(64);
  /** Index in `values` at which each row ends, and the next one begins. */
  ends = new Uint32Array(64);
  values = new Int32Array(512);

  clear(): void {
    this.length = 0;
  }

  /** Index in `values` at which the row at `index` begins. */
  start(index: number): number {
    return index === 0 ? 0 : this.ends[index - 1];
  }

  /** The index of an entity's row, or -1. */
  find(id: number): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.ids[middle] < id) low = middle + 1;
      else high = middle;
    }
    return low < this.length && this.ids[low] === id ? low : -1;
  }

  /**
   * Appends a row of `count` values, and returns the index in `values` at which to write them. Its
   * id must be larger than that of every row before it.
   */
  push(id: number, kind: number, count: number): number {
    const start = this.start(this.length);
    if (this.length === this.ids.length) {
      this.ids = larger(this.ids, 2 * this.length);
      this.kinds = larger(this.kinds, 2 * this.length);
      this.ends = larger(this.ends, 2 * this.length);
    }
    if (start + count > this.values.length) {
      this.values = larger(this.values, 2 * (start + count));
    }
    this.ids[this.length] = id;
    this.kinds[this.length] = kind;
    this.ends[this.length++] = start + count;
    return start;
  }

  copyFrom(other: Rows): void {
    this.clear();
    for (let i = 0; i < other.length; i++) {
      const from = other.start(i);
      const to = this.push(other.ids[i], other.kinds[i], other.ends[i] - from);
      for (let n = from; n < other.ends[i]; n++) this.values[to + n - from] = other.values[n];
    }
  }

  /** A checksum over ids, kinds and values, the same as on the server. */
  digest(): number {
    let digest = mix(0x811c9dc5, this.length);
    let value = 0;
    for (let i = 0; i < this.length; i++) {
      digest = mix(digest, this.ids[i]);
      digest = mix(digest, this.kinds[i]);
      for (; value < this.ends[i]; value++) digest = mix(digest, this.values[value]);
    }
    return digest >>> 0;
  }
}

function mix(digest: number, word: number): number {
  const product = Math.imul(digest ^ word, 0x9e3779b1);
  return product ^ (product >>> 15);
}

function larger<T extends Uint8Array | Uint32Array | Int32Array>(array: T, length: number): T {
  const copy = new (array.constructor as new (length: number) => T)(length);
  copy.set(array);
  return copy;
}
