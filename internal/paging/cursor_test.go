package paging_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/taskmed/taskmed/internal/paging"
)

const secret = "a secret of the tests, 32 bytes or more"

func newCursors(tb testing.TB) *paging.Cursors {
	tb.Helper()
	cursors, err := paging.NewCursors([]byte(secret))
	require.NoError(tb, err)
	return cursors
}

var someClinic = uuid.MustParse("018f0000-0000-7000-8000-000000000001") //nolint:gochecknoglobals // a constant in all but Go's terms

func TestCursors_GiveBackTheKeyTheyWereMadeOf(t *testing.T) {
	t.Parallel()
	cursors, again := newCursors(t), newCursors(t)
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.StringN(0, 200, 800), 1, 3).Draw(t, "key")
		cursor := cursors.Encode(someClinic, "Query.contacts by name_key", key)
		opened, err := again.Decode(someClinic, "Query.contacts by name_key", cursor, len(key))
		require.NoError(t, err)
		require.Equal(t, key, opened)
		require.Equal(t, cursor, again.Encode(someClinic, "Query.contacts by name_key", key), "the same place has the same text on every instance")
	})
}

func TestCursors_RefuseWhatIsNotTheirs(t *testing.T) {
	t.Parallel()
	cursors := newCursors(t)
	key := []string{"ana souza", "018f0000-0000-7000-8000-000000000002"}
	cursor := cursors.Encode(someClinic, "Query.contacts by name_key", key)
	_, err := cursors.Decode(someClinic, "Query.contacts by name_key", cursor, 2)
	require.NoError(t, err)
	require.NotContains(t, cursor, "ana")

	refuse := func(why string, c *paging.Cursors, clinic uuid.UUID, list, cursor string, parts int) {
		_, err := c.Decode(clinic, list, cursor, parts)
		require.ErrorIs(t, err, paging.ErrCursor, why)
	}
	refuse("another clinic", cursors, uuid.New(), "Query.contacts by name_key", cursor, 2)
	refuse("another list", cursors, someClinic, "appointments/name", cursor, 2)
	refuse("another order", cursors, someClinic, "contacts/name/desc", cursor, 2)
	refuse("another number of parts", cursors, someClinic, "Query.contacts by name_key", cursor, 3)
	other, err := paging.NewCursors([]byte(strings.ToUpper(secret)))
	require.NoError(t, err)
	refuse("another secret", other, someClinic, "Query.contacts by name_key", cursor, 2)
	for _, forged := range []string{"", "A", "====", cursor + "\n", "\r" + cursor, cursor[:20] + "\n" + cursor[20:], cursor + "=", cursor + "A", " " + cursor, cursor + cursor, strings.Repeat("A", 1<<20)} {
		refuse("forged", cursors, someClinic, "Query.contacts by name_key", forged, 2)
	}
	// The clinic's bytes cannot be moved into the list's name or back.
	refuse("a shifted boundary", cursors, someClinic, "", cursors.Encode(someClinic, "x", key), 2)
}

// Any change of any byte is noticed.
func TestCursors_RefuseEveryTamperedByte(t *testing.T) {
	t.Parallel()
	cursors := newCursors(t)
	cursor := cursors.Encode(someClinic, "Query.contacts by name_key", []string{"ana", "1"})
	for i := range cursor {
		for _, char := range []byte("Ab9_-=+/\x00\n é") {
			if cursor[i] == char {
				continue
			}
			tampered := cursor[:i] + string(char) + cursor[i+1:]
			_, err := cursors.Decode(someClinic, "Query.contacts by name_key", tampered, 2)
			require.ErrorIs(t, err, paging.ErrCursor, tampered)
		}
		_, err := cursors.Decode(someClinic, "Query.contacts by name_key", cursor[:i], 2)
		require.ErrorIs(t, err, paging.ErrCursor, "cut off at %d", i)
	}
}

func TestNewCursors_NeedsALongSecret(t *testing.T) {
	t.Parallel()
	_, err := paging.NewCursors([]byte("short"))
	require.Error(t, err)
}

// Whatever opens is a cursor that we made, and there is one text for it.
func FuzzCursorDecode(f *testing.F) {
	cursors := newCursors(f)
	f.Add(cursors.Encode(someClinic, "Query.contacts by name_key", []string{"ana", "1"}))
	f.Add(cursors.Encode(someClinic, "Query.contacts by name_key", []string{"", ""}))
	f.Add(cursors.Encode(uuid.Nil, "Query.contacts by name_key", []string{"ana", "1"}))
	f.Add(cursors.Encode(someClinic, "Query.contacts by name_key", []string{"ana"}) + "\n")
	f.Add("")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, cursor string) {
		key, err := cursors.Decode(someClinic, "Query.contacts by name_key", cursor, 2)
		if err != nil {
			require.ErrorIs(t, err, paging.ErrCursor)
			require.Nil(t, key)
			return
		}
		require.Len(t, key, 2)
		require.Equal(t, cursor, cursors.Encode(someClinic, "Query.contacts by name_key", key))
	})
}
