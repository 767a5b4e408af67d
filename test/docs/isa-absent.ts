/** What docs/isa.md says is missing, with bytes that must not decode as long as it does. */
export const absent: ReadonlyArray<readonly [what: string, instructions: string, bytes: string]> = [
  [
    'x87 and MMX',
    'all, also cvtpi2ps, cvtpi2pd, cvtps2pi, cvtpd2pi and their truncating forms',
    'd9c0 dec1 0f6fc0 0f2ac0 660f2ac0 0f2dc0 660f2cc0',
  ],
  ['state', 'fxsave, fxrstor, xsave family', '0fae00 0fae08 0fae20'],
  ['later extensions', 'popcnt, movbe, crc32, SSE3 and up, BMI, AVX', 'f30fb8c0 0f38f000 c5f877'],
  [
    'rest of system',
    'sysexit, monitor, mwait, xgetbv, rdpmc, fs and gs base family, VMX but for vmcall',
    '0f35 0f01c8 0f01d0 0f33 f30faec0',
  ],
];
