/** The checks of a front end, by rule: each is the life of a back end that meets the subject anew. */
import type { BackJudge } from './blk-back-judge.ts';
import * as handshake from './blk-front-handshake.ts';
import * as hostile from './blk-front-hostile.ts';
import * as requests from './blk-front-requests.ts';
import type { BlkRule } from './blk-rules.ts';

export type FrontCheck = (judge: BackJudge) => Promise<void>;

export const FRONT_CHECKS: Partial<Record<BlkRule, FrontCheck>> = {
  'BLK-01': handshake.publishes,
  'BLK-02': handshake.anyOrder,
  'BLK-03': handshake.protocol,
  'BLK-04': requests.notOffered,
  'BLK-05': handshake.longRings,
  'BLK-08': handshake.ringIsZero,
  'BLK-09': requests.tellsNothing,
  'BLK-10': requests.slots,
  'BLK-11': requests.ids,
  'BLK-12': requests.anyOrder,
  'BLK-15': requests.segments,
  'BLK-16': requests.howMany,
  'BLK-17': requests.onTheDisk,
  'BLK-18': requests.handles,
  'BLK-19': requests.readOnly,
  'BLK-21': requests.flushes,
  'BLK-25': requests.rights,
  'BLK-27': hostile.copiesOnce,
  'BLK-28': hostile.impossible,
  'BLK-30': hostile.eventStorm,
  'BLK-31': hostile.closesInside,
  'BLK-32': handshake.reconnects,
  'BLK-33': hostile.silence,
  'BLK-34': hostile.standsStill,
  'BLK-35': hostile.strayResponses,
  'BLK-36': requests.failures,
  'BLK-37': hostile.keptPages,
  'BLK-38': requests.data,
  'BLK-39': handshake.givesBack,
  'BLK-40': handshake.follows,
};
