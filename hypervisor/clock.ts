/**
 * System time: nanoseconds since the machine started, computed from cycles, and how a guest
 * computes the same from its TSC (vcpu_time_info). The wall clock at start is fixed, so that every
 * run repeats.
 * @source xen/xen.h (vcpu_time_info), arch-x86/xen.h
 */
import type { Preset } from '../machine/costs.ts';
import { VcpuTimeInfo, XEN_PVCLOCK_TSC_STABLE_BIT } from '../protocol/shared-info.ts';

/** Wall clock when the machine starts: 2005-12-05 00:00:00 UTC, the day Xen 3.0 was released. */
export const BOOT_SECONDS = 1133740800;

export class Clock {
  readonly #mhz: number;
  readonly #mul: number;
  readonly #shift: number;

  constructor(preset: Preset) {
    this.#mhz = preset.mhz;
    let perCycle = 1000 / preset.mhz;
    let shift = 0;
    for (; perCycle < 0.5; shift--) perCycle *= 2;
    for (; perCycle >= 1; shift++) perCycle /= 2;
    this.#mul = Math.min(Math.ceil(perCycle * 2 ** 32), 0xffffffff);
    this.#shift = shift;
  }

  /** System time in nanoseconds at `cycles`. */
  nanos(cycles: number): number {
    return Math.floor((cycles * 1000) / this.#mhz);
  }

  /** The first cycle at which system time has reached `ns`. */
  cycles(ns: number): number {
    return Math.ceil((ns * this.#mhz) / 1000);
  }

  /** Write the vcpu_time_info at byte `at`: TSC and system time both began at zero. */
  writeTimeInfo(view: DataView, at: number): void {
    VcpuTimeInfo.set(view, at, {
      version: 2,
      tscTimestamp: 0,
      systemTime: 0,
      tscToSystemMul: this.#mul,
      tscShift: this.#shift,
      flags: XEN_PVCLOCK_TSC_STABLE_BIT,
    });
  }
}
