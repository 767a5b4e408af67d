/** A rig on this hypervisor: a PV guest that makes the calls, and what the host knows of its frames. */
import type { Domain } from '../../../hypervisor/domain.ts';
import type { Hypervisor } from '../../../hypervisor/hypervisor.ts';
import { EVTCHNSTAT_unbound } from '../../../protocol/event-channel.ts';
import type { RawGuest } from '../../support/pv-fixture.ts';
import { PvHost } from '../../support/pv-fixture.ts';
import type { Arg, Cases, Rig } from './rig.ts';

/** Results by name; what a number does not hold exactly, in hexadecimal. */
export type Answers = Record<string, number | string>;

const WIDTHS: Readonly<Record<string, 1 | 2 | 4 | 8>> = { B: 1, H: 2, I: 4, Q: 8 };
const BUFFER_PAGES = 40;

/** Make the calls of `cases` as domain 1, beside a domain 0. @returns the answers by name */
export const answersOf = async (cases: Cases): Promise<Answers> => {
  const host = new PvHost();
  const domain0 = host.xen.create({
    name: 'Domain-0',
    kind: 'pv',
    memoryBytes: 1 << 20,
    guest: async () => {},
    privileged: true,
  });
  // Port 1 of the real one is in use too.
  domain0.events.allocate(EVTCHNSTAT_unbound, 0);
  const answers: Answers = {};
  let failure: unknown;
  const domain: Domain = host.add(
    (guest) => {
      try {
        cases(new LiveRig(guest, host.xen, domain, domain0, answers));
      } catch (error) {
        failure = error;
        throw error;
      }
    },
    { vcpus: 2 },
  );
  const end = await host.run();
  if (failure) throw failure;
  if (domain.end?.outcome !== 'poweroff') throw new Error(`${end}: ${domain.end?.why}`);
  return answers;
};

class LiveRig implements Rig<bigint> {
  readonly #guest: RawGuest;
  readonly #xen: Hypervisor;
  readonly #domain: Domain;
  readonly #domain0: Domain;
  readonly #answers: Answers;
  #buffer = 0;

  constructor(guest: RawGuest, xen: Hypervisor, domain: Domain, domain0: Domain, answers: Answers) {
    this.#guest = guest;
    this.#xen = xen;
    this.#domain = domain;
    this.#domain0 = domain0;
    this.#answers = answers;
    this.#buffer = guest.page();
    for (let i = 1; i < BUFFER_PAGES; i++) guest.page();
  }

  call(name: string, nr: number, ...args: Arg<bigint>[]): bigint {
    const result = this.quiet(nr, ...args);
    this.show(name, result);
    return result;
  }

  quiet(nr: number, ...args: Arg<bigint>[]): bigint {
    return BigInt(this.#guest.cpu.syscall(nr, ...(args as [bigint])));
  }

  show(name: string, value: bigint): void {
    if (name in this.#answers) throw new Error(`two cases named ${name}`);
    const signed = Number(BigInt.asIntN(64, value));
    this.#answers[name] = Number.isSafeInteger(signed)
      ? signed
      : `0x${BigInt.asUintN(64, value).toString(16)}`;
  }

  page(): bigint {
    return BigInt(this.#guest.page());
  }

  pack(fields: string, ...values: Arg<bigint>[]): bigint {
    const va = BigInt(this.#buffer);
    let offset = 0;
    for (const [i, field] of [...fields].entries()) {
      const width = WIDTHS[field]!;
      offset = Math.ceil(offset / width) * width;
      this.store(va + BigInt(offset), width, values[i]!);
      offset += width;
    }
    this.#buffer += Math.ceil(offset / 64) * 64;
    return va;
  }

  at(va: bigint, offset: number): bigint {
    return va + BigInt(offset);
  }

  load(va: bigint, width: 1 | 2 | 4 | 8): bigint {
    const bytes = new Uint8Array(8);
    this.#guest.cpu.loadBytes(Number(va), bytes.subarray(0, width));
    return BigInt.asIntN(width * 8, new DataView(bytes.buffer).getBigUint64(0, true));
  }

  store(va: bigint, width: 1 | 2 | 4 | 8, value: Arg<bigint>): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, BigInt(value)), true);
    this.#guest.cpu.storeBytes(Number(va), bytes.subarray(0, width));
  }

  mfn(va: bigint): bigint {
    return BigInt(this.#guest.mfn(Number(va)));
  }

  table(level: number, va: bigint): bigint {
    let table = BigInt(this.#domain.vcpus[0]!.kernelRoot);
    for (let at = 4; at > level; at--) {
      const index = (BigInt.asUintN(64, va) >> BigInt(12 + 9 * (at - 1))) & 511n;
      table = this.#entryOf(table, Number(index));
    }
    return table;
  }

  entry(level: number, va: bigint): bigint {
    const index = (BigInt.asUintN(64, va) >> BigInt(12 + 9 * (level - 1))) & 511n;
    return this.table(level, va) * 4096n + index * 8n;
  }

  pte(mfn: Arg<bigint>, bits: bigint | number): bigint {
    return ((BigInt(mfn) & 0xffffffffffn) << 12n) | BigInt(bits);
  }

  foreign(): bigint {
    return this.#entryOf(BigInt(this.#domain0.vcpus[0]!.kernelRoot), 511);
  }

  xens(): bigint {
    return this.#entryOf(BigInt(this.#domain.vcpus[0]!.kernelRoot), 256);
  }

  sharedInfo(): bigint {
    return BigInt(this.#guest.start.sharedInfo) >> 12n;
  }

  self(): bigint {
    return BigInt(this.#domain.id);
  }

  #entryOf(table: bigint, index: number): bigint {
    const { memory } = this.#xen.machine;
    const entry = memory.view.getBigUint64(memory.frameAt(Number(table)) + index * 8, true);
    return (entry >> 12n) & 0xffffffffffn;
  }
}
