/**
 * Event channels, two-level: per domain a table of ports, and in its shared_info one pending bit
 * and one mask bit for each. Raising sets the pending bit; unmasked, it sets the word's bit in the
 * vCPU's selector and asks for an upcall.
 * @source xen/event_channel.h; xen/xen.h (shared_info)
 */
import type { Memory } from '../machine/memory.ts';
import {
  EVTCHN_2L_NR_CHANNELS,
  EVTCHNSTAT_closed,
  EVTCHNSTAT_interdomain,
  EVTCHNSTAT_pirq,
  EVTCHNSTAT_unbound,
  EVTCHNSTAT_virq,
} from '../protocol/event-channel.ts';
import { SharedInfo, VcpuInfo } from '../protocol/shared-info.ts';
import type { Domain } from './domain.ts';
import type { Hypervisor } from './hypervisor.ts';
import type { XenVcpu } from './xen-vcpu.ts';

/**
 * Ports come into being in buckets; a port beyond the last bucket is invalid rather than closed.
 */
const BUCKET = 64;
const PENDING = SharedInfo.offset.evtchnPending;
const MASK = SharedInfo.offset.evtchnMask;
const UPCALL_MASK = VcpuInfo.offset.evtchnUpcallMask;
const PENDING_SEL = VcpuInfo.offset.evtchnPendingSel;

/** One port: an EVTCHNSTAT_* state, the vCPU it notifies, and what it is joined to. */
export interface Channel {
  state: number;
  vcpu: number;
  remoteDomid: number;
  remotePort: number;
  /** VIRQ or PIRQ number. */
  irq: number;
}

export class EventTable {
  /** How many ports are in use. */
  open = 0;
  readonly #words: Uint32Array;
  readonly #channels: Channel[] = [];
  /** Byte offset of the domain's shared_info in the host's memory. */
  sharedInfo = 0;
  /** No port below it is free. */
  #firstFree = 1;

  constructor(memory: Memory) {
    this.#words = memory.u32;
  }

  /** The channel at `port`, which may be closed; undefined for a port that does not exist. */
  channel(port: number): Channel | undefined {
    return this.#channels[port];
  }

  /** Ports that exist. */
  get size(): number {
    return this.#channels.length;
  }

  /** The lowest closed port, given to `vcpu` in `state`; -1 when all are taken. */
  allocate(state: number, vcpu: number): number {
    let port = this.#firstFree;
    while (port < this.#channels.length && this.#channels[port]!.state !== EVTCHNSTAT_closed)
      port++;
    if (port >= EVTCHN_2L_NR_CHANNELS) return -1;
    if (port >= this.#channels.length) this.#grow();
    this.#firstFree = port + 1;
    const channel = this.#channels[port]!;
    channel.state = state;
    channel.vcpu = vcpu;
    this.open++;
    return port;
  }

  /** Close `port`; a pending event of it is forgotten. */
  release(port: number): void {
    const channel = this.#channels[port]!;
    channel.state = EVTCHNSTAT_closed;
    channel.vcpu = 0;
    channel.remoteDomid = 0;
    channel.remotePort = 0;
    channel.irq = 0;
    this.clearPending(port);
    this.open--;
    if (port < this.#firstFree) this.#firstFree = port;
  }

  isPending(port: number): boolean {
    return ((this.#words[this.#word(PENDING, port)]! >>> (port & 31)) & 1) === 1;
  }

  isMasked(port: number): boolean {
    return ((this.#words[this.#word(MASK, port)]! >>> (port & 31)) & 1) === 1;
  }

  /** @returns false when it was pending already. */
  setPending(port: number): boolean {
    const word = this.#word(PENDING, port);
    const old = this.#words[word]!;
    this.#words[word] = old | (1 << (port & 31));
    return ((old >>> (port & 31)) & 1) === 0;
  }

  clearPending(port: number): void {
    this.#words[this.#word(PENDING, port)]! &= ~(1 << (port & 31));
  }

  clearMask(port: number): void {
    this.#words[this.#word(MASK, port)]! &= ~(1 << (port & 31));
  }

  #word(array: number, port: number): number {
    return ((this.sharedInfo + array) >>> 2) + (port >>> 5);
  }

  #grow(): void {
    for (let i = 0; i < BUCKET; i++) {
      this.#channels.push({
        state: EVTCHNSTAT_closed,
        vcpu: 0,
        remoteDomid: 0,
        remotePort: 0,
        irq: 0,
      });
    }
  }
}

/** Raise `port` of `domain`: set it pending, and notify its vCPU unless it is masked. */
export const raise = (xen: Hypervisor, domain: Domain, port: number): void => {
  const { events } = domain;
  if (!events.setPending(port)) return;
  const vcpu = domain.vcpus[events.channel(port)!.vcpu]!;
  const { trace } = xen.machine;
  if (trace.on) trace.emit({ time: xen.now, who: vcpu.name, kind: 'event', port });
  if (!events.isMasked(port)) select(xen, vcpu, port);
  if (domain.polling > 0) wakePollers(xen, domain, port);
};

/** The mask bit of `port` was cleared: notify what waited behind it. */
export const unmask = (xen: Hypervisor, domain: Domain, port: number): void => {
  const { events } = domain;
  events.clearMask(port);
  if (events.isPending(port)) select(xen, domain.vcpus[events.channel(port)!.vcpu]!, port);
};

/**
 * Raise the port that `virq` is bound to on `vcpu`; an unbound one raises nothing. A paused domain finds it when it
 * runs again.
 */
export const raiseVirq = (xen: Hypervisor, vcpu: XenVcpu, virq: number): void => {
  const port = vcpu.virqPorts[virq]!;
  if (port !== 0 && vcpu.domain.end === undefined) raise(xen, vcpu.domain, port);
};

/** Set the selector bit of the port's word and ask for an upcall. */
const select = (xen: Hypervisor, vcpu: XenVcpu, port: number): void => {
  const { u8, u32 } = xen.machine.memory;
  const word = ((vcpu.info + PENDING_SEL) >>> 2) + (port >>> 11);
  const bit = 1 << ((port >>> 6) & 31);
  if (u32[word]! & bit) return;
  u32[word] = u32[word]! | bit;
  if (u8[vcpu.info]) return;
  u8[vcpu.info] = 1;
  kick(xen, vcpu);
};

/**
 * An upcall is pending: a vCPU that waits for one goes on; one that executes looks up at its next
 * instruction.
 */
export const kick = (xen: Hypervisor, vcpu: XenVcpu): void => {
  if (xen.machine.memory.u8[vcpu.info + UPCALL_MASK]) return;
  if (vcpu.cpu) vcpu.cpu.limitHorizon(vcpu.cpu.now);
  if (vcpu.state !== 'blocked') return;
  endPoll(xen, vcpu);
  xen.scheduler.wake(vcpu, xen.now);
};

/** The vCPU polls no more: something it waited for came, or the time, or its end. */
export const endPoll = (xen: Hypervisor, vcpu: XenVcpu): void => {
  if (!vcpu.pollPorts) return;
  vcpu.pollPorts = undefined;
  vcpu.domain.polling--;
  xen.machine.timeline.cancel(vcpu.pollAlarm);
  vcpu.pollAlarm = undefined;
};

const wakePollers = (xen: Hypervisor, domain: Domain, port: number): void => {
  for (const vcpu of domain.vcpus) {
    if (!vcpu.pollPorts?.includes(port)) continue;
    endPoll(xen, vcpu);
    xen.scheduler.wake(vcpu, xen.now);
  }
};

/**
 * Close `port` of `domain`, which is open: a peer goes back to unbound, a VIRQ or PIRQ is free
 * again.
 */
export const closePort = (xen: Hypervisor, domain: Domain, port: number): void => {
  const channel = domain.events.channel(port)!;
  if (channel.state === EVTCHNSTAT_interdomain) {
    const peer = xen.domains.get(channel.remoteDomid)?.events.channel(channel.remotePort);
    if (peer) {
      peer.state = EVTCHNSTAT_unbound;
      peer.remoteDomid = domain.id;
      peer.remotePort = 0;
    }
  } else if (channel.state === EVTCHNSTAT_virq) {
    for (const vcpu of domain.vcpus) {
      if (vcpu.virqPorts[channel.irq] === port) vcpu.virqPorts[channel.irq] = 0;
    }
  } else if (channel.state === EVTCHNSTAT_pirq) {
    xen.interrupts?.unbind(channel.irq);
  }
  domain.events.release(port);
};

/** Close everything: the domain resets its channels, or is gone. */
export const closeAll = (xen: Hypervisor, domain: Domain): void => {
  for (let port = 1; port < domain.events.size; port++) {
    if (domain.events.channel(port)!.state !== EVTCHNSTAT_closed) closePort(xen, domain, port);
  }
};
