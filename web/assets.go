package web

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// An encoding is a way in which the build stored a file, best first. Vite's
// build keeps text compressed only: a client that takes neither is rare, and
// gets the gzip form unpacked.
type encoding struct{ name, suffix string }

func encodings() []encoding { return []encoding{{"br", ".br"}, {"gzip", ".gz"}} }

// assetHandler serves the built files by their path under dist. Those under
// assets/ carry a hash of their content in their name, so they are immutable and
// their name is their ETag; the others (the icon) are revalidated by the hour.
func assetHandler(files fs.FS) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Path
		contentType, known := contentTypeOf(name)
		// Only what has a known type is a file of the page: not the placeholder,
		// not a compressed form by its own name, not index.html a second time.
		if !known || !fs.ValidPath(name) {
			http.NotFound(w, r)
			return
		}
		body, enc, err := readAsset(files, name, r.Header.Get("Accept-Encoding"))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Vary", "Accept-Encoding")
		if enc != "" {
			h.Set("Content-Encoding", enc)
		}
		if strings.HasPrefix(name, "assets/") {
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
			h.Set("ETag", fmt.Sprintf("%q", path.Base(name)+strings.TrimSuffix("-"+enc, "-")))
		} else {
			h.Set("Cache-Control", "public, max-age=3600")
		}
		serveBytes(w, r, body)
	})
}

func contentTypeOf(name string) (string, bool) {
	// Spelled out: mime.TypeByExtension reads the machine's tables, and a wrong
	// type with nosniff would keep the page from starting.
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8", true
	case ".css":
		return "text/css; charset=utf-8", true
	case ".svg":
		return "image/svg+xml", true
	case ".woff2":
		return "font/woff2", true
	case ".ttf":
		return "font/ttf", true
	default:
		return "", false
	}
}

// readAsset answers the file's bytes in the best encoding the client takes, and
// that encoding's name, "" for the file as it is.
func readAsset(files fs.FS, name, acceptEncoding string) ([]byte, string, error) {
	for _, enc := range encodings() {
		if !takes(acceptEncoding, enc.name) {
			continue
		}
		if body, err := fs.ReadFile(files, name+enc.suffix); err == nil {
			return body, enc.name, nil
		}
	}
	if body, err := fs.ReadFile(files, name); err == nil {
		return body, "", nil
	}
	packed, err := fs.ReadFile(files, name+".gz")
	if err != nil {
		return nil, "", fmt.Errorf("read %s: %w", name, err)
	}
	zr, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, "", fmt.Errorf("unpack %s: %w", name, err)
	}
	body, err := io.ReadAll(zr)
	if err != nil {
		return nil, "", fmt.Errorf("unpack %s: %w", name, err)
	}
	return body, "", nil
}

// takes reads an Accept-Encoding header (RFC 9110, section 12.5.3) as far as it
// matters here: a coding that is named and not refused with q=0.
func takes(acceptEncoding, coding string) bool {
	for part := range strings.SplitSeq(acceptEncoding, ",") {
		name, params, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(name), coding) {
			continue
		}
		q, found := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
		return !found || strings.Trim(q, "0.") != ""
	}
	return false
}

func serveBytes(w http.ResponseWriter, r *http.Request, body []byte) {
	// ServeContent handles HEAD, If-None-Match and Range; no time of change,
	// since embedded files have none.
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}
