package attachmentserver

import (
	"context"
	"errors"
	"mime"
	"net/http"

	"github.com/taskmed/taskmed/models"
)

// inline tells whether a browser may show a file in a page: pictures that cannot run
// anything. A PDF can.
func inline(mediaType string) bool {
	switch mediaType {
	case "image/png", "image/jpeg", "image/webp", "image/gif":
		return true
	}
	return false
}

func (h *handler) get(w http.ResponseWriter, r *http.Request) {
	if err := h.fit(); err != nil {
		h.failed(w, r, err)
		return
	}
	name := r.PathValue("name")
	done, ok := h.downloads.take(name[:min(len(name), clinicChars)])
	if !ok {
		busy(w)
		return
	}
	defer done()
	bounded, end := context.WithTimeout(r.Context(), longest)
	defer end()
	file, err := h.files.Open(bounded, name)
	if errors.Is(err, models.ErrNotFound) {
		tell(w, http.StatusNotFound, nothing)
		return
	}
	if err != nil {
		h.failed(w, r, err)
		return
	}
	defer func() { _ = file.Close() }() // it was only read
	allow(w, file.ByteSize)
	header := w.Header()
	disposition, kind := "attachment", file.MediaType
	if inline(kind) {
		disposition = "inline"
	}
	if kind == "text/plain" || kind == "text/csv" {
		kind += "; charset=utf-8"
	}
	// RFC 6266: mime encodes what is not ASCII as RFC 2231 has it.
	header.Set("Content-Disposition", mime.FormatMediaType(disposition, map[string]string{"filename": file.FileName}))
	header.Set("Content-Type", kind)
	header.Set("ETag", `"`+file.Digest+`"`)
	http.ServeContent(w, r, "", file.CreatedAt, file)
}
