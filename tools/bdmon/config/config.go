// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"lazystate/backdoor/uapi"
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
	Targets []Target `yaml:"targets"`
}

// Target is one machine.
type Target struct {
	Name         string            `yaml:"name"`
	URL          string            `yaml:"url"`
	Slot         uint32            `yaml:"slot"`     // this monitor's slot
	KeyFile      string            `yaml:"key_file"` // 32 hex digits; "": read only
	Period       Duration          `yaml:"period"`   // 0: from the sampling plan
	Accuracy     float64           `yaml:"accuracy"` // PM(T), §3.4.2
	Loss         float64           `yaml:"loss"`     // p_ml
	Sensors      map[string]Sensor `yaml:"sensors"`
	Healers      []Healer          `yaml:"healers"`
	Reset        Reset             `yaml:"reset"`         // never, or unrepairable
	FenceCommand []string          `yaml:"fence_command"` // how; "": as the carrier can
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
func Load(path string) (*Config, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// Parse reads and checks a configuration.
func Parse(b []byte) (*Config, error) {
	c := &Config{Socket: DefaultSocket, Audit: defaultAudit, Metrics: defaultMetrics}
	err := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(c)
	if errors.Is(err, io.EOF) {
		return nil, errors.New("no targets")
	}
	if err != nil {
		return nil, errors.New(yaml.FormatError(err, false, true))
	}
	return c, c.check()
}

func (c *Config) check() error {
	if len(c.Targets) == 0 {
		return errors.New("no targets")
	}
	seen := map[string]bool{}
	for i := range c.Targets {
		t := &c.Targets[i]
		where := fmt.Sprintf("targets[%d] (%s)", i, t.Name)
		if seen[t.Name] {
			return fmt.Errorf("%s: the name is used twice", where)
		}
		seen[t.Name] = true
		if err := t.check(); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
	}
	return nil
}

func (t *Target) check() error {
	if t.Name == "" {
		return errors.New("no name")
	}
	if _, err := target.Parse(t.URL); err != nil {
		return err
	}
	switch {
	case t.Slot >= uapi.Monitors:
		return fmt.Errorf("slot %d: a target has %d", t.Slot, uapi.Monitors)
	case t.Period < 0 || t.Period > 0 && t.Period < Duration(time.Millisecond):
		return fmt.Errorf("period %v: at least 1 ms", time.Duration(t.Period))
	case t.Accuracy < 0 || t.Accuracy >= 1 || t.Loss < 0 || t.Loss >= 1:
		return fmt.Errorf("accuracy %g, loss %g: want probabilities below 1", t.Accuracy, t.Loss)
	case len(t.Healers) > 0 && t.KeyFile == "":
		return errors.New("healers need a key_file")
	case bool(t.Reset) && t.KeyFile == "":
		return errors.New("a reset needs a key_file")
	case len(t.FenceCommand) > 0 && !bool(t.Reset):
		return errors.New("fence_command without reset: unrepairable would never be run")
	case bool(t.Reset) && len(t.FenceCommand) == 0 && strings.HasPrefix(t.URL, "inic:"):
		return errors.New("reset: unrepairable needs a fence_command for an inic target")
	}
	for i := range t.Healers {
		if err := t.Healers[i].check(); err != nil {
			return fmt.Errorf("healers[%d] (%s): %w", i, t.Healers[i].Kind, err)
		}
	}
	return nil
}

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
