/**
 * What a server should not have sent, or a link could not make sense of. The only error that
 * decoding throws; `ClientLink` lets it through, `Session` turns it into the end of a connection.
 */
export class ServerFault extends Error {
  override readonly name = "ServerFault";
}

export function fault(message: string): never {
  throw new ServerFault(message);
}
