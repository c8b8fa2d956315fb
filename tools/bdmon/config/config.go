// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"
	"unicode"

	"lazystate/backdoor/uapi"
	"lazystate/internal/confile"
	"lazystate/sensorbox"
	"lazystate/tools/target"
)

// Config is the whole file.
type Config struct {
	Socket  string   `yaml:"socket"`  // control socket for bdctl
	Group   string   `yaml:"group"`   // whose members may use it; "": root and bdmon's own user
	Metrics string   `yaml:"metrics"` // address of the Prometheus endpoint; "-": none
	Audit   string   `yaml:"audit"`
	DryRun  bool     `yaml:"dry_run"`
	Fleet   *Fleet   `yaml:"fleet"`
	Targets []Target `yaml:"targets"`
}

// Target is one machine.
type Target struct {
	Name         string            `yaml:"name"`
	URL          string            `yaml:"url"`
	Slot         uint32            `yaml:"slot"`     // this monitor's slot
	KeyFile      string            `yaml:"key_file"` // 32 hex digits; "": read only
	Order        []string          `yaml:"order"`    // of monitors, the most wanted owner first; nil: the fleet's
	Probe        *Probe            `yaml:"probe"`    // of this side of the path
	Period       Duration          `yaml:"period"`   // 0: from the sampling plan
	Accuracy     float64           `yaml:"accuracy"` // PM(T), §3.4.2
	Loss         float64           `yaml:"loss"`     // p_ml
	Sensors      map[string]Sensor `yaml:"sensors"`
	Healers      []Healer          `yaml:"healers"`
	Reset        Reset             `yaml:"reset"`         // never, or unrepairable
	FenceCommand []string          `yaml:"fence_command"` // how; "": as the carrier can
	PortCommand  []string          `yaml:"port_command"`  // takes it off its network at a fence; "": as the carrier can
	Repair       Repair            `yaml:"repair"`
}

// Sensor overrides the target's contract, openly.
type Sensor struct {
	Limit  *Limit `yaml:"limit"`
	Ignore bool   `yaml:"ignore"`
}

// Repair bounds the incidents of a target.
type Repair struct {
	Coalesce Duration `yaml:"coalesce"`
	CoolDown Duration `yaml:"cool_down"`
	Attempts int      `yaml:"attempts"`
	Bound    Duration `yaml:"bound"`
	Reset    struct {
		Confirm  Duration `yaml:"confirm"`
		CoolDown Duration `yaml:"cool_down"`
		Bound    Duration `yaml:"bound"`
	} `yaml:"reset"`
}

// Defaults of the file.
const (
	DefaultPath    = "/etc/lazystate/bdmon.yaml"
	DefaultSocket  = "/run/lazystate/bdmon.sock"
	defaultAudit   = "/var/lib/lazystate/audit.jsonl"
	defaultMetrics = "127.0.0.1:9464"
)

// Load reads and checks a file.
func Load(path string) (*Config, error) { return confile.Load(path, Parse) }

// Parse reads and checks a configuration. Errors begin with line and column.
func Parse(b []byte) (*Config, error) {
	c := &Config{Socket: DefaultSocket, Audit: defaultAudit, Metrics: defaultMetrics}
	switch err := confile.Decode(b, c); {
	case errors.Is(err, io.EOF):
		return nil, errors.New("no targets")
	case err != nil:
		return nil, err
	}
	if c.Fleet != nil {
		c.Fleet.defaults()
	}
	return c, confile.Locate(b, c.check())
}

func (c *Config) check() error {
	if len(c.Targets) == 0 {
		return errors.New("no targets")
	}
	if c.Metrics != "-" {
		if _, _, err := net.SplitHostPort(c.Metrics); err != nil {
			return at(".metrics", err)
		}
	}
	seen := map[string]bool{}
	for i := range c.Targets {
		t, where := &c.Targets[i], fmt.Sprintf(".targets[%d]", i)
		if seen[t.Name] {
			return at(where+".name", fmt.Errorf("%q is used twice", t.Name))
		}
		seen[t.Name] = true
		err := t.check()
		if err == nil {
			err = t.checkOrder(c.Fleet)
		}
		if err != nil {
			return at(where, err)
		}
	}
	if c.Fleet != nil {
		if err := c.Fleet.check(c.Targets); err != nil {
			return at(".fleet", err)
		}
	}
	return nil
}

func (t *Target) check() error {
	if t.Name == "" {
		return errors.New("no name")
	}
	if strings.ContainsFunc(t.Name, func(r rune) bool { return !unicode.IsGraphic(r) }) {
		return at(".name", fmt.Errorf("%q: want printable characters", t.Name))
	}
	spec, err := target.Parse(t.URL)
	if err != nil {
		return at(".url", err)
	}
	switch r := spec.RDMA; {
	case r != nil && r.Monitor >= 0 && uint32(r.Monitor) != t.Slot:
		return at(".url", fmt.Errorf("monitor=%d, but slot is %d", r.Monitor, t.Slot))
	case r != nil && r.KeyFile == "" && t.KeyFile == "":
		return at(".url", errors.New("an rdma target needs a key_file, for reading too"))
	case t.Slot >= uapi.Monitors:
		return at(".slot", fmt.Errorf("slot %d: a target has %d", t.Slot, uapi.Monitors))
	case t.Period < 0 || t.Period > 0 && t.Period < Duration(time.Millisecond):
		return at(".period", fmt.Errorf("%v: at least 1 ms", time.Duration(t.Period)))
	case !probability(t.Accuracy):
		return at(".accuracy", fmt.Errorf("%g: want a probability below 1", t.Accuracy))
	case !probability(t.Loss):
		return at(".loss", fmt.Errorf("%g: want a probability below 1", t.Loss))
	case t.Repair.Attempts < 0:
		return at(".repair.attempts", fmt.Errorf("%d: want 1 or more; 0 is the default", t.Repair.Attempts))
	case len(t.Healers) > 0 && t.KeyFile == "":
		return at(".healers", errors.New("healers need a key_file"))
	}
	if err := t.checkReset(); err != nil {
		return err
	}
	if t.Probe != nil {
		if err := t.Probe.check(); err != nil {
			return at(".probe", err)
		}
	}
	for i := range t.Healers {
		if err := t.Healers[i].check(); err != nil {
			return at(fmt.Sprintf(".healers[%d]", i), err)
		}
	}
	return t.checkTimes()
}

func (t *Target) checkReset() error {
	switch {
	case bool(t.Reset) && t.KeyFile == "":
		return at(".reset", errors.New("a reset needs a key_file"))
	case len(t.FenceCommand) > 0 && !bool(t.Reset):
		return at(".fence_command", errors.New("without reset: unrepairable it would never be run"))
	case bool(t.Reset) && len(t.FenceCommand) == 0 && strings.HasPrefix(t.URL, "inic:"):
		return at(".reset", errors.New("unrepairable needs a fence_command for an inic target"))
	case len(t.PortCommand) > 0 && strings.HasPrefix(t.URL, "rdma:"):
		return at(".port_command", errors.New("of an rdma target it is bdnic's"))
	}
	return nil
}

// Expected are the sensors that the healers count on.
func (t *Target) Expected() []string {
	var names []string
	for i := range t.Healers {
		for _, name := range slices.Concat(t.Healers[i].Sensors, t.Healers[i].Free) {
			if !slices.Contains(names, name) && !sensorbox.IsKind(name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// probability below 1; NaN is none.
func probability(p float64) bool { return p >= 0 && p < 1 }

// Rules are the overrides in the detector's terms.
func (t *Target) Rules() map[string]sensorbox.Rule {
	rules := map[string]sensorbox.Rule{}
	for name, s := range t.Sensors {
		r := sensorbox.Rule{Ignore: s.Ignore}
		if s.Limit != nil {
			l := uint64(*s.Limit)
			r.Limit = &l
		}
		rules[name] = r
	}
	return rules
}
