// Package attachments keeps the files of medical records: how one is asked for, comes in,
// is checked before it is anything, and is read by who may.
package attachments

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/attachments/store"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

const (
	// Path is where files are read.
	Path = "/attachments/"
	// UploadPath is where they are put.
	UploadPath = Path + "uploads/"

	// waits is how long an address to upload to is good for.
	waits = 15 * time.Minute
	// mostPerRecord are the files of a record, those that are awaited included.
	mostPerRecord = 50
	// mostAwaited are the files that a clinic awaits at once.
	mostAwaited = 500
	longestName = 255
)

// Config is what Files are made of.
type Config struct {
	DB *database.DB
	// Store keeps the bytes; nil where this server keeps none, and then says so.
	Store  store.Store
	Server entity.Server
	// Largest is how many bytes a file may have.
	Largest int
	// Standing is who a subject is in a clinic now; models.ErrNotFound for nobody.
	Standing func(ctx context.Context, clinic uuid.UUID, subject string) (*tenant.Scope, error)
	// May tells whether a role may read attachments.
	May func(models.Role) bool
	// Counted is told what happens; may be nil.
	Counted Counted
	// Log may be nil.
	Log *slog.Logger
	// Now is the clock that links end by.
	Now func() time.Time

	Seams
}

// Files are the attachments of the clinics' records. They may be used from any goroutine.
type Files struct {
	Config

	links *links
	// woken tells a sweeper of this process that there is something to do.
	woken chan struct{}
}

// What a file, or the address that it is put at, can be refused for.
var (
	ErrUsed     = errors.New("attachments: this address was used")
	ErrLate     = errors.New("attachments: this address has expired")
	ErrTooLong  = errors.New("attachments: more bytes came than were announced")
	ErrTooShort = errors.New("attachments: fewer bytes came than were announced")
	ErrDigest   = errors.New("attachments: the bytes have another digest than was announced")
	ErrType     = errors.New("attachments: the bytes are of another type than was announced")
	ErrBroken   = errors.New("attachments: the bytes could not be read to their end")
	ErrSigned   = errors.New("attachments: the record was signed meanwhile")
	ErrGone     = errors.New("attachments: the draft was discarded meanwhile")
)

// errNoStore tells operators where to look.
var errNoStore = errors.New("attachments: this server has no store: set TASKMED_ATTACHMENTS_DIR or TASKMED_ATTACHMENTS_S3_ENDPOINT")

// New makes Files.
func New(config Config) *Files {
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.Counted == nil {
		config.Counted = uncounted{}
	}
	return &Files{Config: config, links: &links{}, woken: make(chan struct{}, 1)}
}

// forClinic is a context of what happens in a clinic before it is known who asks.
func forClinic(ctx context.Context, clinic uuid.UUID) context.Context {
	return tenant.With(ctx, &tenant.Scope{Subject: "attachments", ClinicID: clinic, Role: models.RolePartner})
}

// standing is a context of a subject who may read a clinic's attachments now;
// models.ErrNotFound for others.
func (f *Files) standing(ctx context.Context, clinic uuid.UUID, subject string) (context.Context, error) {
	scope, err := f.Standing(ctx, clinic, subject)
	if err != nil {
		return nil, err
	}
	if !f.May(scope.Role) {
		return nil, models.ErrNotFound
	}
	return tenant.With(ctx, scope), nil
}

// Wake has a sweeper of this process look for what is to go.
func (f *Files) Wake() {
	select {
	case f.woken <- struct{}{}:
	default:
	}
}

const clinicChars = 26

// clinicText is a clinic's UUID as addresses have it.
func clinicText(clinic uuid.UUID) string {
	return strings.TrimPrefix(models.KindClinic.Global(clinic), string(models.KindClinic)+"_")
}

// clinicOf is the clinic that an address's name begins with; false for what cannot be one.
// It stands there so that the rest is looked for under that clinic's row-level security.
func clinicOf(name string) (clinic uuid.UUID, rest string, ok bool) {
	if len(name) <= clinicChars {
		return uuid.Nil, "", false
	}
	clinic, err := models.KindClinic.Parse(string(models.KindClinic) + "_" + name[:clinicChars])
	return clinic, name[clinicChars:], err == nil && clinic != uuid.Nil
}
