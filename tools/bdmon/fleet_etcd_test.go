// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lazystate/tools/bdmon/etcd/etcdtest"
	"lazystate/tools/control"
)

// inEtcd is the fleet's part of a configuration that meets in etcd.
func inEtcd(m *mate, c *etcdtest.Cluster, more string) string {
	return fmt.Sprintf(`{name: %s, lease: 6s, etcd: {endpoints: ["%s"]%s}}`, m.name, strings.Join(c.Endpoints(), `", "`), more)
}

// A fleet in etcd, with three real servers: the owner is killed, then an etcd
// server, then the leader, then all of them; each time the target is healed by
// one monitor, or by none while nothing can be proven.
func TestFleetInEtcd(t *testing.T) {
	t.Parallel()
	servers := etcdtest.New(t, 3, "http")
	admin := servers.Ready()
	c := newCrew(t, "a", "b")
	for _, m := range c.mates {
		c.configure(m, inEtcd(m, servers, ""), healer+"    order: [a, b]\n")
	}
	a, b := c.mates[0], c.mates[1]
	ca := c.run(a)
	first := c.whenOwns(a, ca)
	if first.LeaseLeft == nil || *first.LeaseLeft <= 0 || *first.LeaseLeft > 6 {
		t.Errorf("a owns by etcd's lease: %+v", first)
	}
	cb := c.run(b)
	b.eventually(t, "b knows the owner", func() bool { return owner(t, cb).Owner == "a" })
	a.end(t, syscall.SIGKILL)
	c.bomb()
	second := c.whenOwns(b, cb)
	if second.Epoch <= first.Epoch {
		t.Errorf("epoch %d after %d", second.Epoch, first.Epoch)
	}
	b.eventually(t, "the bomb is gone", func() bool { return c.bombs() == 0 })
	c.SetValue(c.nprocs, 10)

	_, follower := servers.Leader(admin)
	follower.Kill()
	renewed, left := 0, 0.0
	b.eventually(t, "b's lease is renewed twice by two servers of three", func() bool {
		got := owner(t, cb)
		if got.Owner != "b" || got.Epoch != second.Epoch || got.LeaseLeft == nil {
			t.Fatalf("with two servers of three: %+v", got)
		}
		if *got.LeaseLeft > left {
			renewed++
		}
		left = *got.LeaseLeft
		return renewed > 2 // the first was only seen
	})
	follower.Start(t)
	servers.Ready()
	leader, _ := servers.Leader(admin)
	leader.Kill()
	// The lease may run out while a new leader is elected; it is owned again then.
	b.eventually(t, "b owns under a new leader", func() bool { return owner(t, cb).Phase == "owning" && writable(t, cb) })

	for _, s := range servers.Servers {
		s.Kill()
	}
	lost := time.Now()
	until := lost.Add(6 * time.Second) // a lease, of what was renewed last
	b.eventually(t, "b owns nothing without etcd", func() bool {
		asked := time.Now()
		got := owner(t, cb)
		if got.LeaseLeft != nil && asked.Add(time.Duration(*got.LeaseLeft*float64(time.Second))).After(until.Add(100*time.Millisecond)) {
			t.Errorf("without etcd: %+v", got)
		}
		return got.Phase == "idle"
	})
	t.Logf("owned for %v without etcd", time.Since(lost).Round(10*time.Millisecond))
	if writable(t, cb) {
		t.Error("b may write without etcd")
	}
	for _, s := range servers.Servers {
		s.Start(t)
	}
	b.eventually(t, "b owns again", func() bool { return owner(t, cb).Phase == "owning" })
	ca = c.run(a)
	a.eventually(t, "a knows the owner", func() bool { return owner(t, ca).Owner == "b" })
	b.end(t, syscall.SIGTERM)
	c.whenOwns(a, ca)
	c.changes()
}

// writable asks whether a monitor may write to t1.
func writable(t *testing.T, c *control.Client) bool {
	t.Helper()
	var all []control.Target
	if err := c.Call(control.Request{Cmd: "targets"}, &all); err != nil || len(all) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	return all[0].Writable
}

// Only who has a certificate that the servers know gets in; etcd made anew does
// not begin epochs anew.
func TestFleetInEtcdByTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := newAuthority(t, filepath.Join(dir, "ca"))
	ca.sign(t, filepath.Join(dir, "etcd"))
	ca.sign(t, filepath.Join(dir, "m"))
	newAuthority(t, filepath.Join(dir, "other")).sign(t, filepath.Join(dir, "stranger"))
	tls := []string{"--cert-file", dir + "/etcd.pem", "--key-file", dir + "/etcd-key.pem", "--client-cert-auth", "--trusted-ca-file", dir + "/ca.pem"}
	servers := etcdtest.New(t, 1, "https", tls...)
	c := newCrew(t, "a", "b")
	a, b := c.mates[0], c.mates[1]
	files := func(who string) string {
		return fmt.Sprintf(", ca: %[1]s/ca.pem, cert: %[1]s/%[2]s.pem, cert_key: %[1]s/%[2]s-key.pem", dir, who)
	}
	c.configure(a, inEtcd(a, servers, files("m")), "")
	c.configure(b, inEtcd(b, servers, files("stranger")), "")
	client := c.run(a)
	stranger := c.run(b)
	first := c.whenOwns(a, client)
	b.eventually(t, "the stranger is refused", func() bool { return strings.Contains(b.stderr.String(), "etcd: presence") })
	// It may be trying just now; it never succeeds.
	if got := owner(t, stranger); got.Phase == "owning" || got.Owner != "" {
		t.Errorf("the stranger sees %+v", got)
	}
	b.end(t, syscall.SIGKILL)

	servers.Servers[0].Kill()
	if err := os.RemoveAll(servers.Servers[0].Dir); err != nil {
		t.Fatal(err)
	}
	servers.Servers[0].Start(t)
	c.eventually(t, "a owns by a new etcd, with a higher epoch", func() bool {
		got := owner(t, client)
		return got.Phase == "owning" && got.Epoch > first.Epoch
	})
}

// authority signs certificates for 127.0.0.1.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, path string) *authority {
	t.Helper()
	a := &authority{}
	a.cert, a.key = certify(t, path, nil)
	return a
}

func (a *authority) sign(t *testing.T, path string) { t.Helper(); certify(t, path, a) }

func certify(t *testing.T, path string, by *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: filepath.Base(path)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if by == nil {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		by = &authority{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, &key.PublicKey, by.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{path + ".pem": {Type: "CERTIFICATE", Bytes: der}, path + "-key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}
