// Package messaging is what a clinic and its contacts write to each other: the
// conversations, by which addresses people are known, and who has read what.
package messaging

import (
	"errors"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/messaging/channel"
	"github.com/taskmed/taskmed/models"
)

// Correspondence writes the conversations of the context's clinic. Whoever writes a
// message or reads one locks its conversation first.
type Correspondence struct {
	db       *database.DB
	seal     *seal
	adapters map[models.Channel]channel.Adapter
	now      func() time.Time
	// woken tells a worker of this process that there is something to do.
	woken chan struct{}
}

// New makes a Correspondence. secret seals accounts' settings, adapters are the ways to
// the channels' providers, now is the clock.
func New(db *database.DB, secret []byte, adapters map[models.Channel]channel.Adapter, now func() time.Time) (*Correspondence, error) {
	seal, err := newSeal(secret)
	return &Correspondence{db: db, seal: seal, adapters: adapters, now: now, woken: make(chan struct{}, 1)}, err
}

// lock reads a conversation that nobody else can change until the transaction ends.
// field is where its id was given.
func lock(tx *gorm.DB, field string, id uuid.UUID) (*models.Conversation, error) {
	conversation := &models.Conversation{}
	err := tx.Clauses(clause.Locking{Strength: "NO KEY UPDATE"}).Where("id = ?", id).Take(conversation).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return nil, models.Refuse(models.UserErrorCodeNotFound, field, "this clinic has no such conversation")
	}
	return conversation, err
}

// change writes columns of a locked conversation, and gives it as it is then.
func change(tx *gorm.DB, conversation *models.Conversation, changes map[string]any) (*models.Conversation, error) {
	// Into a new one: a null that is read leaves what a pointer points at.
	written := &models.Conversation{ID: conversation.ID}
	err := tx.Model(written).Clauses(clause.Returning{}).Updates(changes).Error
	return written, err
}
