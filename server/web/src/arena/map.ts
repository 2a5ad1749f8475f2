/**
 * The arena's floor plan, the same as in `shared/src/arena/map.rs`, in position steps of 1/128 m. A
 * test compares it with the vectors that the server's tests write.
 */

export const STEPS_PER_M = 128;
export const RADIUS = cm(40);

interface Wall {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

export const WIDTH = cm(4000);
export const HEIGHT = cm(3000);

export const WALLS: readonly Wall[] = [
  wall(1850, 1350, 2150, 1650),
  wall(1900, 300, 2100, 700),
  wall(1900, 2300, 2100, 2700),
  wall(800, 700, 1400, 800),
  wall(2600, 700, 3200, 800),
  wall(800, 2200, 1400, 2300),
  wall(2600, 2200, 3200, 2300),
  wall(800, 1200, 900, 1800),
  wall(3100, 1200, 3200, 1800),
  wall(1300, 1400, 1450, 1600),
  wall(2550, 1400, 2700, 1600),
  wall(350, 350, 500, 500),
  wall(3500, 350, 3650, 500),
  wall(350, 2500, 500, 2650),
  wall(3500, 2500, 3650, 2650),
];

/** A length in position steps. */
export function cm(centimetres: number): number {
  return Math.trunc((centimetres * STEPS_PER_M) / 100);
}

function wall(left: number, top: number, right: number, bottom: number): Wall {
  return { left: cm(left), top: cm(top), right: cm(right), bottom: cm(bottom) };
}

/** The distance from a point to the nearest wall or border in direction `dx`, `dy`, a unit vector. */
export function reach(x: number, y: number, dx: number, dy: number): number {
  let nearest = Math.min(exit(x, dx, WIDTH), exit(y, dy, HEIGHT));
  for (const { left, top, right, bottom } of WALLS) {
    const [ax, bx] = [(left - x) / dx, (right - x) / dx];
    const [ay, by] = [(top - y) / dy, (bottom - y) / dy];
    const enter = Math.max(Math.min(ax, bx), Math.min(ay, by));
    const leave = Math.min(Math.max(ax, bx), Math.max(ay, by));
    if (enter < leave && enter >= 0 && enter < nearest) nearest = enter;
  }
  return nearest;
}

/** The distance along the line from a point to the border that it meets on one axis. */
function exit(from: number, way: number, size: number): number {
  if (way === 0) return Infinity;
  return Math.max(0, ((way > 0 ? size : 0) - from) / way);
}
