/** What docs/isa.md says is missing, with bytes that must not decode as long as it does. */
export const absent: ReadonlyArray<readonly [what: string, instructions: string, bytes: string]> = [
  ['integer', 'enter', 'c8'],
  [
    'SSE and SSE2',
    'floating-point arithmetic, comparison and conversion; maskmovdqu',
    '0f58c0 f20f59c0 660f2ec0 f30f2ac0 660ff7c1',
  ],
  ['x87 and MMX', 'all', 'd9c0 dec1 0f6fc0'],
  ['state', 'fxsave, fxrstor, ldmxcsr, stmxcsr, xsave family', '0fae00 0fae08 0fae10 0fae18'],
  ['segment loads', 'lfs, lgs, lss', '0fb400 0fb500 0fb200'],
  ['later extensions', 'popcnt, movbe, crc32, SSE3 and up, BMI, AVX', 'f30fb8c0 0f38f000 c5f877'],
  [
    'rest of system',
    'sysexit, monitor, mwait, xgetbv, rdpmc, fs and gs base family, VMX but for vmcall',
    '0f35 0f01c8 0f01d0 0f33 f30faec0',
  ],
];
