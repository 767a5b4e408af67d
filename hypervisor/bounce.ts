/**
 * Reflecting something to a PV kernel: push the frame that its handlers expect, mask events if
 * asked, go to the handler.
 *
 *     high  ss  rsp  rflags  cs (bits 32-39: the upcall mask before)  rip  [error]  r11  rcx  low
 *
 * @source arch-x86/xen-x86_64.h:42
 */
import {
  CR3,
  CS,
  GS_BASE,
  KERNEL_GS_BASE,
  R11,
  RCX,
  RFLAGS,
  RFLAGS_FIXED,
  RFLAGS_IF,
  RSP,
  SS,
} from '../machine/vcpu.ts';
import { VcpuInfo } from '../protocol/shared-info.ts';
import { PAGE_SIZE } from '../protocol/units.ts';
import {
  FLAT_KERNEL_CS,
  FLAT_KERNEL_SS,
  HYPERVISOR_VIRT_END,
  HYPERVISOR_VIRT_START,
  VMASST_TYPE_architectural_iopl,
} from '../protocol/xen.ts';
import { hasAssist } from './domain.ts';
import type { Hypervisor } from './hypervisor.ts';
import type { XenVcpu } from './xen-vcpu.ts';

const UPCALL_MASK = VcpuInfo.offset.evtchnUpcallMask;
/** TF, NT, RF, VM, AC: clear in a handler. */
const CLEARED_FLAGS = 0x100 | 0x4000 | 0x10000 | 0x20000 | 0x40000;
const IOPL = 0x3000;
const IOPL_SHIFT = 12;

const short = new Uint8Array(56);
const long = new Uint8Array(64);
const shortView = new DataView(short.buffer);
const longView = new DataView(long.buffer);

/**
 * Change between guest-kernel and guest-user mode: the root, its TLB pair, and GS as SWAPGS does.
 */
export const toggleMode = (vcpu: XenVcpu): void => {
  const { arch } = vcpu;
  vcpu.kernelMode = !vcpu.kernelMode;
  arch.set(CR3, (vcpu.kernelMode ? vcpu.kernelRoot : vcpu.userRoot) * PAGE_SIZE);
  arch.selectTlb(vcpu.kernelMode ? 0 : 1);
  const lo = arch.lo(GS_BASE);
  const hi = arch.hi(GS_BASE);
  arch.setHalves(GS_BASE, arch.lo(KERNEL_GS_BASE), arch.hi(KERNEL_GS_BASE));
  arch.setHalves(KERNEL_GS_BASE, lo, hi);
};

/**
 * Go to `handler` on the kernel's stack; `error` is pushed unless undefined.
 * @returns false, the guest's memory unchanged, when the stack cannot take the frame.
 */
export const bounce = (
  xen: Hypervisor,
  vcpu: XenVcpu,
  handler: number,
  maskEvents: boolean,
  error: number | undefined,
): boolean => {
  const { arch } = vcpu;
  const { u8 } = xen.machine.memory;
  const rsp = arch.gpr(RSP);
  const top = vcpu.kernelMode ? rsp : vcpu.kernelSp;
  const frame = error === undefined ? short : long;
  const stack = top - (top & 15) - frame.length;
  const mask = u8[vcpu.info + UPCALL_MASK]!;
  fill(vcpu, error, rsp, mask);
  if (!vcpu.kernelMode) toggleMode(vcpu);
  if (stack >= HYPERVISOR_VIRT_START && stack < HYPERVISOR_VIRT_END) return false;
  if (!xen.copyToGuest(vcpu, stack, frame)) return false;

  if (maskEvents) u8[vcpu.info + UPCALL_MASK] = 1;
  arch.setGpr(RSP, stack);
  arch.setCode(FLAT_KERNEL_CS);
  arch.set(SS, FLAT_KERNEL_SS);
  arch.setHalves(RFLAGS, (arch.lo(RFLAGS) & ~CLEARED_FLAGS) | RFLAGS_IF | RFLAGS_FIXED, 0);
  arch.rip = handler;
  return true;
};

const fill = (vcpu: XenVcpu, error: number | undefined, rsp: number, mask: number): void => {
  const { arch } = vcpu;
  const view = error === undefined ? shortView : longView;
  view.setUint32(0, arch.lo(RCX << 3), true);
  view.setUint32(4, arch.hi(RCX << 3), true);
  view.setUint32(8, arch.lo(R11 << 3), true);
  view.setUint32(12, arch.hi(R11 << 3), true);
  if (error !== undefined) {
    view.setUint32(16, error, true);
    view.setUint32(20, 0, true);
  }
  const at = error === undefined ? 16 : 24;
  const { rip } = arch;
  const { domain } = vcpu;
  const iopl = hasAssist(domain, VMASST_TYPE_architectural_iopl) ? domain.iopl << IOPL_SHIFT : 0;
  const rflags = (arch.lo(RFLAGS) & ~(RFLAGS_IF | IOPL)) | iopl;
  view.setUint32(at, rip, true);
  view.setInt32(at + 4, Math.floor(rip / 2 ** 32), true);
  view.setUint32(at + 8, (arch.lo(CS) & 0xfffc) | (vcpu.kernelMode ? 0 : 3), true);
  view.setUint32(at + 12, mask, true);
  view.setUint32(at + 16, mask === 0 ? rflags | RFLAGS_IF : rflags, true);
  view.setUint32(at + 20, 0, true);
  view.setUint32(at + 24, rsp, true);
  view.setInt32(at + 28, Math.floor(rsp / 2 ** 32), true);
  view.setUint32(at + 32, arch.lo(SS), true);
  view.setUint32(at + 36, 0, true);
};
