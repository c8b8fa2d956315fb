// SPDX-License-Identifier: Apache-2.0

package main

import "net/http"

// controls are what a monitor says to a front end.
func (f *front) controls() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /dead", func(w http.ResponseWriter, r *http.Request) {
		dead, instead := r.FormValue("node"), r.FormValue("instead")
		sessions := r.Form["session"] // of which the other one has all records already; none: of all
		if err := f.tier.replace(dead, instead, sessions...); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		f.log.Info("a middle tier is dead", "node", dead, "instead", instead, "sessions", len(sessions))
	})
	return mux
}
