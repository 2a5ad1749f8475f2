/** What a client can do after its connection has ended: the column "back" of the close codes in `PROTOCOL.md`. */

/**
 * - `resume`: wait, connect again and resume the session, or join if there is none yet.
 * - `anew`: the session is lost: join as a new one. A client that had no session has been refused.
 * - `no`: neither.
 */
export type Back = "resume" | "anew" | "no";

export function backAfter(code: number): Back {
  if (RESUME.has(code)) return "resume";
  return ANEW.has(code) ? "anew" : "no";
}

/** 1005 and 1006 are a browser's for a connection that ended without a close code, 1011 is a proxy's. */
const RESUME = new Set([1001, 1005, 1006, 1011, 1012, 1013, 4014, 4015]);
const ANEW = new Set([4002, 4011, 4012, 4020, 4021, 4022, 4023]);
