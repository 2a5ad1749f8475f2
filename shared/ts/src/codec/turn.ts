/**
 * Unit quaternions by their smallest three components: the index of the largest, and the other three
 * as integers. Only `+ - * /`, `floor` and `sqrt` on doubles are used, so that all languages get the
 * same results.
 */

/** x, y, z, w. */
export type Quaternion = [number, number, number, number];
export type Vector = [number, number, number];

/** By the index of the largest component, those of the others. */
export const OTHERS = [
  [1, 2, 3],
  [0, 2, 3],
  [0, 1, 3],
  [0, 1, 2],
] as const;

/**
 * The unit quaternion that the values of four fields stand for, as in a row or interpolated: the index of the largest
 * component and the other `parts`, of which a value of 1 is `perStep`, those fields' step in the schema.
 */
export function unpackQuaternion(largest: number, parts: Vector, perStep: number): Quaternion {
  const quaternion: Quaternion = [0, 0, 0, 0];
  let rest = 1;
  OTHERS[largest & 3].forEach((place, i) => {
    const value = parts[i] * perStep;
    quaternion[place] = value;
    rest -= value * value;
  });
  quaternion[largest & 3] = rest > 0 ? Math.sqrt(rest) : 0;
  return quaternion;
}

/** The index of the largest component, and by how much it is larger than the next. */
export function largestOf(quaternion: Quaternion): [number, number] {
  let place = 0;
  let first = -1;
  let second = -1;
  quaternion.forEach((component, i) => {
    const size = Math.abs(component);
    if (size > first) [place, first, second] = [i, size, first];
    else if (size > second) second = size;
  });
  return [place, first - second];
}

/** The quaternion that is this `part` of the shorter way from one to the other. */
export function between(from: Quaternion, to: Quaternion, part: number): Quaternion {
  // Both signs are the same rotation.
  const sign = from.reduce((dot, component, i) => dot + component * to[i], 0) < 0 ? -1 : 1;
  const [x, y, z, w] = from.map((component, i) => component + (to[i] * sign - component) * part);
  const length = Math.sqrt(x * x + y * y + z * z + w * w);
  return [x / length, y / length, z / length, w / length];
}

/** A quaternion, turned about the world's axes by twice the angles in `half`. */
export function turned(quaternion: Quaternion, half: Vector): Quaternion {
  const square = half[0] * half[0] + half[1] * half[1] + half[2] * half[2];
  // The tangent of the half angle, over the half angle.
  const stretch = 1 + square * (1 / 3 + square * (2 / 15));
  const [x, y, z] = half.map((part) => part * stretch);
  const [qx, qy, qz, qw] = quaternion;
  const tx = qx + x * qw + y * qz - z * qy;
  const ty = qy - x * qz + y * qw + z * qx;
  const tz = qz + x * qy - y * qx + z * qw;
  const tw = qw - x * qx - y * qy - z * qz;
  const length = Math.sqrt(tx * tx + ty * ty + tz * tz + tw * tw);
  if (!(length > 0)) return quaternion;
  const shrink = 1 / length;
  return [tx * shrink, ty * shrink, tz * shrink, tw * shrink];
}

/** Half the angles, about the world's axes, that turn `from` into `to`. */
export function halfAngles(from: Quaternion, to: Quaternion): Vector {
  const [fx, fy, fz, fw] = from;
  const [tx, ty, tz, tw] = to;
  const x = tx * fw - tw * fx - ty * fz + tz * fy;
  const y = ty * fw - tw * fy - tz * fx + tx * fz;
  const z = tz * fw - tw * fz - tx * fy + ty * fx;
  // A quaternion and its negative are the same rotation.
  const sign = tw * fw + tx * fx + ty * fy + tz * fz < 0 ? -1 : 1;
  const square = x * x + y * y + z * z;
  // The arcsine of their length, over the length.
  const stretch = sign * (1 + square * (1 / 6 + square * (3 / 40)));
  return [x * stretch, y * stretch, z * stretch];
}
