package sealing_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/sealing"
)

func TestBox_OpensWhatItSealedAndNothingElse(t *testing.T) {
	t.Parallel()
	secret, other := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	for name, make := range map[string]func([]byte, string) (*sealing.Box, error){"random": sealing.New, "repeatable": sealing.NewRepeatable} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box, err := make(secret, "taskmed test")
			require.NoError(t, err)
			for _, plain := range []string{"", "whsec_", "Rita Lobo"} {
				sealed := box.Seal([]byte(plain), []byte("aurora"))
				require.Len(t, sealed, len(plain)+28)
				opened, err := box.Open(sealed, []byte("aurora"))
				require.NoError(t, err)
				require.Equal(t, plain, string(opened))

				again := box.Seal([]byte(plain), []byte("aurora"))
				require.Equal(t, name == "repeatable", bytes.Equal(sealed, again))
				require.False(t, bytes.Equal(sealed[:12], box.Seal([]byte(plain), []byte("horizonte"))[:12]), "another binding, another nonce")

				_, err = box.Open(sealed, []byte("horizonte"))
				require.ErrorIs(t, err, sealing.ErrSealed)
				for n := range sealed {
					forged := bytes.Clone(sealed)
					forged[n] ^= 1
					_, err := box.Open(forged, []byte("aurora"))
					require.ErrorIs(t, err, sealing.ErrSealed)
					_, err = box.Open(sealed[:n], []byte("aurora"))
					require.ErrorIs(t, err, sealing.ErrSealed)
				}
				for _, of := range []struct {
					secret  []byte
					purpose string
				}{{other, "taskmed test"}, {secret, "taskmed tests"}} {
					foreign, err := make(of.secret, of.purpose)
					require.NoError(t, err)
					_, err = foreign.Open(sealed, []byte("aurora"))
					require.ErrorIs(t, err, sealing.ErrSealed)
				}
			}
		})
	}
}
