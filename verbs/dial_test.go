// SPDX-License-Identifier: Apache-2.0

package verbs_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"lazystate/verbs"
	"lazystate/verbs/driver"
	"lazystate/verbs/verbstest"
)

// greet is a server that answers each message with the same one and a bang.
func greet(t *testing.T, s *verbs.Server) {
	t.Helper()
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(done)
		for {
			c, err := s.Accept(ctx)
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				return
			}
			answer(t, c)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		closeAll(t, s)
	})
}

// buffer is where the tests' receives go: Prepare makes it.
func receive(s *verbs.Setup) error {
	mr, err := s.AllocMR(4096, verbs.AccessAll)
	if err != nil {
		return err
	}
	s.Param.Private = []byte{byte(mr.RKey()), byte(mr.RKey() >> 8), byte(mr.RKey() >> 16), byte(mr.RKey() >> 24)}
	_, err = s.QP.PostRecv(verbs.RecvWR{SG: []verbs.SGE{mr.SGE(0, 4096)}})
	return err
}

func answer(t *testing.T, c *verbs.Conn) {
	defer closeAll(t, c)
	wc := make([]verbs.WC, 1)
	if _, err := c.CQ.Wait(t.Context(), wc); err != nil || wc[0].Err() != nil {
		t.Error(err, wc[0].Err())
		return
	}
	out, err := c.AllocMR(4096, verbs.AccessLocalWrite)
	if err != nil {
		t.Error(err)
		return
	}
	n := copy(out.Bytes(), "hello!")
	if _, err := c.PostSend(verbs.SendWR{Op: verbs.OpSend, Flags: verbs.SendSignaled, SG: []verbs.SGE{out.SGE(0, n)}}); err != nil {
		t.Error(err)
	}
	<-c.Done() // the peer has its answer
}

// ask dials, says hello and returns the provider that carried it.
func ask(t *testing.T, url string, c *verbs.Config) string {
	t.Helper()
	conn := must(verbs.Dial(t.Context(), url, c))(t)
	out := must(conn.AllocMR(4096, verbs.AccessLocalWrite))(t)
	n := copy(out.Bytes(), "hello")
	must(conn.PostSend(verbs.SendWR{Op: verbs.OpSend, SG: []verbs.SGE{out.SGE(0, n)}}))(t)
	wc := make([]verbs.WC, 1)
	must(conn.CQ.Wait(t.Context(), wc))(t)
	if wc[0].Err() != nil || wc[0].ByteLen != 6 {
		t.Errorf("answer %+v", wc[0])
	}
	provider := conn.Device().Attr().Provider
	if err := conn.Disconnect(t.Context()); err != nil {
		t.Error(err)
	}
	closeAll(t, conn)
	return provider
}

func TestDial(t *testing.T) {
	here := verbstest.Loopback().String()
	cfg := &verbs.Config{Prepare: receive}
	netOnly := &verbs.Config{Prepare: receive, NoLocal: true}
	for _, c := range []struct {
		name           string
		listen, dial   string
		server, client *verbs.Config
		carried        string
	}{
		{"mem", "mem://lab/0.0.0.0:0", "mem://lab/", cfg, cfg, "mem"},
		{"shm", "shm://10.0.0.3:0", "shm://", cfg, cfg, "shm"},
		{"roce on one host", "roce://" + here + ":0", "roce://", cfg, cfg, "shm"},
		{"rdma on one host", "rdma://" + here + ":0", "rdma://", cfg, cfg, "shm"},
		{"server without", "roce://" + here + ":0", "roce://", netOnly, cfg, "roce"},
		{"client without", "roce://" + here + ":0", "rdma://", cfg, netOnly, "roce"},
		{"other device", "roce://" + here + ":0", "roce://", cfg, netOnly, "roce"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := must(verbs.Listen(t.Context(), c.listen, c.server))(t)
			greet(t, s)
			url := c.dial + s.Addr().String()
			if c.name == "other device" {
				url += "?local=" + verbstest.Loopback().String()
			}
			for range 3 {
				if p := ask(t, url, c.client); p != c.carried {
					t.Errorf("carried by %s, want %s", p, c.carried)
				}
			}
		})
	}
}

// What Prepare refuses is told to the dialer; the server goes on.
func TestPrepareRefuses(t *testing.T) {
	failed := make(chan error, 1)
	refuse := true
	s := must(verbs.Listen(t.Context(), "shm://10.0.0.4:0", &verbs.Config{
		Prepare: func(s *verbs.Setup) error {
			if refuse {
				refuse = false
				return errors.New("not today, " + string(s.Request.Private[:3]))
			}
			return receive(s)
		},
		Failed: func(err error) { failed <- err },
	}))(t)
	greet(t, s)
	url := "shm://" + s.Addr().String()
	ask1 := verbs.DefaultConnParam()
	ask1.Private = []byte("bob")
	_, err := verbs.Dial(t.Context(), url, &verbs.Config{Param: &ask1})
	var re *verbs.RejectError
	if !errors.As(err, &re) || !strings.HasPrefix(string(re.Private), "not today, bob") {
		t.Errorf("%v, %q", err, re.Private)
	}
	if err := <-failed; !strings.Contains(err.Error(), "not today") {
		t.Error(err)
	}
	ask(t, url, &verbs.Config{Prepare: receive})
}

// Who asked for rdma:// can tell what it has got.
func TestDeviceURL(t *testing.T) {
	here := verbstest.Loopback().String() // no RDMA device has it
	for url, want := range map[string]string{
		"rdma://" + here + ":0":                   "roce://" + here,
		"mem://" + t.Name() + "/0.0.0.0:0?seed=3": "mem://" + t.Name() + "?seed=3",
	} {
		s, err := verbs.Listen(t.Context(), url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.DeviceURL(); got != want {
			t.Errorf("%s is %s, not %s", url, got, want)
		}
		closeAll(t, s)
	}
}

func TestDialErrors(t *testing.T) {
	boom := errors.New("boom")
	for _, c := range []struct {
		url  string
		cfg  *verbs.Config
		want func(error) bool
	}{
		{"shm://10.0.0.5:99", nil, func(err error) bool {
			var re *verbs.RejectError
			return errors.As(err, &re) && re.Reason == driver.RejectInvalidServiceID
		}},
		{"shm://10.0.0.5:99", &verbs.Config{Prepare: func(*verbs.Setup) error { return boom }}, func(err error) bool { return errors.Is(err, boom) }},
		{"tcp://10.0.0.5:99", nil, func(err error) bool { return errors.Is(err, verbs.ErrInvalid) }},
		{"shm://10.0.0.5", nil, func(err error) bool { return err != nil }},
		{"shm://10.0.0.5:99999", nil, func(err error) bool { return err != nil }},
		{"shm://10.0.0.5:99?local=here", nil, func(err error) bool { return err != nil }},
		{"rdma://127.0.0.1:99?provider=tcp", nil, func(err error) bool { return errors.Is(err, verbs.ErrInvalid) }},
	} {
		if _, err := verbs.Dial(t.Context(), c.url, c.cfg); !c.want(err) {
			t.Errorf("dial %s: %v", c.url, err)
		}
	}
}

// A registration that is not the connection's is named, and nothing is lost.
func TestCloseNamesWhatIsLeft(t *testing.T) {
	s := must(verbs.Listen(t.Context(), "shm://10.0.0.6:0", nil))(t)
	accepted := make(chan *verbs.Conn)
	go func() {
		c, err := s.Accept(t.Context())
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	c := must(verbs.Dial(t.Context(), "shm://"+s.Addr().String(), nil))(t)
	mr := must(c.PD.AllocMR(64, verbs.AccessLocalWrite))(t)
	var busy *verbs.BusyError
	if err := c.Close(); !errors.As(err, &busy) || !strings.HasPrefix(busy.Children[0], "mr ") {
		t.Errorf("close with a registration left: %v", err)
	}
	closeAll(t, mr, c, c, <-accepted, s, s)
}

func TestServerEnds(t *testing.T) {
	s := must(verbs.Listen(t.Context(), "shm://10.0.0.7:0", nil))(t)
	done := make(chan error)
	go func() { _, err := s.Accept(t.Context()); done <- err }()
	time.Sleep(time.Millisecond) // so that it mostly waits; either way it must end
	closeAll(t, s)
	if err := <-done; !errors.Is(err, verbs.ErrClosed) {
		t.Error(err)
	}
	if _, err := verbs.Listen(t.Context(), "mem://lab/"+netip.MustParseAddrPort("1.2.3.4:5").String(), nil); !errors.Is(err, verbs.ErrInvalid) {
		t.Errorf("listen at another's address: %v", err)
	}
}
