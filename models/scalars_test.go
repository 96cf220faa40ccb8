package models_test

import (
	"bytes"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/taskmed/taskmed/models"
)

// badInput requires that a value is refused with words for a client.
func badInput(t require.TestingT, err error, value any) {
	var refused *models.Error
	require.ErrorAs(t, err, &refused, "%v", value)
	require.Equal(t, models.BadUserInput, refused.Code)
}

func written(marshaler graphql.Marshaler) string {
	var text bytes.Buffer
	marshaler.MarshalGQL(&text)
	return text.String()
}

func TestDateTime_IsAnInstantThatExists(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2026-11-22T09:00:00-03:00":             `"2026-11-22T12:00:00Z"`,
		"2026-11-22T12:00:00Z":                  `"2026-11-22T12:00:00Z"`,
		"2026-11-22T12:00:00.5Z":                `"2026-11-22T12:00:00.5Z"`,
		"2026-11-22T12:00:00.123456Z":           `"2026-11-22T12:00:00.123456Z"`,
		"2026-11-22T12:00:00.123456789Z":        `"2026-11-22T12:00:00.123456Z"`, // to the microsecond
		"2024-02-29T23:59:59+14:00":             `"2024-02-29T09:59:59Z"`,
		"9999-12-31T23:59:59Z":                  `"9999-12-31T23:59:59Z"`,
		"0001-01-01T00:00:00Z":                  `"0001-01-01T00:00:00Z"`,
		"2026-11-22T12:00:00.0000000000000001Z": `"2026-11-22T12:00:00Z"`,
	} {
		instant, err := models.UnmarshalDateTime(text)
		require.NoError(t, err, text)
		require.Equal(t, want, written(models.MarshalDateTime(instant)), text)
	}
	for _, wrong := range []any{
		"2026-02-30T09:00:00Z", "2025-02-29T09:00:00Z", "2026-13-01T09:00:00Z", "2026-00-10T09:00:00Z", "2026-01-32T09:00:00Z",
		"2026-11-22T24:00:00Z", "2026-11-22T09:60:00Z", "2026-11-22T09:00:60Z", "2026-11-22T09:00:00", "2026-11-22 09:00:00Z",
		"2026-11-22T09:00Z", "2026-11-22", "09:00", "", "now", "2026-11-22T09:00:00-03", "2026-11-22T09:00:00 -03:00",
		"2026-11-22T9:00:00Z", "12026-11-22T09:00:00Z", "-026-11-22T09:00:00Z", "0000-01-01T00:00:00Z", "2026-11-22T09:00:00Z\n",
		"2026-11-22T09:00:00,5Z", "2026-11-22T09:00:00+24:00", "2026-11-22T09:00:00+03:60", "9999-12-31T23:59:59-01:00",
		"0001-01-01T00:00:00+01:00", 1795338000, int64(1), 1.5, true, nil, json.Number("1"),
		[]any{"2026-11-22T09:00:00Z"},
	} {
		_, err := models.UnmarshalDateTime(wrong)
		badInput(t, err, wrong)
	}
}

func TestDateTime_SurvivesTheRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		first, last := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
		instant := time.Unix(rapid.Int64Range(first.Unix(), last.Unix()).Draw(t, "seconds"), rapid.Int64Range(0, 999999).Draw(t, "micros")*1000)
		var text string
		require.NoError(t, json.Unmarshal([]byte(written(models.MarshalDateTime(instant))), &text))
		again, err := models.UnmarshalDateTime(text)
		require.NoError(t, err)
		require.True(t, instant.Equal(again), "%s, %s", instant, again)
	})
}

func TestDate_IsADayThatExists(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"2026-11-22", "2024-02-29", "2000-02-29", "1900-01-01", "9999-12-31", "0001-01-01"} {
		var date models.Date
		require.NoError(t, date.UnmarshalGQL(text), text)
		require.Equal(t, `"`+text+`"`, written(date))
		parsed, err := models.ParseDate(text)
		require.NoError(t, err)
		require.Equal(t, date, parsed)
	}
	for _, wrong := range []any{
		"2026-02-29", "1900-02-29", "2026-02-30", "2026-04-31", "2026-13-01", "2026-00-01", "2026-01-00", "2026-1-1", "26-01-01",
		"2026-11-22T00:00:00Z", "22/11/2026", "20261122", "2026-W47-7", "", " 2026-11-22", "2026-11-22\n", "-2026-11-22", "12026-11-22",
		"0000-01-01", 20261122, 1.5, nil, true,
		[]any{},
	} {
		var date models.Date
		badInput(t, date.UnmarshalGQL(wrong), wrong)
		require.Equal(t, models.Date{}, date, "nothing is kept of what was refused")
	}
}

func TestDate_RoundTripsAndOrders(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		days := rapid.Custom(func(t *rapid.T) models.Date {
			return models.NewDate(2000, time.January, 1+rapid.IntRange(-300_000, 2_000_000).Draw(t, "day"))
		})
		a, b := days.Draw(t, "a"), days.Draw(t, "b")
		parsed, err := models.ParseDate(a.String())
		require.NoError(t, err)
		require.Equal(t, a, parsed)
		require.Equal(t, a.String() < b.String(), a.Before(b))
		stored, err := a.Value()
		require.NoError(t, err)
		var read models.Date
		require.NoError(t, read.Scan(stored))
		require.Equal(t, a, read)
	})
}

func TestDate_BeginsAtMidnightOfItsZone(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("America/Sao_Paulo")
	require.NoError(t, err)
	require.Equal(t, "2026-11-22T03:00:00Z", models.NewDate(2026, time.November, 22).In(zone).UTC().Format(time.RFC3339))
	require.Equal(t, models.NewDate(2026, time.November, 21), models.DateOf(time.Date(2026, 11, 22, 2, 59, 0, 0, time.UTC).In(zone)))
	// In 2018 Brazil's clocks went from 00:00 to 01:00 on the 4th of November:
	// the day began at one, and it is that day.
	// Every day begins where the day before ends, whatever the clocks do.
	for _, name := range []string{
		"America/Sao_Paulo", "America/Havana", "America/Santiago", "America/Asuncion", "America/Noronha", "America/St_Johns", "Atlantic/Azores",
		"Asia/Beirut", "Asia/Amman", "Asia/Tehran", "Africa/Cairo", "Australia/Lord_Howe", "Pacific/Chatham", "Europe/Lisbon", "UTC",
	} {
		zone, err := time.LoadLocation(name)
		require.NoError(t, err)
		for day := models.NewDate(1985, time.January, 1); day.Before(models.NewDate(2038, time.January, 1)); {
			next := models.DateOf(day.In(time.UTC).AddDate(0, 0, 1))
			begins := day.In(zone)
			if !assert.Equal(t, day, models.DateOf(begins)) || !assert.True(t, models.DateOf(begins.Add(-1)).Before(day)) {
				require.Fail(t, "the day begins elsewhere", "%s begins at %s in %s", day, begins, name)
			}
			day = next
		}
	}
	gap := models.NewDate(2018, time.November, 4).In(zone)
	require.Equal(t, models.NewDate(2018, time.November, 4), models.DateOf(gap))
	require.Equal(t, "2018-11-04T01:00:00-02:00", gap.Format(time.RFC3339))
}

func TestJSON_KeepsWhatItIsGivenAndIsBounded(t *testing.T) {
	t.Parallel()
	for _, value := range []any{nil, true, "é\"", json.Number("12345678901234567890.10"), []any{}, map[string]any{"a": []any{json.Number("1"), nil}}} {
		var data models.JSON
		require.NoError(t, data.UnmarshalGQL(value))
		want, err := json.Marshal(value)
		require.NoError(t, err)
		require.Equal(t, string(want), written(data))
		stored, err := data.Value()
		require.NoError(t, err)
		var read models.JSON
		require.NoError(t, read.Scan(stored))
		require.Equal(t, data, read)
	}
	var data models.JSON
	require.NoError(t, data.UnmarshalGQL(strings.Repeat("x", 256<<10-2)))
	badInput(t, data.UnmarshalGQL(strings.Repeat("x", 256<<10-1)), "one byte more")
	badInput(t, data.UnmarshalGQL(math.NaN()), "NaN")
	badInput(t, data.UnmarshalGQL(make(chan int)), "no JSON")
	require.Equal(t, "null", written(models.JSON(nil)))
	require.Error(t, data.Scan(1))
	require.NoError(t, data.Scan(nil))
	require.Nil(t, data)
}

// Every word that an enum is stored as stands for that enum alone.
func TestEnums_HaveOneStoredWordEach(t *testing.T) {
	t.Parallel()
	roundTrip(t, models.AllContactStatus, func(s *models.ContactStatus) scanner { return s })
	roundTrip(t, models.AllAppointmentStatus, func(s *models.AppointmentStatus) scanner { return s })
	roundTrip(t, models.AllRecordKind, func(k *models.RecordKind) scanner { return k })
	roundTrip(t, models.AllRole, func(r *models.Role) scanner { return r })
}

type scanner interface{ Scan(source any) error }

type stored interface {
	~string
	driver.Valuer
}

func roundTrip[E stored](t *testing.T, all []E, scan func(*E) scanner) {
	t.Helper()
	require.NotEmpty(t, all)
	words, err := models.StoredWords(all)
	require.NoError(t, err)
	seen := map[string]bool{}
	for i, word := range words {
		require.False(t, seen[word], word)
		seen[word] = true
		for _, source := range []any{word, []byte(word)} {
			var read E
			require.NoError(t, scan(&read).Scan(source))
			require.Equal(t, all[i], read)
		}
	}
	var none E
	for _, wrong := range []any{"", "x", strings.ToUpper(words[0]), nil, 1} {
		require.Error(t, scan(&none).Scan(wrong), "%v", wrong)
	}
	_, err = models.StoredWords([]E{E("nonsense")})
	require.Error(t, err)
}

func TestTexts_AreReadFromAnArraysText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]models.Texts{
		`{}`: {}, `{a,"b c","d\"e"}`: {"a", "b c", `d"e`}, `{"",NULL2}`: {"", "NULL2"},
	} {
		var read models.Texts
		require.NoError(t, read.Scan(text))
		require.Equal(t, want, read)
		stored, err := want.Value()
		require.NoError(t, err)
		require.NoError(t, read.Scan(stored))
		require.Equal(t, want, read)
	}
	var none models.Texts
	require.NoError(t, none.Scan(nil))
	require.Nil(t, none)
	require.Error(t, none.Scan("{"))
	require.Equal(t, []string{}, (&models.Contact{}).GetTags())
	require.Equal(t, []string{}, (&models.MedicalRecord{}).GetCodes())
}

func TestInvalid_SaysNothingOfWhatWasTyped(t *testing.T) {
	t.Parallel()
	err := models.Refuse(models.UserErrorCodeTaken, "taxId", "the CPF 123.456.789-09 is Ana's", "contact_1")
	require.NotContains(t, fmt.Sprint(err), "Ana")
	var invalid models.Invalid
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, []string{"taxId"}, invalid[0].Field)
	require.Equal(t, []string{"contact_1"}, invalid[0].EntityIds)
	whole := models.NewUserError(models.UserErrorCodeLimit, "", "too many")
	require.Nil(t, whole.Field)
	require.NotNil(t, whole.EntityIds)
}

func TestMaskTaxID_ShowsTheMiddleAlone(t *testing.T) {
	t.Parallel()
	require.Equal(t, "***.456.789-**", models.MaskTaxID("12345678909"))
	require.Equal(t, "***", models.MaskTaxID("123"))
	require.True(t, models.SeesWholeTaxID(models.RoleReceptionist))
	require.False(t, models.SeesWholeTaxID(models.RolePractitioner))
	require.False(t, models.SeesWholeTaxID(models.Role("nobody")))
}
