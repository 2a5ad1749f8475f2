/** A live plot of a few series over the last minutes, drawn as on millimetre paper. */

import { fit, make } from "../hud/elements.js";
import { readTheme, type Theme } from "../draw/theme.js";

/** Number of samples shown, at one per second. */
const SHOWN = 180;
const GRID_S = 30;

interface Series {
  name: string;
  colour: (theme: Theme) => string;
}

export class Plot {
  readonly section = make("section", "", "plot");
  readonly #newest = make("b");
  readonly #canvas = document.createElement("canvas");
  readonly #legend = make("p", "", "legend");
  readonly #values: number[][];

  constructor(
    readonly title: string,
    readonly series: readonly Series[],
    readonly write: (value: number) => string,
  ) {
    this.#values = series.map(() => []);
    this.#canvas.setAttribute("role", "img");
    this.section.append(make("h2", title), this.#newest, this.#canvas, this.#legend);
  }

  /** Adds a sample: one value for each series. */
  push(values: readonly number[]): void {
    values.forEach((value, n) => {
      const list = this.#values[n];
      list.push(value);
      if (list.length > SHOWN) list.shift();
    });
    const texts = this.series.map(({ name }, n) => `${name} ${this.write(values[n])}`);
    this.#newest.textContent = this.series.length > 1 ? texts[0] : this.write(values[0]);
    this.#canvas.setAttribute("aria-label", texts.join(", "));
  }

  draw(theme = readTheme()): void {
    const { width, height, context, density } = fit(this.#canvas);
    if (!context) return;
    context.clearRect(0, 0, width, height);
    const most = nice(Math.max(...this.#values.flat(), 1e-9));
    const bottom = height - 2 * density;
    const y = (value: number) => bottom - (value / most) * (bottom - 14 * density);
    const x = (index: number, length: number) => width - ((length - 1 - index) / (SHOWN - 1)) * width;
    context.lineWidth = density;
    context.strokeStyle = theme.faint;
    context.beginPath();
    for (let back = 0; back < SHOWN; back += GRID_S) {
      const at = Math.round(x(SHOWN - 1 - back, SHOWN)) - 0.5;
      context.moveTo(at, 0);
      context.lineTo(at, height);
    }
    for (const part of [0, 0.5, 1]) {
      context.moveTo(0, Math.round(y(most * part)) - 0.5);
      context.lineTo(width, Math.round(y(most * part)) - 0.5);
    }
    context.stroke();
    context.fillStyle = theme.soft;
    context.font = `${11 * density}px ${theme.font}`;
    context.fillText(this.write(most), 2 * density, y(most) - 3 * density);
    context.fillText(this.write(most / 2), 2 * density, y(most / 2) - 3 * density);
    // In reverse, so that the first series is on top.
    [...this.#values.entries()].reverse().forEach(([n, values]) => {
      context.strokeStyle = this.series[n].colour(theme);
      context.lineWidth = 1.6 * density;
      context.lineJoin = "round";
      context.beginPath();
      values.forEach((value, i) => context.lineTo(x(i, values.length), y(value)));
      context.stroke();
    });
    this.#drawLegend(theme);
  }

  #drawLegend(theme: Theme): void {
    if (this.series.length < 2) return;
    this.#legend.replaceChildren(
      ...this.series.map(({ name, colour }, n) => {
        const item = make("span");
        const line = make("i");
        line.style.borderColor = colour(theme);
        const last = this.#values[n][this.#values[n].length - 1] ?? 0;
        item.append(line, `${name} ${this.write(last)}`);
        return item;
      }),
    );
  }
}

/** The least of 1, 2, 5, 10, 20 … that is not below `value`. */
function nice(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 5].find((step) => step * power >= value) ?? 10);
}
