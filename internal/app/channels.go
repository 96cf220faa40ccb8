package app

import (
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/messaging/channel"
	"github.com/taskmed/taskmed/internal/messaging/mail"
	"github.com/taskmed/taskmed/internal/messaging/web"
	"github.com/taskmed/taskmed/internal/messaging/whatsapp"
	"github.com/taskmed/taskmed/models"
)

// channels are the ways to the channels' providers.
func channels(settings config.Config) map[models.Channel]channel.Adapter {
	return map[models.Channel]channel.Adapter{
		models.ChannelWhatsapp: whatsapp.New(settings.WhatsAppURL),
		models.ChannelEmail:    mail.New(bool(settings.PrivateMail)),
		models.ChannelWeb:      web.Page{},
	}
}
