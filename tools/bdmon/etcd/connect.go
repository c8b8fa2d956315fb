// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"lazystate/internal/confile"
	"lazystate/internal/keyfile"
)

// patience bounds connecting, and how long a dead connection is taken for good.
const patience = 2 * time.Second

// Servers are where etcd is, and who this monitor is there.
type Servers struct {
	Endpoints         []string
	CA, Cert, CertKey string // files; "": none
	User              string
	PasswordFile      string
}

// Connector reads the files that e names, and returns what connects.
func (e *Servers) Connector() (func() (*clientv3.Client, error), error) {
	c := clientv3.Config{
		Endpoints: e.Endpoints, Username: e.User, DialTimeout: 2 * patience,
		DialKeepAliveTime: patience, DialKeepAliveTimeout: patience, Logger: zap.NewNop(),
	}
	if e.PasswordFile != "" {
		b, err := keyfile.Read(e.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("password of etcd: %w", err)
		}
		c.Password = strings.TrimRight(string(b), "\r\n")
	}
	var err error
	if c.TLS, err = e.tls(); err != nil {
		return nil, err
	}
	return func() (*clientv3.Client, error) { return clientv3.New(c) }, nil
}

// tls is nil where every endpoint is this machine itself, in the clear.
func (e *Servers) tls() (*tls.Config, error) {
	clear := true
	for _, raw := range e.Endpoints {
		clear = clear && strings.HasPrefix(raw, "http://")
	}
	if clear {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if e.CA != "" {
		b, err := confile.Read(e.CA)
		if err != nil {
			return nil, fmt.Errorf("CA of etcd: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(b) {
			return nil, fmt.Errorf("CA of etcd: %s holds no certificate", e.CA)
		}
	}
	if e.Cert != "" {
		certificate, err := e.certificate()
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{certificate}
	}
	return c, nil
}

func (e *Servers) certificate() (tls.Certificate, error) {
	cert, err := confile.Read(e.Cert)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate for etcd: %w", err)
	}
	key, err := keyfile.Read(e.CertKey)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate for etcd: %w", err)
	}
	c, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return c, fmt.Errorf("certificate for etcd: %s: %w", e.Cert, err)
	}
	return c, nil
}
