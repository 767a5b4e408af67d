import { describe, expect, it } from 'vitest';
import { HOME, type Line, play } from './store-text-client.ts';

describe('XS_WATCH', () => {
  it('fires once at registration, with the path as it was given', () => {
    const store = play(HOME);
    expect(store.ask(1, 0, 'WATCH data|tok|')).toBe('OK|');
    expect(store.events(1)).toEqual(['data tok']);
  });

  it('keeps a relative path relative, and an absolute one absolute', () => {
    const store = play([
      ...HOME,
      [1, 0, 'WATCH data|rel|', 'OK|'],
      [1, 0, 'WATCH /local/domain/1/data|abs|', 'OK|'],
    ]);
    store.events(1);
    store.ask(0, 0, 'WRITE /local/domain/1/data/x/y|1');
    expect(store.events(1)).toEqual(['data/x/y rel', '/local/domain/1/data/x/y abs']);
  });

  it('hears of the removal of a node above it, by its own path', () => {
    const store = play([...HOME, [0, 0, 'WRITE /a/b/c|1', 'OK|'], [0, 0, 'WATCH /a/b|t|', 'OK|']]);
    store.events(0);
    store.ask(0, 0, 'RM /a|');
    expect(store.events(0)).toEqual(['/a/b t']);
  });

  it('says nothing about what the watcher may not read', () => {
    const store = play([...HOME, [2, 0, 'WATCH /local/domain/1|t|', 'OK|']]);
    store.events(2);
    store.ask(1, 0, 'WRITE data/x|1');
    store.ask(1, 0, 'RM data/x|');
    expect(store.events(2)).toEqual([]);
  });

  it('is one for each path and token, and ends with XS_UNWATCH', () => {
    const store = play([
      ...HOME,
      [1, 0, 'WATCH data|t|', 'OK|'],
      [1, 0, 'WATCH data|t|', '!EEXIST'],
      [1, 0, 'WATCH data|u|', 'OK|'],
      [1, 0, 'UNWATCH data|t|', 'OK|'],
      [1, 0, 'UNWATCH data|t|', '!ENOENT'],
    ]);
    store.events(1);
    store.ask(1, 0, 'WRITE data/x|1');
    expect(store.events(1)).toEqual(['data/x u']);
  });

  it('ends, like the transactions, with XS_RESET_WATCHES', () => {
    const store = play([
      ...HOME,
      [1, 0, 'WATCH data|t|', 'OK|'],
      [1, 0, 'START |', '1|'],
      [1, 0, 'RESET_WATCHES |', 'OK|'],
      [1, 1, 'READ data|', '!ENOENT'],
    ]);
    store.events(1);
    store.ask(1, 0, 'WRITE data/x|1');
    expect(store.events(1)).toEqual([]);
  });

  it('tells domain 0, and nobody else, of domains that come and go', () => {
    const store = play([
      [0, 0, 'WATCH @introduceDomain|i|', 'OK|'],
      [0, 0, 'WATCH @releaseDomain|r|', 'OK|'],
      [1, 0, 'WATCH @introduceDomain|i|', 'OK|'],
    ]);
    store.events(0);
    store.events(1);
    store.ask(0, 0, 'INTRODUCE 4|1|1|');
    store.ask(0, 0, 'RELEASE 4|');
    expect(store.events(0)).toEqual(['@introduceDomain i', '@releaseDomain r']);
    expect(store.events(1)).toEqual([]);
  });

  it('sums up for a client that does not read', () => {
    const store = play([...HOME, [1, 0, 'WATCH data|t|', 'OK|']]);
    const client = store.client(1);
    for (let i = 0; i < 1000; i++) store.ask(0, 0, `WRITE /local/domain/1/data/x${i}|1`);
    expect(client.waiting).toBeLessThan(300);
    const events = store.events(1);
    expect(events.at(-1)).toBe('data t');
    store.ask(0, 0, 'WRITE /local/domain/1/data/x|1');
    expect(store.events(1)).toEqual(['data/x t']);
  });
});

describe('quotas', () => {
  const quota = {
    nodes: 3,
    watches: 2,
    transactions: 2,
    transactionNodes: 5,
    valueBytes: 8,
    permissions: 2,
  };

  it.each<[string, Line[]]>([
    [
      'bound the nodes that a domain owns: ENOSPC',
      [
        [1, 0, 'WRITE data/a|1', 'OK|'],
        [1, 0, 'WRITE data/b/c|1', '!ENOSPC'],
        [1, 0, 'WRITE data/b|1', 'OK|'],
        [1, 0, 'MKDIR data/c|', '!ENOSPC'],
        [1, 0, 'RM data/a|', 'OK|'],
        [1, 0, 'MKDIR data/c|', 'OK|'],
        [0, 0, 'MKDIR /local/domain/1/data/d|', 'OK|'],
      ],
    ],
    [
      'bound the nodes that two transactions make together',
      [
        [1, 0, 'MKDIR data/x|', 'OK|'],
        [1, 0, 'START |', '1|'],
        [1, 1, 'MKDIR data/a|', 'OK|'],
        [0, 0, 'MKDIR /local/domain/1/data/x/y|', 'OK|'],
        [1, 1, 'END T|', '!ENOSPC'],
      ],
    ],
    [
      'bound the watches: E2BIG',
      [
        [1, 0, 'WATCH data|a|', 'OK|'],
        [1, 0, 'WATCH data|b|', 'OK|'],
        [1, 0, 'WATCH data|c|', '!E2BIG'],
      ],
    ],
    [
      'bound the open transactions: ENOSPC',
      [
        [1, 0, 'START |', '1|'],
        [1, 0, 'START |', '2|'],
        [1, 0, 'START |', '!ENOSPC'],
        [1, 1, 'END F|', 'OK|'],
        [1, 0, 'START |', '3|'],
      ],
    ],
    [
      'bound what a transaction looks at: ENOSPC',
      [
        [1, 0, 'START |', '1|'],
        [1, 1, 'READ data/a/b/c/d|', '!ENOENT'],
        [1, 1, 'READ data|', '!ENOSPC'],
        [1, 1, 'END F|', 'OK|'],
      ],
    ],
    [
      'bound a value and the permissions of a node: ENOSPC',
      [
        [1, 0, 'WRITE data/a|12345678', 'OK|'],
        [1, 0, 'WRITE data/a|123456789', '!ENOSPC'],
        [1, 0, 'SET_PERMS data|n1|r2|r3|', '!ENOSPC'],
      ],
    ],
  ])('%s', (_name, lines) => {
    play([...HOME, ...lines], quota);
  });
});
