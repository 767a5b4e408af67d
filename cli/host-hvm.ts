/** Mode `hvm`: the same bare kernel under the hypervisor, in VMX non-root mode with EPT and emulated devices. */
import {
  type Composition,
  type Ending,
  endOf,
  framesBeside,
  framesOf,
  newHypervisor,
  newMachine,
  SerialSink,
  scriptOf,
} from './composition.ts';
import { GUEST } from './job.ts';

export const runHvm = async (request: Composition): Promise<Ending> => {
  const guestFrames = framesOf(request.memoryBytes);
  const machine = newMachine(request, guestFrames + framesBeside(guestFrames), 1);
  // The guest's drives are emulated over the same stores; the machine's own has none.
  const xen = newHypervisor(machine, []);
  const serial = new SerialSink((bytes) => request.say(GUEST, bytes));
  const domain = xen.create({
    ...{ name: GUEST, kind: 'hvm', guest: scriptOf(request), memoryBytes: request.memoryBytes },
    ...{ disks: request.disks, serial: serial.put },
  });
  machine.limit = request.limit;
  request.onGuest?.((why) => xen.crash(domain, why));
  xen.unpause(domain);
  const ran = await machine.run(xen);
  serial.flush();
  const parts = [{ prefix: '' as const, accounts: [domain.account, machine.idleAccount] }];
  return { ...endOf(domain, ran), causes: machine.causes.names, parts };
};
