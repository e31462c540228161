// A plugin of QEMU that counts the instructions executed in each function: built by arm_instructions.py.
//
// What it calls of QEMU is declared here: Debian's QEMU comes without its plugins' header. A block of
// instructions lies in one function.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
extern const char *qemu_plugin_insn_symbol(const struct qemu_plugin_insn *);
extern void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t, void (*)(uint64_t, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int, void *);
extern void qemu_plugin_register_atexit_cb(uint64_t, void (*)(uint64_t, void *), void *);

struct function {
    char *name;
    uint64_t executed;
    struct function *next;
};

struct block {
    struct function *function;
    uint64_t instructions;
};

static struct function *functions;
int qemu_plugin_version = 1;

static struct function *called(const char *name) {
    for (struct function *each = functions; each; each = each->next)
        if (!strcmp(each->name, name)) return each;
    struct function *made = calloc(1, sizeof *made);
    made->name = strdup(name);
    made->next = functions;
    return functions = made;
}

static void execute(unsigned cpu, void *data) {
    (void)cpu;
    struct block *block = data;
    block->function->executed += block->instructions;
}

static void translate(uint64_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    const char *name = qemu_plugin_insn_symbol(qemu_plugin_tb_get_insn(tb, 0));
    struct block *block = malloc(sizeof *block);
    *block = (struct block){called(name ? name : "?"), qemu_plugin_tb_n_insns(tb)};
    qemu_plugin_register_vcpu_tb_exec_cb(tb, execute, 0, block);
}

static void end(uint64_t id, void *data) {
    (void)id, (void)data;
    for (struct function *each = functions; each; each = each->next)
        fprintf(stderr, "%llu %s\n", (unsigned long long)each->executed, each->name);
}

int qemu_plugin_install(uint64_t id, const void *info, int count, char **arguments) {
    (void)info, (void)count, (void)arguments;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    qemu_plugin_register_atexit_cb(id, end, NULL);
    return 0;
}
