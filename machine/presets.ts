/**
 * The processors that a machine can be. Each preset is data; every figure says where it comes from, and what begins with
 * "derived" or "estimated" was not published as such.
 */
import type { Preset } from './costs.ts';
import { NEHALEM_2009 } from './presets-nehalem.ts';
import { P4_2005 } from './presets-p4.ts';
import { SKYLAKE_2018 } from './presets-skylake.ts';

/** Oldest first. */
export const presets: readonly Preset[] = [P4_2005, NEHALEM_2009, SKYLAKE_2018];
export const DEFAULT_PRESET: Preset = SKYLAKE_2018;

export const presetNamed = (name: string): Preset | undefined =>
  presets.find((preset) => preset.name === name);
