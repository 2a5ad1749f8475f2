import { fit } from "./elements.js";

/** A small plot of a reading's last values. */
export class Trace {
  readonly #values: Float64Array;
  #next = 0;

  constructor(
    readonly canvas: HTMLCanvasElement,
    length: number,
  ) {
    this.#values = new Float64Array(length).fill(NaN);
  }

  push(value: number): void {
    this.#values[this.#next] = value;
    this.#next = (this.#next + 1) % this.#values.length;
  }

  draw(colour: string): void {
    const { width, height, density, context } = fit(this.canvas);
    if (!context || width === 0) return;
    context.clearRect(0, 0, width, height);
    const most = this.#values.reduce((most, value) => (value > most ? value : most), 1e-9);
    context.strokeStyle = colour;
    context.lineWidth = density;
    context.beginPath();
    const count = this.#values.length;
    for (let i = 0; i < count; i++) {
      const value = this.#values[(this.#next + i) % count];
      const y = height - 1 - (value / most) * (height - 3);
      if (!Number.isNaN(value)) context.lineTo((i / (count - 1)) * width, y);
    }
    context.stroke();
  }
}
