package messaging

import (
	"encoding/json"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/messaging/channel"
	"github.com/taskmed/taskmed/internal/sealing"
)

// seal keeps accounts' settings, bound to the clinic and the account.
type seal struct{ box *sealing.Box }

func newSeal(secret []byte) (*seal, error) {
	box, err := sealing.New(secret, "taskmed channel settings")
	return &seal{box}, err
}

func (s *seal) close(clinic, account uuid.UUID, settings channel.Settings) ([]byte, error) {
	plain, err := json.Marshal(settings)
	if err != nil {
		return nil, err
	}
	return s.box.Seal(plain, append(clinic[:], account[:]...)), nil
}

func (s *seal) open(clinic, account uuid.UUID, sealed []byte) (channel.Settings, error) {
	plain, err := s.box.Open(sealed, append(clinic[:], account[:]...))
	if err != nil {
		return nil, err
	}
	var settings channel.Settings
	return settings, json.Unmarshal(plain, &settings)
}
