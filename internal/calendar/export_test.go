package calendar

import (
	"strconv"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/entity"
)

// Hastily has a Calendar take everything that began before now for seen, committed or
// not: what a sequence or a clock would do.
func Hastily(c *Calendar) *Calendar {
	c.taken = func(s snapshot) snapshot {
		here := strconv.FormatUint(s.xmax, 10)
		return snapshot{s.xmax, s.xmax, here + ":" + here + ":"}
	}
	return c
}

// Crowded has a Calendar take every snapshot for one that is too long for a token.
func Crowded(c *Calendar) *Calendar {
	c.taken = func(s snapshot) snapshot {
		oldest := strconv.FormatUint(s.xmin, 10)
		return snapshot{s.xmin, s.xmax, oldest + ":" + oldest + ":"}
	}
	return c
}

// NameOf is a feed's name in its address.
func NameOf(server entity.Server, clinic, feed uuid.UUID) string { return nameOf(server, clinic, feed) }
