/** Whether a session connects again after its connection was lost, and when. */

/** Longest wait before the first attempt to reconnect, and before any later one. */
const WAIT_MS = 250;
const WAIT_MS_MAX = 5_000;
/** A connection that has been played on for this long is a good one: the backoff begins anew. */
const GOOD_MS = 10_000;
/** The session ends with this many invalid frames, each on a connection that was not a good one. */
const FAULTS_MAX = 5;
/** How long the session tries to reconnect: longer than a server keeps the seat, by default. */
const GIVE_UP_MS = 60_000;

/** All times are in microseconds on the page's clock. */
export class Backoff {
  /** Attempts since the last good connection. */
  #attempts = 0;
  /** When the connection was lost, if no snapshot was applied since; else 0. */
  #lostAt = 0;
  /** When the first snapshot of this connection was applied; else 0. */
  #playingSince = 0;
  /** Invalid frames since the last good connection. */
  #faults = 0;

  /** Handles the first snapshot of a connection. */
  handlePlaying(now: number): void {
    this.#lostAt = 0;
    this.#playingSince = now;
  }

  /** Handles an invalid frame, with which the connection ends. */
  handleFault(): void {
    this.#faults++;
  }

  /** Handles the end of a connection, or that it could not be made. */
  handleLoss(now: number): void {
    this.#lostAt ||= now;
    if (this.#playingSince > 0 && now - this.#playingSince > GOOD_MS * 1_000) this.#attempts = this.#faults = 0;
    this.#playingSince = 0;
  }

  /** Handles that the server has answered, though not as it was asked to. */
  handleAnswer(): void {
    this.#attempts = 0;
  }

  /** Handles that an attempt was put off by the page, which does not count. */
  handleDelay(micros: number): void {
    if (this.#lostAt > 0) this.#lostAt += micros;
  }

  /** Returns after how many milliseconds to connect again; `null` if there is no use in it any more. */
  nextAttempt(now: number): number | null {
    const hasTriedEnough = now - this.#lostAt > GIVE_UP_MS * 1_000;
    if (hasTriedEnough || this.#faults >= FAULTS_MAX) return null;
    // With full jitter, so that many clients don't reconnect at the same moment.
    return Math.random() * Math.min(WAIT_MS * 2 ** this.#attempts++, WAIT_MS_MAX);
  }
}
