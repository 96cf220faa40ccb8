package auth

import (
	"net/http"
	"strings"

	"github.com/taskmed/taskmed/models"
)

// maxBearer is the longest token that is looked at, in bytes. Tokens of
// providers that list groups reach four kilobytes.
const maxBearer = 8 << 10

// Credentials are what a client says about itself, before any of it is believed.
type Credentials struct {
	// Authorization is the header's value: "Bearer " and a token or a key.
	Authorization string
	// ClinicID is X-Clinic-Id: a global id such as clinic_01h…, or empty.
	ClinicID string
}

// FromHeader takes the credentials from a request's headers. A header that is
// there twice is refused: a proxy may have checked the other one.
func FromHeader(header http.Header) (Credentials, error) {
	authorization := header.Values("Authorization")
	if len(authorization) > 1 {
		return Credentials{}, unauthenticated(sayOneHeader, errMalformed)
	}
	clinic := header.Values("X-Clinic-Id")
	if len(clinic) > 1 {
		return Credentials{}, &models.Error{Code: models.BadUserInput, Message: sayMalformedID, Cause: errMalformedID}
	}
	var c Credentials
	if len(authorization) == 1 {
		c.Authorization = authorization[0]
	}
	if len(clinic) == 1 {
		c.ClinicID = clinic[0]
	}
	return c, nil
}

// bearer is the token of "Bearer <token>" (RFC 6750, section 2.1). The scheme's
// case does not matter (RFC 9110, section 11.1).
func (c Credentials) bearer() (string, error) {
	if c.Authorization == "" {
		return "", unauthenticated(sayMissing, errNoCredentials)
	}
	const scheme = "bearer "
	if len(c.Authorization) > len(scheme)+maxBearer {
		return "", unauthenticated(sayInvalidToken, errTooLong)
	}
	if len(c.Authorization) < len(scheme) || !strings.EqualFold(c.Authorization[:len(scheme)], scheme) {
		return "", unauthenticated(sayOneHeader, errMalformed)
	}
	token := strings.Trim(c.Authorization[len(scheme):], " ")
	if token == "" {
		return "", unauthenticated(sayMissing, errMalformed)
	}
	for i := range len(token) {
		if !isBearerByte(token[i]) {
			return "", unauthenticated(sayOneHeader, errMalformed)
		}
	}
	return token, nil
}

// isBearerByte tells whether a byte may be in a b64token of RFC 6750: a letter, a
// digit or one of -._~+/=. A comma may not, so two headers that a proxy joined are
// refused as well. Each token's bytes are looked at, each time: the letters are
// bits of two numbers.
func isBearerByte(b byte) bool {
	const (
		low  = 1<<'+' | 1<<'-' | 1<<'.' | 1<<'/' | (1<<('9'+1) - 1<<'0') | 1<<'='
		high = 1<<('Z'+1-64) - 1<<('A'-64) | 1<<('_'-64) | 1<<('z'+1-64) - 1<<('a'-64) | 1<<('~'-64)
	)
	switch {
	case b < 64:
		return uint64(low)>>b&1 == 1
	case b < 128:
		return uint64(high)>>(b-64)&1 == 1
	}
	return false
}
