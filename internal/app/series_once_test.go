package app_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

const bookOnce = `mutation ($input: ScheduleAppointmentInput!) {
	got: scheduleAppointment(input: $input) @idempotent(key: "a year of Mondays") { appointment { ` + visitFields + ` } series { ` + visitFields + ` } userErrors { code field message entityIds } } }`

// A year of weeks is booked with a key, and nobody hears that it was: sent again, at
// either server, it is answered with the visits that there are, and nothing is booked
// twice. The control loses the question instead, and has nothing booked.
func TestSeries_WithAKeyIsBookedOnceThoughNobodyHearsOfIt(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]testkit.Loss{"question": testkit.LoseQuestion, "acknowledgement": testkit.LoseAcknowledgement} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAgenda(t, "America/Santiago", time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC))
			cutter := testkit.NewCutter(t, a.d.AppURL)
			cut := api.NewServer(t, a.d, api.At(time.Unix(a.clock.Load(), 0)), api.WithRedis(a.d), func(settings *config.Config, _ *app.Options) { settings.DatabaseURL = cutter.URL() })
			input := a.asked(a.at("2026-03-09 09:00"), "FREQ=WEEKLY;COUNT=52")
			booked := func() int { return a.d.Count(t, "SELECT count(*) FROM appointments") }
			before := booked()

			cutter.Cut(lost, "FREQ=WEEKLY")
			desk := cut.As(t, a.clinic, models.RoleReceptionist)
			answer := desk.Do(t, bookOnce, map[string]any{"input": input})
			require.Equal(t, 1, cutter.Cuts())
			require.Len(t, answer.Errors, 1, "%s", answer.Body)
			require.Equal(t, string(models.OutcomeUnknown), answer.Errors[0].Extensions.Code)
			require.Equal(t, map[testkit.Loss]int{testkit.LoseQuestion: 0, testkit.LoseAcknowledgement: 52}[lost], booked()-before)

			there, rows := "", 0
			for _, client := range []*api.Client{desk, a.as(models.RoleReceptionist), desk} {
				var again struct{ Got outcome }
				answer := client.Must(t, bookOnce, map[string]any{"input": input}, &again)
				require.Empty(t, again.Got.mistakes())
				require.Len(t, again.Got.Series, 52)
				require.Equal(t, again.Got.Series[0], *again.Got.Appointment)
				require.Equal(t, again.Got.Series, a.found(again.Got.Appointment.SeriesID), "they are the ones that there are")
				require.Equal(t, 52, booked()-before)
				if there == "" {
					there, rows = string(answer.Data), a.written()
				}
				require.JSONEq(t, there, string(answer.Data))
				require.Equal(t, rows, a.written(), "a repetition writes nothing")
			}
			require.Zero(t, a.overlaps())

			// The key is for this series and for no other.
			for _, other := range []map[string]any{
				a.asked(a.at("2026-03-09 09:00"), "FREQ=WEEKLY;COUNT=51"), a.asked(a.at("2026-03-10 09:00"), "FREQ=WEEKLY;COUNT=52"),
			} {
				refused := a.as(models.RoleReceptionist).Do(t, bookOnce, map[string]any{"input": other})
				require.Equal(t, http.StatusConflict, refused.Status, "%s", refused.Body)
				require.Equal(t, "CONFLICT", refused.Errors[0].Extensions.Code)
			}
			require.Equal(t, rows, a.written())
		})
	}
}

// A series that is refused stores nothing, its key included: once what was in the way is
// gone the same request books it.
func TestSeries_WithAKeyStoresNothingWhereItIsRefused(t *testing.T) {
	t.Parallel()
	a := newAgenda(t, "America/Santiago", time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC))
	desk := a.as(models.RoleReceptionist)
	inTheWay := a.book(desk, a.asked(a.at("2026-06-01 09:00"), "FREQ=WEEKLY;COUNT=2", "contactId", models.KindContact.Global(a.clinic.Contacts[1])))
	input := map[string]any{"input": a.asked(a.at("2026-03-09 09:00"), "FREQ=WEEKLY;COUNT=52")}
	rows := a.written()
	for range 2 {
		var refused struct{ Got outcome }
		desk.Must(t, bookOnce, input, &refused)
		require.Len(t, refused.Got.UserErrors, 2, "each date that is taken is named: %v", refused.Got.mistakes())
		require.Empty(t, refused.Got.Series)
		require.Equal(t, rows, a.written())
		require.Zero(t, a.d.Count(t, "SELECT count(*) FROM idempotency_keys"))
	}
	cancelled := a.do(desk, "cancelAppointment", "", map[string]any{"id": inTheWay.Appointment.ID, "wholeSeries": true})
	require.Empty(t, cancelled.mistakes())
	var got struct{ Got outcome }
	desk.Must(t, bookOnce, input, &got)
	require.Empty(t, got.Got.mistakes())
	require.Len(t, got.Got.Series, 52)
	require.Equal(t, 1, a.d.Count(t, "SELECT count(*) FROM idempotency_keys"))
}
