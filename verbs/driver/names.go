// SPDX-License-Identifier: Apache-2.0

package driver

import "fmt"

func name(names []string, i int, kind string) string {
	if i < len(names) && names[i] != "" {
		return names[i]
	}
	return fmt.Sprintf("%s(%d)", kind, i)
}

var opcodeNames = []string{
	"RDMA_WRITE", "RDMA_WRITE_WITH_IMM", "SEND", "SEND_WITH_IMM", "RDMA_READ", "ATOMIC_CMP_AND_SWP",
	"ATOMIC_FETCH_AND_ADD", "LOCAL_INV", "BIND_MW", "SEND_WITH_INV",
}

// String returns libibverbs' name without IBV_WR_.
func (o Opcode) String() string { return name(opcodeNames, int(o), "Opcode") }

var wcOpcodeNames = []string{"SEND", "RDMA_WRITE", "RDMA_READ", "COMP_SWAP", "FETCH_ADD", "BIND_MW", "LOCAL_INV"}

// String returns libibverbs' name without IBV_WC_.
func (o WCOpcode) String() string {
	switch o {
	case WCRecv:
		return "RECV"
	case WCRecvRDMAWithImm:
		return "RECV_RDMA_WITH_IMM"
	}
	return name(wcOpcodeNames, int(o), "WCOpcode")
}

var qpStateNames = []string{"RESET", "INIT", "RTR", "RTS", "SQD", "SQE", "ERR"}

// String returns libibverbs' name without IBV_QPS_.
func (s QPState) String() string { return name(qpStateNames, int(s), "QPState") }

var portStateNames = []string{"NOP", "DOWN", "INIT", "ARMED", "ACTIVE"}

// String returns libibverbs' name without IBV_PORT_.
func (s PortState) String() string { return name(portStateNames, int(s), "PortState") }

var gidTypeNames = []string{"IB", "RoCE v1", "RoCE v2"}

// String returns the name that sysfs has.
func (t GIDType) String() string { return name(gidTypeNames, int(t), "GIDType") }

var eventNames = []string{
	"CQ_ERR", "QP_FATAL", "QP_REQ_ERR", "QP_ACCESS_ERR", "COMM_EST", "SQ_DRAINED", "PATH_MIG", "PATH_MIG_ERR", "DEVICE_FATAL",
	"PORT_ACTIVE", "PORT_ERR", "LID_CHANGE", "PKEY_CHANGE", "SM_CHANGE", "SRQ_ERR", "SRQ_LIMIT_REACHED", "QP_LAST_WQE_REACHED",
	"CLIENT_REREGISTER", "GID_CHANGE",
}

// String returns libibverbs' name without IBV_EVENT_.
func (t EventType) String() string { return name(eventNames, int(t), "EventType") }

// String returns the MTU in bytes.
func (m MTU) String() string { return fmt.Sprint(m.Bytes()) }
