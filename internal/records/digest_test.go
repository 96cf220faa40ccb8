package records_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/taskmed/taskmed/internal/records"
	"github.com/taskmed/taskmed/models"
)

// signedRecord is a record with every field set.
func signedRecord() *models.MedicalRecord {
	id := func(n byte) uuid.UUID {
		return uuid.UUID{0x01, 0x8f, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, n}
	}
	return &models.MedicalRecord{
		ClinicID: id(1), ID: id(2), ContactID: id(3), PractitionerID: id(4), AppointmentID: new(id(5)),
		Kind: models.RecordKindEvolution, Title: "Retorno", Body: "Melhora do quadro.\n\tSem febre \"alta\".",
		Codes: []string{"J45.0", "I10"},
		Data:  models.JSON(`{"peso": 72.50, "a": [1e2, -0, 1E-7, 12345678901234567890], "é": "\u00e9/\u0001", "b": null}`),
		// 06:00 in São Paulo; the nanoseconds are beyond what Postgres keeps.
		SignedAt: new(time.Date(2026, 11, 22, 6, 0, 0, 120000999, time.FixedZone("", -3*3600))),
		Signer:   new("auth0|ana"), AmendsID: new(id(6)), AmendmentReason: new("Dose errada"),
	}
}

// What anyone who holds the content would write down by RFC 8785.
const signedText = `{"amendmentReason":"Dose errada","amends":"medical_record_01hw000000e008000000000006",` +
	`"appointment":"appointment_01hw000000e008000000000005","body":"Melhora do quadro.\n\tSem febre \"alta\".",` +
	`"clinic":"clinic_01hw000000e008000000000001","codes":["J45.0","I10"],` +
	`"contact":"contact_01hw000000e008000000000003",` +
	`"data":{"a":[100,0,1e-7,12345678901234567890],"b":null,"peso":72.5,"é":"é/\u0001"},` +
	`"format":"taskmed.medical_record.v1","id":"medical_record_01hw000000e008000000000002","kind":"EVOLUTION",` +
	`"practitioner":"practitioner_01hw000000e008000000000004","signedAt":"2026-11-22T09:00:00.120000Z",` +
	`"signedBy":"auth0|ana","title":"Retorno"}`

func TestDigest_IsTheHashOfTheCanonicalContent(t *testing.T) {
	t.Parallel()
	want := sha256.Sum256([]byte(signedText))
	require.Equal(t, hex.EncodeToString(want[:]), records.Digest(signedRecord()))
	require.Equal(t, "5935ab13660672a7b0d0f0939209a19a946295a8c56470d95b6d9d0faa6d32a0", records.Digest(signedRecord()))
}

func TestDigest_OfTheLeastRecord(t *testing.T) {
	t.Parallel()
	want := sha256.Sum256([]byte(`{"amendmentReason":null,"amends":null,"appointment":null,"body":"",` +
		`"clinic":"clinic_00000000000000000000000000","codes":[],"contact":"contact_00000000000000000000000000",` +
		`"data":null,"format":"taskmed.medical_record.v1","id":"medical_record_00000000000000000000000000","kind":"",` +
		`"practitioner":"practitioner_00000000000000000000000000","signedAt":null,"signedBy":null,"title":""}`))
	require.Equal(t, hex.EncodeToString(want[:]), records.Digest(&models.MedicalRecord{}))
}

func TestDigest_ChangesWithEveryFieldThatIsSigned(t *testing.T) {
	t.Parallel()
	original := records.Digest(signedRecord())
	other := uuid.New()
	changes := map[string]func(*models.MedicalRecord){
		"id":               func(r *models.MedicalRecord) { r.ID = other },
		"clinic":           func(r *models.MedicalRecord) { r.ClinicID = other },
		"contact":          func(r *models.MedicalRecord) { r.ContactID = other },
		"practitioner":     func(r *models.MedicalRecord) { r.PractitionerID = other },
		"appointment":      func(r *models.MedicalRecord) { r.AppointmentID = &other },
		"no appointment":   func(r *models.MedicalRecord) { r.AppointmentID = nil },
		"kind":             func(r *models.MedicalRecord) { r.Kind = models.RecordKindReferral },
		"title":            func(r *models.MedicalRecord) { r.Title += " " },
		"body":             func(r *models.MedicalRecord) { r.Body += "." },
		"one code less":    func(r *models.MedicalRecord) { r.Codes = r.Codes[:1] },
		"codes in one":     func(r *models.MedicalRecord) { r.Codes = []string{"J45.0,I10"} },
		"order of codes":   func(r *models.MedicalRecord) { r.Codes = []string{"I10", "J45.0"} },
		"data":             func(r *models.MedicalRecord) { r.Data = models.JSON(`{"peso": 72.51}`) },
		"a digit of data":  func(r *models.MedicalRecord) { r.Data = models.JSON(`[12345678901234567891]`) },
		"no data":          func(r *models.MedicalRecord) { r.Data = nil },
		"data that is not": func(r *models.MedicalRecord) { r.Data = models.JSON(`{"peso": `) },
		"signedAt":         func(r *models.MedicalRecord) { r.SignedAt = new(r.SignedAt.Add(time.Microsecond)) },
		"signedBy":         func(r *models.MedicalRecord) { r.Signer = new("auth0|eva") },
		"amends":           func(r *models.MedicalRecord) { r.AmendsID = &other },
		"reason":           func(r *models.MedicalRecord) { r.AmendmentReason = new("") },
		"no reason":        func(r *models.MedicalRecord) { r.AmendmentReason = nil },
	}
	seen := map[string]string{original: "original"}
	for name, change := range changes {
		record := signedRecord()
		change(record)
		digest := records.Digest(record)
		require.NotContains(t, seen, digest, name)
		seen[digest] = name
	}
	unsigned := signedRecord()
	unsigned.Version, unsigned.UpdatedAt, unsigned.CreatedAt = 9, time.Now(), time.Now()
	require.Equal(t, original, records.Digest(unsigned), "the database's counters are not signed")
}

// Any spelling of a number gives one digest, and only numbers that are equal do.
func TestDigest_TellsNumbersApartByValue(t *testing.T) {
	t.Parallel()
	digest := func(data string) string { return records.Digest(&models.MedicalRecord{Data: models.JSON(data)}) }
	for _, same := range [][]string{
		{"1", "1.0", "1e0", "10e-1", "0.1E+1", "0.010e2"},
		{"0", "-0", "0.000", "0e99", "-0.0E-5"},
		{"100", "1e2", "1E+02", "100.00"},
		{"-1.5", "-15e-1", "-1.500"},
		{"1e21", "1000000000000000000000"},
		{"123456789.123456789123456789", "123456789123456789.123456789e-9"},
		{`{"a":1,"b":2}`, ` { "b" : 2.0 , "a" : 1 } `, `{"a":7,"b":2,"a":1}`},
		{`"é\/"`, `"\u00E9/"`},
	} {
		for _, spelling := range same {
			require.Equal(t, digest(same[0]), digest(spelling), spelling)
		}
	}
	for _, pair := range [][2]string{
		{"1", "10"},
		{"1", "-1"},
		{"0.1", "0.10000000000000000555"},
		{"9007199254740992", "9007199254740993"},
		{"1e400", "1e401"},
		{"1", `"1"`},
		{"null", `"null"`},
		{"[]", "{}"},
		{"[1,2]", "[12]"},
		{`["a","b"]`, `["a\",\"b"]`},
	} {
		require.NotEqual(t, digest(pair[0]), digest(pair[1]), "%s and %s", pair[0], pair[1])
	}
}

// Where a double holds a number, it is spelt as ECMAScript spells it, which is
// how encoding/json does it.
func TestDigest_SpellsDoublesAsRFC8785(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.Float64().Draw(t, "value")
		spelt, err := json.Marshal(value)
		require.NoError(t, err)
		if value == 0 {
			spelt = []byte("0")
		}
		require.Equal(t, string(spelt), records.CanonicalJSON(t, spelt))
	})
}

func TestDigest_OrdersKeysAsRFC8785(t *testing.T) {
	t.Parallel()
	// The example of RFC 8785, section 3.2.3, compared as texts, not as JSON: the order is what counts.
	want := "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u0080\":\"Control\",\"ö\":\"Latin Small Letter O With Diaeresis\"," +
		"\"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\"\ufb33\":\"Hebrew Letter Dalet With Dagesh\"}"
	got := records.CanonicalJSON(t, []byte(`{
		"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh",
		"1": "One", "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control",
		"\u00f6": "Latin Small Letter O With Diaeresis"}`))
	require.Zero(t, strings.Compare(want, got), got)
}
