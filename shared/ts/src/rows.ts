/**
 * The state of a match at one tick, as integers: one row for each entity, in order of id.
 *
 * Rows live in a few flat arrays that are cleared and refilled without giving memory back, so a
 * running client makes no garbage of them.
 */
export class Rows {
  length = 0;
  ids = new Uint32Array(64);
  kinds = new Uint8Array(64);
  /** `ends[i]` is where the values of row `i` end, and those of the next one begin. */
  ends = new Uint32Array(64);
  values = new Int32Array(512);

  clear(): void {
    this.length = 0;
  }

  /** Where in `values` the row at `index` begins. */
  start(index: number): number {
    return index === 0 ? 0 : this.ends[index - 1];
  }

  /** Where an entity's row is in the order of ids, or -1. */
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
   * Adds a row, whose id is larger than all before, of `count` values, and tells where in `values`
   * to write them.
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
