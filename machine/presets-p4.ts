/**
 * A Pentium 4 with the first VT-x, 3.8 GHz, 64-bit: exits cost far more than hypercalls. It had no EPT and no VPID; the
 * second dimension of its page walks is hypothetical, and its violations are priced as the shadow faults it had instead.
 */
import type { Figure, Preset } from './costs.ts';

const figure = (cycles: number, source: string): Figure => ({ cycles, source });

export const P4_2005: Preset = {
  name: 'p4-2005',
  title: 'Pentium 4 672 (2005), first VT-x',
  mhz: 3800,
  vpid: false,
  figures: {
    instruction: figure(1, 'estimated: one simple instruction or L1 hit per cycle'),
    wordCopied: figure(1, 'estimated: 8 bytes per cycle from the L1 cache'),
    walkReference: figure(
      10,
      'estimated: between an L1 and an L2 hit; this processor had no paging-structure caches',
    ),
    tlbFill: figure(
      24,
      'estimated: as derived for Ivy Bridge from Belay 2012, Table 2 (see skylake-2018)',
    ),
    tlbFlush: figure(500, 'estimated: MOV to CR3 serializes a pipeline of over 30 stages'),
    invlpg: figure(500, 'estimated: as MOV to CR3, it serializes'),
    syscall: figure(242, 'Adams & Agesen 2006, Figure 4, syscall/sysret, native'),
    privileged: figure(
      30,
      'estimated: CLI and STI, by far the most frequent; the published %cr8 write takes 150 (Adams & Agesen 2006, Figure 4)',
    ),
    msr: figure(150, 'derived: taken as the native %cr8 write of Adams & Agesen 2006, Figure 4'),
    portIo: figure(3209, 'Adams & Agesen 2006, Figure 4, in from port 0x80, native'),
    fault: figure(889, 'Adams & Agesen 2006, Figure 4, divide by zero, native'),
    interrupt: figure(889, 'derived: taken as fault, the same delivery and IRET'),
    hypercall: figure(
      650,
      'derived: syscall 242, plus half the extra protection-fault cost 816 of Barham 2003 Table 5 for saving, dispatching and restoring',
    ),
    hypercallEntry: figure(120, 'estimated: about a hundred simple instructions for each element'),
    bounce: figure(
      816,
      'derived: Barham 2003 Table 5, protection fault, (1.40 - 1.06) us at 2.4 GHz',
    ),
    emulate: figure(1500, 'estimated: instruction fetch through the guest tables, decode, checks'),
    vmExit: figure(
      1554,
      'derived: round trip 3963 (Agesen 2012, Table 1, Prescott) less the entry 2409',
    ),
    vmEntry: figure(2409, 'Adams & Agesen 2006, Table 1, VM entry, P4 672'),
    exitHandling: figure(
      2000,
      'derived: about ten VMREADs at 178 (Adams & Agesen 2006, section 4 and Table 1), and estimated 220 for dispatch',
    ),
    eptViolation: figure(
      4186,
      'derived: Adams & Agesen 2006, Figure 4, page fault 11242 under the hardware VMM, less 1093 native, 3963 round trip, 2000 exitHandling',
    ),
    deviceModel: figure(
      9863,
      'derived: Adams & Agesen 2006, Figure 4, in 15826 under the hardware VMM, less 3963 round trip, 2000 exitHandling',
    ),
    injection: figure(513, 'derived: three VMCB writes at 171 (Adams & Agesen 2006, Table 1)'),
    eventSend: figure(600, 'estimated: two locked operations and the wake-up of a vCPU'),
    contextSwitch: figure(5000, 'estimated: register, segment and FPU state, and the scheduler'),
    pageValidate: figure(100, 'estimated: a frame-table lookup and two locked count updates'),
    frameCopy: figure(2048, 'estimated: 2 bytes per cycle over 4 KiB'),
    diskSeek: figure(
      760000,
      'estimated: 0.2 ms, a disk that serves sequential reads from its track buffer',
    ),
    diskSector: figure(32500, 'estimated: 60 MB/s, 8.5 us for 512 bytes'),
  },
};
