// SPDX-License-Identifier: Apache-2.0

// Package atomicfile replaces files of which others may read at any time, or whose
// writer may be killed: they are the old one or the new one, and whole. Records of
// benches, the lab's state, the reports of the DSM's nodes (§4) and what a front end
// knows of the tiers behind it (§3.6.7) are such.
//
// The trap: it is so while the machine runs. What is to outlive a power cut has to be
// synced, file and folder, which takes milliseconds (dsm/store does). And whoever is
// killed over it leaves a file beside, whose name begins with a dot.
//
//	b, err := json.Marshal(report)
//	if err != nil {
//		return err
//	}
//	if err := atomicfile.Write(path, b, 0o644); err != nil {
//		return fmt.Errorf("report %s: %w", path, err)
//	}
package atomicfile
