/**
 * The I/O ports of one machine, real or emulated. Every port has a device: where none was attached, reads
 * give all ones and writes go nowhere, as on an ISA bus.
 */

export interface PortDevice {
  /** Read `size` (1, 2, 4) bytes at `port`; `now` is the virtual instant. */
  read(port: number, size: number, now: number): number;
  write(port: number, size: number, value: number, now: number): void;
}

const open: PortDevice = {
  read: (_port, size) => (size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff),
  write: () => {},
};

export class PortBus {
  readonly #devices = new Map<number, PortDevice>();

  attach(device: PortDevice, first: number, last: number): void {
    for (let port = first; port <= last; port++) this.#devices.set(port, device);
  }

  read(port: number, size: number, now: number): number {
    return (this.#devices.get(port) ?? open).read(port, size, now);
  }

  write(port: number, size: number, value: number, now: number): void {
    (this.#devices.get(port) ?? open).write(port, size, value, now);
  }
}
