//go:build cgo && linux

// SPDX-License-Identifier: Apache-2.0

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shim.h"

// rxe's provider returns some errors negative.
static int positive(int err)
{
	return err < 0 ? -err : err;
}

static void fill_send(struct ibv_send_wr *w, const struct lz_send_wr *f, struct ibv_sge *sge)
{
	memset(w, 0, sizeof(*w));
	w->wr_id = f->wr_id;
	w->opcode = f->opcode;
	w->send_flags = f->flags;
	w->sg_list = sge;
	w->num_sge = f->num_sge;
	switch (f->opcode) {
	case IBV_WR_ATOMIC_CMP_AND_SWP:
	case IBV_WR_ATOMIC_FETCH_AND_ADD:
		w->wr.atomic.remote_addr = f->remote_addr;
		w->wr.atomic.rkey = f->rkey;
		w->wr.atomic.compare_add = f->compare_add;
		w->wr.atomic.swap = f->swap;
		break;
	case IBV_WR_BIND_MW:
		w->bind_mw.mw = f->mw;
		w->bind_mw.rkey = f->bind_rkey;
		w->bind_mw.bind_info.mr = f->mr;
		w->bind_mw.bind_info.addr = f->bind_addr;
		w->bind_mw.bind_info.length = f->bind_length;
		w->bind_mw.bind_info.mw_access_flags = f->bind_access;
		break;
	case IBV_WR_LOCAL_INV:
		w->invalidate_rkey = f->imm;
		break;
	case IBV_WR_SEND:
	case IBV_WR_SEND_WITH_IMM:
	case IBV_WR_SEND_WITH_INV:
		if (f->opcode == IBV_WR_SEND_WITH_INV)
			w->invalidate_rkey = f->imm;
		else if (f->opcode == IBV_WR_SEND_WITH_IMM)
			w->imm_data = htonl(f->imm);
		if (f->ah) {
			w->wr.ud.ah = f->ah;
			w->wr.ud.remote_qpn = f->remote_qpn;
			w->wr.ud.remote_qkey = f->remote_qkey;
		}
		break;
	default: // READ and WRITE
		w->wr.rdma.remote_addr = f->remote_addr;
		w->wr.rdma.rkey = f->rkey;
		if (f->opcode == IBV_WR_RDMA_WRITE_WITH_IMM)
			w->imm_data = htonl(f->imm);
	}
}

// post_chain posts wr[from..to) and returns how many of them were taken.
static int post_chain(struct ibv_qp *qp, struct ibv_send_wr *wr, int from, int to, int *err)
{
	struct ibv_send_wr *bad = NULL;

	wr[to - 1].next = NULL;
	*err = positive(ibv_post_send(qp, &wr[from], &bad));
	if (!*err)
		return to - from;
	return bad ? bad - &wr[from] : 0;
}

int lz_post_send(struct ibv_qp *qp, struct lz_send_wr *flat, int n, struct ibv_sge *sge, struct ibv_send_wr *wr, int *done)
{
	int i, start = 0, err = 0;

	*done = 0;
	for (i = 0; i < n; i++) {
		fill_send(&wr[i], &flat[i], sge);
		sge += flat[i].num_sge;
		wr[i].next = &wr[i + 1];
		// The provider reads a window's present key from the ibv_mw when it posts,
		// and keeping that up to date is the caller's: a chain ends at each bind.
		if (i + 1 < n && flat[i].opcode != IBV_WR_BIND_MW)
			continue;
		*done += post_chain(qp, wr, start, i + 1, &err);
		if (err)
			return err;
		if (flat[i].opcode == IBV_WR_BIND_MW)
			flat[i].mw->rkey = flat[i].bind_rkey;
		start = i + 1;
	}
	return 0;
}

static void fill_recv(const struct lz_recv_wr *flat, int n, struct ibv_sge *sge, struct ibv_recv_wr *wr)
{
	for (int i = 0; i < n; i++) {
		wr[i].wr_id = flat[i].wr_id;
		wr[i].sg_list = sge;
		wr[i].num_sge = flat[i].num_sge;
		wr[i].next = i + 1 < n ? &wr[i + 1] : NULL;
		sge += flat[i].num_sge;
	}
}

int lz_post_recv(struct ibv_qp *qp, struct lz_recv_wr *flat, int n, struct ibv_sge *sge, struct ibv_recv_wr *wr, int *done)
{
	struct ibv_recv_wr *bad = NULL;

	fill_recv(flat, n, sge, wr);
	int err = positive(ibv_post_recv(qp, wr, &bad));
	*done = !err ? n : bad ? bad - wr : 0;
	return err;
}

int lz_post_srq_recv(struct ibv_srq *srq, struct lz_recv_wr *flat, int n, struct ibv_sge *sge, struct ibv_recv_wr *wr, int *done)
{
	struct ibv_recv_wr *bad = NULL;

	fill_recv(flat, n, sge, wr);
	int err = positive(ibv_post_srq_recv(srq, wr, &bad));
	*done = !err ? n : bad ? bad - wr : 0;
	return err;
}

static void fill_wc(struct lz_wc *out, const struct ibv_wc *w, int rxe)
{
	unsigned int flags = w->wc_flags;

	if (rxe && (flags & IBV_WC_IP_CSUM_OK))
		flags |= IBV_WC_WITH_INV;
	memset(out, 0, sizeof(*out));
	out->wr_id = w->wr_id;
	out->status = w->status;
	out->qp_num = w->qp_num;
	if (w->status != IBV_WC_SUCCESS) { // the rest is undefined then
		out->vendor_err = w->vendor_err;
		return;
	}
	out->opcode = w->opcode;
	out->flags = flags & (IBV_WC_GRH | IBV_WC_WITH_IMM | IBV_WC_WITH_INV);
	out->byte_len = w->byte_len;
	out->src_qp = w->src_qp;
	if (flags & IBV_WC_WITH_IMM)
		out->imm = ntohl(w->imm_data);
	else if (flags & IBV_WC_WITH_INV)
		out->imm = w->invalidated_rkey;
}

int lz_poll_cq(struct ibv_cq *cq, struct lz_wc *out, int n, int rxe)
{
	enum { CHUNK = 32 };
	struct ibv_wc wc[CHUNK];
	int total = 0;

	while (total < n) {
		int want = n - total < CHUNK ? n - total : CHUNK;
		int got = ibv_poll_cq(cq, want, wc);

		if (got < 0)
			return total ? total : -1;
		for (int i = 0; i < got; i++)
			fill_wc(&out[total++], &wc[i], rxe);
		if (got < want)
			break;
	}
	return total;
}
