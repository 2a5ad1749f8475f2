/** The difference `way` between two places on a circle, by the shorter way round. */
export function shorterWay(way: number, circle: number): number {
  return way - circle * Math.floor(way / circle + 0.5);
}
