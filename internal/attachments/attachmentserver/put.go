package attachmentserver

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/taskmed/taskmed/internal/attachments"
	"github.com/taskmed/taskmed/internal/attachments/store"
	"github.com/taskmed/taskmed/internal/requestid"
	"github.com/taskmed/taskmed/models"
)

// refusals are what an upload is refused with. After those of what came the address is
// used up; another can be asked for.
func refusals() []refusal {
	const again = ": ask for another address"
	return []refusal{
		{models.ErrNotFound, http.StatusNotFound, "there is no such address"},
		{attachments.ErrUsed, http.StatusConflict, "this address was used: look whether the attachment is there, or ask for another address"},
		{attachments.ErrLate, http.StatusGone, "this address has expired" + again},
		{attachments.ErrTooLong, http.StatusRequestEntityTooLarge, "more bytes came than were announced" + again},
		{attachments.ErrTooShort, http.StatusBadRequest, "fewer bytes came than were announced" + again},
		{attachments.ErrDigest, http.StatusUnprocessableEntity, "the bytes have another SHA-256 than was announced" + again},
		{attachments.ErrType, http.StatusUnsupportedMediaType, "the bytes are of another type than was announced" + again},
		{attachments.ErrBroken, http.StatusRequestTimeout, "the bytes did not come to their end in time" + again},
		{attachments.ErrSigned, http.StatusConflict, "the record was signed meanwhile, and changes no more: amend it, and attach to the amendment"},
		{attachments.ErrGone, http.StatusConflict, "the draft was discarded meanwhile"},
	}
}

type refusal struct {
	err    error
	status int
	words  string
}

func (h *handler) put(w http.ResponseWriter, r *http.Request) {
	if err := h.fit(); err != nil {
		h.failed(w, r, err)
		return
	}
	awaited, err := h.files.Await(r.Context(), r.PathValue("token"))
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	// What can be told without a byte does not use the address up.
	switch coding := r.Header.Get("Content-Encoding"); {
	case coding != "" && !strings.EqualFold(coding, "identity"):
		tell(w, http.StatusUnsupportedMediaType, "send the file's bytes as they are, without a Content-Encoding")
		return
	case r.ContentLength > int64(awaited.Size()):
		tell(w, http.StatusRequestEntityTooLarge, "more bytes are to come than were announced")
		return
	case r.ContentLength >= 0 && r.ContentLength < int64(awaited.Size()):
		tell(w, http.StatusBadRequest, "fewer bytes are to come than were announced")
		return
	}
	done, ok := h.uploads.take(awaited.Clinic())
	if !ok {
		busy(w)
		return
	}
	defer done()
	ctx, body, cancel := h.receiving(w, r)
	defer cancel()
	made, err := awaited.Receive(ctx, body) //nolint:contextcheck // ctx extends the request's
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	w.Header().Set("ETag", `"`+made.Digest+`"`)
	tell(w, http.StatusCreated, made.GetID())
}

func (h *handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	for _, one := range refusals() {
		if errors.Is(err, one.err) {
			// What is left of a body is not worth reading.
			w.Header().Set("Connection", "close")
			tell(w, one.status, one.words)
			return
		}
	}
	h.failed(w, r, err)
}

// failed answers where it is nobody's mistake.
func (h *handler) failed(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == nil {
		h.log.WarnContext(r.Context(), "a file could not be kept or served", slog.String("request_id", requestid.From(r.Context())), slog.Any("error", err))
	}
	w.Header().Set("Connection", "close")
	if errors.Is(err, store.ErrFull) {
		tell(w, http.StatusInsufficientStorage, "there is no room for files: tell the server's operator")
		return
	}
	w.Header().Set("Retry-After", "30")
	tell(w, http.StatusServiceUnavailable, "files can be neither taken nor served now: look whether the attachment is there, and try again later")
}
