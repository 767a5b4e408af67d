import { describe, expect, it } from 'vitest';
import { Account, CAUSE_WAIT, CAUSE_WORK, Causes } from '../../machine/account.ts';
import { Pcpu } from '../../machine/pcpu.ts';

describe('Causes', () => {
  it('gives one index to one name', () => {
    const causes = new Causes();
    const id = causes.id('hypercall mmu_update');
    expect(causes.id('hypercall mmu_update')).toBe(id);
    expect(causes.names[id]).toBe('hypercall mmu_update');
    expect(causes.id('guest work')).toBe(CAUSE_WORK);
    expect(causes.id('I/O wait')).toBe(CAUSE_WAIT);
  });

  it('refuses more names than an account has room for', () => {
    const causes = new Causes();
    expect(() => {
      for (let index = 0; index < 300; index++) causes.id(`cause ${index}`);
    }).toThrow(RangeError);
  });
});

describe('Pcpu', () => {
  it('charges every cycle of its clock to exactly one cause', () => {
    const guest = new Account();
    const idle = new Account();
    const pcpu = new Pcpu(0, guest);

    pcpu.charge(CAUSE_WORK, 100);
    pcpu.chargeMany(1, 4, 12);
    pcpu.account = idle;
    pcpu.advanceTo(150, CAUSE_WAIT);
    pcpu.advanceTo(10, CAUSE_WAIT);

    const sum = (account: Account) => account.cycles.reduce((a, b) => a + b, 0);
    expect(sum(guest) + sum(idle)).toBe(pcpu.now);
    expect(pcpu.now).toBe(150);
    expect([guest.count[CAUSE_WORK], guest.count[1], idle.count[CAUSE_WAIT]]).toEqual([1, 4, 1]);
  });

  it('forgets on reset', () => {
    const account = new Account();
    new Pcpu(0, account).charge(CAUSE_WORK, 5);
    account.reset();
    expect(account.cycles[CAUSE_WORK]).toBe(0);
  });
});
