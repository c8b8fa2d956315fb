// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"

	"lazystate/dsm"
	"lazystate/dsm/daemon"
	"lazystate/dsm/pager"
	"lazystate/internal/cli"
	"lazystate/tools/bdmon/etcd"
	"lazystate/tools/dsmd/meet"
)

// Settings are the flags' values.
type Settings struct {
	Core     dsm.Config // without Self
	Policy   daemon.Policy
	Collect  time.Duration
	Homes    string
	Writes   string // auto, or a pager.Mode
	Dir      string
	Copies   []string
	Listen   string
	Name     string       // others reach this host by
	Memory   bool         // links over it
	RDMA     string       // URL to listen at, {} for the node's number; "": not at all
	Etcd     etcd.Servers // where nodes meet; no endpoints: in Dir
	Run      string       // its name there
	Silence  time.Duration
	Patience time.Duration
}

// Flags are those of Of.
func Flags() []ucli.Flag {
	env := func(name string) []string { return []string{"DSM_" + name} }
	return []ucli.Flag{
		&ucli.IntFlag{Name: "nodes", Aliases: []string{"n"}, EnvVars: env("NODES"), Usage: "`N` processes, one a node"},
		&ucli.StringFlag{Name: "region", Value: "64M", EnvVars: env("REGION"), Usage: "bytes of shared memory; K, M, G"},
		&ucli.IntFlag{Name: "locks", Value: 4096, EnvVars: env("LOCKS"), Usage: "locks that programs may use"},
		&ucli.IntFlag{Name: "conditions", Value: 64, EnvVars: env("CONDITIONS"), Usage: "condition variables"},
		&ucli.StringFlag{Name: "homes", Value: "touch", EnvVars: env("HOMES"), Usage: "of pages: touch (who is first), block, cyclic"},
		&ucli.StringFlag{Name: "writes", Value: "auto", EnvVars: env("WRITES"), Usage: "how writes are found: auto, async, sync"},
		&ucli.IntFlag{Name: "ahead", Value: 15, EnvVars: env("AHEAD"), Usage: "`N` pages at most are fetched with one, of a program that goes through memory in order"},
		&ucli.StringFlag{Name: "dir", EnvVars: env("DIR"), Usage: "`FOLDER` of checkpoints, where a restart finds them"},
		&ucli.StringSliceFlag{Name: "copy", EnvVars: env("COPY"), Usage: "another `FOLDER` that has all of --dir too"},
		&ucli.Float64Flag{Name: "logs", EnvVars: env("LOGS"), Usage: "a checkpoint when logs that none has exceed `PERCENT` of the shared memory; 0: never"},
		&ucli.DurationFlag{Name: "every", EnvVars: env("EVERY"), Usage: "a checkpoint after so long; 0: never"},
		&ucli.BoolFlag{Name: "aligned", EnvVars: env("ALIGNED"), Usage: "checkpoints at barriers only, of all nodes at once"},
		&ucli.DurationFlag{Name: "collect", Value: time.Second, EnvVars: env("COLLECT"), Usage: "logs and checkpoints that nobody needs are discarded after so long; with each checkpoint they are, too"},
		&ucli.BoolFlag{Name: "per-page", EnvVars: env("PER_PAGE"), Usage: "keep copies page by page (Theorem 1)"},
		&ucli.BoolFlag{Name: "unlogged", EnvVars: env("UNLOGGED"), Usage: "keep nothing for a recovery: the loss of a node is the end"},
		&ucli.BoolFlag{Name: "races", EnvVars: env("RACES"), Usage: "look for bytes that two nodes wrote with no order between them, and say so: takes nine times the shared memory"},
		&ucli.StringFlag{Name: "listen", Value: "127.0.0.1:0", EnvVars: env("LISTEN"), Usage: "`ADDRESS` for other nodes"},
		&ucli.StringFlag{Name: "name", EnvVars: env("NAME"), Usage: "`HOST` that others reach this one by, if not by what --listen says"},
		&ucli.StringSliceFlag{Name: "etcd", EnvVars: env("ETCD"), Usage: "`URL` of an etcd where nodes meet, instead of --dir"},
		&ucli.StringFlag{Name: "etcd-ca", EnvVars: env("ETCD_CA"), Usage: "`FILE` of its certificate authority"},
		&ucli.StringFlag{Name: "etcd-cert", EnvVars: env("ETCD_CERT"), Usage: "`FILE` of this node's certificate"},
		&ucli.StringFlag{Name: "etcd-cert-key", EnvVars: env("ETCD_CERT_KEY"), Usage: "`FILE` of that one's key"},
		&ucli.StringFlag{Name: "run", EnvVars: env("RUN"), Usage: "`NAME` of the run in etcd"},
		&ucli.BoolFlag{Name: "tcp", EnvVars: env("TCP"), Usage: "links over TCP only, also between nodes on one host"},
		&ucli.StringFlag{Name: "rdma", EnvVars: env("RDMA"), Usage: "links over RDMA between nodes that listen so, at a `URL` as rdma://10.77.0.1:0; {} is the node's number"},
		&ucli.DurationFlag{Name: "silence", Value: 5 * time.Second, EnvVars: env("SILENCE"), Usage: "after which a node is lost"},
		&ucli.DurationFlag{Name: "patience", Value: time.Minute, EnvVars: env("PATIENCE"), Usage: "how long a recovery waits for a node that is lost"},
	}
}

// pageSize is the machine's; all nodes are amd64.
const pageSize = 4096

// Of reads them; Check is to follow.
func Of(c *ucli.Context) (Settings, error) {
	s := Settings{
		Core: dsm.Config{
			Nodes: c.Int("nodes"), PageSize: pageSize, Locks: c.Int("locks"), Conds: c.Int("conditions"), PerPage: c.Bool("per-page"),
			Unlogged: c.Bool("unlogged"), Shelves: !c.Bool("tcp") || c.String("rdma") != "", Ahead: c.Int("ahead"), Races: c.Bool("races"),
		},
		Policy: daemon.Policy{Logs: c.Float64("logs") / 100, Every: c.Duration("every"), Aligned: c.Bool("aligned")}, Collect: c.Duration("collect"),
		Writes: c.String("writes"), Dir: c.String("dir"), Copies: c.StringSlice("copy"), Listen: c.String("listen"), Name: c.String("name"),
		Memory: !c.Bool("tcp"), RDMA: c.String("rdma"),
		Etcd: etcd.Servers{Endpoints: c.StringSlice("etcd"), CA: c.String("etcd-ca"), Cert: c.String("etcd-cert"), CertKey: c.String("etcd-cert-key")},
		Run:  c.String("run"), Silence: c.Duration("silence"), Patience: c.Duration("patience"),
	}
	size, err := Bytes(c.String("region"))
	if err != nil {
		return s, cli.Usagef("--region: %v", err)
	}
	s.Core.Pages = (size + pageSize - 1) / pageSize
	s.Homes = c.String("homes")
	return s, nil
}

// Check is for when the number of nodes is known, which a launcher may have said.
func (s *Settings) Check() (err error) {
	if s.Core.Nodes < 1 {
		return cli.Usagef("--nodes: %d", s.Core.Nodes)
	}
	if s.Core.Home, err = homes(s.Homes, s.Core); err != nil {
		return cli.Usagef("--homes: %v", err)
	}
	if s.Writes != "auto" {
		if _, err := pager.ParseMode(s.Writes); err != nil {
			return cli.Usagef("--writes: %v", err)
		}
	}
	switch {
	case s.Core.Locks < 0 || s.Core.Conds < 0 || s.Core.Ahead < 0:
		return cli.Usagef("%d locks, %d conditions, %d pages ahead", s.Core.Locks, s.Core.Conds, s.Core.Ahead)
	case s.Policy.Logs < 0 || s.Policy.Every < 0 || s.Collect <= 0 || s.Silence <= 0 || s.Patience <= 0:
		return cli.Usagef("--logs, --every: less than nothing, or --collect, --silence, --patience: no time")
	case s.Core.Unlogged && s.Policy != daemon.Policy{}:
		return cli.Usagef("--unlogged: without logs there are no checkpoints")
	case len(s.Etcd.Endpoints) > 0 && s.Run == "":
		return cli.Usagef("--run: which one in etcd?")
	}
	return nil
}

// Meeting is where nodes find each other; done lets go of it.
func (s *Settings) Meeting() (m meet.Meeting, done func() error, err error) {
	if len(s.Etcd.Endpoints) == 0 {
		return meet.Folder(filepath.Join(s.Dir, "meet")), func() error { return nil }, nil
	}
	connect, err := s.Etcd.Connector()
	if err != nil {
		return nil, nil, err
	}
	client, err := connect()
	if err != nil {
		return nil, nil, err
	}
	return meet.Etcd(client, "/lazystate/dsm/"+s.Run+"/"), client.Close, nil
}

// homes places pages before anybody touches them.
func homes(how string, k dsm.Config) (func(dsm.Page) (dsm.NodeID, bool), error) {
	switch how {
	case "touch":
		return nil, nil
	case "block":
		each := max(1, (k.Pages+max(k.Nodes, 1)-1)/max(k.Nodes, 1))
		return func(p dsm.Page) (dsm.NodeID, bool) { return dsm.NodeID(int(p) / each), true }, nil
	case "cyclic":
		return func(p dsm.Page) (dsm.NodeID, bool) { return dsm.NodeID(int(p) % k.Nodes), true }, nil
	}
	return nil, fmt.Errorf("%q: touch, block, cyclic", how)
}

// Bytes reads a size, at least one byte: 512, 64K, 1G.
func Bytes(s string) (int, error) {
	shift := 0
	if i := strings.IndexAny(s, "KMG"); i >= 0 && i == len(s)-1 {
		shift = 10 * (1 + strings.Index("KMG", s[i:]))
		s = s[:i]
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, err
	}
	if n == 0 || n > math.MaxInt>>shift {
		return 0, fmt.Errorf("%s bytes", s)
	}
	return int(n) << shift, nil
}

// Node is the configuration of one. It asks the kernel how writes can be found.
func (s Settings) Node(self dsm.NodeID, log *slog.Logger) (daemon.Config, error) {
	cfg := daemon.Config{Core: s.Core, Base: daemon.Base, Policy: s.Policy, Collect: s.Collect, Patience: s.Patience, Log: log}
	cfg.Core.Self = self
	var err error
	if s.Writes != "auto" {
		cfg.Mode, err = pager.ParseMode(s.Writes)
		return cfg, err
	}
	cfg.Mode, err = pager.Probe(-1)
	return cfg, err
}
