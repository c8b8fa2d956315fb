// SPDX-License-Identifier: GPL-2.0
/*
 * bd_user.c - sensors of user space. Each open file has a page of its own that
 * it maps and writes to; what this module decides by, and what a monitor must
 * be able to trust, is kept apart from that page, for its owner can write
 * anything there.
 *
 * A file that closes with sensors in its page leaves them behind, marked
 * orphaned, so that the progress sensor of a dead daemon fires. The page goes
 * when its last sensor is released by a process of the same user.
 */
#include <linux/capability.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include "bd.h"
#include "bd_builtin.h"
#include "bd_user.h"

static uint user_pages = 4;
module_param(user_pages, uint, 0644);
MODULE_PARM_DESC(user_pages, "pages of sensors for one user other than root (pages, at most 16, default 4)");

/* Left for root, whoever else fills the rest. */
#define ROOT_PAGES	2
#define DAY_US	(24ULL * 3600 * USEC_PER_SEC)

enum state { PAGE_FREE, PAGE_OWNED, PAGE_ORPHAN };

/* The truth about a page; id 0: no sensor. */
static struct page_info {
	enum state state;
	u32 uid;
	u16 id[BD_USER_CAPACITY];
	u16 flags[BD_USER_CAPACITY];
} pages[BD_USER_PAGES];

static struct bd_user_dir *dir;
static struct bd_region *region;
static DEFINE_MUTEX(user_lock);

static_assert(BD_USER_CAPACITY * sizeof(struct bd_sensor) == PAGE_SIZE);
static_assert(sizeof(struct bd_user_dir) <= PAGE_SIZE);

static struct bd_sensor *record(int page, int i)
{
	return (void *)dir + (1 + page) * PAGE_SIZE + i * sizeof(struct bd_sensor);
}

/* Generations go on rising: a page that changed hands is never the same. */
static void announce(int page)
{
	struct bd_user_page *out = &dir->page[page];
	u64 used = 0, orphaned = 0, heartbeat = 0;
	int i;

	for (i = 0; i < BD_USER_CAPACITY; i++) {
		if (!pages[page].id[i])
			continue;
		used |= BIT_ULL(i);
		if (pages[page].flags[i] & BD_SENSOR_ORPHANED)
			orphaned |= BIT_ULL(i);
		if (pages[page].flags[i] & BD_SENSOR_HEARTBEAT)
			heartbeat |= BIT_ULL(i);
	}
	smp_wmb();	/* the records before the word that announces them */
	WRITE_ONCE(out->uid, pages[page].uid);
	WRITE_ONCE(out->orphaned, orphaned);
	WRITE_ONCE(out->heartbeat, heartbeat);
	WRITE_ONCE(out->used, used);
	WRITE_ONCE(out->generation, out->generation + 1);
}

static void page_free(int page)
{
	memset(pages[page].id, 0, sizeof(pages[page].id));
	announce(page);
	memset(record(page, 0), 0, PAGE_SIZE);
	pages[page].state = PAGE_FREE;
}

static int page_take(u32 uid)
{
	int i, free = -1, left = 0;
	uint used = 0;

	for (i = 0; i < BD_USER_PAGES; i++) {
		if (pages[i].state == PAGE_FREE) {
			free = free < 0 ? i : free;
			left++;
		} else if (pages[i].uid == uid) {
			used++;
		}
	}
	if (free < 0 || (uid && left <= ROOT_PAGES))
		return -ENOSPC;
	if (uid && used >= user_pages)
		return -EDQUOT;
	pages[free].state = PAGE_OWNED;
	pages[free].uid = uid;
	return free;
}

static int own_page(struct bd_user *user)
{
	if (user->page < 0)
		user->page = page_take(user->uid);
	return min(user->page, 0);
}

/* A page of a user that holds the sensor. */
static int find(u32 uid, u16 id, int *slot)
{
	int p, i;

	for (p = 0; p < BD_USER_PAGES; p++) {
		if (pages[p].state == PAGE_FREE || pages[p].uid != uid)
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
	req->offset = offset_in_page(&record(page, i)->value);
}

static int place(struct bd_user *user, struct bd_ioc_sensor *req)
{
	int slot, i, page, err;

	if (find(user->uid, req->id, &slot) >= 0)
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
	announce(page);
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
	int i, page = find(user->uid, req->id, &i);

	if (page < 0)
		return page;
	if (!(pages[page].flags[i] & BD_SENSOR_ORPHANED))
		return -EBUSY;
	if (pages[page].flags[i] & BD_SENSOR_HEARTBEAT && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (page != user->page && (user->page >= 0 || pages[page].state != PAGE_ORPHAN))
		return -EBUSY;
	user->page = page;
	pages[page].state = PAGE_OWNED;
	pages[page].flags[i] &= ~BD_SENSOR_ORPHANED;
	announce(page);
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
 * bd_user_release() - remove a sensor of the caller, or an orphan
 * @user: of the open file
 * @id: as bd_user_new() returned it
 * @any: the caller may remove orphans of other users too
 */
int bd_user_release(struct bd_user *user, u32 id, bool any)
{
	int i, page, err = 0;

	if ((id >> 16 != user->uid && !any) || !(u16)id)
		return -ENOENT;
	mutex_lock(&user_lock);
	page = find(id >> 16, id, &i);
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
		announce(page);
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
	}
	announce(page);
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
		*pfn = virt_to_phys(record(user->page, 0)) >> PAGE_SHIFT;
	mutex_unlock(&user_lock);
	return err;
}

int bd_user_init(void)
{
	const size_t len = BD_USER_REGION_PAGES * PAGE_SIZE;
	int err;

	dir = bd_pages_alloc(len);
	if (!dir)
		return -ENOMEM;
	dir->magic = BD_USERS_MAGIC;
	err = bd_region_add("user_sensors", BD_KIND_USER_SENSORS, BD_PERM_READ,
			    dir, len, &region);
	if (err)
		bd_pages_free(dir, len);
	return err;
}

void bd_user_exit(void)
{
	bd_region_del(region);
	bd_pages_free(dir, BD_USER_REGION_PAGES * PAGE_SIZE);
}
