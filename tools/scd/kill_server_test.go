// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

// killVictim is kill -9 of this daemon, or of the process that a file names: that one once,
// for its number may be another's afterwards.
func killVictim() {
	pid := os.Getpid()
	if path := os.Getenv("SCD_VICTIM"); path != "" {
		text, err := os.ReadFile(path)
		if err != nil || os.Remove(path) != nil {
			return
		}
		if pid, err = strconv.Atoi(string(text)); err != nil {
			panic(err)
		}
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

// serverKilledAt starts a site's daemon and web server anew; the daemon kills that server
// at a step of a move.
func (s *site) serverKilledAt(step string) {
	s.t.Helper()
	s.web.kill()
	s.scd.kill()
	s.startSCD("SCD_KILL="+step, "SCD_VICTIM="+s.path("victim"))
	s.startWeb()
	if err := os.WriteFile(s.path("victim"), []byte(strconv.Itoa(s.web.Process.Pid)), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// bereft is a daemon whose server is killed at a step of a move by a way.
type bereft struct{ by, who, step string }

// bereaved are all steps at which a daemon is killed.
func bereaved() (all []bereft) {
	for by, deaths := range [][]death{overTakeover, overGatewaysMove, overAgentsMove} {
		for _, d := range deaths {
			all = append(all, bereft{ways[by], d.who, d.step})
		}
	}
	for _, h := range handOvers {
		if b := (bereft{h.by, "s2", h.step}); !slices.Contains(all, b) {
			all = append(all, b)
		}
	}
	return all
}

// Kill -9 of either server's own process, not of its daemon, at a step of a move, by each of
// the ways; another is started. The session stays or arrives, as the move says, waits there
// for the next process if need be, and every byte arrives once.
func TestServersKilledOverMoves(t *testing.T) {
	for _, c := range drawn(bereaved(), 14) {
		t.Run(fmt.Sprint(c.by, " ", c.who, " ", c.step), func(t *testing.T) {
			w, move := newWay(t, c.by, false, false)
			s := w.sites[c.who]
			s.serverKilledAt(c.step)
			end := w.download(w.addr, long)
			w.only()
			err := s.endingOver(s.web, func() { s.startWeb() }, move)
			end()
			w.servedWhere(err)
		})
	}
}
