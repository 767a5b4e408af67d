/** A drive over an array, which can be told to fail or to wait. */
import { DiskError, type Drive, type Piece } from '../../drivers/disk.ts';
import type { FakeDomain } from './fake-domains.ts';

export class FakeDrive implements Drive {
  readonly bytes: Uint8Array;
  readonly log: string[] = [];
  failing = false;
  hold: Promise<void> = Promise.resolve();
  readonly #domain: FakeDomain;

  constructor(domain: FakeDomain, sectors: number) {
    this.#domain = domain;
    this.bytes = Uint8Array.from({ length: sectors * 512 }, (_, i) => (i >> 9) ^ i);
  }

  get sectors(): number {
    return this.bytes.length / 512;
  }

  async transfer(write: boolean, sector: number, pieces: readonly Piece[]): Promise<void> {
    this.log.push(`${write ? 'write' : 'read'} ${sector}`);
    await this.hold;
    if (this.failing) throw new DiskError('fake', 'transfer', sector, 'broken');
    let at = sector * 512;
    for (const { pfn, offset, length } of pieces) {
      const page = this.#domain.page(pfn).subarray(offset, offset + length);
      const disk = this.bytes.subarray(at, at + length);
      if (write) disk.set(page);
      else page.set(disk);
      at += length;
    }
  }

  async flush(): Promise<void> {
    this.log.push('flush');
    if (this.failing) throw new DiskError('fake', 'flush', 0, 'broken');
  }
}
