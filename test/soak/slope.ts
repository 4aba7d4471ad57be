/** How a figure moves over time: the line that fits its samples best, by least squares. */
export interface Point {
  readonly minute: number;
  readonly value: number;
}

/** Units a minute. 0 of fewer than two points, or of points at one time. */
export function slopeOf(points: readonly Point[]): number {
  const mean = (of: (point: Point) => number): number =>
    points.reduce((sum, point) => sum + of(point), 0) / Math.max(1, points.length);
  const [minute, value] = [mean((point) => point.minute), mean((point) => point.value)];
  let [over, under] = [0, 0];
  for (const point of points) {
    over += (point.minute - minute) * (point.value - value);
    under += (point.minute - minute) ** 2;
  }
  return under === 0 ? 0 : over / under;
}
