/**
 * A Nehalem with EPT and VPID, 2.93 GHz: exits are four times cheaper than on the first VT-x, and memory needs none.
 */
import type { Figure, Preset } from './costs.ts';

const figure = (cycles: number, source: string): Figure => ({ cycles, source });

export const NEHALEM_2009: Preset = {
  name: 'nehalem-2009',
  title: 'Xeon X5570 (2009), EPT and VPID',
  mhz: 2930,
  vpid: true,
  figures: {
    instruction: figure(1, 'estimated: one simple instruction or L1 hit per cycle'),
    wordCopied: figure(1, 'estimated: 8 bytes per cycle from the L1 cache'),
    walkReference: figure(4, 'estimated: mostly L1 hits, with paging-structure caches'),
    tlbFill: figure(
      24,
      'estimated: as derived for Ivy Bridge from Belay 2012, Table 2 (see skylake-2018)',
    ),
    tlbFlush: figure(250, 'estimated: between the P4 and Skylake'),
    invlpg: figure(150, 'estimated: between the P4 and Skylake'),
    syscall: figure(
      150,
      'estimated: a little above the getpid of Ivy Bridge, 138 (Belay 2012, Table 2)',
    ),
    privileged: figure(15, 'estimated: CLI and STI, by far the most frequent'),
    msr: figure(100, 'estimated: between the P4 and Skylake'),
    portIo: figure(
      2474,
      'derived: 3209 cycles at 3.8 GHz (Adams & Agesen 2006, Figure 4) are 0.844 us of bus time, here at 2.93 GHz',
    ),
    fault: figure(
      546,
      'derived: 889 on the P4, times 1186/1931, the page-fault exits of Core 2 and P4 (Adams & Agesen 2006, Table 1)',
    ),
    interrupt: figure(546, 'derived: taken as fault, the same delivery and IRET'),
    hypercall: figure(
      400,
      'derived: syscall 150, plus 408 on the P4 for saving and dispatching, times 1186/1931 (Adams & Agesen 2006, Table 1)',
    ),
    hypercallEntry: figure(80, 'estimated: about a hundred simple instructions for each element'),
    bounce: figure(
      501,
      'derived: 816 on the P4, times 1186/1931, the page-fault exits of Core 2 and P4 (Adams & Agesen 2006, Table 1)',
    ),
    emulate: figure(900, 'estimated: instruction fetch through the guest tables, decode, checks'),
    vmExit: figure(
      410,
      'derived: round trip 1009 (Agesen 2012, Table 1, Nehalem) less the entry 599',
    ),
    vmEntry: figure(
      599,
      'derived: round trip 1009 (Agesen 2012, Table 1, Nehalem), times 937/1579, entry and round trip of Core 2',
    ),
    exitHandling: figure(
      991,
      'derived: direct cost 2000 of a world switch on a Xeon X5570 (SplitX, HotCloud 2011) less the round trip 1009',
    ),
    eptViolation: figure(900, 'estimated: as for skylake-2018'),
    deviceModel: figure(
      2511,
      'derived: 9863 on the P4, times 1009/3963, the round trips of both (Agesen 2012, Table 1)',
    ),
    injection: figure(
      132,
      'derived: three VMCB writes at 44 (Adams & Agesen 2006, Table 1, Core 2)',
    ),
    eventSend: figure(400, 'estimated: two locked operations and the wake-up of a vCPU'),
    contextSwitch: figure(3000, 'estimated: register, segment and FPU state, and the scheduler'),
    pageValidate: figure(60, 'estimated: a frame-table lookup and two locked count updates'),
    frameCopy: figure(1024, 'estimated: 4 bytes per cycle over 4 KiB'),
    diskSeek: figure(220000, 'estimated: 75 us, an early SATA SSD'),
    diskSector: figure(5860, 'estimated: 250 MB/s, 2 us for 512 bytes'),
  },
};
