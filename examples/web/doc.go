// SPDX-License-Identifier: Apache-2.0

// Command web is a web server whose sessions outlive its processes: files, CGI
// programs, and pages made here (§2.7.2, where it was Apache).
//
// It is net/http, and of mtcp it knows what is in run.go: three lines at the
// listener, and Once or Hold where a page is made of more than the request.
// When it is stopped it leaves its connections as they are, to the keeper.
//
// The trap: CGI programs are begun anew for a request whose process died, so
// what they change must bear that; their clients see one answer all the same.
//
//	web --keeper /run/lazystate/scd.sock --listen :80 --root /srv/www --cgi /srv/cgi
//	curl http://localhost/            # a file of --root
//	curl http://localhost/cgi-bin/who # a program of --cgi
//	curl http://localhost/lottery     # another number for each who asks
//	web --keeper '' --listen :81      # the same without boxes, to compare
package main
