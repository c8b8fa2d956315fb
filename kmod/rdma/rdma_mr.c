// SPDX-License-Identifier: GPL-2.0
/*
 * rdma_mr.c - one range of kernel memory as a fast-registered region: exact
 * bounds, an own key, and its kernel virtual address as the address that
 * remote operations name. Never a global key: an address outside of what is
 * mapped would then make a device in software fault inside a softirq.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>
#include <linux/random.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include "bdr.h"

#define LARGE_PAGE	SZ_2M
/* A scatterlist entry counts bytes in 32 bits. */
#define CHUNK		SZ_1G
#define CHUNKS_MAX	64

/**
 * bdr_mr_most() - the longest range that one region of the device may cover
 * @dev: in software it keeps a record of each 4 KiB page, in one allocation
 */
u64 bdr_mr_most(const struct bdr_device *dev)
{
	u64 listed = (u64)dev->ibdev->attrs.max_fast_reg_page_list_len * LARGE_PAGE;
	u64 ram = (u64)totalram_pages() << PAGE_SHIFT;

	if (dev->software)
		return min_t(u64, listed, clamp_t(u64, ALIGN(ram / 8, SZ_64M), SZ_64M, SZ_1G));
	/* one page less: a range need not begin at a page's start */
	return min_t(u64, listed - LARGE_PAGE, (u64)CHUNK * (CHUNKS_MAX - 1));
}

static u64 chunk_end(u64 at, u64 end)
{
	return min_t(u64, end, ALIGN_DOWN(at, CHUNK) + CHUNK);
}

static u32 chunks(u64 at, u64 end)
{
	u32 n;

	for (n = 0; at < end; n++)
		at = chunk_end(at, end);
	return n;
}

static void unmap(struct bdr_mr *m, u64 va)
{
	u64 end = va + m->len, next;
	u32 i;

	for (i = 0; i < m->mapped; i++, va = next) {
		next = chunk_end(va, end);
		ib_dma_unmap_page(m->ibdev, m->dma[i], next - va, DMA_BIDIRECTIONAL);
	}
}

static int map(struct bdr_mr *m, struct scatterlist *sg, u64 va)
{
	u64 end = va + m->len, next;

	for (; va < end; va = next, sg = sg_next(sg)) {
		u64 dma;

		next = chunk_end(va, end);
		sg_set_page(sg, virt_to_page((void *)va), next - va, offset_in_page(va));
		dma = ib_dma_map_page(m->ibdev, virt_to_page((void *)va), offset_in_page(va),
				      next - va, DMA_BIDIRECTIONAL);
		if (ib_dma_mapping_error(m->ibdev, dma))
			return -ENOMEM;
		m->dma[m->mapped++] = dma;
		sg_dma_address(sg) = dma;
		sg_dma_len(sg) = next - va;
	}
	return 0;
}

/*
 * Large pages need the bus address to be as the virtual one within a page;
 * with an IOMMU that is not sure.
 */
static u32 page_size_for(const struct bdr_mr *m, u64 va)
{
	u64 at = va, end = va + m->len;
	u32 i;

	if (m->len <= PAGE_SIZE || !(m->ibdev->attrs.page_size_cap & LARGE_PAGE))
		return PAGE_SIZE;
	for (i = 0; i < m->mapped; i++, at = chunk_end(at, end))
		if ((m->dma[i] ^ at) & (LARGE_PAGE - 1))
			return PAGE_SIZE;
	return LARGE_PAGE;
}

static u32 pages(u64 va, u64 len, u32 size)
{
	return (ALIGN(va + len, size) - ALIGN_DOWN(va, size)) / size;
}

static int access_of(u32 perm)
{
	int access = 0;

	if (perm & BD_PERM_READ)
		access |= IB_ACCESS_REMOTE_READ;
	if (perm & BD_PERM_WRITE)
		access |= IB_ACCESS_LOCAL_WRITE | IB_ACCESS_REMOTE_WRITE;
	return access;
}

static int enlist(struct bdr_mr *m, struct ib_pd *pd, struct scatterlist *sg, u64 va)
{
	u32 size = page_size_for(m, va), n;

	/* small areas: pages of their own, so that little is kept for them */
	if (pages(va, m->len, PAGE_SIZE) <= 64)
		size = PAGE_SIZE;
	n = pages(va, m->len, size);
	if (n > m->ibdev->attrs.max_fast_reg_page_list_len)
		return -E2BIG;
	m->mr = ib_alloc_mr(pd, IB_MR_TYPE_MEM_REG, n);
	if (IS_ERR(m->mr))
		return PTR_ERR(m->mr);
	if (ib_map_mr_sg(m->mr, sg, m->mapped, NULL, size) != m->mapped ||
	    m->mr->length != m->len) {
		ib_dereg_mr(m->mr);
		return -EINVAL;
	}
	m->mr->iova = va;
	return 0;
}

/**
 * bdr_mr_new() - allocate and map what a range needs to be registered; no key yet
 * @pd: of the grant
 * @r: a range of the direct map, all of it present, at most bdr_mr_most() long
 *
 * It waits for memory: not under bdr_lock.
 */
struct bdr_mr *bdr_mr_new(struct ib_pd *pd, const struct bd_region *r)
{
	u32 n = chunks(r->addr, r->addr + r->len);
	struct scatterlist *sg;
	struct bdr_mr *m;
	int err = -ENOMEM;

	m = kzalloc(struct_size(m, dma, n), GFP_KERNEL);
	sg = kmalloc_array(n, sizeof(*sg), GFP_KERNEL);
	if (!m || !sg)
		goto err_free;
	sg_init_table(sg, n);
	m->region = *r;
	m->ibdev = pd->device;
	m->len = r->len;
	err = map(m, sg, r->addr);
	err = err ?: enlist(m, pd, sg, r->addr);
	if (err)
		goto err_unmap;
	kfree(sg);
	return m;

err_unmap:
	unmap(m, r->addr);
err_free:
	kfree(sg);
	kfree(m);
	return ERR_PTR(err);
}

/**
 * bdr_mr_register() - give it a key that counts, another one than it had
 * @loop: of the grant
 * @m: not registered
 * @perm: BD_PERM_*
 */
int bdr_mr_register(struct bdr_loop *loop, struct bdr_mr *m, u32 perm)
{
	u8 was = m->mr->rkey, key;
	int err;

	/* the one part of a key that a device does not choose */
	do
		key = get_random_u32();
	while (key == was);
	ib_update_fast_reg_key(m->mr, key);
	err = bdr_loop_register(loop, m->mr, access_of(perm));
	m->registered = !err;
	return err;
}

/**
 * bdr_mr_invalidate() - its key begins nothing any more when this returns
 * @loop: of the grant; if that is broken the key counts until bdr_mr_free()
 * @m: from bdr_mr_new(), or NULL
 */
void bdr_mr_invalidate(struct bdr_loop *loop, struct bdr_mr *m)
{
	if (m && m->registered && !bdr_loop_invalidate(loop, m->mr))
		m->registered = false;
}

/**
 * bdr_mr_free() - its key is dead when this returns, and nobody is inside
 * @loop: of the grant
 * @m: from bdr_mr_new(), or NULL
 */
void bdr_mr_free(struct bdr_loop *loop, struct bdr_mr *m)
{
	if (!m)
		return;
	/* If that fails, its removal alone does it; here it is only sooner. */
	bdr_mr_invalidate(loop, m);
	ib_dereg_mr(m->mr);	/* waits for operations under way */
	unmap(m, m->region.addr);
	kfree(m);
}
