/** The samples that `GET /v1/monitor` sends once a second. */

export interface Sample {
  /** Milliseconds since 1970. */
  at: number;
  shards: Shard[];
  matches: Match[];
  /** Bits per second in snapshot bodies, by `kind.field`; each encoding is counted once. */
  fields: Record<string, number>;
  /** Rejected connections since the server's start, by reason. */
  refused: Record<string, number>;
  /** Connections that have ended since the server's start, by reason. */
  closed: Record<string, number>;
}

interface Shard {
  matches: number;
  connections: number;
  snapshots_per_s: number;
  bytes_per_s: number;
  tick_time_us: Spans;
  tick_lateness_us: Spans;
}

interface Match {
  id: number;
  players: number;
  seats: number;
  spectators: number;
}

/** Percentiles and maximum over the last second, in microseconds. */
export interface Spans {
  p50: number;
  p99: number;
  max: number;
}
