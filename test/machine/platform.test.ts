import { describe, expect, it } from 'vitest';
import { MemoryStore } from '../../machine/block-store.ts';
import * as at from '../../machine/platform.ts';
import { Platform } from '../../machine/platform.ts';
import { PortBus } from '../../machine/port-bus.ts';
import { DEFAULT_PRESET } from '../../machine/presets.ts';
import { Timeline } from '../../machine/timeline.ts';

const assembled = () => {
  const timeline = new Timeline();
  const bus = new PortBus();
  const memory = new Uint8Array(65536);
  const sent: number[] = [];
  const ended: string[] = [];
  const interrupts = { count: 0 };
  const disk = new MemoryStore(new Uint8Array(8 * 512).fill(0x42));
  const platform = new Platform({
    timeline,
    preset: DEFAULT_PRESET,
    bus,
    dma: {
      read: (pa, into) => {
        into.set(memory.subarray(pa, pa + into.length));
        return true;
      },
      write: (pa, from) => {
        memory.set(from, pa);
        return true;
      },
    },
    disks: [disk],
    serial: (byte) => sent.push(byte),
    intr: () => {
      interrupts.count += 1;
    },
    powerOff: (reason) => ended.push(reason),
  });
  const out = (port: number, ...values: number[]) => {
    for (const value of values) bus.write(port, 1, value, 0);
  };
  out(at.PORT_PIC_MASTER, 0x11);
  out(at.PORT_PIC_MASTER + 1, 0x20, 4, 1, 0);
  out(at.PORT_PIC_SLAVE, 0x11);
  out(at.PORT_PIC_SLAVE + 1, 0x28, 2, 1, 0);
  return { timeline, bus, memory, sent, ended, interrupts, platform, out };
};

describe('Platform', () => {
  it('has the timer on IRQ 0 at the rate of the preset', () => {
    const { timeline, out, platform, interrupts } = assembled();
    out(0x43, 0x34);
    out(0x40, 0x9c, 0x2e); // 11,932 ticks: 10 ms
    timeline.fire(DEFAULT_PRESET.mhz * 1e6 * 0.0099);
    expect(interrupts.count).toBe(0);
    timeline.fire(DEFAULT_PRESET.mhz * 1e6 * 0.0101);
    expect(interrupts.count).toBe(1);
    expect(platform.pic.acknowledge()).toBe(0x20);
  });

  it('has COM1 on IRQ 4', () => {
    const { bus, out, platform, sent } = assembled();
    out(0x3f8, 0x68);
    out(0x3f9, 0x01);
    out(0x3fc, 0x08);
    platform.uart.receive(Uint8Array.of(0x69));
    expect(platform.pic.acknowledge()).toBe(0x24);
    expect(bus.read(0x3f8, 1, 0)).toBe(0x69);
    expect(sent).toEqual([0x68]);
  });

  it('reads a disk by DMA and interrupts on IRQ 14', () => {
    const { timeline, bus, memory, out, platform } = assembled();
    new DataView(memory.buffer).setUint32(0x100, 0x2000, true);
    new DataView(memory.buffer).setUint32(0x104, 0x80000200, true);
    bus.write(0xc004, 4, 0x100, 0);
    expect(bus.read(0xc004, 4, 0)).toBe(0x100);
    out(0x1f6, 0x40);
    out(0x1f2, 1);
    out(0x1f3, 0, 0);
    out(0x1f7, 0xc8);
    out(0xc000, 0x09);

    timeline.fire(1e9);

    expect(platform.pic.acknowledge()).toBe(0x2e);
    expect(bus.read(0x1f7, 1, 0)).toBe(0x50);
    expect([memory[0x2000], memory[0x21ff], memory[0x2200]]).toEqual([0x42, 0x42, 0]);
  });

  it('moves words through the data port and floats an empty channel', () => {
    const { timeline, bus, out } = assembled();
    out(0x1f6, 0x40);
    out(0x1f2, 1);
    out(0x1f7, 0x20);
    timeline.fire(1e9);
    expect(bus.read(0x1f0, 2, 0)).toBe(0x4242);
    expect(bus.read(0x177, 1, 0)).toBe(0xff);
  });

  it('powers off by a 16-bit write to PM1a_CNT and reboots by port 0x64', () => {
    const { bus, out, ended } = assembled();
    bus.write(0xb004, 2, 0x2000, 0);
    out(0x64, 0xfe);
    expect(ended).toEqual(['poweroff', 'reboot']);
  });

  it('splits wide accesses to byte-wide chips', () => {
    const { bus } = assembled();
    bus.write(0x3fe, 2, 0xaa00, 0);
    expect(bus.read(0x3fe, 2, 0)).toBe(0xaab0);
    expect(bus.read(0x3ff, 4, 0)).toBe(0xffffffaa);
  });

  it('leaves nothing on the timeline once stopped', () => {
    const { timeline, out, platform } = assembled();
    out(0x43, 0x34);
    out(0x40, 0x9c, 0x2e);
    out(0x1f7, 0xec);
    platform.stop();
    expect(timeline.next).toBe(Number.POSITIVE_INFINITY);
  });

  it('answers every port at every size with a number in range', () => {
    const { bus, timeline } = assembled();
    for (const size of [1, 2, 4]) {
      for (let port = 0; port < 0x10000; port++) {
        if (port >= 0x60 && port <= 0x64) continue;
        const value = bus.read(port, size, 0);
        if (value < 0 || value >= 2 ** (8 * size)) expect([port, size, value]).toBe('in range');
        bus.write(port, size, 0xffffffff, 0);
      }
    }
    timeline.fire(1e6);
  });
});
