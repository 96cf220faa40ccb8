package app

import (
	"sync"
	"sync/atomic"

	"github.com/taskmed/taskmed/internal/persisted"
)

const (
	// mostHashed and longestHashed bound what is kept of texts: some megabytes.
	mostHashed    = 1000
	longestHashed = 4096
)

// hashes keeps the hashes of texts, since clients send the same ones again and
// again. Once there are too many they begin anew.
type hashes struct {
	kept  sync.Map
	count atomic.Int64
}

func (h *hashes) of(text string) string {
	if len(text) > longestHashed {
		return persisted.Hash(text)
	}
	if hash, ok := h.kept.Load(text); ok {
		if hash, ok := hash.(string); ok {
			return hash
		}
	}
	hash := persisted.Hash(text)
	if h.count.Add(1) > mostHashed {
		h.kept.Clear()
		h.count.Store(1)
	}
	h.kept.Store(text, hash)
	return hash
}
