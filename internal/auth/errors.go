package auth

import (
	"errors"

	"github.com/taskmed/taskmed/models"
)

// The words of refusals. Each says what to do; none says which of the checks
// failed, except that a token whose signature is good may be told to be old.
const (
	sayMissing       = "Sign in first: send the header Authorization: Bearer with a token or a partner's key."
	sayInvalidToken  = "This token is not valid. Sign in again."
	sayExpiredToken  = "This token has expired. Sign in again."
	sayInvalidKey    = "This key is not valid. Ask the clinic for a new one."
	sayOneHeader     = "Send the header Authorization once, as: Bearer, a blank, and a token or a partner's key."
	sayNoClinic      = "This account does not belong to a clinic yet. Ask a clinic's owner to add it."
	sayNotThisClinic = "You may not act for this clinic. Leave X-Clinic-Id out, or send the id of a clinic that you belong to."
	sayMalformedID   = "X-Clinic-Id must be one clinic's id, such as clinic_01h455vb4pex5vsknk084sn02q."
	sayUnavailable   = "Signing in is not possible at the moment. Try again in a few seconds."
)

// Why something was refused, for the log alone.
var (
	errNoCredentials = errors.New("no Authorization header")
	errMalformed     = errors.New("malformed Authorization header")
	errTooLong       = errors.New("credentials too long")
	errUnknownSigner = errors.New("no key of the key set fits the token")
	errNoKeySet      = errors.New("the key set could not be fetched")
	errSubject       = errors.New("the token's subject cannot be used")
	errHeader        = errors.New("the token's header has a critical extension")
	errMalformedKey  = errors.New("malformed key")
	errKeyExpired    = errors.New("the key has expired")
	errKeyRevoked    = errors.New("the key was revoked")
	errNoMembership  = errors.New("the subject has no membership")
	errForeignClinic = errors.New("the subject has no membership in the clinic asked for")
	errMalformedID   = errors.New("malformed X-Clinic-Id")
)

func unauthenticated(words string, cause error) error {
	return &models.Error{Code: models.Unauthenticated, Message: words, Cause: cause}
}

func forbidden(words string, cause error) error {
	return &models.Error{Code: models.Forbidden, Message: words, Cause: cause}
}

// unavailable is for what is not the client's fault: it must not be sent off
// to sign in again because Postgres restarts.
func unavailable(cause error) error {
	return &models.Error{Code: models.Unavailable, Message: sayUnavailable, Cause: cause}
}
