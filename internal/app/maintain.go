package app

import (
	"log/slog"

	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/maintenance"
)

// maintain has the database kept in order by whichever instance comes first; nil
// where that is switched off. The day is the machine's, not that of a test's clock.
func maintain(settings config.Config, log *slog.Logger, watching observer) *maintenance.Keeper {
	if !settings.Maintain.On {
		return nil
	}
	wanted := maintenance.KeeperConfig{
		URL: settings.ListenURL(), OwnerURL: settings.MaintainURL, Hour: settings.Maintain.Hour, Minute: settings.Maintain.Minute, Log: log,
	}
	if registerer := watching.registerer(); registerer != nil {
		wanted.Ran = maintenance.Counted(registerer)
	}
	return maintenance.NewKeeper(wanted)
}
