import { describe, expect, it } from 'vitest';
import { POWER_KBC, POWER_PM1_CNT_HIGH, POWER_PM1_CNT_LOW, Power } from '../../machine/power.ts';

const switched = () => {
  const reasons: string[] = [];
  return { power: new Power((reason) => reasons.push(reason)), reasons };
};

describe('PM1a_CNT', () => {
  it('powers off when SLP_EN is written', () => {
    const { power, reasons } = switched();
    power.write(POWER_PM1_CNT_HIGH, 0x34);
    expect(reasons).toEqual(['poweroff']);
  });

  it('only remembers a sleep type without SLP_EN', () => {
    const { power, reasons } = switched();
    power.write(POWER_PM1_CNT_LOW, 0x01);
    power.write(POWER_PM1_CNT_HIGH, 0x14);
    expect([power.read(POWER_PM1_CNT_LOW), power.read(POWER_PM1_CNT_HIGH)]).toEqual([0x01, 0x14]);
    expect(reasons).toEqual([]);
  });
});

describe('8042', () => {
  it('resets at command 0xfe and ignores every other', () => {
    const { power, reasons } = switched();
    for (let command = 0; command < 256; command++) power.write(POWER_KBC, command);
    expect(reasons).toEqual(['reboot']);
    expect(power.read(POWER_KBC)).toBe(0);
  });
});
