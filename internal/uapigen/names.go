// SPDX-License-Identifier: Apache-2.0

package uapigen

import "strings"

// words that Go spells in another way than a capital and the rest.
var words = map[string]string{
	"id": "ID", "uid": "UID", "uids": "UIDs", "gpa": "GPA", "pid": "PID", "ipi": "IPI", "nmi": "NMI",
	"cpu": "CPU", "cpus": "CPUs", "ncpus": "NCPUs", "crc32": "CRC32", "mmio": "MMIO", "ioc": "IOC",
	"irqoff": "IRQOff", "nokey": "NoKey", "notallowed": "NotAllowed", "esrch": "ESRCH", "kthread": "KThread",
	"poweroff": "PowerOff", "nproc": "NProc", "fifo": "FIFO", "rdma": "RDMA", "bootid": "BootID",
	"crc": "CRC", "lsr": "LSR", "lsw": "LSW", "ndi": "NDI",
}

// goName turns bd_lock_req or BD_KIND_TABLE into LockReq or KindTable.
func goName(c string) string {
	c = strings.TrimPrefix(strings.ToLower(c), "bd_")
	var b strings.Builder
	for _, w := range strings.Split(c, "_") {
		if s, ok := words[w]; ok {
			b.WriteString(s)
		} else if w != "" {
			b.WriteString(strings.ToUpper(w[:1]) + w[1:])
		}
	}
	return b.String()
}

// label is the text of an enumerator: what its name adds to its siblings'.
func label(e Enum, c Const) string {
	prefix := e.Values[0].Name
	for _, v := range e.Values {
		for !strings.HasPrefix(v.Name, prefix) {
			prefix = prefix[:len(prefix)-1]
		}
	}
	prefix = prefix[:strings.LastIndex(prefix, "_")+1]
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(c.Name, prefix)), "_", " ")
}

// constName keeps ioctl numbers apart from the structs they carry.
func constName(c string) string {
	if rest, ok := strings.CutPrefix(c, "BD_IOC_"); ok {
		return "Ioctl" + goName(rest)
	}
	return goName(c)
}

// family is the first word of a name, behind that of its header: "lock"
// of bd_lock_req, "snap" of bd_cbox_snap in cbox.h, and "uid" of bd_uids, "box"
// of bd_boxes too.
func family(name, stem string) string {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "bd_"), stem+"_")
	first, _, _ := strings.Cut(name, "_")
	if strings.HasSuffix(first, "ss") {
		return first
	}
	if x, ok := strings.CutSuffix(first, "xes"); ok {
		return x + "x"
	}
	return strings.TrimSuffix(first, "s")
}
