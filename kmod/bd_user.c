// SPDX-License-Identifier: GPL-2.0
/*
 * bd_user.c - sensors of user space. Each open file has a page of its own that
 * it maps and writes to; what this module decides by is kept apart from that
 * page, for its owner can write anything there.
 *
 * A file that closes with sensors in its page leaves them behind, marked
 * orphaned, so that the progress sensor of a dead daemon fires. The page goes
 * when its last sensor is released by a process of the same user.
 */
#include <linux/io.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include "bd.h"
#include "bd_builtin.h"
#include "bd_user.h"

static uint user_pages = 4;
module_param(user_pages, uint, 0644);
MODULE_PARM_DESC(user_pages, "pages of sensors for one user other than root (pages, at most 16, default 4)");

#define DAY_US	(24ULL * 3600 * USEC_PER_SEC)

enum state { PAGE_FREE, PAGE_OWNED, PAGE_ORPHAN };

/* The truth about a page; id 0: no sensor. */
static struct page_info {
	enum state state;
	u32 uid;
	u64 generation;
	u16 id[BD_USER_CAPACITY];
	u16 flags[BD_USER_CAPACITY];
} pages[BD_USER_PAGES];

static void *base;
static struct bd_region *region;
static DEFINE_MUTEX(user_lock);

static_assert(sizeof(struct bd_sbox) + BD_USER_CAPACITY * sizeof(struct bd_sensor) <= 4096);

static struct bd_sbox *header(int page)
{
	return base + page * PAGE_SIZE;
}

static struct bd_sensor *record(int page, int i)
{
	return (struct bd_sensor *)(header(page) + 1) + i;
}

static void write_header(int page)
{
	struct bd_sbox *h = header(page);
	int i, count = 0;

	for (i = 0; i < BD_USER_CAPACITY; i++)
		if (pages[page].id[i])
			count = i + 1;
	h->major = BD_VERSION_MAJOR;
	h->minor = BD_VERSION_MINOR;
	h->capacity = BD_USER_CAPACITY;
	h->record_size = sizeof(struct bd_sensor);
	h->hz = HZ;
	h->ncpus = num_online_cpus();
	memcpy(h->boot_id, bd_boot_id, sizeof(h->boot_id));
	WRITE_ONCE(h->count, count);
	smp_wmb();	/* the records before the generation that announces them */
	WRITE_ONCE(h->generation, ++pages[page].generation);
	smp_store_release(&h->magic, BD_SBOX_MAGIC);	/* magic last */
}

static void page_free(int page)
{
	WRITE_ONCE(header(page)->magic, 0);
	smp_wmb();	/* nobody's before it is empty */
	memset(header(page), 0, PAGE_SIZE);
	pages[page].state = PAGE_FREE;
}

/* Generations go on rising: a page that changed hands is never the same. */
static int page_take(u32 uid)
{
	int i, free = -1;
	uint used = 0;

	for (i = 0; i < BD_USER_PAGES; i++) {
		if (pages[i].state == PAGE_FREE)
			free = free < 0 ? i : free;
		else if (pages[i].uid == uid)
			used++;
	}
	if (free < 0)
		return -ENOSPC;
	if (uid && used >= user_pages)
		return -EDQUOT;
	pages[free].state = PAGE_OWNED;
	pages[free].uid = uid;
	memset(pages[free].id, 0, sizeof(pages[free].id));
	write_header(free);
	return free;
}

static int own_page(struct bd_user *user)
{
	if (user->page < 0)
		user->page = page_take(user->uid);
	return min(user->page, 0);
}

/* A page of this user that holds the sensor: its own, or an orphan. */
static int find(const struct bd_user *user, u16 id, int *slot)
{
	int p, i;

	for (p = 0; p < BD_USER_PAGES; p++) {
		if (pages[p].state == PAGE_FREE || pages[p].uid != user->uid)
			continue;
		for (i = 0; i < BD_USER_CAPACITY; i++)
			if (pages[p].id[i] == id) {
				*slot = i;
				return p;
			}
	}
	return -ENOENT;
}

static int check(const struct bd_user *user, const struct bd_ioc_sensor *req)
{
	if (req->reserved8 || req->offset || !req->id || req->id > U16_MAX)
		return -EINVAL;
	if (req->class < BD_PROGRESS || req->class > BD_PRESSURE)
		return -EINVAL;
	if (req->flags & ~(BD_SENSOR_MIN | BD_SENSOR_HEARTBEAT))
		return -EINVAL;
	if (req->class == BD_PROGRESS && req->limit > DAY_US)
		return -ERANGE;
	if (!bd_word_ok(req->name, sizeof(req->name), false) ||
	    !bd_word_ok(req->unit, sizeof(req->unit), true))
		return -EINVAL;
	/* ids have 16 bits of the user: another one must not look like root */
	return user->uid > U16_MAX ? -EOVERFLOW : 0;
}

static void write_record(int page, int i, const struct bd_ioc_sensor *req, u32 id)
{
	struct bd_sensor *s = record(page, i);

	memset(s, 0, sizeof(*s));
	s->class = req->class;
	s->flags = pages[page].flags[i];
	s->limit = req->limit;
	memcpy(s->name, req->name, sizeof(s->name));
	memcpy(s->unit, req->unit, sizeof(s->unit));
	smp_store_release(&s->id, id);	/* the id makes it a record */
}

static void answer(struct bd_ioc_sensor *req, int page, int i)
{
	req->id = pages[page].uid << 16 | pages[page].id[i];
	req->offset = (u8 *)&record(page, i)->value - (u8 *)header(page);
}

static int place(struct bd_user *user, struct bd_ioc_sensor *req)
{
	int slot, i, page, err;

	if (find(user, req->id, &slot) >= 0)
		return -EEXIST;
	err = own_page(user);
	if (err)
		return err;
	page = user->page;
	for (i = 0; i < BD_USER_CAPACITY && pages[page].id[i]; i++)
		;
	if (i == BD_USER_CAPACITY)
		return -ENOSPC;
	pages[page].id[i] = req->id;
	pages[page].flags[i] = req->flags | BD_SENSOR_USER;
	write_record(page, i, req, user->uid << 16 | req->id);
	write_header(page);
	answer(req, page, i);
	return 0;
}

/**
 * bd_user_new() - a sensor in the caller's page
 * @user: of the open file
 * @req: in: id (16 bits), class, flags, limit, name, unit; out: id, offset
 */
int bd_user_new(struct bd_user *user, struct bd_ioc_sensor *req)
{
	int err = check(user, req);

	if (err)
		return err;
	mutex_lock(&user_lock);
	err = place(user, req);
	mutex_unlock(&user_lock);
	return err;
}

/*
 * The first adoption takes the whole orphaned page; the other sensors in it
 * stay orphaned until they are adopted or released too.
 */
static int adopt(struct bd_user *user, struct bd_ioc_sensor *req)
{
	int i, page = find(user, req->id, &i);

	if (page < 0)
		return page;
	if (!(pages[page].flags[i] & BD_SENSOR_ORPHANED))
		return -EBUSY;
	if (page != user->page && (user->page >= 0 || pages[page].state != PAGE_ORPHAN))
		return -EBUSY;
	user->page = page;
	pages[page].state = PAGE_OWNED;
	pages[page].flags[i] &= ~BD_SENSOR_ORPHANED;
	WRITE_ONCE(record(page, i)->flags, pages[page].flags[i]);
	write_header(page);
	req->class = record(page, i)->class;
	req->flags = pages[page].flags[i];
	req->limit = record(page, i)->limit;
	answer(req, page, i);
	return 0;
}

/**
 * bd_user_adopt() - own an orphan of the same user again, V unchanged
 * @user: of an open file without a page, or with the page of the orphan
 * @req: in: id (16 bits); out: id, class, flags, limit, offset
 */
int bd_user_adopt(struct bd_user *user, struct bd_ioc_sensor *req)
{
	int err;

	if (!req->id || req->id > U16_MAX)
		return -EINVAL;
	mutex_lock(&user_lock);
	err = adopt(user, req);
	mutex_unlock(&user_lock);
	return err;
}

static bool empty(int page)
{
	return !memchr_inv(pages[page].id, 0, sizeof(pages[page].id));
}

/**
 * bd_user_release() - remove a sensor of the caller, or an orphan of its user
 * @user: of the open file
 * @id: as bd_user_new() returned it
 */
int bd_user_release(struct bd_user *user, u32 id)
{
	int i, page, err = 0;

	if (id >> 16 != user->uid || !(u16)id)
		return -ENOENT;
	mutex_lock(&user_lock);
	page = find(user, id, &i);
	if (page < 0 || (page != user->page &&
			 !(pages[page].flags[i] & BD_SENSOR_ORPHANED))) {
		err = page < 0 ? page : -EBUSY;
		goto out;
	}
	pages[page].id[i] = 0;
	WRITE_ONCE(record(page, i)->id, 0);
	if (empty(page) && pages[page].state == PAGE_ORPHAN)
		page_free(page);
	else
		write_header(page);
out:
	mutex_unlock(&user_lock);
	return err;
}

/**
 * bd_user_close() - the file is gone, and with it every mapping
 * @user: of the file
 */
void bd_user_close(struct bd_user *user)
{
	int i, page = user->page;

	if (page < 0)
		return;
	mutex_lock(&user_lock);
	if (empty(page)) {
		page_free(page);
		goto out;
	}
	pages[page].state = PAGE_ORPHAN;
	for (i = 0; i < BD_USER_CAPACITY; i++) {
		if (!pages[page].id[i])
			continue;
		pages[page].flags[i] |= BD_SENSOR_ORPHANED;
		WRITE_ONCE(record(page, i)->flags, pages[page].flags[i]);
		WRITE_ONCE(record(page, i)->id, user->uid << 16 | pages[page].id[i]);
	}
	write_header(page);
out:
	mutex_unlock(&user_lock);
}

/**
 * bd_user_page() - the page that a file may map
 * @user: of the file; gets a page if it has none
 * @pfn: of the page
 */
int bd_user_page(struct bd_user *user, unsigned long *pfn)
{
	int err;

	mutex_lock(&user_lock);
	err = own_page(user);
	if (!err)
		*pfn = virt_to_phys(header(user->page)) >> PAGE_SHIFT;
	mutex_unlock(&user_lock);
	return err;
}

int bd_user_init(void)
{
	int err;

	base = bd_pages_alloc(BD_USER_PAGES * PAGE_SIZE);
	if (!base)
		return -ENOMEM;
	err = bd_region_add("user_sensors", BD_KIND_USER_SENSORS, BD_PERM_READ,
			    base, BD_USER_PAGES * PAGE_SIZE, &region);
	if (err)
		bd_pages_free(base, BD_USER_PAGES * PAGE_SIZE);
	return err;
}

void bd_user_exit(void)
{
	bd_region_del(region);
	bd_pages_free(base, BD_USER_PAGES * PAGE_SIZE);
}
