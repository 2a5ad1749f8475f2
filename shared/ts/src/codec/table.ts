/**
 * How likely each residual is: a family of distributions, made by a formula, from which a model
 * picks one for each context.
 *
 * A residual is a *symbol* and, when it is large, some raw bits. A table divides 2^14 among the
 * symbols. Only `+ - * /` and `floor` on doubles are used, in the same order as on the server, so
 * that the tables are exactly the same.
 */

/** Symbols: 0, ±1, ±2, ±3; then buckets of growing width; then all the rest. */
export const SYMBOLS = 28;
/** The first symbol that stands for several magnitudes, of either sign. */
export const FIRST_BUCKET = 7;
/** The symbol of magnitudes from 4096 up. */
export const LONG = SYMBOLS - 1;
/** The shares of a table add up to 2 to this. */
export const TOTAL_BITS = 14;
/** Number of centres: 0 to 4 eighths above an integer. */
export const CENTRES = 5;
const SCALES = 28;
const POWERS = [1, 2, 6];
/** Members of the family. */
export const MEMBERS = SCALES * POWERS.length;
/** Length of a table: where each symbol's share starts, and the total. */
export const TABLE_LEN = SYMBOLS + 1;

let family: Uint16Array | undefined;

/** All tables, one after the other: of each member, one for each centre. Made at the first call. */
export function sharedFamily(): Uint16Array {
  return (family ??= makeFamily());
}

/** The index in the family at which a member's table for a centre begins. */
export function tableAt(member: number, centre: number): number {
  return (member * CENTRES + centre) * TABLE_LEN;
}

/** The residual of a symbol below `FIRST_BUCKET`. */
export function small(symbol: number): number {
  const magnitude = (symbol + 1) >> 1;
  return symbol & 1 ? magnitude : -magnitude;
}

/** Raw bits of a bucket's magnitude. */
export function bucketBits(symbol: number): number {
  return ((symbol - FIRST_BUCKET) >> 1) + 1;
}

/** The residual of a bucket's symbol and its raw bits, the highest of which is the sign. */
export function bucket(symbol: number, extra: number): number {
  const bits = bucketBits(symbol);
  const magnitude = ((2 + ((symbol - FIRST_BUCKET) & 1)) << bits) | (extra & ((1 << bits) - 1));
  return extra >> bits === 1 ? -magnitude : magnitude;
}

function makeFamily(): Uint16Array {
  const tables = new Uint16Array(MEMBERS * CENTRES * TABLE_LEN);
  let at = 0;
  for (const power of POWERS) {
    let scale = 0.1;
    for (let n = 0; n < SCALES; n++) {
      for (let centre = 0; centre < CENTRES; centre++) {
        shareOut(masses(scale, power, centre / 8), tables.subarray(at, at + TABLE_LEN));
        at += TABLE_LEN;
      }
      scale *= 1.5;
    }
  }
  return tables;
}

function masses(scale: number, power: number, centre: number): number[] {
  const shape = (2 * power - 1) * scale * scale;
  const density = (x: number): number => {
    const base = 1 / (1 + (x * x) / shape);
    let product = 1;
    for (let n = 0; n < power; n++) product *= base;
    return product;
  };
  const sum = (points: number[], at: (point: number) => number): number =>
    points.reduce((total, point) => total + density(at(point)), 0);
  const list: number[] = [];
  for (let symbol = 0; symbol < SYMBOLS; symbol++) {
    if (symbol < FIRST_BUCKET) {
      const x = small(symbol);
      list.push(sum([-0.4, -0.2, 0, 0.2, 0.4], (point) => x - centre + point) / 5);
    } else if (symbol < LONG) {
      const first = bucket(symbol, 0) - 0.5;
      const quarter = (1 << bucketBits(symbol)) / 4;
      list.push(2 * quarter * sum([0.5, 1.5, 2.5, 3.5], (point) => first + point * quarter));
    } else {
      list.push(4096 * density(4096));
    }
  }
  return list;
}

function shareOut(list: number[], starts: Uint16Array): void {
  const total = list.reduce((sum, mass) => sum + mass, 0);
  const shared = (1 << TOTAL_BITS) - SYMBOLS;
  const shares = list.map((mass) => 1 + Math.floor((mass / total) * shared));
  // The remainder of rounding goes to the first symbol.
  shares[0] += (1 << TOTAL_BITS) - shares.reduce((sum, share) => sum + share, 0);
  shares.forEach((share, symbol) => {
    starts[symbol + 1] = starts[symbol] + share;
  });
}
