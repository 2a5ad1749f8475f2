/**
 * The value that all but a few of a stream stay below, followed without keeping the stream.
 *
 * A sample beyond it pulls it up by a step; one below lets it down by a small part of a step. In
 * balance one of `within + 1` samples lies beyond. So it is quick to notice a worse network, slow
 * to believe in a better one, and a single long stall moves it no more than a short one.
 */
export class Tail {
  /** NaN before the first sample. */
  value = NaN;

  constructor(
    readonly step: number,
    readonly within: number,
  ) {}

  hear(sample: number): void {
    if (Number.isNaN(this.value)) this.value = sample;
    else if (sample > this.value) this.value += this.step;
    else this.value = Math.max(this.value - this.step / this.within, sample);
  }
}
