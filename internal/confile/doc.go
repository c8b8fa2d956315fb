// SPDX-License-Identifier: Apache-2.0

// Package confile reads configuration files: YAML, strictly, with line and column
// in front of whatever is wrong, a typo or a value.
//
// The trap: what Decode has accepted is well-formed and no more; the caller checks
// values, marks what is wrong by At, and hands the error to Locate with the bytes.
//
//	b, err := confile.Read(path)
//	if err != nil {
//		return err
//	}
//	if err := confile.Decode(b, &c); err != nil {
//		return err
//	}
//	if c.Slot > 7 {
//		return confile.Locate(b, confile.At(".slot", errors.New("want 0 to 7")))
//	}
package confile
