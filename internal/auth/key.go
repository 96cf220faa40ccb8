package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"hash/crc32"
	"strings"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/models"
)

// A partner's key is one word of 68 characters, all of them in lower case:
//
//	tm_ + the clinic's UUID (26) + 160 random bits (32) + a checksum (7)
//
// each in Crockford's base32. The clinic is in it so that the key can be looked
// up under that clinic's row-level security like any other row; the checksum
// (CRC-32, IEEE) lets scanners tell a key that leaked from a word that looks
// like one, and keeps slips of the keyboard from the database.
const (
	keyPrefix   = "tm_"
	clinicChars = 26
	secretBytes = 20
	secretChars = 32
	sumChars    = 7
	keyChars    = len(keyPrefix) + clinicChars + secretChars + sumChars
)

// keyHash is what is stored of a key: its SHA-256. The key holds 160 random
// bits, so nothing slower is needed.
type keyHash = [sha256.Size]byte

const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

func base32Text(data []byte) string {
	return base32.NewEncoding(crockford).WithPadding(base32.NoPadding).EncodeToString(data)
}

// isKey tells whether a bearer is a key by its look. A JWT cannot have it:
// its first part is base64 of "{".
func isKey(bearer string) bool { return strings.HasPrefix(bearer, keyPrefix) }

func newKeyText(clinic uuid.UUID) string {
	secret := make([]byte, secretBytes)
	_, _ = rand.Read(secret) // never fails: crypto/rand would end the process
	body := keyPrefix + clinicText(clinic) + base32Text(secret)
	return body + keySum(body)
}

func clinicText(clinic uuid.UUID) string {
	return strings.TrimPrefix(models.KindClinic.Global(clinic), string(models.KindClinic)+"_")
}

func keySum(body string) string {
	var sum [crc32.Size]byte
	binary.BigEndian.PutUint32(sum[:], crc32.ChecksumIEEE([]byte(body)))
	return base32Text(sum[:])
}

// parseKeyText gives the clinic that a key names and the key's hash, or
// errMalformedKey. Exactly one text stands for one key.
func parseKeyText(text string) (uuid.UUID, keyHash, error) {
	if len(text) != keyChars || !isKey(text) {
		return uuid.Nil, keyHash{}, errMalformedKey
	}
	body, sum := text[:keyChars-sumChars], text[keyChars-sumChars:]
	if keySum(body) != sum {
		return uuid.Nil, keyHash{}, errMalformedKey
	}
	clinicPart := body[len(keyPrefix) : len(keyPrefix)+clinicChars]
	for _, r := range body[len(keyPrefix)+clinicChars:] {
		if !strings.ContainsRune(crockford, r) {
			return uuid.Nil, keyHash{}, errMalformedKey
		}
	}
	clinic, err := models.KindClinic.Parse(string(models.KindClinic) + "_" + clinicPart)
	if err != nil || clinic == uuid.Nil {
		return uuid.Nil, keyHash{}, errMalformedKey
	}
	return clinic, sha256.Sum256([]byte(text)), nil
}
