// SPDX-License-Identifier: Apache-2.0

// Package config is scd's configuration file: YAML, read strictly, with line and
// column before whatever is wrong. tools/pkg/scd.yaml shows all of it.
//
// The trap: what is named here is what another server can make this one do. A
// session that comes is restored only at an address of services, for the user
// that stands there, and only from peers, known by their keys.
//
//	c, err := config.Load(config.DefaultPath)
//	if err != nil {
//		return err
//	}
//	for _, s := range c.Services {
//		fmt.Println(s.Name, s.Listen, s.UID)
//	}
package config
