package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/attachments/store"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/doctor"
)

// longestStoreCheck bounds how long the doctor waits for the store of attachments.
const longestStoreCheck = 10 * time.Second

type attachmentsCommand struct {
	Home string `default:".taskmed" env:"TASKMED_HOME" type:"path" help:"Folder of the taskmed dev whose store is looked at where the environment names none (${default})."`
	JSON bool   `name:"json" help:"Print the report as JSON."`
}

// Run looks whether the store that the environment names, or that of taskmed dev, keeps
// what it is given.
func (c *attachmentsCommand) Run(ctx context.Context, s streams) error {
	settings, err := config.AttachmentsFromEnv(environment(os.Environ()))
	if err != nil {
		return fmt.Errorf("the environment is not right:\n%w", err)
	}
	if dev := filepath.Join(c.Home, devAttachments); settings.Dir == "" && settings.S3Endpoint == "" {
		if _, err := os.Stat(dev); err == nil {
			settings.Dir = dev
		}
	}
	where := settings.Dir
	if settings.S3Endpoint != "" {
		where = settings.S3Endpoint + "/" + settings.S3Bucket
	}
	report := doctor.Report{Check: "attachments", Healthy: true, Examined: "the store of attachments, " + where, Findings: []doctor.Finding{}}
	if where == "" {
		report.Examined = "the environment, which names no store of attachments: none are taken"
		return examination{JSON: c.JSON}.tell(s, report)
	}
	kept, err := app.Store(settings, slog.New(slog.DiscardHandler))
	if err == nil {
		bounded, done := context.WithTimeout(ctx, longestStoreCheck)
		defer done()
		err = store.Look(bounded, kept)
	}
	if err != nil {
		report.Healthy = false
		report.Findings = append(report.Findings, doctor.Finding{
			Level: doctor.Problem, Rule: "files can be kept in the store of attachments", Subject: where, Detail: err.Error(),
			Remedy: "make the folder or the bucket, and let the server's user or key write there; docs/attachments.md has the variables",
		})
	}
	return examination{JSON: c.JSON}.tell(s, report)
}
