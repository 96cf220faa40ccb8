package models_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.jetify.com/typeid"
	"pgregory.net/rapid"

	"github.com/taskmed/taskmed/models"
)

func drawID(t *rapid.T) uuid.UUID {
	return uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
}

func TestKind_GlobalIDsSurviveTheRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		kind, id := rapid.SampledFrom(models.Kinds()).Draw(t, "kind"), drawID(t)
		global := kind.Global(id)
		require.Equal(t, global, strings.ToLower(global))
		library, err := typeid.FromUUIDBytesWithPrefix(string(kind), id[:])
		require.NoError(t, err)
		require.Equal(t, library.String(), global)

		parsed, err := kind.Parse(global)
		require.NoError(t, err)
		require.Equal(t, id, parsed)
		foundKind, found, err := models.ParseGlobal(global)
		require.NoError(t, err)
		require.Equal(t, kind, foundKind)
		require.Equal(t, id, found)

		for _, other := range models.Kinds() {
			if other != kind {
				_, err := other.Parse(global)
				require.ErrorIs(t, err, models.ErrMalformedID, "%s as %s", global, other)
			}
		}
	})
}

func TestKind_GlobalIsATypeID(t *testing.T) {
	t.Parallel()
	// The example of the TypeID specification, with its UUID.
	id := uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057")
	require.Equal(t, "contact_01h455vb4pex5vsknk084sn02q", models.KindContact.Global(id))
	// A kind may hold an underscore itself.
	require.Equal(t, "medical_record_01h455vb4pex5vsknk084sn02q", models.KindMedicalRecord.Global(id))
	parsed, err := models.KindMedicalRecord.Parse("medical_record_01h455vb4pex5vsknk084sn02q")
	require.NoError(t, err)
	require.Equal(t, id, parsed)
}

func TestParseGlobal_RefusesEveryOtherSpelling(t *testing.T) {
	t.Parallel()
	const right = "contact_01h455vb4pex5vsknk084sn02q"
	_, _, err := models.ParseGlobal(right)
	require.NoError(t, err)
	for _, wrong := range []string{
		"", "contact", "contact_", "_01h455vb4pex5vsknk084sn02q", "01h455vb4pex5vsknk084sn02q",
		"CONTACT_01h455vb4pex5vsknk084sn02q", "contact_01H455VB4PEX5VSKNK084SN02Q", "Contact_01h455vb4pex5vsknk084sn02q",
		"contact_01h455vb4pex5vsknk084sn02", right + "0", right + "\n", " " + right, right + " ", right + "\x00",
		"contact_01h455vb4pex5vsknk084sn02u", // no letter of the alphabet
		"contact_o1h455vb4pex5vsknk084sn02q", // Crockford would read an o as 0
		"contact_81h455vb4pex5vsknk084sn02q", // more than 128 bits
		"patient_01h455vb4pex5vsknk084sn02q", "contact__01h455vb4pex5vsknk084sn02q", "_contact_01h455vb4pex5vsknk084sn02q",
		"contact_01890a5d-ac96-774b-bcce-b302099a8057", "Contact:1", strings.Repeat("a", 1<<20),
	} {
		_, _, err := models.ParseGlobal(wrong)
		require.ErrorIs(t, err, models.ErrMalformedID, "%q", wrong)
	}
}

func TestNewID_IsOrderedByTime(t *testing.T) {
	t.Parallel()
	before := models.NewID()
	require.EqualValues(t, 7, before.Version())
	for range 1000 {
		next := models.NewID()
		require.Less(t, before.String(), next.String())
		before = next
	}
}

// Whatever is read as an id is written as the same text.
func FuzzParseGlobal(f *testing.F) {
	for _, seed := range []string{
		"contact_01h455vb4pex5vsknk084sn02q", "medical_record_7zzzzzzzzzzzzzzzzzzzzzzzzz", "clinic_00000000000000000000000000",
		"contact_01H455VB4PEX5VSKNK084SN02Q", "contact_", "_", "", "appointment_8zzzzzzzzzzzzzzzzzzzzzzzzz", "é_01h455vb4pex5vsknk084sn02q",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		kind, id, err := models.ParseGlobal(text)
		if err != nil {
			require.ErrorIs(t, err, models.ErrMalformedID)
			require.Equal(t, uuid.Nil, id)
			return
		}
		require.Contains(t, models.Kinds(), kind)
		require.Equal(t, text, kind.Global(id))
	})
}
