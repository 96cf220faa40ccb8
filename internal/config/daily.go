package config

import (
	"errors"
	"time"
)

// Daily is a time of the day by the server's clock and its zone (TZ), or never.
type Daily struct {
	// On is false for never.
	On           bool
	Hour, Minute int
}

// UnmarshalText implements encoding.TextUnmarshaler: "03:00" or "off".
func (d *Daily) UnmarshalText(text []byte) error {
	if string(text) == "off" {
		*d = Daily{}
		return nil
	}
	at, err := time.Parse("15:04", string(text))
	if err != nil {
		return errors.New("must be a time of the day as 03:00, or off")
	}
	*d = Daily{On: true, Hour: at.Hour(), Minute: at.Minute()}
	return nil
}
