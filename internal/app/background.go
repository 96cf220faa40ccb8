package app

import (
	"log/slog"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/maintenance"
	"github.com/taskmed/taskmed/internal/outbox"
	"github.com/taskmed/taskmed/internal/webhooks"
)

// maintain has the database kept in order by whichever instance comes first, where that
// is not switched off. The day is the machine's, not that of a test's clock.
func maintain(settings config.Config, log *slog.Logger, watching observer) closer {
	if !settings.Maintain.On {
		return nothing{}
	}
	return maintenance.NewKeeper(maintenance.KeeperConfig{
		URL: settings.ListenURL(), OwnerURL: settings.MaintainURL, Hour: settings.Maintain.Hour, Minute: settings.Maintain.Minute, Log: log,
		Ran: maintenance.Counted(watching.Registerer()),
	})
}

// attend has the waiting lists attended to, where that is not switched off.
func attend(settings config.Config, log *slog.Logger, watching observer, fit func() error, made *graph) closer {
	waiting := maintenance.Waiting(watching.Registerer())
	if !settings.Waitlist {
		return nothing{}
	}
	return maintenance.NewAttendant(maintenance.AttendantConfig{URL: settings.ListenURL(), Log: log, Fit: fit, Attend: made.waitlist.Attend, Waiting: waiting})
}

// lead has events given their positions, and webhooks sent, by one instance at a time,
// where that is not switched off.
func lead(settings config.Config, db *database.DB, log *slog.Logger, watching observer, fit func() error, made *graph, seams webhooks.SenderConfig, live func(clinics []uuid.UUID)) closer {
	if !settings.Outbox {
		return nothing{}
	}
	seams.Log, seams.Fit, seams.Counted = log, fit, webhooks.NewMetrics(watching.Registerer())
	sender := webhooks.NewSender(made.webhooks, seams)
	return outbox.NewLeader(outbox.LeaderConfig{
		URL: settings.ListenURL(), DB: db, Log: log, Stamped: stamped(live, sender.Stamped), Beside: sender.Run, Counted: outbox.NewMetrics(watching.Registerer()),
	})
}
