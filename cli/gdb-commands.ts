/**
 * What gdb asks of a guest that stands still, and the answers: registers, memory, threads (one for each vCPU, numbered from 1),
 * breakpoints and watchpoints. An empty answer means: no such command. Everything in a command is anyone's guess until
 * it is checked.
 * @source GDB manual, E.2 to E.4
 */
import type { Vcpu } from '../machine/vcpu.ts';
import type { DebuggedGuest, DebuggedVcpu } from './debugged-guest.ts';
import { escaped, MAX_PACKET, unescaped } from './gdb-packets.ts';
import { REGISTERS, registerHex, setRegisterHex, targetDescription } from './gdb-registers.ts';
import type { Watchpoints } from './watchpoints.ts';

const OK = 'OK';
/** Errors by number; gdb only shows them. */
const BAD_ADDRESS = 'E0e';
const INVALID = 'E16';
const UNKNOWN = '';
/** Room for the hex digits of memory in one answer. */
const MAX_MEMORY = MAX_PACKET / 2 - 16;
/** No more of either: each costs time at every step. */
const MAX_POINTS = 1024;

const HEX = /^[0-9a-f]+$/i;
const FEATURES = [
  `PacketSize=${MAX_PACKET.toString(16)}`,
  'QStartNoAckMode+',
  'qXfer:features:read+',
  'swbreak+',
  'hwbreak+',
  'vContSupported+',
].join(';');

type Guest = Pick<DebuggedGuest, 'vcpus' | 'of' | 'read' | 'write'>;

export class GdbCommands {
  /** Who executes, or was the last to; other commands are about whoever `H` named. */
  current: DebuggedVcpu;
  /** Breakpoints of both kinds, as in Z0 and Z1, and all of them. */
  readonly #kinds = [new Set<number>(), new Set<number>()] as const;
  breakpoints: ReadonlySet<number> = new Set();
  readonly #guest: Guest;
  readonly #watchpoints: Watchpoints;
  #selected: DebuggedVcpu;

  constructor(guest: Guest, watchpoints: Watchpoints) {
    this.#guest = guest;
    this.#watchpoints = watchpoints;
    this.current = this.#selected = guest.vcpus[0]!;
  }

  /** The guest stopped in `vcpu`, which is what gdb looks at next. */
  stoppedIn(vcpu: Vcpu): void {
    this.current = this.#selected = this.#guest.of(vcpu);
  }

  /** Forget what was set. */
  clear(): void {
    for (const kind of this.#kinds) kind.clear();
    this.breakpoints = new Set();
    this.#watchpoints.clear();
  }

  /** The vCPU that `id` names; of 0 and -1, which are any, the one that runs. */
  thread(id: string): DebuggedVcpu | undefined {
    if (id === '0' || id === '-1' || id === '') return this.current;
    return HEX.test(id) ? this.#guest.vcpus[Number.parseInt(id, 16) - 1] : undefined;
  }

  /** The answer to `command`. */
  answer(command: string): string {
    const rest = command.slice(1);
    switch (command[0]) {
      case 'g':
        return REGISTERS.map((register) => registerHex(register, this.#selected)).join('');
      case 'G':
        return this.#setRegisters(rest);
      case 'p':
        return this.#register(rest);
      case 'P':
        return this.#setRegister(rest);
      case 'm':
        return this.#read(rest);
      case 'M':
        return this.#write(rest, (data) => (HEX.test(data) ? Buffer.from(data, 'hex') : NOTHING));
      case 'X':
        return this.#write(rest, (data) => Buffer.from(unescaped(data), 'latin1'));
      case 'Z':
      case 'z':
        return this.#point(rest, command[0] === 'Z');
      case 'H':
        return this.#select(rest);
      case 'T':
        return this.thread(rest) ? OK : INVALID;
      case 'q':
        return this.#query(command);
      default:
        return UNKNOWN;
    }
  }

  #setRegisters(hex: string): string {
    let at = 0;
    for (const register of REGISTERS) {
      const digits = register.bits / 4;
      if (at + digits > hex.length) break;
      setRegisterHex(register, this.#selected, hex.slice(at, at + digits));
      at += digits;
    }
    return OK;
  }

  #register(hex: string): string {
    const register = HEX.test(hex) ? REGISTERS[Number.parseInt(hex, 16)] : undefined;
    return register ? registerHex(register, this.#selected) : INVALID;
  }

  #setRegister(rest: string): string {
    const [number = '', value = ''] = rest.split('=', 2);
    const register = HEX.test(number) ? REGISTERS[Number.parseInt(number, 16)] : undefined;
    return register && setRegisterHex(register, this.#selected, value) ? OK : INVALID;
  }

  #read(rest: string): string {
    const range = rangeOf(rest);
    if (!range) return INVALID;
    const [va, length] = range;
    const { vcpu } = this.#selected;
    const bytes = this.#guest.read(vcpu, va, Math.min(length, MAX_MEMORY));
    return bytes.length === 0 && length > 0 ? BAD_ADDRESS : Buffer.from(bytes).toString('hex');
  }

  #write(rest: string, bytesOf: (data: string) => Uint8Array): string {
    const colon = rest.indexOf(':');
    const range = rangeOf(rest.slice(0, Math.max(0, colon)));
    if (!range) return INVALID;
    const bytes = bytesOf(rest.slice(colon + 1));
    const [va, length] = range;
    if (bytes.length !== length) return INVALID;
    return this.#guest.write(this.#selected.vcpu, va, bytes) ? OK : BAD_ADDRESS;
  }

  /** Of the stop reply at a breakpoint. */
  kindAt(va: number): string {
    return this.#kinds[0].has(va) ? 'swbreak:;' : 'hwbreak:;';
  }

  /** `type,address,kind`, of breakpoints (0, 1) and of watchpoints for writes, reads and both (2, 3, 4). */
  #point(rest: string, insert: boolean): string {
    const type = Number(rest[0]);
    const range = rangeOf(rest.slice(2));
    if (!(type <= 4)) return UNKNOWN;
    if (!range || rest[1] !== ',') return INVALID;
    if (insert && this.breakpoints.size + this.#watchpoints.size >= MAX_POINTS) return INVALID;
    const [va, bytes] = range;
    const kind = this.#kinds[type];
    if (kind) {
      if (insert) kind.add(va);
      else kind.delete(va);
      this.breakpoints = new Set([...this.#kinds[0], ...this.#kinds[1]]);
    } else {
      const point = { va, bytes, read: type > 2, write: type !== 3 };
      if (insert) this.#watchpoints.add(point);
      else this.#watchpoints.delete(point);
    }
    return OK;
  }

  #select(rest: string): string {
    const vcpu = this.thread(rest.slice(1));
    if (!vcpu) return INVALID;
    // Hc is for `c` and `s`, which vCont replaces.
    if (rest[0] === 'g') this.#selected = vcpu;
    return OK;
  }

  #query(command: string): string {
    const [name = '', argument = ''] = split(command, /[:,]/);
    switch (name) {
      case 'qSupported':
        return FEATURES;
      case 'qXfer':
        return this.#transfer(argument);
      case 'qC':
        return `QC${threadId(this.current)}`;
      case 'qAttached':
        return '1';
      case 'qSymbol':
        return OK;
      case 'qfThreadInfo':
        return `m${this.#guest.vcpus.map(threadId).join(',')}`;
      case 'qsThreadInfo':
        return 'l';
      case 'qThreadExtraInfo': {
        const vcpu = this.thread(argument);
        return vcpu ? Buffer.from(`vCPU ${vcpu.id}, ${vcpu.activity}`).toString('hex') : INVALID;
      }
      default:
        return UNKNOWN;
    }
  }

  /** `features:read:target.xml:offset,length` */
  #transfer(argument: string): string {
    const [, object, range] = /^features:read:([^:]*):(.*)$/s.exec(argument) ?? [];
    if (object === undefined || range === undefined) return UNKNOWN;
    const part = rangeOf(range);
    if (!part || object !== 'target.xml') return 'E00';
    const text = targetDescription();
    const [from, length] = part;
    const end = from + Math.min(length, MAX_MEMORY);
    return `${end < text.length ? 'm' : 'l'}${escaped(text.slice(from, end))}`;
  }
}

const NOTHING = new Uint8Array();

export const threadId = ({ id }: DebuggedVcpu): string => (id + 1).toString(16);

/** Two hexadecimal numbers with a comma between: an address, as a signed number, and a length. */
const rangeOf = (text: string): readonly [va: number, length: number] | undefined => {
  const [address = '', length = ''] = split(text, /,/);
  if (!HEX.test(address) || address.length > 16) return undefined;
  if (!HEX.test(length) || length.length > 8) return undefined;
  return [Number(BigInt.asIntN(64, BigInt(`0x${address}`))), Number.parseInt(length, 16)];
};

/** At the first separator. */
const split = (text: string, separator: RegExp): readonly [string, string] => {
  const at = text.search(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
};
