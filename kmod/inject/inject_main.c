// SPDX-License-Identifier: GPL-2.0
/*
 * bd_inject.ko - breaks a kernel in the ways of section 3.9.2, for the lab.
 * Refused unless loaded with i_am_a_lab=1. One line written to
 * /sys/module/bd_inject/parameters/trigger is one fault; the write returns
 * before the fault strikes where the fault leaves a CPU to return on.
 *
 *   spin CPUS MS            interrupts off, busy
 *   halt CPUS               interrupts off, halted, for ever
 *   mask_apic CPUS MS       local APIC accepts no maskable interrupt (TPR)
 *   stop_timers CPUS MS     local APIC timer masked
 *   lose_irq DEVICE MS      interrupts of a device (/proc/interrupts) are lost
 *   mute DEVICE MS          a network device sends nothing: its queues stay full
 *   crash_irq DEVICE        null pointer in the handler of a device's next interrupt
 *   softirq_storm CPUS MS   a tasklet that schedules itself
 *   deadlock rtnl|spin MS   rtnl_lock held; a spinlock taken twice (for ever)
 *   debugger                trap in the kernel debugger, where it is built in
 *   panic
 *   slow COMM CPU MS        a kernel thread on a CPU that FIFO work keeps busy
 *   corrupt ID FIELD VALUE  a field of the Sensor Box; ID 0: its header
 *   region add|del          a read-only region "lab" of one page comes and goes
 *
 * CPUS is a list such as 0-1,3. MS 0: for ever.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include "inject.h"

static bool i_am_a_lab;
module_param(i_am_a_lab, bool, 0444);
MODULE_PARM_DESC(i_am_a_lab, "this machine may be broken (bool, default 0: the module refuses to load)");

/* Arguments: c CPUs, m milliseconds, w word, n one CPU's number. */
static const struct command {
	const char *name;
	const char *args;
	void (*run)(struct fault *f);
} commands[] = {
	{ "spin", "cm", inject_spin },
	{ "halt", "c", inject_halt },
	{ "mask_apic", "cm", inject_mask_apic },
	{ "stop_timers", "cm", inject_stop_timers },
	{ "lose_irq", "wm", inject_lose_irq },
	{ "mute", "wm", inject_mute },
	{ "crash_irq", "w", inject_crash_irq },
	{ "softirq_storm", "cm", inject_softirq_storm },
	{ "deadlock", "wm", inject_deadlock },
	{ "debugger", "", inject_debugger },
	{ "panic", "", inject_panic },
	{ "slow", "wnm", inject_slow },
};

/**
 * inject_over() - whether a fault that ends has lasted long enough
 * @fault: started by inject_on()
 */
bool inject_over(const struct fault *fault)
{
	return fault->ms && ktime_get_mono_fast_ns() >= fault->end_ns;
}

/* Each fault holds the module until it ends. */
static int fault_thread(void *arg)
{
	struct fault f = *(struct fault *)arg;

	kfree(arg);
	f.end_ns = ktime_get_mono_fast_ns() + f.ms * NSEC_PER_MSEC;
	f.run(&f);
	module_put_and_kthread_exit(0);
	return 0;
}

static struct task_struct *fault_create(const struct fault *fault, u32 cpu)
{
	struct fault *copy = kmemdup(fault, sizeof(*fault), GFP_KERNEL);
	struct task_struct *t;

	if (!copy)
		return ERR_PTR(-ENOMEM);
	copy->cpu = cpu;
	t = kthread_create(fault_thread, copy, "bd_inject/%u", cpu);
	if (IS_ERR(t)) {
		kfree(copy);
		return t;
	}
	kthread_bind(t, cpu);
	sched_set_fifo(t);
	__module_get(THIS_MODULE);
	return t;
}

static void wake(struct task_struct **threads, const struct cpumask *cpus)
{
	int cpu, me = get_cpu();

	/* this CPU last: it may not come back */
	for_each_cpu(cpu, cpus)
		if (cpu != me)
			wake_up_process(threads[cpu]);
	if (cpumask_test_cpu(me, cpus))
		wake_up_process(threads[me]);
	put_cpu();
}

/**
 * inject_on() - let a fault strike CPUs at about the same time
 * @cpus: online ones
 * @fault: copied for each
 */
int inject_on(const struct cpumask *cpus, const struct fault *fault)
{
	struct task_struct **threads;
	int cpu;

	if (cpumask_empty(cpus) || !cpumask_subset(cpus, cpu_online_mask))
		return -EINVAL;
	threads = kcalloc(nr_cpu_ids, sizeof(*threads), GFP_KERNEL);
	if (!threads)
		return -ENOMEM;
	for_each_cpu(cpu, cpus) {
		threads[cpu] = fault_create(fault, cpu);
		if (IS_ERR(threads[cpu]))
			goto err_threads;
	}
	wake(threads, cpus);
	kfree(threads);
	return 0;

err_threads:
	/* the lab is out of memory: those created stay asleep for ever */
	cpu = PTR_ERR(threads[cpu]);
	kfree(threads);
	return cpu;
}

static int parse(const struct command *c, char **argv, struct fault *f,
		 struct cpumask *cpus)
{
	const char *a;
	int err = 0;

	cpumask_copy(cpus, cpumask_of(cpumask_first(cpu_online_mask)));
	f->run = c->run;
	for (a = c->args; *a && !err; a++, argv++) {
		if (!*argv)
			return -EINVAL;
		switch (*a) {
		case 'c':
			err = cpulist_parse(*argv, cpus);
			break;
		case 'm':
			err = kstrtou32(*argv, 0, &f->ms);
			break;
		case 'n':
			err = kstrtou64(*argv, 0, &f->number);
			break;
		case 'w':
			err = strscpy(f->word, *argv, sizeof(f->word)) < 0 ? -EINVAL : 0;
			break;
		}
	}
	return err ?: *argv ? -EINVAL : 0;
}

static int start(const struct command *c, char **argv)
{
	struct fault f = {};
	cpumask_var_t cpus;
	int err;

	if (!alloc_cpumask_var(&cpus, GFP_KERNEL))
		return -ENOMEM;
	err = parse(c, argv, &f, cpus);
	if (!err) {
		pr_warn("%s\n", c->name);
		err = inject_on(cpus, &f);
	}
	free_cpumask_var(cpus);
	return err;
}

static int corrupt(int argc, char **argv)
{
	u64 value;
	u32 id;

	if (argc != 4 || kstrtou32(argv[1], 0, &id) || kstrtou64(argv[3], 0, &value))
		return -EINVAL;
	pr_warn("corrupt %u %s\n", id, argv[2]);
	return inject_corrupt(id, argv[2], value);
}

static int dispatch(int argc, char **argv)
{
	int i;

	if (!argc)
		return -EINVAL;
	if (!strcmp(argv[0], "corrupt"))
		return corrupt(argc, argv);
	if (!strcmp(argv[0], "region"))
		return argc == 2 ? inject_region(argv[1]) : -EINVAL;
	if (!strcmp(argv[0], "debugger") && !IS_ENABLED(CONFIG_KGDB)) {
		pr_err("debugger: not available on this kernel (CONFIG_KGDB)\n");
		return -EOPNOTSUPP;
	}
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[0], commands[i].name))
			return start(&commands[i], argv + 1);
	return -EINVAL;
}

static int trigger_set(const char *val, const struct kernel_param *kp)
{
	char **argv;
	int argc, err;

	if (!i_am_a_lab)
		return -EPERM;
	argv = argv_split(GFP_KERNEL, val, &argc);
	if (!argv)
		return -ENOMEM;
	err = dispatch(argc, argv);
	argv_free(argv);
	return err;
}

static const struct kernel_param_ops trigger_ops = { .set = trigger_set };

module_param_cb(trigger, &trigger_ops, NULL, 0200);
MODULE_PARM_DESC(trigger, "a fault to inject (text, see the head of inject_main.c; no default)");

static int __init inject_init(void)
{
	if (!i_am_a_lab) {
		pr_err("refused: load with i_am_a_lab=1 on a machine that may be broken\n");
		return -EPERM;
	}
	return 0;
}

static void __exit inject_exit(void)
{
	inject_region("del");
}

module_init(inject_init);
module_exit(inject_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("faults for the lab of Backdoors");
