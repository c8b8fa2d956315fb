// SPDX-License-Identifier: Apache-2.0

package etcdtest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"lazystate/internal/leash"
	"lazystate/tools/lab"
)

// Cluster is real etcd servers, processes of this machine on loopback.
type Cluster struct {
	t       *testing.T
	Servers []*Server
}

// Server is one of them.
type Server struct {
	name, client, peer string
	Dir                string // its data
	args               []string
	cmd                *exec.Cmd
	out                bytes.Buffer
	wait               func() error
}

// etcdBinary is Debian's etcd-server, installed or unpacked by bootstrap.sh.
func etcdBinary(t *testing.T) string {
	t.Helper()
	for _, path := range []string{"etcd", filepath.Join(lab.CacheDir(), "etcd")} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	lab.Skip(t, "no etcd here: tools/bootstrap.sh unpacks Debian's etcd-server into build/cache")
	return ""
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// New starts n servers; scheme is http, or https with more arguments.
func New(t *testing.T, n int, scheme string, more ...string) *Cluster {
	t.Helper()
	bin := etcdBinary(t)
	c := &Cluster{t: t}
	var peers []string
	for i := range n {
		s := &Server{name: fmt.Sprintf("e%d", i), client: scheme + "://" + free(t), peer: "http://" + free(t), Dir: t.TempDir()}
		peers = append(peers, s.name+"="+s.peer)
		c.Servers = append(c.Servers, s)
	}
	for _, s := range c.Servers {
		s.args = append([]string{
			bin, "--name", s.name, "--data-dir", s.Dir, "--listen-client-urls", s.client, "--advertise-client-urls", s.client,
			"--listen-peer-urls", s.peer, "--initial-advertise-peer-urls", s.peer, "--initial-cluster", strings.Join(peers, ","),
			"--initial-cluster-token", t.Name(), "--heartbeat-interval", "100", "--election-timeout", "1000", "--logger", "zap",
		}, more...)
		s.Start(t)
	}
	return c
}

// Start begins it, or begins it again with the data that it had.
func (s *Server) Start(t *testing.T) {
	t.Helper()
	s.cmd = exec.Command(s.args[0], s.args[1:]...)
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	wait, err := leash.Start(s.cmd, syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	s.wait = wait
	cmd := s.cmd
	t.Cleanup(func() { cmd.Process.Kill(); _ = wait() })
}

// Kill ends it without a word.
func (s *Server) Kill() {
	s.cmd.Process.Kill()
	_ = s.wait() // says that it was killed
}

// Endpoints are the URLs of all servers.
func (c *Cluster) Endpoints() (all []string) {
	for _, s := range c.Servers {
		all = append(all, s.client)
	}
	return all
}

// Client connects to all of the servers, or to those that are named.
func (c *Cluster) Client(endpoints ...string) *clientv3.Client {
	c.t.Helper()
	if endpoints == nil {
		endpoints = c.Endpoints()
	}
	cl, err := clientv3.New(clientv3.Config{
		Endpoints: endpoints, DialTimeout: 5 * time.Second, DialKeepAliveTime: time.Second, DialKeepAliveTimeout: time.Second, Logger: zap.NewNop(),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { cl.Close() })
	return cl
}

// Ready waits until the cluster takes a write.
func (c *Cluster) Ready() *clientv3.Client {
	c.t.Helper()
	cl := c.Client()
	var last error
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		_, last = cl.Put(ctx, "ready", "")
		cancel()
		if last == nil {
			return cl
		}
		time.Sleep(50 * time.Millisecond)
	}
	c.t.Fatalf("etcd does not come up: %v\n%s", last, &c.Servers[0].out)
	return nil
}

// Leader finds the server that leads, and one that does not: on a busy machine
// there may be none for a while.
func (c *Cluster) Leader(cl *clientv3.Client) (leader, follower *Server) {
	c.t.Helper()
	for end := time.Now().Add(60 * time.Second); leader == nil || follower == nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatal("no leader, or no follower")
		}
		leader, follower = c.look(cl)
	}
	return leader, follower
}

func (c *Cluster) look(cl *clientv3.Client) (leader, follower *Server) {
	for _, s := range c.Servers {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		st, err := cl.Status(ctx, s.client)
		cancel()
		switch {
		case err != nil:
		case st.Leader == st.Header.MemberId:
			leader = s
		default:
			follower = s
		}
	}
	return leader, follower
}
