// Resolution for kernels. `hospes/...` is the package that runs, from whichever folder it is imported; `rxjs` too
// when the kernel's folder has none; and a kernel is an ES module whatever package.json lies above it.

const KERNEL_FILE = /\.[jt]s(\?|$)/;

export async function resolve(specifier, context, next) {
  const here = { ...context, parentURL: import.meta.url };
  if (specifier === 'hospes' || specifier.startsWith('hospes/')) return next(specifier, here);

  const found = await next(specifier, context).catch((error) => {
    if (specifier !== 'rxjs' && !specifier.startsWith('rxjs/')) throw error;
    return next(specifier, here);
  });
  const outside = !found.url.includes('/node_modules/');
  if (found.format === 'commonjs' && outside && KERNEL_FILE.test(found.url)) {
    return { ...found, format: 'module' };
  }
  return found;
}
