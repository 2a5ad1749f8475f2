/** The network panel: readings of the connection, and controls that make it worse. */

import type { Session } from "@tickwire/client";
import { CONDITIONS, type Conditions, STALLS } from "../net/conditioner.js";
import { element, make, setText } from "./elements.js";
import { Trace } from "./trace.js";

const TRACE_LEN = 120;

interface Reading {
  name: string;
  read: (session: Session) => string;
  /** The value for the plot beside it, if it has one. */
  value?: (session: Session) => number;
}

const READINGS: readonly Reading[] = [
  reading("Ping", "ms", (session) => (session.link.clock?.rtt ?? NaN) / 1e3),
  reading("Jitter", "ms", (session) => (session.link.clock?.jitter ?? NaN) / 1e3),
  reading("Snapshot age", "ms", (session) => session.stats.age / 1e3),
  reading("Interpolation", "ms", (session) => (session.others?.delay ?? NaN) / 1e3),
  reading("Inputs ahead", "ms", (session) => (session.link.pace?.ahead ?? NaN) / 1e3),
  reading("Received", "B/s", (session) => session.stats.bytesInPerS),
  reading("Sent", "B/s", (session) => session.stats.bytesOutPerS),
  reading("Snapshots", "/s", (session) => session.stats.snapshotsPerS),
  {
    name: "Corrections",
    read: ({ own }) => (own && own.compared > 0 ? `${own.corrections}` : "–"),
  },
  { name: "Starved", read: ({ others }) => (others ? `${others.starved} times` : "–") },
];

function reading(name: string, unit: string, value: (session: Session) => number): Reading {
  const read = (session: Session) => {
    const number = value(session);
    if (Number.isNaN(number)) return "–";
    return `${number < 10 && unit === "ms" ? number.toFixed(1) : Math.round(number)} ${unit}`;
  };
  return { name, read, value };
}

export class NetworkPanel {
  readonly #outputs: { output: HTMLElement; trace: Trace | null; reading: Reading }[];

  constructor(cut: () => void) {
    this.#outputs = READINGS.map((reading) => {
      const output = make("dd", "–");
      const canvas = document.createElement("canvas");
      const line = make("div");
      const place = make("dd");
      if (reading.value) place.append(canvas);
      line.append(make("dt", reading.name), output, place);
      element("readings").append(line);
      return { output, reading, trace: reading.value ? new Trace(canvas, TRACE_LEN) : null };
    });
    for (const name of ["latency", "jitter", "stalls"] as const) {
      const input = element<HTMLInputElement>(name);
      input.addEventListener("input", () => this.#change(name, Number(input.value)));
    }
    element("cut").addEventListener("click", cut);
  }

  update(session: Session, colour: string): void {
    const isOpen = !element("net").hidden;
    for (const { output, trace, reading } of this.#outputs) {
      trace?.push(reading.value?.(session) ?? NaN);
      if (!isOpen) continue;
      const text = reading.read(session);
      if (output.textContent !== text) output.textContent = text;
      trace?.draw(colour);
    }
  }

  #change(name: keyof Conditions, value: number): void {
    CONDITIONS[name] = value;
    const text = name === "stalls" ? STALLS[value].name : `${value} ms`;
    setText(`${name}-out`, text);
    element(name).setAttribute("aria-valuetext", text);
  }
}
