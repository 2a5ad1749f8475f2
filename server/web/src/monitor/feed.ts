/** What the server tells a monitor once a second, as `GET /v1/monitor` sends it. */

export interface Sample {
  /** Milliseconds since 1970. */
  at: number;
  shards: Shard[];
  matches: Match[];
  /** Bits per second of what snapshots tell, by `kind.field`, each encoding counted once. */
  fields: Record<string, number>;
  /** Since the start, by reason. */
  refused: Record<string, number>;
  closed: Record<string, number>;
}

export interface Shard {
  matches: number;
  connections: number;
  snapshots_per_s: number;
  bytes_per_s: number;
  tick_time_us: Spans;
  tick_lateness_us: Spans;
}

export interface Match {
  id: number;
  players: number;
  seats: number;
  spectators: number;
}

/** Of the last second. */
export interface Spans {
  p50: number;
  p99: number;
  max: number;
}
