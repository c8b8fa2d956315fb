// SPDX-License-Identifier: Apache-2.0

// Package browser tries the pages of examples in a real browser (§3.6.7): Debian's
// Chromium, driven by chromedp, in a network namespace beside the service's machines,
// which die while a page is open.
//
// The trap: a page that loads again would hide that its session was lost. These tests
// look at what the page has counted since it was opened.
//
//	go -C test/browser test ./...
package browser
