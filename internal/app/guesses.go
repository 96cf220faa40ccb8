package app

import (
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/people/guesses"
)

// countGuesses counts CPFs that are tried with the other instances that share a Redis.
func countGuesses(settings config.Config, secret []byte, watching observer, opened *open) (guesses.Shared, error) {
	if settings.RedisURL == "" {
		return guesses.Alone{}, nil
	}
	shared, err := guesses.OpenRedis(settings.RedisURL, settings.RedisTimeout, secret, watching.RedisHook())
	if err != nil {
		return nil, err
	}
	opened.guesses = shared
	return shared, nil
}
