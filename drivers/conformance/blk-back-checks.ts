/** The checks of a back end, by rule: each is the main part of a front-end guest that meets it anew. */
import * as handshake from './blk-back-handshake.ts';
import * as hostile from './blk-back-hostile.ts';
import * as optional from './blk-back-optional.ts';
import * as requests from './blk-back-requests.ts';
import type { FrontJudge } from './blk-front-judge.ts';
import type { BlkRule } from './blk-rules.ts';

export type BackCheck = (judge: FrontJudge) => Promise<void>;

export const BACK_CHECKS: Partial<Record<BlkRule, BackCheck>> = {
  'BLK-01': handshake.publishes,
  'BLK-02': handshake.anyOrder,
  'BLK-03': handshake.protocol,
  'BLK-04': requests.notOffered,
  'BLK-05': handshake.longRings,
  'BLK-06': handshake.tooLong,
  'BLK-07': handshake.badNodes,
  'BLK-10': requests.slots,
  'BLK-11': requests.echoes,
  'BLK-13': requests.once,
  'BLK-14': requests.onlyTheAnswer,
  'BLK-15': requests.segments,
  'BLK-16': requests.howMany,
  'BLK-17': requests.onTheDisk,
  'BLK-18': requests.handles,
  'BLK-19': requests.readOnly,
  'BLK-20': requests.unknown,
  'BLK-21': optional.flushes,
  'BLK-22': optional.barriers,
  'BLK-23': optional.discards,
  'BLK-24': optional.indirects,
  'BLK-25': hostile.rights,
  'BLK-26': hostile.badGrants,
  'BLK-27': hostile.copiesOnce,
  'BLK-28': hostile.impossible,
  'BLK-29': hostile.requestStorm,
  'BLK-30': hostile.eventStorm,
  'BLK-31': hostile.closesInside,
  'BLK-32': handshake.reconnects,
  'BLK-33': hostile.silence,
  'BLK-34': hostile.standsStill,
  'BLK-38': requests.data,
  'BLK-39': handshake.givesBack,
  'BLK-40': handshake.follows,
};
