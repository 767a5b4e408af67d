/**
 * A Skylake server, 2.5 GHz: exits are cheap, EPT and VPID make most memory operations free of them, and a PV kernel pays
 * for every system call and fault instead. Without the page-table isolation that later microcode made customary.
 */
import type { Figure, Preset } from './costs.ts';

const figure = (cycles: number, source: string): Figure => ({ cycles, source });

export const SKYLAKE_2018: Preset = {
  name: 'skylake-2018',
  title: 'Skylake-SP (2018), EPT and VPID',
  mhz: 2500,
  vpid: true,
  figures: {
    instruction: figure(1, 'estimated: one simple instruction or L1 hit per cycle'),
    wordCopied: figure(1, 'estimated: 8 bytes per cycle from the L1 cache'),
    walkReference: figure(
      3,
      'derived: Belay 2012 Table 2, (86.4 - 35.8) cycles for 24 - 4 references, rounded up',
    ),
    tlbFill: figure(
      24,
      'derived: Belay 2012 Table 2, 35.8 cycles per native TLB miss less four references',
    ),
    tlbFlush: figure(200, 'estimated: MOV to CR3 without PCID'),
    invlpg: figure(120, 'estimated: INVLPG serializes'),
    syscall: figure(138, 'Belay 2012, Table 2, getpid on native Linux, Ivy Bridge 3.3 GHz'),
    privileged: figure(10, 'estimated: CLI and STI, by far the most frequent'),
    msr: figure(80, 'estimated: one microcoded access'),
    portIo: figure(
      2111,
      'derived: 3209 cycles at 3.8 GHz (Adams & Agesen 2006, Figure 4) are 0.844 us of bus time, here at 2.5 GHz',
    ),
    fault: figure(400, 'estimated: delivery and IRET, a little below Nehalem'),
    interrupt: figure(400, 'derived: taken as fault, the same delivery and IRET'),
    hypercall: figure(
      300,
      'estimated: syscall 138, and saving, dispatching and restoring in a modern pipeline',
    ),
    hypercallEntry: figure(60, 'estimated: about a hundred simple instructions for each element'),
    bounce: figure(
      350,
      'estimated: building the frame and switching stacks, a little below Nehalem',
    ),
    emulate: figure(700, 'estimated: instruction fetch through the guest tables, decode, checks'),
    vmExit: figure(244, 'derived: a round trip of 600, less the entry 356'),
    vmEntry: figure(
      356,
      'derived: a round trip of 600, the middle of 500 to 700 (public handbook, method not given), times 937/1579, entry and round trip of Core 2 (Adams & Agesen 2006, Agesen 2012)',
    ),
    exitHandling: figure(
      929,
      'derived: KVM vmcall 1529 on Skylake-SP (Wanpeng Li, kvm list) less the round trip 600',
    ),
    eptViolation: figure(
      877,
      'derived: page fault 5093 under Dune, less 2687 native (Belay 2012, Table 2), 600 round trip, 929 exitHandling',
    ),
    deviceModel: figure(1493, 'derived: 9863 on the P4, times 600/3963, the round trips of both'),
    injection: figure(
      132,
      'derived: three VMCB writes at 44 (Adams & Agesen 2006, Table 1, Core 2)',
    ),
    eventSend: figure(300, 'estimated: two locked operations and the wake-up of a vCPU'),
    contextSwitch: figure(2500, 'estimated: register, segment and FPU state, and the scheduler'),
    pageValidate: figure(50, 'estimated: a frame-table lookup and two locked count updates'),
    frameCopy: figure(512, 'estimated: 8 bytes per cycle over 4 KiB'),
    diskSeek: figure(50000, 'estimated: 20 us, an NVMe drive'),
    diskSector: figure(640, 'estimated: 2 GB/s, 0.26 us for 512 bytes'),
  },
};
