// SPDX-License-Identifier: Apache-2.0

// Package settings is what all nodes of a parallel program must agree on, as flags:
// of dsmd, which is one node, and of dsmrun, which starts them (§4.3.2, §4.6).
//
// The trap: nodes that differ in what Core says refuse each other; in what Node says
// they may differ.
//
//	app := &cli.App{Name: "dsmd", Flags: settings.Flags(), Action: func(c *cli.Context) error {
//		s, err := settings.Of(c)
//		if err := cmp.Or(err, s.Check()); err != nil {
//			return err
//		}
//		cfg, err := s.Node(2, log)
//		...
//	}}
package settings
