// The flags that all servers of the comparison accept, and the line that announces the address.
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    listen: { type: "string", default: "127.0.0.1:0" },
    "tick-rate": { type: "string", default: "30" },
    seats: { type: "string", default: "16" },
    quantised: { type: "boolean", default: false },
  },
});
export const rate = Number(values["tick-rate"]);
export const seats = Number(values.seats);
export const quantised = values.quantised;
const colon = values.listen.lastIndexOf(":");
export const host = values.listen.slice(0, colon);
export const port = Number(values.listen.slice(colon + 1));

export const announce = (server) => console.log(`listening on http://${host}:${server.address().port}`);
