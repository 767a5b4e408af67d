/**
 * From the loader to a kernel's main function: which contract is this, set the back end up, run,
 * power off.
 * @source xen/xen.h (start_info), xen/arch-x86/hvm/start_info.h
 */
import type { BootRecord, Cpu } from '../machine/cpu.ts';
import { XEN_HVM_START_MAGIC_VALUE } from '../protocol/hvm-start-info.ts';
import { BareKernel } from './bare/kernel.ts';
import { describe } from './describe.ts';
import type { Kernel } from './kernel.ts';
import { PvKernel } from './pv/kernel.ts';

/** "xen-", the first word of start_info.magic. */
const XEN_MAGIC = 0x2d6e6578;

/**
 * Runs `main` on the kernel for this boot record; powers off when it returns, panics when it
 * throws.
 */
export async function bootKernel(
  cpu: Cpu,
  boot: BootRecord,
  main: (kernel: Kernel) => Promise<void>,
): Promise<void> {
  const kernel = makeKernel(cpu, boot);
  try {
    await main(kernel);
  } catch (error) {
    panic(kernel, error);
  }
  kernel.poweroff();
}

/** Crashes; whoever runs the guest then sees the error itself, in the promise that boots it. */
function panic(kernel: Kernel, error: unknown): never {
  try {
    kernel.crash(describe(error));
  } catch {
    // This vCPU executes nothing more.
  }
  throw error;
}

function makeKernel(cpu: Cpu, boot: BootRecord): Kernel {
  const magic = cpu.load32(boot.startInfo);
  if (magic === XEN_MAGIC) return new PvKernel(cpu, boot);
  if (magic === XEN_HVM_START_MAGIC_VALUE) return new BareKernel(cpu, boot);
  throw new Error(`unknown boot record, magic 0x${magic.toString(16)}`);
}
