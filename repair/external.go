// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"

	"lazystate/repair/policy"
)

// External is a healer whose diagnosis is a program of the operator's. For
// each plan it is started, gets one line of JSON on its standard input
// (externalRequest) and answers with one on its standard output
// (externalAnswer). It names culprits, nothing else: freezing, killing and
// proving stay here, and its answer passes the same spares as a policy's.
type External struct {
	Label   string        // name in logs; the program's if empty
	Argv    []string      // program and arguments; no shell
	Timeout time.Duration // 5 s if 0
	Spare   policy.Spare
	Confirm Confirm
	Reaper  Reaper
}

// externalVersion of the protocol; a program refuses one that it does not know.
const externalVersion = 1

type externalRequest struct {
	Version   int               `json:"version"`
	Target    string            `json:"target"`
	Incident  string            `json:"incident"`
	Attempt   int               `json:"attempt"`
	Events    []externalEvent   `json:"events"`
	NowNs     int64             `json:"now_ns"` // since the target's boot
	Processes []externalProcess `json:"processes"`
}

type externalEvent struct {
	Kind   string `json:"kind"`
	Sensor string `json:"sensor,omitempty"`
	Value  uint64 `json:"value"`
	Limit  uint64 `json:"limit"`
}

type externalProcess struct {
	PID        int32   `json:"pid"`
	PPID       int32   `json:"ppid"`
	UID        uint32  `json:"uid"`
	EUID       uint32  `json:"euid"`
	Comm       string  `json:"comm"`
	State      string  `json:"state"`
	StartNs    int64   `json:"start_ns"`
	CPUNs      int64   `json:"cpu_ns"`
	Threads    int     `json:"threads"`
	RSS        uint64  `json:"rss"`
	Swap       uint64  `json:"swap"`
	PageTables uint64  `json:"page_tables"`
	ForksPerS  float64 `json:"uid_forks_per_s"`
	Kernel     bool    `json:"kernel,omitempty"`
}

// externalAnswer accuses a user (all its processes), or some processes of one
// user, or nobody.
type externalAnswer struct {
	UID  *uint32 `json:"uid,omitempty"`
	PIDs []int32 `json:"pids,omitempty"`
	Why  string  `json:"why"`
}

func (h *External) Name() string {
	if h.Label == "" && len(h.Argv) > 0 {
		return h.Argv[0]
	}
	return h.Label
}

// Plan watches what called for the confirm window, reads the process table and asks the program.
func (h *External) Plan(ctx context.Context, in *Incident) (*Plan, error) {
	plan := &Plan{Policy: "external " + h.Name(), Spare: h.Spare, Watched: thresholds(in.Events)}
	if settled, err := plan.settles(ctx, in, h.Confirm); err != nil || settled {
		return plan, err
	}
	t, err := in.Patient.ProcessTable(ctx)
	if err != nil {
		return plan, err
	}
	if err := plan.saw(ctx, in.Patient, t); err != nil {
		return plan, err
	}
	answer, err := h.ask(ctx, in, t)
	if err != nil {
		return plan, fmt.Errorf("healer %s: %w", h.Name(), err)
	}
	if err := plan.accept(t.Table, answer); err != nil {
		return plan, fmt.Errorf("healer %s: %w", h.Name(), err)
	}
	return plan, nil
}

func (h *External) Apply(ctx context.Context, in *Incident, p *Plan) (*Outcome, error) {
	return h.Reaper.Apply(ctx, in, p)
}

func (h *External) Verify(ctx context.Context, in *Incident, p *Plan, o *Outcome) (*Verdict, error) {
	return h.Reaper.Verify(ctx, in, p, o)
}

// ask runs the program once.
func (h *External) ask(ctx context.Context, in *Incident, t *ProcessTable) (*externalAnswer, error) {
	if len(h.Argv) == 0 {
		return nil, errors.New("no program")
	}
	bound := h.Timeout
	if bound == 0 {
		bound = 5 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	line, err := json.Marshal(request(in, t))
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, h.Argv[0], h.Argv[1:]...)
	cmd.Stdin = bytes.NewReader(append(line, '\n'))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // with what it started
	cmd.WaitDelay = 200 * time.Millisecond                                               // who left the group may hold the pipes
	out, errs := &bounded{most: 1 << 20}, &bounded{most: 4 << 10}
	cmd.Stdout, cmd.Stderr = out, errs
	if err := cmd.Run(); err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err = fmt.Errorf("no answer in %s: %w", bound, ctx.Err())
		}
		return nil, fmt.Errorf("%w: %q", errors.Join(out.err, err), errs.b.String())
	}
	return decodeAnswer(out.b.Bytes())
}

// decodeAnswer takes exactly one line with exactly the known fields.
func decodeAnswer(b []byte) (*externalAnswer, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	var a externalAnswer
	if err := dec.Decode(&a); err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("answer: more than one")
	}
	if a.Why == "" {
		return nil, errors.New("answer: without a why")
	}
	return &a, nil
}

// accept turns an answer into a plan, or refuses it: every pid must be in the
// table, all of one user, and none spared.
func (p *Plan) accept(t policy.Table, a *externalAnswer) error {
	if a.UID == nil && len(a.PIDs) == 0 {
		p.Why = a.Why
		return nil
	}
	byPID := map[int32]policy.Process{}
	for _, q := range t.Processes {
		byPID[q.PID] = q
	}
	f := policy.Finding{Policy: p.Policy, Value: float64(len(a.PIDs)), Unit: "pids named"}
	if a.UID != nil {
		f.UID = *a.UID
	} else {
		f.UID = byPID[a.PIDs[0]].UID
	}
	open, spared := policy.Of(t, f, p.Spare)
	p.Findings, p.Culprits, p.Spared = []policy.Finding{f}, open, spared
	p.Notes = append(p.Notes, a.Why)
	if len(a.PIDs) == 0 {
		if len(open) == 0 {
			return fmt.Errorf("accuses uid %d, which has nothing that may be killed", f.UID)
		}
		return nil
	}
	p.Culprits = nil
	killable := map[int32]bool{}
	for _, q := range open {
		killable[q.PID] = true
	}
	for _, pid := range a.PIDs {
		q, ok := byPID[pid]
		switch {
		case !ok:
			return fmt.Errorf("names pid %d, which does not exist", pid)
		case !killable[pid]:
			return fmt.Errorf("names pid %d (uid %d, %q), which is spared or not of uid %d", pid, q.UID, q.Comm, f.UID)
		}
		p.Culprits = append(p.Culprits, q)
		p.Only = append(p.Only, ProcessID{q.PID, q.Start})
	}
	return nil
}

func request(in *Incident, t *ProcessTable) externalRequest {
	r := externalRequest{
		Version: externalVersion, Target: in.Patient.Name, Incident: in.ID, Attempt: in.Attempt, NowNs: int64(t.Now),
		Events: []externalEvent{}, Processes: []externalProcess{},
	}
	for _, e := range in.Events {
		r.Events = append(r.Events, externalEvent{e.Kind.String(), e.Sensor, e.Value, e.Limit})
	}
	for _, p := range t.Processes {
		r.Processes = append(r.Processes, externalProcess{
			p.PID, p.PPID, p.UID, p.EUID, p.Comm, string(rune(p.State)), int64(p.Start), int64(p.CPU), p.Threads,
			p.RSS, p.Swap, p.PageTables, t.Forks[p.UID], p.Kernel,
		})
	}
	return r
}

// bounded is a buffer that fails a writer which says too much.
type bounded struct {
	b    bytes.Buffer
	most int
	err  error // set when it was too much
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.b.Len()+len(p) > b.most {
		b.err = fmt.Errorf("more than %d bytes", b.most)
		return 0, b.err
	}
	return b.b.Write(p)
}
