/** The simulated machine: what a hypervisor, a bare kernel's runner and the tools build on. */

export { Account, Causes } from './account.ts';
export { type BlockStore, MemoryStore } from './block-store.ts';
export { Board, type BoardEnd, type BoardOptions } from './board.ts';
export {
  type Costs,
  costsOf,
  FIGURES,
  type Figure,
  type FigureName,
  type Preset,
} from './costs.ts';
export type { BootRecord, Code, Cpu, CpuidResult, Guest } from './cpu.ts';
export * from './exit.ts';
export { Machine, type MachineOptions, type RunEnd } from './machine.ts';
export { MAX_MEMORY_BYTES, Memory, type MemorySize } from './memory.ts';
export { Mmu } from './mmu.ts';
export { ACCESS_FETCH, ACCESS_READ, ACCESS_WRITE, FAULT_EPT } from './page-walk.ts';
export { Pcpu } from './pcpu.ts';
export { Platform } from './platform.ts';
export { PortBus, type PortDevice } from './port-bus.ts';
export { DEFAULT_PRESET, presetNamed, presets } from './presets.ts';
export { HALTED } from './script-control.ts';
export { ScriptCpu } from './script-cpu.ts';
export { ScriptText } from './script-text.ts';
export { type Alarm, Timeline } from './timeline.ts';
export { Trace, type TraceRecord } from './trace.ts';
export { turn } from './turn.ts';
export type { Dispatcher, Processor, Underneath } from './underneath.ts';
export { Vcpu } from './vcpu.ts';
