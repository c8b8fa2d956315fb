// SPDX-License-Identifier: Apache-2.0

// Package identity is who a daemon is to its peers: an Ed25519 key, and TLS
// between two ends that know each other's keys beforehand.
//
// The trap: a certificate here only carries a key. Nobody has signed it and it
// never expires, so a caller that does not compare the key trusts everybody.
//
//	id, err := identity.Load("/etc/lazystate/identity.pem")
//	conf := id.TLS("lazystate-fleet/1", func(k identity.PublicKey) error {
//		if k != peer {
//			return errors.New("nobody here knows this key")
//		}
//		return nil
//	})
//	c, err := (&tls.Dialer{Config: conf}).DialContext(ctx, "tcp", address)
package identity
