// SPDX-License-Identifier: GPL-2.0
/*
 * bd_policy.c - what each monitor may do (section 3.8): which regions it reads,
 * which hooks it writes, whether it locks; and which hooks need more than one
 * monitor. All words are read from hard interrupts, so each is changed alone.
 */
#include <linux/capability.h>
#include <linux/export.h>
#include <linux/mutex.h>
#include <linux/uaccess.h>
#include "bd.h"

#define WINDOW_MIN_MS	10
#define WINDOW_MAX_MS	60000

static struct {
	u64 read;
	u64 write;
	u32 flags;
} policies[BD_MONITORS];

static struct bd_agreement agreements[] = {
	{ .kind = BD_KIND_LOCK_REQ }, { .kind = BD_KIND_FENCE },
	{ .kind = BD_KIND_KILL_REQ }, { .kind = BD_KIND_KNOB_REQ },
};

static bool sealed;
static DEFINE_MUTEX(policy_lock);

/** bd_policy_sealed() - may policies and keys no longer be changed */
bool bd_policy_sealed(void)
{
	return READ_ONCE(sealed);
}

static u32 flag_of(u32 kind)
{
	switch (kind) {
	case BD_KIND_LOCK_REQ:
		return BD_POLICY_LOCK;
	case BD_KIND_FENCE:
		return BD_POLICY_FENCE;
	case BD_KIND_OWNER_REQ:
		return BD_POLICY_OWN;
	}
	return 0;
}

/** bd_may_read() - may this monitor read regions of that kind */
bool bd_may_read(u32 monitor, u32 kind)
{
	return READ_ONCE(policies[monitor].read) & BIT_ULL(kind);
}
EXPORT_SYMBOL_GPL(bd_may_read);

/** bd_may_write() - may this monitor write regions of that kind, if they are writable at all */
bool bd_may_write(u32 monitor, u32 kind)
{
	u32 flag = flag_of(kind);

	return READ_ONCE(policies[monitor].write) & BIT_ULL(kind) &&
	       (READ_ONCE(policies[monitor].flags) & flag) == flag;
}
EXPORT_SYMBOL_GPL(bd_may_write);

/**
 * bd_may_act() - may this monitor, alone, use a hook just now
 * @monitor: slot
 * @kind: of the hook's request region
 */
bool bd_may_act(u32 monitor, u32 kind)
{
	return bd_may_write(monitor, kind) && !bd_agreement(kind) &&
	       !bd_owner_other(monitor);
}

/** bd_agreement() - what this hook needs beside one monitor, or NULL */
const struct bd_agreement *bd_agreement(u32 kind)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(agreements); i++)
		if (agreements[i].kind == kind)
			return READ_ONCE(agreements[i].k) > 1 ? &agreements[i] : NULL;
	return NULL;
}

static bool differs(const struct bd_ioc_policy *p)
{
	return policies[p->monitor].read != p->read ||
	       policies[p->monitor].write != p->write ||
	       policies[p->monitor].flags != p->flags;
}

static long set_policy(const struct bd_ioc_policy *p)
{
	bool changed;
	long err = 0;

	if (p->version != BD_VERSION_MAJOR)
		return -EPROTO;
	if (p->reserved || p->flags & ~BD_POLICY_ALL || p->monitor >= BD_MONITORS)
		return -EINVAL;
	mutex_lock(&policy_lock);
	changed = differs(p);
	if (changed && sealed) {
		err = -EPERM;
	} else {
		WRITE_ONCE(policies[p->monitor].read, p->read);
		WRITE_ONCE(policies[p->monitor].write, p->write);
		WRITE_ONCE(policies[p->monitor].flags, p->flags);
	}
	mutex_unlock(&policy_lock);
	if (changed && !err)
		bd_backend_monitor(p->monitor);
	return err;
}

static long check_agreement(const struct bd_ioc_agreement *a)
{
	if (a->version != BD_VERSION_MAJOR)
		return -EPROTO;
	if (a->reserved || a->voters & ~(BIT(BD_MONITORS) - 1))
		return -EINVAL;
	if (a->k < 2)
		return 0;
	/* all or a majority: else two groups could agree on different things */
	if (a->k > hweight32(a->voters) || 2 * a->k <= hweight32(a->voters) ||
	    a->window_ms < WINDOW_MIN_MS || a->window_ms > WINDOW_MAX_MS)
		return -EINVAL;
	return 0;
}

static long set_agreement(const struct bd_ioc_agreement *a)
{
	long err = check_agreement(a);
	int i;

	if (err)
		return err;
	for (i = 0; i < ARRAY_SIZE(agreements) && agreements[i].kind != a->kind; i++)
		;
	if (i == ARRAY_SIZE(agreements))
		return -EOPNOTSUPP;	/* a read asks nobody here */
	mutex_lock(&policy_lock);
	if (sealed) {
		if (agreements[i].k != a->k || agreements[i].voters != a->voters ||
		    agreements[i].window_ms != a->window_ms)
			err = -EPERM;
	} else {
		/* in between the hook needs more votes than there are, never fewer */
		WRITE_ONCE(agreements[i].k, BD_MONITORS + 1);
		smp_wmb();	/* before the words that k goes with */
		agreements[i].voters = a->voters;
		agreements[i].window_ms = a->window_ms;
		smp_wmb();	/* before the k that they go with */
		WRITE_ONCE(agreements[i].k, a->k);
	}
	mutex_unlock(&policy_lock);
	return err;
}

static long seal(const struct bd_ioc_seal *s)
{
	if (s->version != BD_VERSION_MAJOR)
		return -EPROTO;
	if (s->reserved)
		return -EINVAL;
	mutex_lock(&policy_lock);
	WRITE_ONCE(sealed, true);
	mutex_unlock(&policy_lock);
	return 0;
}

/**
 * bd_policy_ioctl() - the ioctls of bd_rdma.h
 * @cmd: BD_IOC_SET_POLICY, BD_IOC_SET_AGREEMENT or BD_IOC_SEAL
 * @arg: its struct
 */
long bd_policy_ioctl(unsigned int cmd, void __user *arg)
{
	union {
		struct bd_ioc_policy policy;
		struct bd_ioc_agreement agreement;
		struct bd_ioc_seal seal;
	} u;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (_IOC_SIZE(cmd) > sizeof(u) || copy_from_user(&u, arg, _IOC_SIZE(cmd)))
		return -EFAULT;
	switch (cmd) {
	case BD_IOC_SET_POLICY:
		return set_policy(&u.policy);
	case BD_IOC_SET_AGREEMENT:
		return set_agreement(&u.agreement);
	case BD_IOC_SEAL:
		return seal(&u.seal);
	}
	return -ENOTTY;
}

int bd_policy_init(void)
{
	int m;

	for (m = 0; m < BD_MONITORS; m++) {
		policies[m].read = ~0ULL;
		policies[m].write = ~0ULL;
		policies[m].flags = BD_POLICY_ALL;
	}
	return 0;
}

void bd_policy_exit(void)
{
}
