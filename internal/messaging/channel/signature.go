package channel

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// SignatureHeader has the signature of what is posted by whoever has the account's
// signingSecret: t=UNIX SECONDS,v1=HEX of HMAC-SHA-256 over the seconds, a point and the
// raw body.
const SignatureHeader = "X-Taskmed-Signature"

// skew is how old a signature may be, and how far ahead a clock.
const skew = 5 * time.Minute

// LeastSecret is how many characters a signing secret needs.
const LeastSecret = 32

// Sign makes a signature.
func Sign(secret string, body []byte, at time.Time) string {
	seconds := strconv.FormatInt(at.Unix(), 10)
	return "t=" + seconds + ",v1=" + hex.EncodeToString(mac(secret, seconds, body))
}

// Signed is whether a signature is the secret's, of this body and of about now.
func Signed(secret, signature string, body []byte, now time.Time) bool {
	seconds, sum, ok := strings.Cut(strings.TrimPrefix(signature, "t="), ",v1=")
	if !ok || secret == "" || !strings.HasPrefix(signature, "t=") {
		return false
	}
	at, err := strconv.ParseInt(seconds, 10, 64)
	given, wrong := hex.DecodeString(sum)
	if err != nil || wrong != nil || !hmac.Equal(given, mac(secret, seconds, body)) {
		return false
	}
	age := now.Sub(time.Unix(at, 0))
	return age <= skew && age >= -skew
}

func mac(secret, seconds string, body []byte) []byte {
	sum := hmac.New(sha256.New, []byte(secret))
	sum.Write([]byte(seconds + "."))
	sum.Write(body)
	return sum.Sum(nil)
}
