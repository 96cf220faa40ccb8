package webhooks

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/taskmed/taskmed/internal/sealing"
	"github.com/taskmed/taskmed/models"
)

// Overlap is how long a former secret signs beside the one that replaced it.
const Overlap = 24 * time.Hour

const secretBytes = 32

// keys are what one endpoint's deliveries are signed with.
type keys struct {
	secret []byte
	signer ed25519.PrivateKey
}

// newKeys makes keys.
func newKeys() (*keys, error) {
	plain := make([]byte, secretBytes+ed25519.SeedSize)
	if _, err := rand.Read(plain); err != nil {
		return nil, err
	}
	return keysOf(plain)
}

func keysOf(plain []byte) (*keys, error) {
	if len(plain) != secretBytes+ed25519.SeedSize {
		return nil, errors.New("webhooks: keys of another length")
	}
	return &keys{plain[:secretBytes], ed25519.NewKeyFromSeed(plain[secretBytes:])}, nil
}

// shown is the secret as a receiver is given it.
func (k *keys) shown() string { return "whsec_" + base64.StdEncoding.EncodeToString(k.secret) }

// public is the key that checks signatures of version v1a.
func (k *keys) public() string {
	public, _ := k.signer.Public().(ed25519.PublicKey)
	return "whpk_" + base64.StdEncoding.EncodeToString(public)
}

// sign gives the signatures of both versions (Standard Webhooks, "Signature scheme").
func (k *keys) sign(id string, at time.Time, body []byte) (string, error) {
	hook, err := standardwebhooks.NewWebhookRaw(k.secret)
	if err != nil {
		return "", err
	}
	symmetric, err := hook.Sign(id, at, body)
	if err != nil {
		return "", err
	}
	signed := ed25519.Sign(k.signer, fmt.Appendf(nil, "%s.%d.%s", id, at.Unix(), body))
	return symmetric + " v1a," + base64.StdEncoding.EncodeToString(signed), nil
}

// vault seals keys, bound to the clinic and the endpoint.
type vault struct{ box *sealing.Box }

func (v vault) close(clinic, endpoint uuid.UUID, k *keys) []byte {
	return v.box.Seal(append(append([]byte{}, k.secret...), k.signer.Seed()...), append(clinic[:], endpoint[:]...))
}

func (v vault) open(clinic, endpoint uuid.UUID, sealed []byte) (*keys, error) {
	plain, err := v.box.Open(sealed, append(clinic[:], endpoint[:]...))
	if err != nil {
		return nil, fmt.Errorf("webhooks: an endpoint's keys: %w", err)
	}
	return keysOf(plain)
}

// signing are all the keys that sign for an endpoint at an instant.
func (v vault) signing(of *models.WebhookEndpoint, now time.Time) ([]*keys, error) {
	current, err := v.open(of.ClinicID, of.ID, of.Keys)
	if err != nil {
		return nil, err
	}
	all := []*keys{current}
	if of.FormerUntil != nil && now.Before(*of.FormerUntil) {
		former, err := v.open(of.ClinicID, of.ID, of.FormerKeys)
		if err != nil {
			return nil, err
		}
		all = append(all, former)
	}
	return all, nil
}

// signatures are a delivery's header, parted by blanks.
func signatures(all []*keys, id string, at time.Time, body []byte) (string, error) {
	signed := make([]string, len(all))
	for n, k := range all {
		var err error
		if signed[n], err = k.sign(id, at, body); err != nil {
			return "", err
		}
	}
	return strings.Join(signed, " "), nil
}
