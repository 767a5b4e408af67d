/*
 * A plugin of QEMU that prints how many guest instructions were executed. Debian packs no header for plugins, so
 * here is what this one uses of version 1 of the interface.
 */
#include <inttypes.h>
#include <stdio.h>
#define EXPORT __attribute__((visibility("default")))

struct qemu_plugin_tb;
typedef uint64_t id_t_;
enum { QEMU_PLUGIN_INLINE_ADD_U64 };
extern void qemu_plugin_register_vcpu_tb_trans_cb(id_t_ id, void (*callback)(id_t_, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *block, int operation, void *to, uint64_t value);
extern void qemu_plugin_register_atexit_cb(id_t_ id, void (*callback)(id_t_, void *), void *data);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);

EXPORT int qemu_plugin_version = 1;
static uint64_t executed;

static void translated(id_t_ id, struct qemu_plugin_tb *block) {
  qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64, &executed, qemu_plugin_tb_n_insns(block));
}

static void ended(id_t_ id, void *data) {
  fprintf(stderr, "%" PRIu64 "\n", executed);
}

EXPORT int qemu_plugin_install(id_t_ id, const void *info, int argc, char **argv) {
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_atexit_cb(id, ended, 0);
  return 0;
}
