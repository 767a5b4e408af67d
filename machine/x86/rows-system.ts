/**
 * What the machine or a hypervisor does, not the engine: rows that only say where they are encoded, who may execute them and
 * with what reason they leave.
 * @source SDM vol. 2, chapters 3 to 6
 */
import { row, type Traits } from './row.ts';

const cpl0 = (exit: string): Traits => ({ privilege: 'cpl0', exit });
const iopl = (exit: string): Traits => ({ privilege: 'iopl', exit });

export const system = [
  row('syscall', 'o64:0F05', { exit: 'syscall' }),
  row('sysenter', '0F34', { exit: 'sysenter' }),
  row('int', 'CD Ib', { exit: 'interrupt' }),
  row('cpuid', '0FA2', { exit: 'cpuid' }),
  row('rdtsc', '0F31', { exit: 'rdtsc' }),
  row('rdtscp', '0F01F9', { exit: 'rdtsc' }),
  row('vmcall', '0F01C1', { exit: 'vmcall' }),
  row('iret', 'CF', { exit: 'iret' }),
  row('retf', 'CB  CA Iw', { exit: 'far' }),
  row('jmpf', 'FF/5 M  i64:EA Iz,Iw', { exit: 'far' }),
  row('callf', 'FF/3 M  i64:9A Iz,Iw', { exit: 'far' }),
  row('mov', '8C/r Ev,Sw  8E/r Sw,Ew', { exit: 'segment' }),
  row('push', '0FA0  0FA8  i64:06  i64:0E  i64:16  i64:1E', { size: 'd64', exit: 'segment' }),
  row('pop', '0FA1  0FA9  i64:07  i64:17  i64:1F', { size: 'd64', exit: 'segment' }),
  row('les', 'i64:C4/r Gv,M', { exit: 'segment' }),
  row('lds', 'i64:C5/r Gv,M', { exit: 'segment' }),
  row('lss', '0FB2/r Gv,M', { exit: 'segment' }),
  row('lfs', '0FB4/r Gv,M', { exit: 'segment' }),
  row('lgs', '0FB5/r Gv,M', { exit: 'segment' }),
  row('lar', '0F02/r Gv,Ew', { exit: 'segment' }),
  row('lsl', '0F03/r Gv,Ew', { exit: 'segment' }),
  row('verr', '0F00/4 Ew', { exit: 'segment' }),
  row('verw', '0F00/5 Ew', { exit: 'segment' }),
  row('sldt', '0F00/0 Ev', { exit: 'segment' }),
  row('str', '0F00/1 Ev', { exit: 'segment' }),
  row('sgdt', '0F01/0 M', { exit: 'descriptor-table' }),
  row('sidt', '0F01/1 M', { exit: 'descriptor-table' }),
  row('smsw', '0F01/4 Ev', { exit: 'control-register' }),

  row('hlt', 'F4', cpl0('hlt')),
  row('mov', '0F20/r Rn,Cn  0F22/r Cn,Rn', cpl0('control-register')),
  row('mov', '0F21/r Rn,Dn  0F23/r Dn,Rn', cpl0('debug-register')),
  row('clts', '0F06', cpl0('control-register')),
  row('lmsw', '0F01/6 Ew', cpl0('control-register')),
  row('rdmsr', '0F32', cpl0('msr')),
  row('wrmsr', '0F30', cpl0('msr')),
  row('lgdt', '0F01/2 M', cpl0('descriptor-table')),
  row('lidt', '0F01/3 M', cpl0('descriptor-table')),
  row('lldt', '0F00/2 Ew', cpl0('segment')),
  row('ltr', '0F00/3 Ew', cpl0('segment')),
  row('swapgs', 'o64:0F01F8', cpl0('msr')),
  row('sysret', 'o64:0F07', cpl0('sysret')),
  row('invlpg', '0F01/7 M', cpl0('invlpg')),
  row('invd', '0F08', cpl0('cache')),
  row('wbinvd', '0F09', cpl0('cache')),
  row('cli', 'FA', iopl('interrupt-flag')),
  row('sti', 'FB', iopl('interrupt-flag')),
  row('in', 'E4 AL,Ib  E5 eAX,Ib  EC AL,DX  ED eAX,DX', iopl('io')),
  row('out', 'E6 Ib,AL  E7 Ib,eAX  EE DX,AL  EF DX,eAX', iopl('io')),
  row('ins', '6C Yb,DX  6D Yz,DX', { ...iopl('io'), rep: true }),
  row('outs', '6E DX,Xb  6F DX,Xz', { ...iopl('io'), rep: true }),
];
