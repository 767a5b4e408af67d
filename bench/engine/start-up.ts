/** A program of its own, as only the first engine of a process costs anything: prints its milliseconds. */
import { Engine } from '../../machine/x86/engine.ts';
import { newGuest } from './guest.ts';

const { machine } = newGuest();
const from = performance.now();
new Engine(machine);
console.log(performance.now() - from);
