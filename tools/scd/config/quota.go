// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"

	"lazystate/internal/confile"
)

// Quota is what one user's processes may have; 0: no bound but that of all.
type Quota struct {
	Sessions  int   `yaml:"sessions"`
	Bytes     int64 `yaml:"bytes"` // of their boxes
	Processes int   `yaml:"processes"`
	Listeners int   `yaml:"listeners"`
}

// UserQuota is that of a user of its own.
type UserQuota struct {
	User  string `yaml:"user"`
	Quota `yaml:",inline"`

	UID uint32 `yaml:"-"`
}

func (q Quota) check() error {
	if q.Sessions < 0 || q.Bytes < 0 || q.Processes < 0 || q.Listeners < 0 {
		return errors.New("a negative bound")
	}
	return nil
}

func (c *Config) checkQuotas() (err error) {
	if err := c.Quota.check(); err != nil {
		return confile.At(".quota", err)
	}
	seen := map[uint32]bool{}
	for i := range c.Quotas {
		q := &c.Quotas[i]
		at := fmt.Sprintf(".quotas[%d]", i)
		if q.UID, err = uidOf(q.User); err != nil {
			return confile.At(at+".user", err)
		}
		if seen[q.UID] {
			return confile.At(at+".user", fmt.Errorf("%q has a quota already", q.User))
		}
		if err := q.check(); err != nil {
			return confile.At(at, err)
		}
		seen[q.UID] = true
	}
	return nil
}
