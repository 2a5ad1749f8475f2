/**
 * A protocol violation by the server: a frame that is malformed, or not allowed at this time. It is
 * the only error that decoding throws. `ClientLink` passes it on; `Session` closes the connection.
 */
export class ServerFault extends Error {
  override readonly name = "ServerFault";
}

export function fault(message: string): never {
  throw new ServerFault(message);
}
