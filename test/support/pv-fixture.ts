/**
 * A machine with the hypervisor on it, and PV domains whose kernels are plain functions in a test:
 * `RawGuest` gives them struct arguments in their own memory, and nothing else.
 */

import type { Domain } from '../../hypervisor/domain.ts';
import { Hypervisor } from '../../hypervisor/hypervisor.ts';
import type { DomainConfig } from '../../hypervisor/lifecycle.ts';
import type { BootRecord, Cpu, Guest } from '../../machine/cpu.ts';
import { Machine, type RunEnd } from '../../machine/machine.ts';
import type { Platform } from '../../machine/platform.ts';
import type { TraceRecord } from '../../machine/trace.ts';
import type { Underneath } from '../../machine/underneath.ts';
import { RSP, type Vcpu } from '../../machine/vcpu.ts';
import { CodeCpu } from '../../machine/x86/code-cpu.ts';
import { Engine } from '../../machine/x86/engine.ts';
import { CALLBACKOP_register, CallbackRegister } from '../../protocol/callback.ts';
import {
  __HYPERVISOR_callback_op,
  __HYPERVISOR_event_channel_op,
  __HYPERVISOR_iret,
  __HYPERVISOR_sched_op,
  __HYPERVISOR_set_trap_table,
  __HYPERVISOR_update_va_mapping,
} from '../../protocol/hypercalls.ts';
import type { AnyStruct, TypeOf } from '../../protocol/layout.ts';
import { SCHEDOP_shutdown, SchedShutdown } from '../../protocol/sched.ts';
import { SharedInfo, VcpuInfo } from '../../protocol/shared-info.ts';
import { StartInfo } from '../../protocol/start-info.ts';
import { TrapInfo, UVMF_INVLPG } from '../../protocol/xen.ts';
import { flatPreset } from './machine-fixture.ts';

export const PV_MEMORY = 4 << 20;

export interface PvHostOptions {
  pcpus?: number;
  frames?: number;
  vcpus?: number;
  platform?: (machine: Machine, intr: () => void) => Platform;
}

export class PvHost {
  readonly machine: Machine;
  readonly xen: Hypervisor;
  /** What console_io wrote. */
  console = '';
  readonly records: TraceRecord[] = [];

  constructor(options: PvHostOptions = {}) {
    const { frames = 8192, vcpus = 8, pcpus = 1 } = options;
    this.machine = new Machine({ preset: flatPreset, frames, vcpus, pcpus });
    const consoleIo = (_domid: number, bytes: Uint8Array): void => {
      this.console += String.fromCharCode(...bytes);
    };
    const platform = options.platform?.(this.machine, () => this.xen.interrupt());
    let engine: Engine | undefined;
    const codeCpu = (underneath: Underneath, vcpu: Vcpu): CodeCpu => {
      engine ??= new Engine(this.machine);
      return new CodeCpu(this.machine, vcpu, underneath, engine);
    };
    this.xen = new Hypervisor(this.machine, {
      ...{ consoleIo, codeCpu },
      ...(platform ? { platform } : {}),
    });
  }

  /** Collect trace records from now on. */
  listen(): TraceRecord[] {
    this.machine.trace.listen((record) => this.records.push(record));
    return this.records;
  }

  kinds(kind: string): TraceRecord[] {
    return this.records.filter((record) => record.kind === kind);
  }

  /** A running PV domain; a kernel that returns powers it off. */
  add(
    kernel: (guest: RawGuest) => Promise<void> | void,
    config: Partial<DomainConfig> = {},
  ): Domain {
    const guest: Guest = async (cpu, boot) => {
      const raw = new RawGuest(cpu, boot);
      await kernel(raw);
      raw.shutdown(0);
    };
    const domain = this.xen.create({
      name: `domain ${this.xen.domains.size}`,
      kind: 'pv',
      memoryBytes: PV_MEMORY,
      guest,
      ...config,
    });
    this.xen.unpause(domain);
    return domain;
  }

  run(): Promise<RunEnd> {
    return this.machine.run(this.xen);
  }
}

/** Run one PV kernel to its end. */
export const runPv = async (
  kernel: (guest: RawGuest) => Promise<void> | void,
  config: Partial<DomainConfig> = {},
): Promise<{ host: PvHost; domain: Domain; end: RunEnd }> => {
  const host = new PvHost();
  host.listen();
  const domain = host.add(kernel, config);
  const end = await host.run();
  return { host, domain, end };
};

/** What a kernel of a test has: its CPU, free memory, and calls by number. */
export class RawGuest {
  readonly cpu: Cpu;
  readonly boot: BootRecord;
  readonly start: TypeOf<typeof StartInfo>;
  /** Address of the mapped shared_info, once `mapShared` was called. */
  shared = 0;
  #free: number;

  constructor(cpu: Cpu, boot: BootRecord) {
    this.cpu = cpu;
    this.boot = boot;
    const bytes = new Uint8Array(StartInfo.size);
    cpu.loadBytes(boot.startInfo, bytes);
    this.start = StartInfo.get(new DataView(bytes.buffer)) as TypeOf<typeof StartInfo>;
    this.#free = this.start.ptBase + (this.start.nrPtFrames + 1) * 4096;
  }

  /** A free, mapped, writable page. */
  page(): number {
    const va = this.#free;
    this.#free += 4096;
    return va;
  }

  /** The frame behind address `va` of the boot mapping. */
  mfn(va: number): number {
    const pfn = (va - this.start.mfnList) / 4096;
    return this.cpu.loadNumber(this.start.mfnList + pfn * 8);
  }

  /** Put `value` into memory as a C struct. @returns its address */
  put<S extends AnyStruct>(struct: S, value: object): number {
    const bytes = new Uint8Array(struct.size);
    struct.set(new DataView(bytes.buffer), 0, value);
    const va = this.page();
    this.cpu.storeBytes(va, bytes);
    return va;
  }

  get<S extends AnyStruct>(struct: S, va: number): TypeOf<S> {
    const bytes = new Uint8Array(struct.size);
    this.cpu.loadBytes(va, bytes);
    return struct.get(new DataView(bytes.buffer), 0) as TypeOf<S>;
  }

  /**
   * A sub-operation with an argument struct: the call's result, and the struct as it is afterwards.
   */
  op<S extends AnyStruct>(
    nr: number,
    cmd: number,
    struct: S,
    value: object,
  ): { result: number; arg: TypeOf<S> } {
    const va = this.put(struct, value);
    const result = this.cpu.syscall(nr, cmd, va);
    return { result, arg: this.get(struct, va) };
  }

  event<S extends AnyStruct>(
    cmd: number,
    struct: S,
    value: object,
  ): { result: number; arg: TypeOf<S> } {
    return this.op(__HYPERVISOR_event_channel_op, cmd, struct, value);
  }

  shutdown(reason: number): void {
    this.op(__HYPERVISOR_sched_op, SCHEDOP_shutdown, SchedShutdown, { reason });
  }

  /** Map shared_info at a free page. */
  mapShared(): number {
    const va = this.page();
    const pte = BigInt(this.start.sharedInfo) | 0x63n;
    const result = this.cpu.syscall(__HYPERVISOR_update_va_mapping, va, pte, UVMF_INVLPG);
    if (result !== 0) throw new Error(`update_va_mapping: ${result}`);
    this.shared = va;
    return va;
  }

  pending(port: number): boolean {
    const word = this.cpu.load32(this.shared + SharedInfo.offset.evtchnPending + (port >>> 5) * 4);
    return ((word >>> (port & 31)) & 1) === 1;
  }

  clear(port: number): void {
    this.cpu.and32(
      this.shared + SharedInfo.offset.evtchnPending + (port >>> 5) * 4,
      ~(1 << (port & 31)),
    );
  }

  maskPort(port: number): void {
    this.cpu.or32(this.shared + SharedInfo.offset.evtchnMask + (port >>> 5) * 4, 1 << (port & 31));
  }

  /** Upcall mask of vCPU 0. */
  upcalls(enabled: boolean): void {
    this.cpu.store8(this.shared + VcpuInfo.offset.evtchnUpcallMask, enabled ? 0 : 1);
  }

  /** Enter at `code` for events, `type` 0, or another CALLBACKTYPE_*; it ends by `iret()`. */
  callback(type: number, code: () => void, flags = 0): number {
    const address = this.cpu.entry(code);
    return this.op(__HYPERVISOR_callback_op, CALLBACKOP_register, CallbackRegister, {
      type,
      flags,
      address,
    }).result;
  }

  /** Enter at `code` for exception `vector`. */
  trap(vector: number, code: () => void, flags = 0): number {
    const address = this.cpu.entry(code);
    const va = this.put(TrapInfo, { vector, flags, cs: 0xe033, address });
    return this.cpu.syscall(__HYPERVISOR_set_trap_table, va);
  }

  /**
   * Return from a handler whose frame begins at RSP: `error` says whether it has an error code.
   * `patch` may change the iret frame {rax r11 rcx flags rip cs rflags rsp ss} at the address
   * given.
   */
  iret(error = false, patch?: (frame: number) => void): void {
    const { cpu } = this;
    const frame = cpu.reg(RSP);
    const [rcx, r11] = [cpu.loadNumber(frame), cpu.loadNumber(frame + 8)];
    const rest = frame + (error ? 24 : 16);
    const words = [0, r11, rcx, 0, 0, 0, 0, 0, 0];
    for (let i = 0; i < 5; i++) words[4 + i] = cpu.loadNumber(rest + i * 8);
    const target = rest + 40 - 72;
    for (const [i, value] of words.entries()) cpu.storeNumber(target + i * 8, value);
    cpu.setReg(RSP, target);
    patch?.(target);
    cpu.syscall(__HYPERVISOR_iret);
  }
}
