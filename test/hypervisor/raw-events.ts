/** Event channel calls of a raw guest, for tests of other things. */
import {
  EVTCHNOP_bind_interdomain,
  EVTCHNOP_bind_ipi,
  EvtchnBindInterdomain,
  EvtchnBindIpi,
} from '../../protocol/event-channel.ts';
import type { RawGuest } from '../support/pv-fixture.ts';

export const bindInterdomain = (guest: RawGuest, remoteDom: number, remotePort: number): number =>
  guest.event(EVTCHNOP_bind_interdomain, EvtchnBindInterdomain, {
    remoteDom,
    remotePort,
    localPort: 0,
  }).arg.localPort;

export const bindIpi = (guest: RawGuest, vcpu = 0): number =>
  guest.event(EVTCHNOP_bind_ipi, EvtchnBindIpi, { vcpu, port: 0 }).arg.port;
