// SPDX-License-Identifier: Apache-2.0

package target

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strconv"

	"lazystate/backdoor"
	"lazystate/backdoor/inic"
	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
)

// Options of Open.
type Options struct {
	Writable bool // ask for the one writer's place (DECISION 21)

	// Who asks, over a carrier that asks who: rdma. The URL may say otherwise.
	Slot     uint32
	Key      uapi.Key
	Takeover bool         // in place of another process of that monitor
	Log      *slog.Logger // of connections; nil: none

	// Reset resets the machine where no CPU takes interrupts, CutPort takes it off
	// its network at a fence; nil: as the carrier can (lab: by QMP), if it can.
	Reset, CutPort func(context.Context) error
}

// Open opens the target behind a URL.
func Open(ctx context.Context, rawURL string, o Options) (backdoor.Memory, error) {
	spec, err := Parse(rawURL)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if spec.RDMA != nil {
		m, err := spec.RDMA.open(ctx, o)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", rawURL, err)
		}
		return m, nil
	}
	options, err := spec.inic()
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", rawURL, err)
	}
	options.Writable = o.Writable
	if o.Reset != nil {
		options.Reset = o.Reset
	}
	if o.CutPort != nil {
		options.CutPort = o.CutPort
	}
	m, err := inic.Open(options)
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Spec is a parsed URL.
type Spec struct {
	Scheme  string // "inic", "lab", "rdma"
	RAM     string
	BAR     string
	PID     int
	Machine inic.Machine
	Name    string // of a lab machine
	RDMA    *RDMA  // of an rdma URL
}

// Parse checks a URL without touching what it names.
func Parse(rawURL string) (Spec, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return Spec{}, fmt.Errorf("target URL: %w", err)
	}
	switch u.Scheme {
	case "inic":
		return parseINIC(u)
	case "lab":
		if u.Opaque == "" {
			return Spec{}, fmt.Errorf("target URL %q: want lab:name", rawURL)
		}
		return Spec{Scheme: "lab", Name: u.Opaque}, nil
	case "rdma":
		return parseRDMA(u)
	}
	return Spec{}, fmt.Errorf("target URL %q: want inic:///path, lab:name or rdma://host", rawURL)
}

func parseINIC(u *url.URL) (Spec, error) {
	s := Spec{Scheme: "inic", RAM: u.Path, BAR: filepath.Join(filepath.Dir(u.Path), "bar")}
	if u.Host != "" || !filepath.IsAbs(u.Path) {
		return s, fmt.Errorf("target URL %q: want inic:///absolute/path/of/ram", u)
	}
	for key, values := range u.Query() {
		v := values[len(values)-1]
		var err error
		switch key {
		case "bar":
			s.BAR = v
		case "pid":
			s.PID, err = strconv.Atoi(v)
			if err == nil && s.PID <= 1 {
				err = errors.New("no process of a machine")
			}
		case "machine":
			s.Machine, err = machine(v)
		default:
			err = errors.New("unknown parameter")
		}
		if err != nil {
			return s, fmt.Errorf("target URL %q: %s=%s: %w", u, key, v, err)
		}
	}
	return s, nil
}

func machine(name string) (inic.Machine, error) {
	switch name {
	case "q35":
		return inic.Q35, nil
	case "pc":
		return inic.PC, nil
	}
	return 0, errors.New("want q35 or pc")
}

// inic finds the files behind the spec.
func (s Spec) inic() (inic.Options, error) {
	if s.Scheme == "inic" {
		return inic.Options{RAMPath: s.RAM, BARPath: s.BAR, PID: s.PID, Machine: s.Machine}, nil
	}
	machines, err := lab.List()
	if err != nil {
		return inic.Options{}, err
	}
	for _, vm := range machines {
		if vm.Name == s.Name {
			return inic.Options{
				RAMPath: vm.RAM, BARPath: vm.BAR, PID: vm.QEMUPID, Machine: inic.Q35, Resets: vm.Resets, Reset: s.labReset,
				CutPort: func(ctx context.Context) error { return lab.CutPorts(ctx, s.Name) },
			}, nil
		}
	}
	return inic.Options{}, fmt.Errorf("%w: %s", lab.ErrNoVM, s.Name)
}

func (s Spec) labReset(ctx context.Context) error {
	vm, err := lab.Attach(s.Name)
	if err != nil {
		return err
	}
	return errors.Join(vm.Reset(ctx), vm.Close())
}
