/** A client that plays and watches Tickwire matches: `Session` for pages, `ClientLink` for anything else. */
export { ByteReader, ByteWriter } from "./bytes.js";
export { type Quaternion, unpackQuaternion } from "./codec/turn.js";
export { ServerFault } from "./fault.js";
export { type ClientEvent, ClientLink, type SnapshotEvent } from "./link/client.js";
export { Clock, ticksBetween } from "./link/clock.js";
export { InputPace } from "./link/pace.js";
export type { Handlers, SessionOptions, SessionState, Socket } from "./options.js";
export { Interpolation } from "./replica/interpolation.js";
export { Prediction, type Predictor, type Shown } from "./replica/prediction.js";
export type { Store } from "./remembered.js";
export { Rows } from "./rows.js";
export { type EventSchema, type Field, type Integer, type KindSchema, named, type Predict, type Schema } from "./schema.js";
export { Session } from "./session.js";
export { Stats } from "./stats.js";
export { type ChatRefused, type Line, type Player, type Presence, SUBPROTOCOL, type Welcome, writeResync } from "./wire.js";
