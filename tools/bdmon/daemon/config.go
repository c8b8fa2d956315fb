// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"cmp"
	"encoding/hex"
	"os"
	"path/filepath"

	"lazystate/backdoor/uapi"
	"lazystate/repair"
	"lazystate/repair/drill"
	"lazystate/tools/lab"
)

// Limits is the contract of the drills' targets: what they promise to stay below.
const Limits = "NPROCS:150,NTHREADS:250,MAXPROCRATE_PERUID:60,OOM_KILLER_RUNNING:3"

// Config is what bdmon is to do on a drill's machine.
type Config struct {
	VM             *lab.VM
	URL            string // of the target; "": the machine's memory, mapped
	Netns          string // file of the network namespace that bdmon runs in; "": ours
	KeyFile, Audit string
	Drill          *drill.Drill // heal it; nil: heal nothing
	Sensor         string       // a program's sensor, which is watched if it is named; may be empty
}

// file is bdmon's configuration file.
func (c Config) file(socket string) map[string]any {
	target := map[string]any{
		"name": c.VM.Name(), "url": cmp.Or(c.URL, "lab:"+c.VM.Name()), "key_file": c.KeyFile,
	}
	if c.URL == "" { // else as the plan for the path says
		target["period"] = "10ms"
	}
	if c.Drill != nil {
		target["healers"] = []any{healer(c.VM.Config(), c.Drill)}
	}
	if c.Sensor != "" {
		target["sensors"] = map[string]any{c.Sensor: map[string]any{}}
	}
	return map[string]any{"socket": socket, "metrics": "-", "audit": c.Audit, "targets": []any{target}}
}

func healer(m lab.Config, d *drill.Drill) map[string]any {
	var limits []any
	for _, l := range d.Limits {
		limits = append(limits, map[string]any{l.Kind.String(): l.Limit})
	}
	var policy any = map[string]any{"all": limits}
	if len(limits) == 1 {
		policy = limits[0]
	}
	h := map[string]any{"kind": "proc", "sensors": Sensors(d), "policy": policy}
	if len(d.Spare.UIDs) > 0 {
		h["spare"] = map[string]any{"uids": d.Spare.UIDs}
	}
	if d.Resource == drill.Memory {
		usable := (m.MemMiB + m.SwapMiB) << 20 / 4096
		h["kind"], h["free"], h["floor"] = "memory", []string{"AVAIL_PAGES", "SWAP_FREE"}, usable/20
	}
	return h
}

// Sensors that call the drill's healer.
func Sensors(d *drill.Drill) []string {
	if d.Resource == drill.Memory {
		return []string{repair.SensorOOM, repair.SensorMemStall}
	}
	return []string{repair.SensorNProcs, repair.SensorMaxProcRate, repair.SensorNThreads}
}

// WriteKey keeps the machine's key where only bdmon's user may read it.
func WriteKey(dir string, key uapi.Key) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "key")
	return path, os.WriteFile(path, []byte(hex.EncodeToString(key[:])+"\n"), 0o600)
}
