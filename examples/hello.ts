/** The smallest kernel: one source for every mode. Try `hospes run examples/hello.ts --mode pv` */
import { defineKernel } from 'hospes/drivers';

export const kernel = defineKernel(async ({ arch, boot, console, cpu, xen }) => {
  await console.write(`Hello from a ${arch} kernel with ${boot.pages} pages of memory.\n`);

  if (xen) {
    const version = xen.version();
    await console.write(
      `Under me: Xen ABI ${version >> 16}.${version & 0xffff}, reached by hypercall.\n`,
    );
  } else {
    const { eax, ebx } = cpu.cpuid(0x40000000);
    const hypervisor = eax >= 0x40000000 && ebx === 0x566e6558; // "XenV"
    await console.write(
      hypervisor ? 'Under me: Xen, says CPUID.\n' : 'Under me: the machine itself.\n',
    );
  }
});
