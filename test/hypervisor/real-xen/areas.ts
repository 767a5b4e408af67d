/** Every list of cases, by area. */
import { eventCases } from './event-cases.ts';
import { grantCopyCases, grantMapCases, grantTableCases } from './grant-cases.ts';
import { memoryCases } from './memory-cases.ts';
import { mmuUpdateCases, multicallCases, vaMappingCases } from './mmu-cases.ts';
import { mmuextCases } from './mmuext-cases.ts';
import {
  callbackCases,
  deviceCases,
  foreignCases,
  segmentCases,
  versionCases,
} from './other-cases.ts';
import type { Cases } from './rig.ts';
import { schedCases, vcpuCases } from './vcpu-cases.ts';

export const AREAS: Readonly<Record<string, Cases>> = {
  event_channel_op: eventCases,
  update_va_mapping: vaMappingCases,
  mmu_update: mmuUpdateCases,
  mmuext_op: mmuextCases,
  'grant_table_op: tables': grantTableCases,
  'grant_table_op: map': grantMapCases,
  'grant_table_op: copy': grantCopyCases,
  memory_op: memoryCases,
  vcpu_op: vcpuCases,
  'sched_op, set_timer_op': schedCases,
  multicall: multicallCases,
  xen_version: versionCases,
  callbacks: callbackCases,
  segments: segmentCases,
  devices: deviceCases,
  'other numbers': foreignCases,
};
