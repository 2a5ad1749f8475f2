/** The same way around a circle, in the direction in which it is shorter. */
export function shorterWay(way: number, circle: number): number {
  return way - circle * Math.floor(way / circle + 0.5);
}
