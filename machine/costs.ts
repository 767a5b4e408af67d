/**
 * What each architectural event costs, in cycles, as data: a preset per processor, every figure with its source.
 */

/** One figure: cycles, and where the number comes from (paper and table, or how it was derived). */
export interface Figure {
  readonly cycles: number;
  readonly source: string;
}

/** The figures of a preset. Round trips are both ways unless the name says otherwise. */
export const FIGURES = [
  'instruction', // one simple instruction or one cached load/store
  'wordCopied', // one 8-byte word moved by a string instruction
  'walkReference', // one memory reference of a page walk
  'tlbFill', // the fixed part of a TLB miss, besides its references
  'tlbFlush', // MOV to CR3 or an equivalent full flush
  'invlpg',
  'syscall', // SYSCALL/SYSRET round trip, native: half is charged each way
  'privileged', // a privileged instruction that executes (CLI, STI, MOV CR, LIDT...)
  'msr', // RDMSR/WRMSR
  'portIo', // one native port access
  'fault', // exception delivery through the IDT and IRET, native
  'interrupt', // external interrupt delivery and IRET, native
  'hypercall', // null hypercall of a PV guest, round trip
  'hypercallEntry', // each further element of a batched op (mmu_update, multicall, grant op)
  'bounce', // an exception or upcall reflected to a PV kernel, beyond the trap itself
  'emulate', // decoding and emulating one trapped instruction in software
  'vmExit', // VM exit, hardware part
  'vmEntry', // VM entry, hardware part
  'exitHandling', // software part of one exit (VMREADs, dispatch)
  'eptViolation', // software part of an EPT violation beyond exitHandling
  'deviceModel', // software part of one emulated device access beyond exitHandling
  'injection', // preparing an injected event
  'eventSend', // marking an event pending and kicking its vCPU
  'contextSwitch', // switching vCPUs on a physical CPU
  'pageValidate', // validating one present page-table entry
  'frameCopy', // grant copy or page clear, 4 KiB
  'diskSeek', // disk latency until the first sector
  'diskSector', // transfer of one 512-byte sector
] as const;

export type FigureName = (typeof FIGURES)[number];

export interface Preset {
  readonly name: string;
  readonly title: string;
  readonly mhz: number;
  /** TLB entries tagged by VPID: VM exits and entries flush nothing. */
  readonly vpid: boolean;
  readonly figures: Readonly<Record<FigureName, Figure>>;
}

/** The cycles alone, for hot paths. */
export type Costs = Readonly<Record<FigureName, number>>;

export const costsOf = (preset: Preset): Costs =>
  Object.fromEntries(FIGURES.map((name) => [name, preset.figures[name].cycles])) as Record<
    FigureName,
    number
  >;
