// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"time"

	"lazystate/internal/keyfile"
)

// PublicKey is who a daemon is to the others.
type PublicKey [ed25519.PublicKeySize]byte

func (k PublicKey) String() string { return base64.StdEncoding.EncodeToString(k[:]) }

// ParseKey reads what String writes.
func ParseKey(text string) (k PublicKey, err error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(b) != len(k) {
		return k, fmt.Errorf("public key %q: want 44 letters, as --new-identity prints them", text)
	}
	return PublicKey(b), nil
}

// Identity is a daemon's private key, and the certificate that carries the
// public one. Nobody signs certificates here and none expires: a peer is known
// by its key, so that no clock and no authority is needed in an emergency.
type Identity struct {
	Public PublicKey
	cert   tls.Certificate
}

// New makes a key: the file's content, and what the others are told.
func New() ([]byte, PublicKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, PublicKey{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, PublicKey{}, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), PublicKey(public), nil
}

// Create makes a key in a file; one that is there is replaced by nobody, for
// others know it.
func Create(path string) (PublicKey, error) {
	pem, public, err := New()
	if err != nil {
		return public, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return public, err
	}
	_, err = f.Write(pem)
	return public, errors.Join(err, f.Sync(), f.Close())
}

// Load reads a key that only its owner may read.
func Load(path string) (*Identity, error) {
	b, err := keyfile.Read(path)
	if err != nil {
		return nil, err
	}
	id, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("identity %s: %w", path, err)
	}
	return id, nil
}

// Parse reads what New writes.
func Parse(b []byte) (*Identity, error) {
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New("want a PEM block PRIVATE KEY")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("a key of kind %T: want Ed25519", parsed)
	}
	public, _ := private.Public().(ed25519.PublicKey)
	der, err := selfSigned(public, private)
	if err != nil {
		return nil, err
	}
	return &Identity{PublicKey(public), tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}}, nil
}

func selfSigned(public ed25519.PublicKey, private ed25519.PrivateKey) ([]byte, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lazystate"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // "no expiry", RFC 5280 4.1.2.5
	}
	return x509.CreateCertificate(rand.Reader, template, template, public, private)
}

// TLS is between keys that are known beforehand: whose key it is, is told to
// took. Chains and names of certificates mean nothing here; protocol is what
// both ends must mean.
func (id *Identity) TLS(protocol string, took func(PublicKey) error) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{id.cert}, NextProtos: []string{protocol},
		ClientAuth: tls.RequireAnyClientCert, InsecureSkipVerify: true, SessionTicketsDisabled: true,
		DynamicRecordSizingDisabled: true, // a message is of no use before it is whole
		VerifyConnection: func(s tls.ConnectionState) error {
			if s.NegotiatedProtocol != protocol {
				return fmt.Errorf("protocol %q, want %q", s.NegotiatedProtocol, protocol)
			}
			if len(s.PeerCertificates) != 1 {
				return fmt.Errorf("%d certificates, want 1", len(s.PeerCertificates))
			}
			public, ok := s.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
			if !ok {
				return errors.New("certificate without an Ed25519 key")
			}
			return took(PublicKey(public))
		},
	}
}
