/** A socket without a network: it keeps the frames that are sent, and receives those that a test passes. */

import type { Socket } from "../src/options.js";

export class FakeSocket implements Socket {
  binaryType = "";
  readyState = 1;
  onopen: Socket["onopen"] = null;
  onmessage: Socket["onmessage"] = null;
  onclose: Socket["onclose"] = null;
  readonly sent: Uint8Array<ArrayBuffer>[] = [];

  send(bytes: Uint8Array<ArrayBuffer>): void {
    this.sent.push(bytes.slice());
  }

  close(): void {
    this.readyState = 3;
  }

  receive(frame: Uint8Array): void {
    this.onmessage?.({ data: Uint8Array.from(frame).buffer });
  }
}
