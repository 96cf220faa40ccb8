package messaging

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/keyed"
	"github.com/taskmed/taskmed/internal/messaging/channel"
)

// errSealed is told of settings that another secret of the server's has sealed.
var errSealed = errors.New("messaging: an account's settings cannot be read with this server's secret")

// seal keeps accounts' settings: AES-256-GCM, bound to the clinic and the account, with a
// key that follows from the server's secret.
type seal struct{ box cipher.AEAD }

func newSeal(secret []byte) (*seal, error) {
	block, err := aes.NewCipher(keyed.Derive(secret, "taskmed channel settings"))
	if err != nil {
		return nil, err
	}
	box, err := cipher.NewGCM(block)
	return &seal{box}, err
}

func (s *seal) close(clinic, account uuid.UUID, settings channel.Settings) ([]byte, error) {
	plain, err := json.Marshal(settings)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, s.box.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return s.box.Seal(nonce, nonce, plain, append(clinic[:], account[:]...)), nil
}

func (s *seal) open(clinic, account uuid.UUID, sealed []byte) (channel.Settings, error) {
	if len(sealed) < s.box.NonceSize() {
		return nil, errSealed
	}
	plain, err := s.box.Open(nil, sealed[:s.box.NonceSize()], sealed[s.box.NonceSize():], append(clinic[:], account[:]...))
	if err != nil {
		return nil, errSealed
	}
	var settings channel.Settings
	return settings, json.Unmarshal(plain, &settings)
}
