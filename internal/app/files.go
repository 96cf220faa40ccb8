package app

import (
	"log/slog"
	"time"

	"github.com/taskmed/taskmed/internal/attachments"
	"github.com/taskmed/taskmed/internal/attachments/store"
	"github.com/taskmed/taskmed/internal/config"
)

// sweeps is how often what is to leave the store is looked for.
const sweeps = 15 * time.Second

// files are where attachments are kept. A store that cannot be reached now may be later:
// a server starts without.
func files(settings config.Config, options Options, watching observer) (attachments.Config, error) {
	kept := attachments.Config{Largest: settings.Attachments.Bytes, Log: options.Log, Counted: attachments.NewMetrics(watching.Registerer()), Seams: options.Attachments}
	var err error
	kept.Store, err = Store(settings.Attachments, options.Log)
	return kept, err
}

// Store is where an operator has attachments kept; nil for nowhere.
func Store(settings config.Attachments, log *slog.Logger) (store.Store, error) {
	switch {
	case settings.Dir != "":
		return store.NewFolder(settings.Dir)
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
