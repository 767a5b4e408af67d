/**
 * Loading a kernel: import a user's module, find its `kernel`, and say in one sentence what is wrong with it
 * when it is none. Runs in the worker thread, where TypeScript can be imported.
 */
import { relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Guest } from '../machine/cpu.ts';
import { UsageError } from './usage-error.ts';

/** A place in a stack trace: path or file URL, line, column. */
const FRAME = /((?:file:\/\/)?\/[^\s():]+):(\d+):\d+/g;

/** @throws UsageError, with the original error as its cause. */
export const loadKernel = async (file: string): Promise<Guest> => {
  const module = await importKernel(file);
  const kernel = module['kernel'];
  if (kernel === undefined) {
    throw new UsageError(
      `${file} exports no kernel: add \`export const kernel = defineKernel(async (k) => { … })\``,
    );
  }
  if (typeof kernel !== 'function') {
    throw new UsageError(`${file} exports a kernel that is not a function: use defineKernel(…)`);
  }
  return kernel as Guest;
};

const importKernel = async (file: string): Promise<Record<string, unknown>> => {
  try {
    return await import(pathToFileURL(file).href);
  } catch (error) {
    throw new UsageError(loadProblem(file, error), { cause: error });
  }
};

const loadProblem = (file: string, error: unknown): string => {
  if (!(error instanceof Error)) return `${file} throws while it loads: ${String(error)}`;
  const parse = /:(\d+):(\d+): ERROR: (.*)/.exec(error.message);
  if (error.name === 'TransformError' && parse) {
    return `${file} does not parse: line ${parse[1]}, column ${parse[2]}: ${parse[3]}`;
  }
  if (error instanceof SyntaxError) return `${file} does not link: ${oneLine(error.message)}`;
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ERR_MODULE_NOT_FOUND' || code === 'ERR_PACKAGE_PATH_NOT_EXPORTED') {
    return `${file} imports what cannot be found: ${oneLine(error.message)}`;
  }
  return `${file} throws while it loads: ${oneLine(error.message)}${placeOf(error, file)}`;
};

const oneLine = (text: string): string => text.replace(/\s*\n\s*/g, ' ');

/** ` (kernel.ts:12)`: the innermost place of `error` in the kernel's file, else the innermost in any; or nothing. */
export const placeOf = (error: Error, file: string): string => {
  const kernel = resolve(file);
  const frames = [...(error.stack ?? '').matchAll(FRAME)].map(([, path, line]) => ({
    path: path!.startsWith('file:') ? fileURLToPath(path!) : path!,
    line,
  }));
  const frame = frames.find(({ path }) => path === kernel) ?? frames[0];
  return frame ? ` (${relative(process.cwd(), frame.path)}:${frame.line})` : '';
};
