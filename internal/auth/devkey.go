package auth

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// What the tokens of the development key say about themselves.
const (
	devIssuer   = "taskmed-dev"
	devAudience = "taskmed"
	devKeyType  = "PRIVATE KEY"
)

// DevKey signs and is believed on a developer's machine, in place of an
// identity provider. A server believes it only if its Config holds it.
type DevKey struct {
	id      string
	private ed25519.PrivateKey
}

// LoadOrCreateDevKey reads the key (PKCS #8 in PEM) from a file, or makes one
// there with mode 600. It refuses a file that other users could read.
func LoadOrCreateDevKey(path string) (*DevKey, error) {
	key, err := loadDevKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := createDevKey(path); err != nil {
		return nil, fmt.Errorf("make the development key: %w", err)
	}
	return loadDevKey(path)
}

func loadDevKey(path string) (*DevKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the development key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("other users can read the development key: chmod 600 %s, or remove it to get a new one", path)
	}
	text, err := os.ReadFile(path) //nolint:gosec // a path that the developer chose
	if err != nil {
		return nil, fmt.Errorf("read the development key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != devKeyType {
		return nil, fmt.Errorf("%s is no private key: remove it to get a new one", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s is no private key: remove it to get a new one: %w", path, err)
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s is no Ed25519 key: remove it to get a new one", path)
	}
	return newDevKey(private), nil
}

func newDevKey(private ed25519.PrivateKey) *DevKey {
	sum := sha256.Sum256(private.Public().(ed25519.PublicKey)) //nolint:errcheck // an Ed25519 key's public half is nothing else
	return &DevKey{id: "dev-" + base64.RawURLEncoding.EncodeToString(sum[:12]), private: private}
}

// createDevKey writes beside the place and links into it: of two processes
// that make the key at once, both go on with the same one.
func createDevKey(path string) error {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make its folder: %w", err)
	}
	tmp, err := os.CreateTemp(dir, ".dev-key-") // made with mode 600
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // only the link is to stay
	if err := errors.Join(pem.Encode(tmp, &pem.Block{Type: devKeyType, Bytes: der}), tmp.Close()); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// DevClaims are what a token of the development key says.
type DevClaims struct {
	// Subject is whose token it is; the role comes from the subject's
	// membership, as with any token.
	Subject string
	// Name is for people to read; it may be empty.
	Name string
	// IssuedAt is when; zero is now.
	IssuedAt time.Time
	// TTL is how long the token is good for.
	TTL time.Duration
}

// Sign makes a token (JWT, EdDSA).
func (k *DevKey) Sign(claims DevClaims) (string, error) {
	if err := checkSubject(claims.Subject); err != nil {
		return "", err
	}
	if claims.TTL <= 0 {
		return "", errors.New("a token must live for some time")
	}
	if claims.IssuedAt.IsZero() {
		claims.IssuedAt = time.Now()
	}
	body := jwt.MapClaims{
		"iss": devIssuer,
		"aud": devAudience,
		"sub": claims.Subject,
		"iat": claims.IssuedAt.Unix(),
		"exp": claims.IssuedAt.Add(claims.TTL).Unix(),
	}
	if claims.Name != "" {
		body["name"] = claims.Name
	}
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, body)
	token.Header["kid"] = k.id
	signed, err := token.SignedString(k.private)
	if err != nil {
		return "", fmt.Errorf("sign the token: %w", err)
	}
	return signed, nil
}
