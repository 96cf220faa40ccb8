package auth

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/models"
)

// FuzzKeyText: no text makes it panic, and what it accepts is exactly what it
// would write for the same clinic and secret.
func FuzzKeyText(f *testing.F) {
	clinic := uuid.MustParse("018bcfe5-687b-7000-8000-00c04fd430c8")
	good := newKeyText(clinic)
	f.Add(good)
	f.Add(strings.ToUpper(good))
	f.Add("tm_" + strings.Repeat("0", 65))
	f.Add("tm_zzzzzzzzzzzzzzzzzzzzzzzzzz" + good[29:])
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		named, _, err := parseKeyText(text)
		if err != nil {
			require.ErrorIs(t, err, errMalformedKey)
			return
		}
		require.NotEqual(t, uuid.Nil, named)
		body := text[:keyChars-sumChars]
		require.Equal(t, text, keyPrefix+clinicText(named)+body[len(keyPrefix)+clinicChars:]+keySum(body))
		require.Equal(t, strings.ToLower(text), text)
	})
}

func TestKeyText_NamesItsClinic(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		clinic := models.NewID()
		text := newKeyText(clinic)
		named, _, err := parseKeyText(text)
		require.NoError(t, err)
		require.Equal(t, clinic, named)
		require.False(t, seen[text])
		seen[text] = true
	}
	_, _, err := parseKeyText(newKeyText(uuid.Nil))
	require.ErrorIs(t, err, errMalformedKey)
}

// FuzzAuthorization: no header makes it panic, and what it hands on is a word
// that can stand in a header, of bounded length.
func FuzzAuthorization(f *testing.F) {
	for _, seed := range []string{
		"", "Bearer", "Bearer ", "Bearer a.b.c", "bearer  tm_0", "Basic YQ==", "Bearer a, Bearer b",
		"Bearer \x00", "Bearer " + strings.Repeat("a", maxBearer+1), "Bearer é", "\tBearer a",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		credentials, err := FromHeader(http.Header{"Authorization": {header}})
		require.NoError(t, err)
		token, err := credentials.bearer()
		if err != nil {
			var refused *models.Error
			require.ErrorAs(t, err, &refused)
			require.Equal(t, models.Unauthenticated, refused.Code)
			return
		}
		require.NotEmpty(t, token)
		require.LessOrEqual(t, len(token), maxBearer)
		require.True(t, strings.EqualFold(header[:7], "bearer "))
		require.Equal(t, token, strings.Trim(header[7:], " "))
		require.NotContains(t, token, ",")
	})
}

func TestBearer_AcceptsTheBytesOfTheRFCAlone(t *testing.T) {
	t.Parallel()
	for b := range 256 {
		want := strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=", rune(b))
		require.Equal(t, want && b < 128, isBearerByte(byte(b)), "%q", b)
	}
}

// FuzzToken: no bearer makes the verifier panic or believe it.
func FuzzToken(f *testing.F) {
	for _, seed := range []string{
		"a.b.c", "e30.e30.", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.", "eyJhbGciOiJIUzI1NiJ9.e30.AAAA",
		"eyJhbGciOiJFUzI1NiIsImtpZCI6IngifQ.eyJleHAiOjFlMzA4fQ.AAAA", "eyJhbGciOjd9.bnVsbA.", "bnVsbA.bnVsbA.bnVsbA",
	} {
		f.Add(seed)
	}
	set := &keySet{ready: make(chan struct{}), ended: make(chan struct{})}
	close(set.ready)
	close(set.ended)
	set.state.Store(&keyState{})
	verifier, err := newTokenVerifier(Config{Issuer: "i", Audience: "a"}, set)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, bearer string) {
		_, err := verifier.verify(t.Context(), bearer)
		var refused *models.Error
		require.ErrorAs(t, err, &refused)
		require.Equal(t, models.Unauthenticated, refused.Code)
	})
}
