import { describe, expect, it } from 'vitest';
import { costsOf, FIGURES } from '../../machine/costs.ts';
import { DEFAULT_PRESET, presetNamed, presets } from '../../machine/presets.ts';

describe.each(presets)('preset $name', (preset) => {
  it.each(FIGURES)('has a positive whole %s with a source', (name) => {
    const figure = preset.figures[name];
    expect(figure.cycles).toBeGreaterThan(0);
    expect(Number.isInteger(figure.cycles)).toBe(true);
    expect(figure.source.length).toBeGreaterThan(10);
  });

  it('has no figure that is not in the list', () => {
    expect(Object.keys(preset.figures).sort()).toEqual([...FIGURES].sort());
    expect(preset.mhz).toBeGreaterThan(0);
  });
});

describe('presets', () => {
  const exitOf = (name: string) => {
    const costs = costsOf(presetNamed(name)!);
    return {
      ...costs,
      exit: costs.vmExit + costs.vmEntry,
      handled: costs.vmExit + costs.vmEntry + costs.exitHandling,
    };
  };

  it('are found by name, and the default is skylake-2018', () => {
    expect(presetNamed('p4-2005')).toBe(presets[0]);
    expect(presetNamed('z80')).toBeUndefined();
    expect(DEFAULT_PRESET.name).toBe('skylake-2018');
  });

  it.each([
    ['p4-2005', 3963],
    ['nehalem-2009', 1009],
  ])('split the published round trip of %s into exit and entry', (name, trip) => {
    expect(exitOf(name).exit).toBe(trip);
  });

  it('add up to the published hypercall of KVM on Skylake', () => {
    expect(exitOf('skylake-2018').handled).toBe(1529);
  });

  it('make an exit of the P4 far dearer than its hypercall, and than any later exit', () => {
    const p4 = exitOf('p4-2005');
    expect(p4.exit).toBeGreaterThan(5 * p4.hypercall);
    expect(p4.exit).toBeGreaterThan(3 * exitOf('nehalem-2009').exit);
    expect(exitOf('nehalem-2009').exit).toBeGreaterThan(exitOf('skylake-2018').exit);
  });

  it('give VPIDs to all but the P4', () => {
    expect(presets.map((preset) => preset.vpid)).toEqual([false, true, true]);
  });
});
