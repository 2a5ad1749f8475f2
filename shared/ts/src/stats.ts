/** Statistics of a session, for a page that displays them. */
export class Stats {
  /** Payload bytes of the last whole second. */
  bytesInPerS = 0;
  bytesOutPerS = 0;
  snapshotsPerS = 0;
  /** Time from when a tick was due until its snapshot was applied, in microseconds: a moving mean. */
  age = NaN;
  /** Snapshots whose digest differed, so that a full one was requested. */
  resyncs = 0;
  /** Frames that were invalid. */
  faults = 0;
  #second = 0;
  #in = 0;
  #out = 0;
  #snapshots = 0;

  receive(bytes: number, now: number): void {
    this.turn(now);
    this.#in += bytes;
  }

  /** Begins a new second if the last one is over. */
  turn(now: number): void {
    const second = Math.floor(now / 1e6);
    if (second !== this.#second) {
      this.#second = second;
      this.bytesInPerS = this.#in;
      this.bytesOutPerS = this.#out;
      this.snapshotsPerS = this.#snapshots;
      this.#in = this.#out = this.#snapshots = 0;
    }
  }

  send(bytes: number): void {
    this.#out += bytes;
  }

  snapshot(age: number): void {
    this.#snapshots++;
    if (!Number.isNaN(age)) this.age = Number.isNaN(this.age) ? age : this.age + (age - this.age) / 16;
  }
}
