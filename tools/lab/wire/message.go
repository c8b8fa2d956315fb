// SPDX-License-Identifier: Apache-2.0

package wire

// Op names what guestinit can do. All but OpRun and OpStart are built in and
// need no fork, so they work with a full process table.
type Op string

const (
	OpPing    Op = "ping"
	OpRun     Op = "run"     // fork, exec, stream stdin/stdout/stderr, wait
	OpStart   Op = "start"   // fork, exec in the background; Reply.PID
	OpWait    Op = "wait"    // of a process started by OpStart
	OpKill    Op = "kill"    // PID, Signal
	OpPut     Op = "put"     // Path, Mode, then KindStdin frames
	OpGet     Op = "get"     // Path; the file comes as KindStdout frames
	OpList    Op = "ls"      // Path; Reply.Text, one name a line
	OpMount   Op = "mount"   // Argv: source, target, type, options
	OpInsmod  Op = "insmod"  // Path, Argv: parameters
	OpRmmod   Op = "rmmod"   // Argv: names, removed in this order
	OpPS      Op = "ps"      // Reply.Text: pid ppid uid state comm
	OpSwapon  Op = "swapon"  // Path
	OpStatus  Op = "status"  // Reply.Status
	OpReboot  Op = "reboot"  // Argv[0]: "restart" or "poweroff"
	OpOwnDown Op = "vm-down" // not for the guest: the VM's owner is to tear it down
)

// Request asks for one operation.
type Request struct {
	Op     Op       `json:"op"`
	Argv   []string `json:"argv,omitempty"`
	Path   string   `json:"path,omitempty"`
	Mode   uint32   `json:"mode,omitempty"`
	PID    int      `json:"pid,omitempty"`
	Signal int      `json:"signal,omitempty"`
	Proc   *Proc    `json:"proc,omitempty"`
}

// Proc is a process to run in the guest.
type Proc struct {
	Argv   []string          `json:"argv"`
	Env    []string          `json:"env,omitempty"` // added to PATH and HOME
	Dir    string            `json:"dir,omitempty"`
	UID    int               `json:"uid,omitempty"` // also the gid
	Limits map[string]uint64 `json:"limits,omitempty"`
	Nice   int               `json:"nice,omitempty"`
	FIFO   int               `json:"fifo,omitempty"`   // SCHED_FIFO priority; 0: an ordinary process
	OOMAdj int               `json:"oomadj,omitempty"` // oom_score_adj
	CPUs   []int             `json:"cpus,omitempty"`   // pinned to these
	Log    string            `json:"log,omitempty"`    // OpStart: file for stdout and stderr; empty: /dev/null
	TTY    bool              `json:"tty,omitempty"`    // OpRun: on a pseudo terminal of its own
	Rows   int               `json:"rows,omitempty"`
	Cols   int               `json:"cols,omitempty"`
}

// Reply ends an operation.
type Reply struct {
	Error  string  `json:"error,omitempty"`
	Errno  int     `json:"errno,omitempty"`
	Text   string  `json:"text,omitempty"`
	PID    int     `json:"pid,omitempty"`
	Exit   int     `json:"exit,omitempty"` // 128+n: killed by signal n
	Status *Status `json:"status,omitempty"`
}

// Status is the guest's own view of itself.
type Status struct {
	UptimeNs int64  `json:"uptime_ns"`
	UnixNs   int64  `json:"unix_ns"`
	Release  string `json:"release"`
	Load     string `json:"load"`
	Procs    int    `json:"procs"` // entities the kernel schedules
	FreeKiB  int64  `json:"free_kib"`
	SwapKiB  int64  `json:"swap_kib"` // free swap
}

// Hello is the first frame of a boot. Err tells what of the set-up went wrong.
type Hello struct {
	BootID  string `json:"boot_id"`
	Release string `json:"release"`
	Err     string `json:"err,omitempty"`
}

// Setup is /etc/lab.json in the image: what guestinit does before it says Hello.
type Setup struct {
	Hostname string              `json:"hostname"`
	Modules  []string            `json:"modules"` // paths, in order of insertion
	Params   map[string][]string `json:"params,omitempty"`
	Nets     []Net               `json:"nets,omitempty"`
	Swap     bool                `json:"swap,omitempty"`
	Sysctl   map[string]string   `json:"sysctl,omitempty"`
	Login    bool                `json:"login,omitempty"` // the console asks who is there
}

// Net is one interface to configure, in PCI order.
type Net struct {
	MAC  string `json:"mac"`
	Name string `json:"name"` // as the guest names it: eth0, eth1
	Addr string `json:"addr,omitempty"`
	RXE  string `json:"rxe,omitempty"` // SoftRoCE device on it, by this name
}

// PortName is the virtio-serial port's name, in /sys/class/virtio-ports.
const PortName = "lazystate.lab"
