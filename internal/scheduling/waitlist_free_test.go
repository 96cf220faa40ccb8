package scheduling_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/models"
)

func (l *line) appointmentAt(t *testing.T, clock string) (id [16]byte) {
	t.Helper()
	require.NoError(t, l.sql.QueryRow(t.Context(), "SELECT id FROM appointments WHERE starts_at = $1 AND status = 'agendado'", l.at(t, clock, 1)).Scan(&id))
	return id
}

func TestWaitlist_HearsOfEveryTimeThatBecomesFree(t *testing.T) {
	t.Parallel()
	for name, free := range map[string]func(*testing.T, *line, *models.Appointment){
		"cancelled": func(t *testing.T, l *line, at *models.Appointment) {
			t.Helper()
			l.cancel(t, at)
		},
		"moved": func(t *testing.T, l *line, at *models.Appointment) {
			t.Helper()
			_, _, err := l.diary.Reschedule(l.as(t, models.RoleOwner), models.RescheduleAppointmentInput{ID: at.GetID(), StartsAt: l.at(t, "09:00", 2)})
			require.NoError(t, err)
		},
		"a hold released": func(t *testing.T, l *line, at *models.Appointment) {
			t.Helper()
			l.Exec(t, "DELETE FROM appointment_changes WHERE appointment_id = $1", at.ID)
			l.Exec(t, "DELETE FROM appointments WHERE id = $1", at.ID)
			held, _, err := l.hold(l.as(t, models.RoleReceptionist), l.at(t, "09:00", 1), 300)
			require.NoError(t, err)
			_, err = l.diary.Release(l.as(t, models.RoleReceptionist), models.ReleaseSlotInput{ID: held.GetID()})
			require.NoError(t, err)
		},
		"a hold lapsed": func(t *testing.T, l *line, at *models.Appointment) {
			t.Helper()
			l.Exec(t, "DELETE FROM appointment_changes WHERE appointment_id = $1", at.ID)
			l.Exec(t, "DELETE FROM appointments WHERE id = $1", at.ID)
			_, _, err := l.hold(l.as(t, models.RoleReceptionist), l.at(t, "09:00", 1), 1)
			require.NoError(t, err)
			l.attend(t)
			require.Eventually(t, func() bool {
				return l.Count(t, "SELECT count(*) FROM slot_holds WHERE expires_at > clock_timestamp()") == 0
			}, 10*time.Second, 20*time.Millisecond)
		},
		"time off taken back": func(t *testing.T, l *line, at *models.Appointment) {
			t.Helper()
			desk := l.as(t, models.RoleOwner)
			off, _, err := l.diary.AddTimeOff(desk, models.AddTimeOffInput{PractitionerID: new(models.KindPractitioner.Global(l.here.Practitioners[0])), StartsAt: l.at(t, "00:00", 1), EndsAt: l.at(t, "00:00", 2)})
			require.NoError(t, err)
			l.cancel(t, at)
			l.attend(t)
			_, err = l.diary.RemoveTimeOff(desk, models.RemoveTimeOffInput{ID: off.GetID()})
			require.NoError(t, err)
		},
		"the clinic opened": func(t *testing.T, l *line, at *models.Appointment) {
			t.Helper()
			desk := l.as(t, models.RoleOwner)
			off, _, err := l.diary.AddTimeOff(desk, models.AddTimeOffInput{StartsAt: l.at(t, "00:00", 1), EndsAt: l.at(t, "00:00", 2)})
			require.NoError(t, err)
			l.cancel(t, at)
			l.attend(t)
			_, err = l.diary.RemoveTimeOff(desk, models.RemoveTimeOffInput{ID: off.GetID()})
			require.NoError(t, err)
		},
		"hours widened": func(t *testing.T, l *line, at *models.Appointment) {
			t.Helper()
			l.Exec(t, "UPDATE working_hours SET from_minute = 600 WHERE weekday = 2 AND from_minute = 480")
			l.cancel(t, at)
			l.attend(t)
			var week []*models.WorkingHoursInput
			for _, hours := range [][2]int{{8 * 60, 12 * 60}, {13 * 60, 18 * 60}} {
				week = append(week, &models.WorkingHoursInput{Weekday: models.WeekdayTuesday, FromMinute: hours[0], ToMinute: hours[1]})
			}
			_, _, err := l.diary.SetWorkingHours(l.as(t, models.RoleOwner), models.SetWorkingHoursInput{PractitionerID: models.KindPractitioner.Global(l.here.Practitioners[0]), WorkingHours: week})
			require.NoError(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := openLine(t)
			at := l.fill(t, 0, "09:00")
			l.fill(t, 1, "09:00")
			l.Exec(t, "DELETE FROM appointment_changes WHERE practitioner_id = $1", l.here.Practitioners[1])
			entry := l.joins(t, 0)
			free(t, l, at)
			l.attend(t)
			require.Equal(t, "09:00", l.offered(t, entry))
			require.Zero(t, l.Count(t, "SELECT count(*) FROM waitlist_work WHERE due_at <= clock_timestamp()"))
		})
	}
}
