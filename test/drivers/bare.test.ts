import { describe, expect, it } from 'vitest';
import { DiskError, defineKernel, IdeController, type Machine } from '../../drivers/index.ts';
import { MemoryStore } from '../../machine/block-store.ts';
import { Board } from '../../machine/board.ts';
import { Machine as Hardware } from '../../machine/machine.ts';
import { flatPreset } from '../support/machine-fixture.ts';

function pattern(sectors: number): Uint8Array {
  return Uint8Array.from({ length: sectors * 512 }, (_, i) => (i >> 9) * 3 + i);
}

async function run(
  main: (k: Machine) => Promise<void>,
  disks: (MemoryStore | undefined)[] = [],
  type = '',
) {
  let output = '';
  const machine = new Hardware({ preset: flatPreset, frames: 2048, vcpus: 1, pcpus: 1 });
  const board = new Board(machine, {
    disks,
    serial: (byte) => {
      output += String.fromCharCode(byte);
      if (output.endsWith('>')) board.platform.uart.receive(new TextEncoder().encode(type));
    },
  });
  const end = await board.run(defineKernel(main));
  return { output, end };
}

describe('the bare kernel on the bare machine', () => {
  it('writes to its UART', async () => {
    const { output, end } = await run((k) =>
      k.console.write('Hello, world, in more than 16 bytes\n'),
    );
    expect(end).toMatchObject({ outcome: 'poweroff' });
    expect(output).toBe('Hello, world, in more than 16 bytes\n');
  });

  it('reads what was typed', async () => {
    const { output } = await run(
      (k) =>
        new Promise((resolve) => {
          let line = '';
          k.console.input.subscribe((bytes) => {
            line += String.fromCharCode(...bytes);
            if (line.endsWith('\n')) void k.console.write(`got ${line}`).then(resolve);
          });
          void k.console.write('>');
        }),
      [],
      'ab\n',
    );
    expect(output).toBe('>got ab\n');
  });

  it('finds its disks by position, and only those', async () => {
    const disks = [new MemoryStore(pattern(8)), undefined, undefined, new MemoryStore(pattern(16))];
    const { output, end } = await run(async (k) => {
      const found = await k.disks();
      await k.console.write(found.map((disk) => `${disk.name}:${disk.sectors}`).join(' '));
      await expect(k.disk('xvdb')).rejects.toThrow('xvda, xvdd');
    }, disks);
    expect(end.outcome).toBe('poweroff');
    expect(output).toBe('xvda:8 xvdd:16');
  });

  it('reads and writes a disk in many commands', async () => {
    const store = new MemoryStore(pattern(1000));
    const before = store.bytes.slice();
    let got = new Uint8Array(0);
    const { end } = await run(
      async (k) => {
        const disk = await k.disk('xvda');
        got = (await disk.read(1, 999)) as Uint8Array<ArrayBuffer>;
        await disk.write(5, new Uint8Array(512 * 300).fill(0xaa));
        await disk.flush();
      },
      [store],
    );
    expect(end.outcome).toBe('poweroff');
    expect(Buffer.compare(got, before.subarray(512))).toBe(0);
    before.fill(0xaa, 5 * 512, 305 * 512);
    expect(Buffer.compare(store.bytes, before)).toBe(0);
  });

  it('turns an error of the drive into a DiskError, and goes on', async () => {
    const { output, end } = await run(
      async (k) => {
        const disk = await k.disk('xvda');
        const error = await disk.write(0, new Uint8Array(512)).catch((e: unknown) => e);
        expect(error).toBeInstanceOf(DiskError);
        await k.console.write(`${(await disk.read(3, 1)).length}`);
      },
      [new MemoryStore(pattern(8), true)],
    );
    expect(end).toMatchObject({ outcome: 'poweroff' });
    expect(output).toBe('512');
  });

  it('moves sectors by PIO where a drive has no DMA', async () => {
    const store = new MemoryStore(pattern(20));
    const before = store.bytes.slice();
    const { end } = await run(
      async (k) => {
        const drive = (await new IdeController(k, (line) => k.irq!(line)).drive(0))!;
        Object.assign(drive, { dma: false });
        const [a, b] = [k.frames.alloc(), k.frames.alloc()];
        const pieces = [
          { pfn: a!, offset: 1024, length: 1024 },
          { pfn: b!, offset: 0, length: 4096 },
        ];
        await drive.transfer(false, 1, pieces);
        await drive.transfer(true, 10, pieces);
      },
      [store],
    );
    expect(end).toMatchObject({ outcome: 'poweroff' });
    before.copyWithin(10 * 512, 512, 11 * 512);
    expect(Buffer.compare(store.bytes, before)).toBe(0);
  });

  it('does two transfers that were asked for at once', async () => {
    const store = new MemoryStore(pattern(200));
    const { end } = await run(
      async (k) => {
        const disk = await k.disk('xvda');
        const [a, b] = await Promise.all([disk.read(0, 100), disk.read(100, 100)]);
        expect(Buffer.compare(a, store.bytes.subarray(0, 51200))).toBe(0);
        expect(Buffer.compare(b, store.bytes.subarray(51200))).toBe(0);
      },
      [store],
    );
    expect(end).toMatchObject({ outcome: 'poweroff' });
  });
});
