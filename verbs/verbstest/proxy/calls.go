// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"

	"lazystate/verbs/driver"
)

// The calls whose arguments travel as they are: each is that of driver.Device.

func (d *Device) Port(num int) (a driver.PortAttr, err error) {
	err = d.do(context.Background(), "Port", []any{num}, &a)
	return a, err
}

func (d *Device) GIDs(port int) (gids []driver.GIDEntry, err error) {
	err = d.do(context.Background(), "GIDs", []any{port}, &gids)
	return gids, err
}

func (d *Device) AllocPD() (pd driver.PD, err error) {
	err = d.do(context.Background(), "AllocPD", nil, &pd)
	return pd, err
}

func (d *Device) DeallocPD(pd driver.PD) error {
	return d.do(context.Background(), "DeallocPD", []any{pd})
}

func (d *Device) DeregMR(mr driver.MR) error {
	return d.do(context.Background(), "DeregMR", []any{mr})
}

func (d *Device) AllocMW(pd driver.PD) (mw driver.MW, rkey uint32, err error) {
	err = d.do(context.Background(), "AllocMW", []any{pd}, &mw, &rkey)
	return mw, rkey, err
}

func (d *Device) DeallocMW(mw driver.MW) error {
	return d.do(context.Background(), "DeallocMW", []any{mw})
}

func (d *Device) NextCQ(ch driver.Channel) (cq driver.CQ, err error) {
	err = d.do(context.Background(), "NextCQ", []any{ch}, &cq)
	return cq, err
}

func (d *Device) CreateCQ(depth int, ch driver.Channel) (cq driver.CQ, err error) {
	err = d.do(context.Background(), "CreateCQ", []any{depth, ch}, &cq)
	return cq, err
}

func (d *Device) DestroyCQ(cq driver.CQ) error {
	return d.do(context.Background(), "DestroyCQ", []any{cq})
}

func (d *Device) ArmCQ(cq driver.CQ, solicitedOnly bool) error {
	return d.do(context.Background(), "ArmCQ", []any{cq, solicitedOnly})
}

func (d *Device) CreateSRQ(pd driver.PD, maxWR int, maxSGE int) (srq driver.SRQ, err error) {
	err = d.do(context.Background(), "CreateSRQ", []any{pd, maxWR, maxSGE}, &srq)
	return srq, err
}

func (d *Device) ArmSRQ(srq driver.SRQ, limit int) error {
	return d.do(context.Background(), "ArmSRQ", []any{srq, limit})
}

func (d *Device) DestroySRQ(srq driver.SRQ) error {
	return d.do(context.Background(), "DestroySRQ", []any{srq})
}

func (d *Device) PostSRQRecv(srq driver.SRQ, wrs []driver.RecvWR) (n int, err error) {
	err = d.do(context.Background(), "PostSRQRecv", []any{srq, wrs}, &n)
	return n, err
}

func (d *Device) CreateQP(pd driver.PD, attr *driver.QPInitAttr) (info driver.QPInfo, err error) {
	err = d.do(context.Background(), "CreateQP", []any{pd, attr}, &info)
	return info, err
}

func (d *Device) ModifyQP(qp driver.QP, attr *driver.QPAttr, mask driver.QPMask) error {
	return d.do(context.Background(), "ModifyQP", []any{qp, attr, mask})
}

func (d *Device) QueryQP(qp driver.QP) (attr driver.QPAttr, err error) {
	err = d.do(context.Background(), "QueryQP", []any{qp}, &attr)
	return attr, err
}

func (d *Device) DestroyQP(qp driver.QP) error {
	return d.do(context.Background(), "DestroyQP", []any{qp})
}

func (d *Device) PostSend(qp driver.QP, wrs []driver.SendWR) (n int, err error) {
	err = d.do(context.Background(), "PostSend", []any{qp, wrs}, &n)
	return n, err
}

func (d *Device) PostRecv(qp driver.QP, wrs []driver.RecvWR) (n int, err error) {
	err = d.do(context.Background(), "PostRecv", []any{qp, wrs}, &n)
	return n, err
}

func (d *Device) CreateAH(pd driver.PD, attr *driver.AHAttr) (ah driver.AH, err error) {
	err = d.do(context.Background(), "CreateAH", []any{pd, attr}, &ah)
	return ah, err
}

func (d *Device) DestroyAH(ah driver.AH) error {
	return d.do(context.Background(), "DestroyAH", []any{ah})
}

func (d *Device) NextEvent(ctx context.Context) (e driver.AsyncEvent, err error) {
	err = d.do(ctx, "NextEvent", nil, &e)
	return e, err
}
