/** Where the memory operand of a case lies. */
import type { Operation } from '../../../machine/x86/decoder.ts';
import { BASE_RIP, type MemoryOperand, type Operand } from '../../../machine/x86/operands.ts';
import { type Case, DATA, GPR, GS_BASE, PAGE, WINDOW_HIGH, WINDOW_LOW } from './case.ts';

/** `next`: the address of the next instruction. @returns undefined if there is no such operand. */
export const effectiveAddress = (op: Operation, test: Case, next: bigint): bigint | undefined => {
  const memory = op.operands.find((each): each is MemoryOperand => each.kind === 'memory');
  return memory && operandAddress(op, memory, test, next);
};

export const operandAddress = (
  { mode }: Operation,
  operand: Operand,
  test: Case,
  next = 0n,
): bigint => {
  if (operand.kind !== 'memory') return 0n;
  const { base, index, scale, displacement, addressWidth, segment } = operand;
  const register = (i: number): bigint =>
    i < 0 ? 0n : i === BASE_RIP ? next : test.get(GPR + 8 * i);
  const offset = register(base) + register(index) * BigInt(scale) + displacement;
  const truncated = BigInt.asUintN(8 * addressWidth, offset);
  return BigInt.asUintN(
    mode === 64 ? 64 : 32,
    truncated + (segment === 0x65 ? BigInt(GS_BASE) : 0n),
  );
};

/** Where `address` points to in a case's window; no such place if below 0. */
export const windowOffset = (address: bigint): number => {
  const at = Number(address) - DATA;
  if (at < WINDOW_LOW) return at;
  return at < PAGE - WINDOW_HIGH ? -1 : at - (PAGE - WINDOW_HIGH) + WINDOW_LOW;
};
