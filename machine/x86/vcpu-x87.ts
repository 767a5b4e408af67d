/** The x87 in a vCPU's block. */
import type { Memory } from '../memory.ts';
import { FXSAVE, type Vcpu } from '../vcpu.ts';
import type { X87State } from './x87-state.ts';

const FSW = 2;
const VALID = 4;
const FOP = 6;
const FIP = 8;
const FDP = 16;
const REGISTERS = 32;

export class VcpuX87 implements X87State {
  readonly #view: DataView;

  constructor(memory: Memory, vcpu: Vcpu) {
    this.#view = new DataView(memory.wasm.buffer, vcpu.block + FXSAVE, REGISTERS + 128);
  }

  get control(): number {
    return this.#view.getUint16(0, true);
  }

  set control(value: number) {
    this.#view.setUint16(0, value, true);
  }

  get status(): number {
    return this.#view.getUint16(FSW, true);
  }

  set status(value: number) {
    this.#view.setUint16(FSW, value, true);
  }

  get valid(): number {
    return this.#view.getUint8(VALID);
  }

  set valid(value: number) {
    this.#view.setUint8(VALID, value);
  }

  get opcode(): number {
    return this.#view.getUint16(FOP, true);
  }

  set opcode(value: number) {
    this.#view.setUint16(FOP, value, true);
  }

  get ip(): bigint {
    return this.#view.getBigUint64(FIP, true);
  }

  set ip(value: bigint) {
    this.#view.setBigUint64(FIP, value, true);
  }

  get dp(): bigint {
    return this.#view.getBigUint64(FDP, true);
  }

  set dp(value: bigint) {
    this.#view.setBigUint64(FDP, value, true);
  }

  register(i: number): bigint {
    const at = REGISTERS + 16 * i;
    return this.#view.getBigUint64(at, true) | (BigInt(this.#view.getUint16(at + 8, true)) << 64n);
  }

  setRegister(i: number, value: bigint): void {
    const at = REGISTERS + 16 * i;
    this.#view.setBigUint64(at, BigInt.asUintN(64, value), true);
    this.#view.setUint16(at + 8, Number((value >> 64n) & 0xffffn), true);
  }
}
