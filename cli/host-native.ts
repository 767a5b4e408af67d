/** Mode `native`: the machine alone, with its own devices: the baseline. */
import { Board } from '../machine/board.ts';
import {
  type Composition,
  type Ending,
  framesOf,
  newMachine,
  SerialSink,
  scriptOf,
} from './composition.ts';
import { GUEST } from './job.ts';

export const runNative = async (request: Composition): Promise<Ending> => {
  const machine = newMachine(request, framesOf(request.memoryBytes), 1);
  machine.limit = request.limit;
  const serial = new SerialSink((bytes) => request.say(GUEST, bytes));
  const board = new Board(machine, { disks: request.disks, serial: serial.put });
  request.onGuest?.((why) => board.crash(why));
  const end = await board.run(scriptOf(request));
  serial.flush();
  const parts = [{ prefix: '' as const, accounts: [board.account, machine.idleAccount] }];
  return { ...end, causes: machine.causes.names, parts };
};
