// SPDX-License-Identifier: Apache-2.0

package control

import (
	"encoding/json"
	"strconv"
	"time"
)

// Request is one line to bdmon.
type Request struct {
	Cmd    string `json:"cmd"` // targets owners sensors watch ps regions manifest lock unlock fence kill hook audit
	Target string `json:"target,omitempty"`

	LeaseMs int64 `json:"lease_ms,omitempty"` // lock
	DrainMs int64 `json:"drain_ms,omitempty"`

	PID    uint32 `json:"pid,omitempty"` // kill, hook
	Start  uint64 `json:"start_ns,omitempty"`
	Signal uint32 `json:"signal,omitempty"`

	Knob  string `json:"knob,omitempty"` // hook
	Arg   uint32 `json:"arg,omitempty"`
	Value int64  `json:"value,omitempty"`

	Lines int `json:"lines,omitempty"` // audit: the last ones

	To string `json:"to,omitempty"` // scd: the server that sessions go to
	By string `json:"by,omitempty"` // scd: takeover, gateway, client; of salvage: ByPort

	DryRun bool   `json:"dry_run,omitempty"` // salvage: say what would be done
	Heir   uint32 `json:"heir,omitempty"`    // salvage: whose the sessions are (backdoor.Heir); 0: those of this host's name
}

// Response is one line from bdmon; a watch sends many.
type Response struct {
	Error string          `json:"error,omitempty"`
	False bool            `json:"false,omitempty"` // the error is an answer: the condition is false
	Data  json.RawMessage `json:"data,omitempty"`
}

// Target is a line of `bdctl targets`.
type Target struct {
	Name       string  `json:"name"`
	URL        string  `json:"url"`
	Up         bool    `json:"up"`
	Verdict    string  `json:"verdict"` // ok, suspected, failed
	Error      string  `json:"error,omitempty"`
	Boot       string  `json:"boot,omitempty"`
	Carrier    string  `json:"carrier,omitempty"`
	Writable   bool    `json:"writable"`
	PeriodUs   int64   `json:"period_us"`
	R          int     `json:"samples_per_deadline"`
	FetchUs    int64   `json:"fetch_us"`
	Samples    uint64  `json:"samples"`
	Lost       uint64  `json:"lost"`
	Late       uint64  `json:"late"`
	WorstLate  int64   `json:"worst_late_us"`
	AgeSeconds float64 `json:"answer_age_seconds"`
	Locked     bool    `json:"locked"` // by bdctl through this bdmon
	Events     uint64  `json:"events"`
	Dropped    uint64  `json:"events_dropped"`
}

// Ownership is a line of `bdctl owners`: which monitor may write to a target.
type Ownership struct {
	Target    string      `json:"target"`
	Owner     string      `json:"owner"` // "": nobody, as far as it is known here
	Epoch     uint64      `json:"epoch"`
	Phase     string      `json:"phase"`                        // of the monitor that answers: idle, claiming, owning, yielding
	Path      string      `json:"path"`                         // from there: good, silent, failed, unknown
	Seconds   float64     `json:"phase_seconds"`                // since the phase began
	LeaseLeft *float64    `json:"lease_left_seconds,omitempty"` // of an owner whose place or fleet has leases
	Why       string      `json:"why,omitempty"`                // the phase began, or the last claim was refused
	Monitors  []Candidate `json:"monitors"`                     // the most wanted owner first
	Conflicts []string    `json:"conflicts,omitempty"`
}

// Candidate is a monitor that may own a target.
type Candidate struct {
	Monitor string `json:"monitor"`
	Alive   bool   `json:"alive"`
	Path    string `json:"path"`
	Why     string `json:"why,omitempty"` // it is not alive
}

// Sensor is a line of `bdctl sensors`.
type Sensor struct {
	Name     string   `json:"name"`
	Class    string   `json:"class"`
	Flags    []string `json:"flags"`
	Value    uint64   `json:"value"`
	Limit    uint64   `json:"limit"`        // as applied
	Contract uint64   `json:"target_limit"` // the target's own L
	Unit     string   `json:"unit"`
	Watched  bool     `json:"watched"`
	Firing   bool     `json:"firing"`
	StallUs  int64    `json:"stall_us"`
	Since    uint64   `json:"events_since"` // pressure: since the last one handled
}

// Event is a line of `bdctl watch`.
type Event struct {
	Time     time.Time `json:"time"`
	Target   string    `json:"target"`
	Kind     string    `json:"kind"`
	Sensor   string    `json:"sensor,omitempty"`
	Value    uint64    `json:"value"`
	Limit    uint64    `json:"limit"`
	Contract uint64    `json:"target_limit"`
	StallUs  int64     `json:"stall_us,omitempty"`
	Partial  bool      `json:"partial,omitempty"`
	Text     string    `json:"text"`
}

// Process is a line of `bdctl ps`.
type Process struct {
	PID       int32  `json:"pid"`
	PPID      int32  `json:"ppid"`
	UID       uint32 `json:"uid"`
	EUID      uint32 `json:"euid"`
	Comm      string `json:"comm"`  // escaped
	State     string `json:"state"` // the letter that ps(1) shows
	Flags     uint32 `json:"flags"` // PF_*, include/linux/sched.h
	Threads   int    `json:"threads"`
	StartNs   uint64 `json:"start_ns"`
	CPUNs     uint64 `json:"cpu_ns"`
	RSS       uint64 `json:"rss_pages"`
	RSSError  uint64 `json:"rss_error_pages"`
	Swap      uint64 `json:"swap_pages"`
	PgTables  uint64 `json:"page_table_bytes"`
	Footprint uint64 `json:"footprint_pages"`
	Kernel    bool   `json:"kernel"`
}

// Region is a line of `bdctl regions`.
type Region struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
	Perm string `json:"perm"`
	Addr uint64 `json:"addr"`
	Len  uint64 `json:"len"`
	GPA  uint64 `json:"gpa"`
	Key  uint32 `json:"key"`
	MMIO bool   `json:"mmio"`
}

// Entry is a line of `bdctl manifest`.
type Entry struct {
	Name  string `json:"name"`
	Type  string `json:"type"` // string, value, offset
	Value string `json:"value"`
}

// Lock is the answer to lock.
type Lock struct {
	Drained bool     `json:"drained"` // false: a raw view
	CPUs    []string `json:"cpus"`    // where each was caught
	LeaseMs int64    `json:"lease_ms"`
}

// Salvaged is a line of `scd salvage`: a step, a session, or the end.
type Salvaged struct {
	Step    string   `json:"step,omitempty"`
	Session string   `json:"session,omitempty"`
	Service string   `json:"service,omitempty"`
	Local   string   `json:"local,omitempty"`
	Client  string   `json:"client,omitempty"`
	Error   string   `json:"error,omitempty"` // why it is lost
	Held    bool     `json:"held,omitempty"`  // its socket was stopped half-updated
	Asked   bool     `json:"asked,omitempty"` // its client has said what it has
	Notes   []string `json:"notes,omitempty"`
	Here    bool     `json:"here,omitempty"`     // it has lived here since before
	Would   bool     `json:"would,omitempty"`    // it would live here: a dry run
	AfterUs int64    `json:"after_us,omitempty"` // since the salvage began
	End     bool     `json:"end,omitempty"`      // of the answers
}

// ByPort is how a request to salvage says that the machine is cut off at its port
// and its CPUs have not said that they stand.
const ByPort = "port"

// Done is the answer to fence, kill and hook.
type Done struct {
	Result string `json:"result"`
	Before int64  `json:"before,omitempty"` // hook: the value it had
}

// Text escapes bytes of a target for a terminal: what is printed moves no
// cursor and sets no title.
func Text(s string) string {
	q := strconv.QuoteToASCII(s)
	return q[1 : len(q)-1]
}
