/**
 * The boot record of a paravirtual domain: RSI points at it when the kernel starts.
 * A hardware-assisted guest gets hvm_start_info instead (hvm-start-info.ts).
 * @source xen/xen.h:828
 */
import { chars, i64n, struct, type TypeOf, u32, u64n, union } from './layout.ts';
import { Mfn, Pfn, Port, Va } from './units.ts';

export const MAX_GUEST_CMDLINE = 1024;

export const SIF_PRIVILEGED = 0x1;
export const SIF_INITDOMAIN = 0x2;
export const SIF_MULTIBOOT_MOD = 0x4;
export const SIF_MOD_START_PFN = 0x8;
export const SIF_VIRT_P2M_4TOOLS = 0x10;
export const SIF_PM_MASK = 0xff00;

export const StartInfo = struct('start_info', {
  magic: chars(32), // "xen-3.0-x86_64"
  nrPages: u64n,
  sharedInfo: u64n, // machine address
  flags: u32, // SIF_*
  storeMfn: Mfn,
  storeEvtchn: Port,
  console: union(
    'console',
    {
      domU: struct('domU', { mfn: Mfn, evtchn: Port }),
      dom0: struct('dom0', { infoOff: u32, infoSize: u32 }),
    },
    { domU: 'domU' },
  ),
  ptBase: Va, // virtual address of the level-4 table
  nrPtFrames: u64n,
  mfnList: Va, // virtual address of the P2M: one 64-bit MFN for each PFN
  modStart: i64n, // virtual address, or a PFN with SIF_MOD_START_PFN
  modLen: u64n, // bytes
  cmdLine: chars(MAX_GUEST_CMDLINE),
  firstP2mPfn: Pfn,
  nrP2mFrames: u64n,
});
export type StartInfo = TypeOf<typeof StartInfo>;
