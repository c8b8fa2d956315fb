// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"bytes"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/mtcp/cbox/cboxtest"
)

// spawnC is spawn of a process in C.
func spawnC(t testing.TB, flags, name string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(cboxtest.Program(t, "testdata/c/"+name+".c", flags), args...)
	cmd.Env = append(os.Environ(), "ASAN_OPTIONS=detect_leaks=1:abort_on_error=0")
	return start(t, cmd)
}

// either starts processes in C and in Go by turns: a session that began in one
// goes on in the other.
func either(t *testing.T, role string) func(int) *process {
	return func(kills int) *process {
		if kills%2 == 0 {
			return spawnC(t, cboxtest.Plain, "server", role)
		}
		return spawn(t, role)
	}
}

func onlyC(t *testing.T, role string) func(int) *process {
	return func(int) *process { return spawnC(t, cboxtest.Sanitized, "server", role) }
}

// TestRootIsKilled, in C and between C and Go.
func TestRootInCIsKilled(t *testing.T) {
	t.Run("sanitized", func(t *testing.T) { killRoot(t, onlyC(t, "root")) })
	t.Run("C and Go", func(t *testing.T) { killRoot(t, either(t, "root")) })
}

// TestBackEndOfManySessionsIsKilled, in C and between C and Go.
func TestBackEndInCIsKilled(t *testing.T) {
	t.Run("sanitized", func(t *testing.T) { killBackEnd(t, 40000, onlyC(t, "back end")) })
	t.Run("C and Go", func(t *testing.T) { killBackEnd(t, 20000, either(t, "back end")) })
}

// Boxes with any byte of head or snapshots damaged, or of which anything changes
// at any moment, are opened and used by the C library under the sanitizers.
func TestHostileBoxesInC(t *testing.T) {
	sound, conn := usedBy(t)
	im, err := whole(sound)
	if err != nil {
		t.Fatal(err)
	}
	p := spawnC(t, cboxtest.Sanitized, "hostile")
	opened := 0
	give := func(b []byte, slot uint32, meanwhile func(memory)) {
		t.Helper()
		r := must(NewRegion(int64(len(b))))
		defer r.File.Close()
		m := must(r.mapped())
		defer m.unmap()
		copy(m, b)
		var root syscall.Conn
		if slot == 0 {
			root = conn
		}
		if err := Pass(p.conn, r, ID{}, 1, slot, root); err != nil {
			t.Fatal(err)
		}
		opened += survived(t, p, func() { meanwhile(m) })
	}
	for slot := range uint32(2) {
		before := opened
		if give(sound, slot, func(memory) {}); opened == before {
			t.Errorf("slot %d of a sound box cannot be opened", slot)
		}
	}
	for i := range int(im.Head.HeadLen) {
		if at := i - int(im.Head.Procs.Off); at >= 0 && at < 2*uapi.CboxProcSize && at%uapi.CboxProcSize&^3 == uapi.CboxProcBusyOff {
			continue // it would wait: see TestStoppedInAnOperation
		}
		b := bytes.Clone(sound)
		b[i] ^= []byte{0x01, 0xff}[i%2]
		fixed := bytes.Clone(b) // let it pass, or little else is ever tried
		le.PutUint32(fixed[uapi.CboxHeadCRCOff:], checksum(fixed[:uapi.CboxHeadCRCOff]))
		if i%8 == 0 {
			give(b, uint32(i/8%2), func(memory) {})
		}
		give(fixed, uint32(i/2%2), func(memory) {})
	}
	for slot, p := range im.Head.ProcTable[:2] {
		for i := uint64(0); i < 2*uint64(p.SnapLen); i += 3 {
			b := bytes.Clone(sound)
			b[p.SnapOff+i] ^= 0x40
			give(b, uint32(slot), func(memory) {})
		}
	}
	rng := rand.New(rand.NewPCG(3, 3))
	for i := range 300 {
		give(sound, uint32(i%2), func(m memory) { m[rng.IntN(int(im.Head.HeadLen)+4096)] = byte(rng.Uint32()) })
	}
	if opened < 100 {
		t.Errorf("%d boxes were opened only", opened)
	}
}

// survived waits for a process to be done with a box; 1 if it could open it.
func survived(t *testing.T, p *process, meanwhile func()) int {
	t.Helper()
	b := make([]byte, 1)
	for until := time.Now().Add(hang); time.Now().Before(until); {
		meanwhile()
		_ = p.conn.SetReadDeadline(time.Now().Add(50 * time.Microsecond))
		if _, err := p.conn.Read(b); err == nil {
			if b[0] == 'y' {
				return 1
			}
			return 0
		} else if !isTimeout(err) {
			t.Fatalf("it did not survive: %v", err)
		}
	}
	t.Fatal("it hangs")
	return 0
}

// §2.7, "an idle session", in C: at most five pages, however much has passed
// through; and its snapshots of any length are sound to Go.
func TestIdleSessionInCIsSmall(t *testing.T) {
	client, server := dialed(t)
	c, err := Create(server, Config{})
	if err != nil {
		t.Fatal(err)
	}
	r, id, kept := keptRegion(t, c), c.ID(), dup(t, server)
	c.letGo()
	b := must(OpenBox(r))
	defer b.Close()
	d := driverInC(t)
	tell := d.takes(t, r, id, kept)
	for n := range 40 {
		state := strings.Repeat("x", n*101)
		send(t, client, string(pattern(n, 10000)))
		tell("read 10000", "10000 bytes")
		tell("write answer", "ok")
		tell("export "+state, "ok")
		get(t, client, "answer")
		if snap, err := b.Snapshot(0); err != nil || string(snap.Data) != state {
			t.Fatalf("snapshot of %d bytes: %v", len(state), err)
		}
	}
	waits := make(chan string, 1)
	go func() {
		s, _ := d.tell("read 1")
		waits <- s
	}()
	pages := int64(100)
	for until := time.Now().Add(hang); pages > 5 && time.Now().Before(until); time.Sleep(time.Millisecond) {
		var st unix.Stat_t
		if err := unix.Fstat(int(r.File.Fd()), &st); err != nil {
			t.Fatal(err)
		}
		pages = st.Blocks * 512 / pageSize
	}
	if pages > 5 {
		t.Errorf("%d pages", pages)
	}
	send(t, client, "!")
	if got := <-waits; got != "\"!\"\n" {
		t.Errorf("it reads %q", got)
	}
}

// Two living processes fight for a slot, in C: see TestMarksOfTwoLivingProcesses.
func TestMarksOfTwoLivingProcessesInC(t *testing.T) {
	_, server := dialed(t)
	c := must(Create(server, Config{}))
	r, id, kept := keptRegion(t, c), c.ID(), dup(t, server)
	c.letGo()
	b := must(OpenBox(r))
	defer b.Close()
	tell := driverInC(t).takes(t, r, id, kept)
	d := must(Resume(r, dup(t, kept), Config{}))
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.enter(); err != nil {
		t.Fatal(err)
	}
	tell("export late", "EMIGRATED")
	if !inside(t, b) {
		t.Error("the owner is inside, and seems to be outside")
	}
	d.leave()
}

// takes hands a driver a session, and returns how to tell it what to do.
func (d *driver) takes(t *testing.T, r Region, id ID, conn *net.TCPConn) (tell func(line, want string)) {
	t.Helper()
	if err := Pass(d.conn, r, id, 1, 0, conn); err != nil {
		t.Fatal(err)
	}
	tell = func(line, want string) {
		t.Helper()
		if got, err := d.tell(line); err != nil || got != want+"\n" {
			t.Fatalf("%.20s: %q, %v", line, got, err)
		}
	}
	tell("take", "ok")
	return tell
}

// §2.7, lazy export: no system call. A process that may only read its orders and
// write its answers, and would be killed for any other call, goes on exporting.
func TestLazyExportInCMakesNoSystemCall(t *testing.T) {
	_, server := dialed(t)
	c, err := Create(server, Config{})
	if err != nil {
		t.Fatal(err)
	}
	r, id, kept := keptRegion(t, c), c.ID(), dup(t, server)
	c.letGo()
	b := must(OpenBox(r))
	defer b.Close()
	tell := driverInC(t).takes(t, r, id, kept)
	tell("export warm", "ok")
	tell("strict", "ok")
	for n := range 50 {
		tell("export "+strings.Repeat("x", n*80), "ok")
	}
	if snap, err := b.Snapshot(0); err != nil || snap.Seq != 51 {
		t.Errorf("%+v, %v", snap, err)
	}
}
