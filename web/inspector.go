package web

import (
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
)

const inspectorPath = "/webhooks"

// Inspector serves the page that shows a developer which webhooks came: itself at
// "/webhooks", its files under "/webhooks/", and at "/webhooks/received.json?after=N" what
// since tells of those that are numbered higher than N (src/inspector/received.ts has its
// form). It has no authentication: hand it to Handler, which keeps it to loopback hosts.
func Inspector[S any](since func(after int64) S) http.Handler {
	files, err := fs.Sub(dist, "dist/webhooks")
	if err != nil { // fs.Sub fails for an invalid path only, and this one is a constant.
		panic(fmt.Sprintf("web: embedded files: %v", err))
	}
	return newInspector(since, files)
}

func newInspector[S any](since func(after int64) S, files fs.FS) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET "+inspectorPath, plainPage(files, "webhooks.html"))
	mux.Handle("GET "+inspectorPath+"/{$}", http.RedirectHandler(inspectorPath, http.StatusMovedPermanently))
	mux.HandleFunc("GET "+inspectorPath+"/received.json", func(w http.ResponseWriter, r *http.Request) {
		after, err := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
		if err != nil || after < 0 {
			http.Error(w, "after is the number of the last one that is known, or 0", http.StatusBadRequest)
			return
		}
		writeJSON(w, r, since(after))
	})
	mux.Handle("GET "+inspectorPath+"/", http.StripPrefix(inspectorPath+"/", assetHandler(files)))
	return secureHeaders(mux)
}

// loopbackOnly hides a page from a neighbour on the network and from a rebound DNS name.
func loopbackOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLoopbackHost(r.Host) {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}
