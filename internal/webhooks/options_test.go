package webhooks_test

import (
	"time"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/internal/webhooks"
)

// private says whether endpoints may be at this machine.
func private(may bool) api.Option {
	return func(settings *config.Config, _ *app.Options) { settings.PrivateWebhooks = config.Switch(may) }
}

// unchecked leaves out what keeps calls to the Internet.
func unchecked(without bool) api.Option {
	return func(_ *config.Config, options *app.Options) { options.Webhooks.Dialling.WithoutCheck = without }
}

// unhurried has requests wait for a machine that is busy with other tests.
func unhurried(settings *config.Config, _ *app.Options) {
	settings.AcquireTimeout, settings.RequestTimeout = 30*time.Second, time.Minute
}

// without has a server send nothing.
func without() api.Option {
	return func(settings *config.Config, _ *app.Options) { settings.Outbox = false }
}

// sendingBy has a server send in another way.
func sendingBy(sending webhooks.SenderConfig) api.Option { return api.WithWebhooks(sending) }
