// SPDX-License-Identifier: Apache-2.0

//go:build cgo && linux

package ibv

/*
#include "shim.h"
*/
import "C"

import (
	"unsafe"

	"lazystate/verbs/driver"
)

// Package driver has libibverbs' own numbers, which are passed on as they are.
// A line that does not compile names one that differs.
const (
	_ = -uint(driver.RC ^ C.IBV_QPT_RC)
	_ = -uint(driver.UD ^ C.IBV_QPT_UD)
	_ = -uint(driver.QPReset ^ C.IBV_QPS_RESET)
	_ = -uint(driver.QPRTS ^ C.IBV_QPS_RTS)
	_ = -uint(driver.QPError ^ C.IBV_QPS_ERR)
	_ = -uint(driver.MTU4096 ^ C.IBV_MTU_4096)
	_ = -uint(driver.PortActive ^ C.IBV_PORT_ACTIVE)
	_ = -uint(driver.GIDRoCEv2 ^ C.IBV_GID_TYPE_ROCE_V2)
	_ = -uint(driver.AtomicGlob ^ C.IBV_ATOMIC_GLOB)

	_ = -uint(driver.AccessLocalWrite ^ C.IBV_ACCESS_LOCAL_WRITE)
	_ = -uint(driver.AccessRemoteWrite ^ C.IBV_ACCESS_REMOTE_WRITE)
	_ = -uint(driver.AccessRemoteRead ^ C.IBV_ACCESS_REMOTE_READ)
	_ = -uint(driver.AccessRemoteAtomic ^ C.IBV_ACCESS_REMOTE_ATOMIC)
	_ = -uint(driver.AccessMWBind ^ C.IBV_ACCESS_MW_BIND)

	_ = -uint(driver.OpRDMAWrite ^ C.IBV_WR_RDMA_WRITE)
	_ = -uint(driver.OpRDMARead ^ C.IBV_WR_RDMA_READ)
	_ = -uint(driver.OpAtomicFetchAndAdd ^ C.IBV_WR_ATOMIC_FETCH_AND_ADD)
	_ = -uint(driver.OpLocalInv ^ C.IBV_WR_LOCAL_INV)
	_ = -uint(driver.OpBindMW ^ C.IBV_WR_BIND_MW)
	_ = -uint(driver.OpSendWithInv ^ C.IBV_WR_SEND_WITH_INV)
	_ = -uint(driver.SendFence ^ C.IBV_SEND_FENCE)
	_ = -uint(driver.SendSignaled ^ C.IBV_SEND_SIGNALED)
	_ = -uint(driver.SendSolicited ^ C.IBV_SEND_SOLICITED)
	_ = -uint(driver.SendInline ^ C.IBV_SEND_INLINE)

	_ = -uint(driver.WCFetchAdd ^ C.IBV_WC_FETCH_ADD)
	_ = -uint(driver.WCLocalInv ^ C.IBV_WC_LOCAL_INV)
	_ = -uint(driver.WCRecvRDMAWithImm ^ C.IBV_WC_RECV_RDMA_WITH_IMM)
	_ = -uint(driver.WCGRH ^ C.IBV_WC_GRH)
	_ = -uint(driver.WCWithImm ^ C.IBV_WC_WITH_IMM)
	_ = -uint(driver.WCWithInv ^ C.IBV_WC_WITH_INV)
	_ = -uint(driver.WCGeneralErr ^ C.IBV_WC_GENERAL_ERR)

	_ = -uint(driver.QPMaskAccess ^ C.IBV_QP_ACCESS_FLAGS)
	_ = -uint(driver.QPMaskAV ^ C.IBV_QP_AV)
	_ = -uint(driver.QPMaskMaxRdAtomic ^ C.IBV_QP_MAX_QP_RD_ATOMIC)
	_ = -uint(driver.QPMaskMinRNRTimer ^ C.IBV_QP_MIN_RNR_TIMER)
	_ = -uint(driver.QPMaskDestQPN ^ C.IBV_QP_DEST_QPN)

	_ = -uint(driver.EventSRQLimit ^ C.IBV_EVENT_SRQ_LIMIT_REACHED)
	_ = -uint(driver.EventGIDChange ^ C.IBV_EVENT_GID_CHANGE)
)

// driver.WC and struct lz_wc, driver.SGE and struct ibv_sge are one layout: C
// writes into Go's slice, Go into C's.
const (
	_ = -uint(unsafe.Sizeof(driver.WC{}) ^ C.sizeof_struct_lz_wc)
	_ = -uint(unsafe.Offsetof(driver.WC{}.Status) ^ unsafe.Offsetof(C.struct_lz_wc{}.status))
	_ = -uint(unsafe.Offsetof(driver.WC{}.Op) ^ unsafe.Offsetof(C.struct_lz_wc{}.opcode))
	_ = -uint(unsafe.Offsetof(driver.WC{}.Flags) ^ unsafe.Offsetof(C.struct_lz_wc{}.flags))
	_ = -uint(unsafe.Offsetof(driver.WC{}.ByteLen) ^ unsafe.Offsetof(C.struct_lz_wc{}.byte_len))
	_ = -uint(unsafe.Offsetof(driver.WC{}.Imm) ^ unsafe.Offsetof(C.struct_lz_wc{}.imm))
	_ = -uint(unsafe.Offsetof(driver.WC{}.QPNum) ^ unsafe.Offsetof(C.struct_lz_wc{}.qp_num))
	_ = -uint(unsafe.Offsetof(driver.WC{}.SrcQP) ^ unsafe.Offsetof(C.struct_lz_wc{}.src_qp))
	_ = -uint(unsafe.Offsetof(driver.WC{}.VendorErr) ^ unsafe.Offsetof(C.struct_lz_wc{}.vendor_err))

	_ = -uint(unsafe.Sizeof(driver.SGE{}) ^ C.sizeof_struct_ibv_sge)
	_ = -uint(unsafe.Offsetof(driver.SGE{}.Length) ^ unsafe.Offsetof(C.struct_ibv_sge{}.length))
	_ = -uint(unsafe.Offsetof(driver.SGE{}.LKey) ^ unsafe.Offsetof(C.struct_ibv_sge{}.lkey))
)
