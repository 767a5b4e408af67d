import { describe, expect, it } from 'vitest';
import { Clock } from '../../hypervisor/clock.ts';
import { VcpuTimeInfo } from '../../protocol/shared-info.ts';
import { flatPreset } from '../support/machine-fixture.ts';

describe('vcpu_time_info', () => {
  it.each([500, 999, 1000, 1001, 2100, 2800, 3800])(
    'turns the TSC of a %d MHz processor into nanoseconds',
    (mhz) => {
      const view = new DataView(new ArrayBuffer(64));
      const clock = new Clock({ ...flatPreset, mhz });
      clock.writeTimeInfo(view, 8);
      const time = VcpuTimeInfo.get(view, 8);
      expect(time.version & 1).toBe(0);
      for (const cycles of [0n, 1n, 1000n, 123456789n, 10n ** 12n]) {
        const shift = BigInt(Math.abs(time.tscShift));
        const shifted = time.tscShift < 0 ? cycles >> shift : cycles << shift;
        const ns = Number((shifted * BigInt(time.tscToSystemMul)) >> 32n);
        // The multiplier has 32 bits, and the shift drops one or two of a small count.
        expect(Math.abs(ns - clock.nanos(Number(cycles)))).toBeLessThanOrEqual(
          2 + Number(cycles) / 1e9,
        );
      }
    },
  );

  it.each([1000, 2800])(
    'has reached an instant at the cycle that is given for it (%d MHz)',
    (mhz) => {
      const clock = new Clock({ ...flatPreset, mhz });
      for (const ns of [1, 7, 1001, 30_000_001]) {
        expect(clock.nanos(clock.cycles(ns))).toBeGreaterThanOrEqual(ns);
        expect(clock.nanos(clock.cycles(ns) - 1)).toBeLessThan(ns);
      }
    },
  );
});
