package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/taskmed/taskmed/internal/attachments"
	"github.com/taskmed/taskmed/internal/attachments/store"
	"github.com/taskmed/taskmed/internal/config"
)

// sweeps is how often what is to leave the store is looked for.
const sweeps = 15 * time.Second

// looks bounds how long a server's start waits for the store.
const looks = 3 * time.Second

// files are where attachments are kept. A store that cannot be reached now may be later:
// a server starts without. One that nobody but an operator can mend is refused.
func files(ctx context.Context, settings config.Config, options Options, watching observer) (attachments.Config, error) {
	kept := attachments.Config{Largest: settings.Attachments.Bytes, Log: options.Log, Seams: options.Attachments}
	var err error
	if kept.Store, err = Store(settings.Attachments, options.Log); err != nil || kept.Store == nil {
		return kept, err
	}
	// Where there is no store nobody is to be told that it cannot be reached.
	kept.Counted = attachments.NewMetrics(watching.Registerer())
	bounded, done := context.WithTimeout(ctx, looks)
	defer done()
	if err := store.Look(bounded, kept.Store); errors.Is(err, store.ErrUnfit) {
		return kept, unfit(settings.Attachments, err)
	}
	return kept, nil // what passes the sweeper tells of
}

// unfit names what an operator has to look at.
func unfit(settings config.Attachments, err error) error {
	if settings.Dir != "" {
		return fmt.Errorf("TASKMED_ATTACHMENTS_DIR is no folder that can be written: %w", err)
	}
	return fmt.Errorf("TASKMED_ATTACHMENTS_S3_BUCKET is none that can be used: %w", err)
}

// Store is where an operator has attachments kept; nil for nowhere.
func Store(settings config.Attachments, log *slog.Logger) (store.Store, error) {
	switch {
	case settings.Dir != "":
		kept, err := store.NewFolder(settings.Dir)
		if err != nil {
			return nil, unfit(settings, err)
		}
		return kept, nil
	case settings.S3Endpoint != "":
		secret, err := settings.Secret()
		if err != nil {
			return nil, err
		}
		return store.NewS3(store.S3Config{
			Endpoint: settings.S3Endpoint, Bucket: settings.S3Bucket, Region: settings.S3Region, Key: settings.S3Key, Secret: secret,
		})
	}
	log.Info("files of medical records are kept nowhere, and so not taken: TASKMED_ATTACHMENTS_DIR or TASKMED_ATTACHMENTS_S3_ENDPOINT says where")
	return nil, nil //nolint:nilnil // none is wanted
}
