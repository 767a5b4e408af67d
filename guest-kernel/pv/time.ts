/**
 * Time under Xen: system time computed from the TSC by the factors in vcpu_time_info, whose version
 * is odd while Xen writes it; alarms by set_timer_op, which raises VIRQ_TIMER.
 * @source xen/xen.h (vcpu_time_info)
 */
import type { Cpu } from '../../machine/cpu.ts';
import { VcpuInfo, VcpuTimeInfo } from '../../protocol/shared-info.ts';
import { VIRQ_TIMER } from '../../protocol/xen.ts';
import { type Timer, TimerClock } from '../clock.ts';
import type { EventChannels } from '../kernel.ts';
import type { Xen } from '../xen.ts';

const at = VcpuTimeInfo.offset;

class PvTimer implements Timer {
  readonly #cpu: Cpu;
  readonly #xen: Xen;
  readonly #info: number;
  readonly #listen: () => void;
  #listening = false;

  constructor(xen: Xen, info: number, listen: () => void) {
    this.#cpu = xen.cpu;
    this.#xen = xen;
    this.#info = info;
    this.#listen = listen;
  }

  nanos(): number {
    const cpu = this.#cpu;
    const info = this.#info;
    for (;;) {
      const version = cpu.load32(info + at.version);
      const stamp = cpu.loadNumber(info + at.tscTimestamp);
      const system = cpu.loadNumber(info + at.systemTime);
      const mul = cpu.load32(info + at.tscToSystemMul);
      const shift = (cpu.load8(info + at.tscShift) << 24) >> 24;
      const cycles = cpu.rdtsc() - stamp;
      if ((version & 1) === 0 && cpu.load32(info + at.version) === version) {
        return system + Math.floor((cycles * 2 ** shift * mul) / 4294967296);
      }
    }
  }

  arm(ns: number): void {
    if (!this.#listening) {
      this.#listening = true;
      this.#listen();
    }
    this.#xen.setTimer(ns);
  }
}

/** @param sharedInfo where shared_info is mapped. VIRQ_TIMER is bound at the first alarm. */
export function pvClock(xen: Xen, sharedInfo: number, events: EventChannels): TimerClock {
  const listen = (): void => {
    events.events(events.bindVirq(VIRQ_TIMER)).subscribe(() => clock.interrupt());
  };
  const clock = new TimerClock(new PvTimer(xen, sharedInfo + VcpuInfo.offset.time, listen));
  return clock;
}
