package trust

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/taskmed/taskmed/internal/coherence"
	"github.com/taskmed/taskmed/internal/touched"
)

// notice is one notification: what a transaction changed that could not, or did
// not want to, raise its tags itself. Without tags it stands for the whole
// clinic, without a clinic for all of them.
type notice struct {
	Clinic *uuid.UUID    `json:"c"`
	Tags   []touched.Tag `json:"t"`
	Token  string        `json:"k"`
	// Aside tells that somebody writes who cannot tell Redis: it is no write.
	Aside bool `json:"a,omitempty"`
	// Announcer is the instance that writes, Over that it does so no more. Who does
	// not know Over takes it for one more announcement, which is safe.
	Announcer string `json:"i,omitempty"`
	Over      bool   `json:"o,omitempty"`
}

// take hands on what was heard, and lets go of those who wait for it.
func (l *listener) take(ctx context.Context, heard []*pgconn.Notification) {
	if len(heard) == 0 {
		return
	}
	notices := make([]notice, len(heard))
	for i, n := range heard {
		if err := json.Unmarshal([]byte(n.Payload), &notices[i]); err != nil {
			l.log.WarnContext(ctx, "a notification cannot be read: every clinic counts as changed", slog.Any("error", err))
			notices[i] = notice{}
		}
	}
	l.told.notified(ctx, notices)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range notices {
		if n.Token == "" {
			continue
		}
		if waiting, ok := l.waiting[n.Token]; ok {
			close(waiting)
			delete(l.waiting, n.Token)
			continue
		}
		// Another instance's, or one that is asked for in a moment.
		l.arrived[n.Token] = struct{}{}
		if l.order = append(l.order, n.Token); len(l.order) > keptTokens {
			delete(l.arrived, l.order[0])
			l.order = l.order[1:]
		}
	}
}

// await waits until the notification with the token has been taken.
func (l *listener) await(ctx context.Context, token string) error {
	l.mu.Lock()
	if _, ok := l.arrived[token]; ok {
		l.mu.Unlock()
		return nil
	}
	waiting, ok := l.waiting[token]
	if !ok {
		waiting = make(chan struct{})
		l.waiting[token] = waiting
	}
	l.mu.Unlock()
	select {
	case <-waiting:
		return nil
	case <-ctx.Done():
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.waiting, token)
		return fmt.Errorf("the own notification did not come: %w", ctx.Err())
	}
}

// notified takes what the listener heard and raises it, as the writers did not.
func (t *Trust) notified(ctx context.Context, notices []notice) {
	type heard struct {
		tags []touched.Tag
		seen map[touched.Tag]struct{}
	}
	byClinic := map[uuid.UUID]*heard{}
	over := map[string]bool{}
	for _, n := range notices {
		if n.Aside {
			if over[n.Announcer] = n.Over; !n.Over {
				t.aside.heard(n.Announcer)
			} else if t.config.Seams.Hasty {
				t.aside.over(n.Announcer)
			}
			continue
		}
		if n.Clinic == nil {
			t.distrust("every clinic was written to")
			continue
		}
		tags := n.Tags
		if len(tags) == 0 {
			tags = []touched.Tag{touched.Everything}
		}
		for _, s := range coherence.Shares(*n.Clinic, tags, t.config.Seams.Seams) {
			h := byClinic[s.Clinic]
			if h == nil {
				h = &heard{seen: map[touched.Tag]struct{}{}}
				byClinic[s.Clinic] = h
			}
			for _, tag := range s.Tags {
				if _, known := h.seen[tag]; !known {
					h.seen[tag] = struct{}{}
					h.tags = append(h.tags, tag)
				}
			}
		}
	}
	t.config.Seams.Point("heard")
	for clinic, h := range byClinic {
		if len(h.tags) > 200 {
			h.tags = []touched.Tag{touched.Everything}
		}
		journal := t.Journal()
		if journal == nil || journal.Raise(ctx, clinic, coherence.Write{Tags: h.tags, By: "somebody outside the API"}) != nil {
			t.distrust("redis was not told of a write")
			break
		}
		t.aside.reaches()
	}
	// Only now: the writes that were made aside count from here on, or nothing that
	// is kept does.
	for announcer, ended := range over {
		if ended {
			t.aside.over(announcer)
		}
	}
}
