/** The difference `way` between two places on a circle, by the shorter way round. */
export function shorterWay(way: number, circle: number): number {
  return way - circle * Math.floor(way / circle + 0.5);
}

/** The same place on a circle, from `min` to below `min + circle`, also if an addition is rounded up to that. */
export function wrapped(place: number, min: number, circle: number): number {
  const raised = place < min ? place + circle : place;
  return raised < min + circle ? raised : raised - circle;
}
