/**
 * Asks a C compiler over Xen's headers for every size, offset and constant of a table. Each question
 * stands on a line of its own name (#line), so that a name the headers lack is found in the diagnostics.
 */
import { CompileError, compileC } from '../support/c-program.ts';
import { type AbiTable, cExpression } from './declared.ts';

export interface ProbeResult {
  table: AbiTable;
  unknown: string[]; // names, or struct paths, that the headers do not have
}

interface Question {
  readonly name: string;
  readonly statement: string;
}

// errno.h hides the numbers that guests never see unless it is included as Xen itself does.
const PRELUDE = `
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#define __XEN_INTERFACE_VERSION__ 0x00040e00
#define __XEN__
#include <xen/errno.h>
#undef __XEN__
#include <xen/xen.h>
#include <xen/callback.h>
#include <xen/elfnote.h>
#include <xen/event_channel.h>
#include <xen/features.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>
#include <xen/arch-x86/hvm/start_info.h>
#include <xen/io/blkif.h>
#include <xen/io/console.h>
#include <xen/io/netif.h>
#include <xen/io/xenbus.h>
#include <xen/io/xs_wire.h>
`;

/** Answers from the headers. Throws if the compiler fails for another reason than unknown names. */
export function probe(asked: AbiTable): ProbeResult {
  const questions = allQuestions(asked);
  const unknown = new Set<string>();
  for (;;) {
    const open = questions.filter(({ name }) => !unknown.has(name));
    try {
      const program = compileC(source(open));
      const output = program.run();
      program.dispose();
      return { table: parse(output), unknown: [...unknown] };
    } catch (error) {
      if (!(error instanceof CompileError)) throw error;
      const before = unknown.size;
      for (const match of error.diagnostics.matchAll(/^\?([^:]+):\d+:.*error/gm)) {
        unknown.add(match[1]!);
      }
      if (unknown.size === before) throw error;
    }
  }
}

function allQuestions({ structs, constants }: AbiTable): Question[] {
  const questions: Question[] = [];
  for (const name of Object.keys(constants)) {
    const expression = cExpression(name);
    const statement = `printf("C ${name} %lld\\n", (long long)(${expression}));`;
    questions.push({ name, statement });
  }
  for (const [struct, { fields }] of Object.entries(structs)) {
    const type = `struct ${struct}`;
    questions.push({
      name: struct,
      statement: `printf("S ${struct} %zu %zu\\n", sizeof(${type}), _Alignof(${type}));`,
    });
    for (const path of Object.keys(fields)) {
      const statement = `printf("F ${struct} ${path} %zu\\n", offsetof(${type}, ${path}));`;
      questions.push({ name: `${struct}.${path}`, statement });
    }
  }
  return questions;
}

function source(questions: readonly Question[]): string {
  const body = questions.map(({ name, statement }) => `#line 1 "?${name}"\n${statement}`);
  return `${PRELUDE}\nint main(void) {\n${body.join('\n')}\nreturn 0;\n}\n`;
}

function parse(output: string): AbiTable {
  const table: AbiTable = { structs: {}, constants: {} };
  for (const line of output.trim().split('\n')) {
    const [kind, name, first, second] = line.split(' ') as [string, string, string, string];
    if (kind === 'C') table.constants[name] = first;
    else if (kind === 'S') {
      table.structs[name] = { size: Number(first), align: Number(second), fields: {} };
    } else table.structs[name]!.fields[first] = Number(second);
  }
  return table;
}
