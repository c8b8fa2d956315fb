// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"sync"

	ucli "github.com/urfave/cli/v2"

	"lazystate/backdoor"
	"lazystate/internal/cli"
	"lazystate/mtcp/salvage"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/takeover"
	"lazystate/tools/control"
	"lazystate/tools/scd/config"
	"lazystate/tools/target"
)

// rescue is what waits for the death of one machine: all that takes long to open,
// but for the machine's memory, which may be another boot's by then.
type rescue struct {
	config.Victim
	link  *takeover.Link
	place *salvage.Link

	mu    sync.Mutex // one at a time
	boot  backdoor.BootID
	lines []control.Salvaged // of that boot: who asks again is told the same
}

// mostSessions can be on their way.
const mostSessions = 1 << 16

// openRescues: closeRescues closes what there is, also after an error.
func (d *state) openRescues() (err error) {
	if len(d.cfg.Salvage) == 0 {
		return nil
	}
	if d.asides, err = openAsides(d.cfg.Journal); err != nil {
		return err
	}
	if err = d.openGate(); err != nil {
		return fmt.Errorf("get ready to salvage: %w", err)
	}
	for _, v := range d.cfg.Salvage {
		r := &rescue{Victim: v}
		d.rescue = append(d.rescue, r)
		if r.link, err = takeover.Open(v.Device); err != nil {
			break
		}
		if r.place, err = salvage.OnLink(r.link); err != nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("get ready to salvage: %w", err)
	}
	return nil
}

// openGate opens what keeps our kernel from answering for sockets that are not there
// yet, with what a former daemon has left on hold. What another release has left, or
// somebody has damaged, is taken away; where nothing can be left, the daemon says what
// that means.
func (d *state) openGate() (err error) {
	cfg := steer.ServerConfig{Holds: mostSessions, Pin: d.cfg.Pin, Gate: true}
	for _, v := range d.cfg.Salvage {
		if !slices.Contains(cfg.Interfaces, v.Device) {
			cfg.Interfaces = append(cfg.Interfaces, v.Device)
		}
	}
	if d.gate, err = steer.OpenServer(cfg); err == nil || cfg.Pin == "" {
		return err
	}
	d.log.Warn("what a former daemon has left on hold is taken away", "pin", cfg.Pin, "err", err)
	if err = steer.Clean(cfg.Pin, cfg.Interfaces...); err == nil {
		d.gate, err = steer.OpenServer(cfg)
	}
	if err == nil {
		return nil
	}
	d.log.Warn("clients of sessions that are salvaged are reset if this daemon dies over it", "pin", cfg.Pin, "err", err)
	cfg.Pin = ""
	d.gate, err = steer.OpenServer(cfg)
	return err
}

// closeRescues leaves what is on hold for the next daemon.
func (d *state) closeRescues() error {
	var errs error
	for _, r := range d.rescue {
		if r.place != nil {
			errs = errors.Join(errs, r.place.Close())
		}
		if r.link != nil {
			errs = errors.Join(errs, r.link.Close())
		}
	}
	if d.gate != nil {
		errs = errors.Join(errs, d.gate.Close())
	}
	return errors.Join(errs, d.revived.close(), d.asides.close())
}

// salvage has the sessions of a machine go on here, that somebody has fenced. It
// goes on when who has asked is gone: half of the sessions would be nowhere.
func (d *state) salvage(ctx context.Context, q control.Request, send func(any) error) error {
	for _, r := range d.rescue {
		if r.Name != q.Target {
			continue
		}
		act := func() ([]control.Salvaged, error) {
			return r.run(context.WithoutCancel(ctx), d, q)
		}
		if q.DryRun {
			act = func() ([]control.Salvaged, error) { return r.look(ctx, d) }
		}
		lines, err := act()
		for _, line := range lines {
			err = errors.Join(err, send(line))
		}
		return errors.Join(err, ended(err, func(any) error { return send(control.Salvaged{End: true}) }))
	}
	return fmt.Errorf("no machine %q is configured under salvage", q.Target)
}

// open opens the machine's memory as it is now.
func (r *rescue) open(ctx context.Context, d *state) (*backdoor.Target, func() error, error) {
	key, err := r.Key()
	if err != nil {
		return nil, nil, err
	}
	mem, err := target.Open(ctx, r.URL, target.Options{Slot: r.Slot, Key: key, Log: d.log})
	if err != nil {
		return nil, nil, err
	}
	t, err := backdoor.Open(ctx, mem)
	if err != nil {
		return nil, nil, errors.Join(err, mem.Close())
	}
	return t, mem.Close, nil
}

// look says what run would do.
func (r *rescue) look(ctx context.Context, d *state) ([]control.Salvaged, error) {
	t, done, err := r.open(ctx, d)
	if err != nil {
		return nil, err
	}
	defer done()
	report, err := salvage.Look(ctx, salvage.Config{Target: t, Services: r.Prefixes, Policy: r.Moves, Box: d.cfg.State.Box})
	if err != nil {
		return nil, err
	}
	all := lines(report)
	for i := range all {
		all[i].Would = all[i].Step == "" && all[i].Error == ""
	}
	return all, nil
}

// heir is this recovery node, as who asks calls it.
func heir(q control.Request) (backdoor.Heir, error) {
	if q.Heir != 0 {
		return backdoor.Heir(q.Heir), nil
	}
	name, err := os.Hostname()
	return backdoor.HeirOf(name), err
}

// stands makes sure that the machine says nothing any more, and that no other recovery
// node was given its sessions, before anything of it is taken over.
func stands(ctx context.Context, t *backdoor.Target, q control.Request) error {
	h, err := heir(q)
	if err != nil {
		return err
	}
	if err := salvage.Inherits(ctx, t, h); err != nil {
		return err
	}
	return salvage.Stands(ctx, t, q.By == control.ByPort)
}

func (r *rescue) run(ctx context.Context, d *state, q control.Request) ([]control.Salvaged, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, done, err := r.open(ctx, d)
	if err != nil {
		return nil, err
	}
	defer done()
	if r.lines != nil && r.boot == t.BootID() {
		return r.lines, nil
	}
	cfg := salvage.Config{
		Target: t, Fence: func(ctx context.Context) error { return stands(ctx, t, q) },
		Services: r.Prefixes, Gate: d.gate, Place: r.place, Stack: d.stack, Keeper: d.keeper,
		Entrust: d.mover.Entrust, Owner: d.owner, Policy: r.Moves, NotAsking: r.NotAsking, Box: d.cfg.State.Box, Log: d.log.With("machine", r.Name), Point: point,
	}
	if l, err := openLedger(d.cfg.Journal, url.PathEscape(r.Name), t.BootID(), d.asides); err != nil {
		d.log.Warn("salvage: should this daemon die of a session, the next one will not know", "err", err)
	} else {
		defer l.close()
		cfg.Ledger = l
	}
	report, err := salvage.Run(ctx, cfg)
	if err != nil {
		return nil, err
	}
	r.boot, r.lines = t.BootID(), lines(report)
	return r.lines, nil
}

// owner: whose process may have a session is this machine's to say.
func (d *state) owner(name string, local netip.AddrPort, _ uint32) (uint32, error) {
	for _, s := range d.cfg.Services {
		if s.Name == name && s.Addr.Port() == local.Port() && (s.Addr.Addr() == local.Addr() || s.Addr.Addr().IsUnspecified()) {
			return s.UID, nil
		}
	}
	return 0, fmt.Errorf("%q at %s is no service of this server", name, local)
}

func lines(r *salvage.Report) []control.Salvaged {
	out := []control.Salvaged{} // also of a machine without sessions
	for _, s := range r.Steps {
		out = append(out, control.Salvaged{Step: s.Name, AfterUs: s.At.Microseconds()})
	}
	for i := range r.Sessions {
		s := &r.Sessions[i]
		line := control.Salvaged{
			Session: hex.EncodeToString(s.ID[:]), Service: control.Text(s.Name), Local: s.Local.String(), Client: s.Remote.String(),
			Here: s.Here, Held: s.Held, Asked: s.Asked, Notes: s.Notes, AfterUs: s.Live.Microseconds(),
		}
		if s.Err != nil {
			line.Error = control.Text(s.Err.Error())
		}
		out = append(out, line)
	}
	return out
}

// salvaged is the command.
func salvaged(c *ucli.Context) error {
	if c.NArg() != 1 {
		return cli.Usagef("salvage: want a machine's name")
	}
	ctl, err := control.Dial(c.Context, c.String("socket"))
	if err != nil {
		return err
	}
	defer ctl.Close()
	q := control.Request{Cmd: "salvage", Target: c.Args().First(), DryRun: c.Bool("dry-run")}
	if c.Bool("port-cut") {
		q.By = control.ByPort
	}
	if name := c.String("as"); name != "" {
		q.Heir = uint32(backdoor.HeirOf(name))
	}
	lost := 0
	err = ctl.Stream(q, func(raw json.RawMessage) error {
		var s control.Salvaged
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		if s.Error != "" {
			lost++
		}
		switch {
		case s.End:
			return errEnd
		case c.Bool("json"):
			_, err := fmt.Fprintf(c.App.Writer, "%s\n", raw)
			return err
		}
		_, err := fmt.Fprintln(c.App.Writer, s)
		return err
	})
	switch {
	case err == nil:
		return errors.New("scd has ended over it: scd ls shows which sessions are here")
	case !errors.Is(err, errEnd):
		return err
	case lost > 0:
		return fmt.Errorf("%d session(s) are lost", lost)
	}
	return nil
}
