/**
 * Event channels: the upcall scans the two-level bitmap in shared_info and calls who listens. A
 * port that nobody listens to stays masked, so its event waits in the pending bit until somebody
 * looks.
 * @source xen/event_channel.h, xen/xen.h (shared_info)
 */
import type { Observable } from 'rxjs';
import type { Cpu } from '../../machine/cpu.ts';
import { SharedInfo, VcpuInfo } from '../../protocol/shared-info.ts';
import type { Domid, Port } from '../../protocol/units.ts';
import type { EventChannels } from '../kernel.ts';
import { Signal } from '../signal.ts';
import type { Xen } from '../xen.ts';

const MASK_BYTES = 512;

export class PvEvents implements EventChannels {
  readonly #cpu: Cpu;
  readonly #xen: Xen;
  readonly #upcallPending: number;
  readonly #selector: number;
  readonly #pending: number;
  readonly #mask: number;
  readonly #signals: (Signal | undefined)[] = [];
  /** Physical interrupt by port. */
  readonly #pirqs = new Map<number, number>();

  /** @param sharedInfo where shared_info is mapped; all ports become masked. */
  constructor(xen: Xen, sharedInfo: number) {
    this.#cpu = xen.cpu;
    this.#xen = xen;
    this.#upcallPending = sharedInfo + VcpuInfo.offset.evtchnUpcallPending;
    this.#selector = sharedInfo + VcpuInfo.offset.evtchnPendingSel;
    this.#pending = sharedInfo + SharedInfo.offset.evtchnPending;
    this.#mask = sharedInfo + SharedInfo.offset.evtchnMask;
    xen.cpu.fillBytes(this.#mask, MASK_BYTES, 0xff);
  }

  /** The upcall: hands out every pending, unmasked port. */
  dispatch(): void {
    const cpu = this.#cpu;
    // Cleared before the selector is read: what arrives later raises it again.
    cpu.store8(this.#upcallPending, 0);
    for (let half = 0; half < 2; half++) {
      const at = this.#selector + half * 4;
      if (cpu.load32(at) === 0) continue;
      let words = cpu.exchange32(at, 0);
      while (words !== 0) {
        const bit = 31 - Math.clz32(words & -words);
        words &= words - 1;
        const word = (half * 32 + bit) * 2;
        this.#scan(word);
        this.#scan(word + 1);
      }
    }
  }

  events(port: Port): Observable<void> {
    const known = this.#signals[port];
    if (known) return known;
    const signal = new Signal({ first: () => this.#listen(port), last: () => this.mask(port) });
    this.#signals[port] = signal;
    return signal;
  }

  allocUnbound(remote: Domid): Port {
    return this.#xen.allocUnbound(remote);
  }

  bindInterdomain(remote: Domid, remotePort: Port): Port {
    return this.#xen.bindInterdomain(remote, remotePort);
  }

  bindVirq(virq: number): Port {
    return this.#xen.bindVirq(virq);
  }

  bindIpi(): Port {
    return this.#xen.bindIpi();
  }

  bindPirq(pirq: number): Port {
    const port = this.#xen.bindPirq(pirq);
    this.#pirqs.set(port, pirq);
    return port;
  }

  send(port: Port): void {
    this.#xen.send(port);
  }

  mask(port: Port): void {
    this.#cpu.or32(this.#mask + (port >>> 5) * 4, 1 << (port & 31));
  }

  unmask(port: Port): void {
    this.#xen.unmask(port);
  }

  close(port: Port): void {
    this.mask(port);
    this.#xen.close(port);
    this.#cpu.and32(this.#pending + (port >>> 5) * 4, ~(1 << (port & 31)));
    const signal = this.#signals[port];
    this.#signals[port] = undefined;
    this.#pirqs.delete(port);
    signal?.complete();
  }

  /** Somebody listens now: unmask, and look once for what came before. */
  #listen(port: Port): void {
    const bit = 1 << (port & 31);
    const at = (port >>> 5) * 4;
    this.#cpu.and32(this.#mask + at, ~bit);
    if ((this.#cpu.load32(this.#pending + at) & bit) === 0) return;
    this.#cpu.and32(this.#pending + at, ~bit);
    this.#deliver(port);
  }

  /** The 32 ports of a half word: one atomic operation takes all that are pending and unmasked. */
  #scan(word: number): void {
    const cpu = this.#cpu;
    const at = this.#pending + word * 4;
    const pending = cpu.load32(at);
    if (pending === 0) return;
    let bits = pending & ~cpu.load32(this.#mask + word * 4);
    if (bits === 0) return;
    cpu.and32(at, ~bits);
    while (bits !== 0) {
      const bit = 31 - Math.clz32(bits & -bits);
      bits &= bits - 1;
      this.#deliver(word * 32 + bit);
    }
  }

  #deliver(port: number): void {
    this.#signals[port]?.emit();
    const pirq = this.#pirqs.get(port);
    if (pirq !== undefined) this.#xen.eoi(pirq);
  }
}
