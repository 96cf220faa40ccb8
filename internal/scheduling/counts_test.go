package scheduling_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/models"
)

func TestCounts_AreThoseOfSQLByHand(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	random := rand.New(rand.NewPCG(3, 4))
	for n := range 120 {
		start := o.at(t, "00:30").Add(time.Duration(random.IntN(100*24*60)) * time.Minute)
		var service *uuid.UUID
		if n%3 > 0 {
			service = &o.here.Services[n%2]
		}
		o.Exec(t, `INSERT INTO appointments (clinic_id, id, contact_id, practitioner_id, service_id, starts_at, ends_at, status, overbooked) VALUES ($1, gen_random_uuid(), $2, $3, $4, $5, $6, $7, true)`,
			o.here.ID, o.here.Contacts[n%3], o.here.Practitioners[random.IntN(2)], service, start, start.Add(time.Duration(1+random.IntN(90))*time.Minute), models.AllAppointmentStatus[random.IntN(7)])
	}
	o.Appointment(t, o.elsewhere, 0, 0, o.at(t, "09:00"), time.Hour)
	global := func(kind models.Kind) func(string) string {
		return func(id string) string {
			if id == "" {
				return ""
			}
			return kind.Global(uuid.MustParse(id))
		}
	}
	same := func(text string) string { return text }
	groups := map[models.AppointmentGroup]struct {
		sql  string
		told func(string) string
	}{
		"DAY":          {"to_char(starts_at AT TIME ZONE 'America/Sao_Paulo', 'YYYY-MM-DD')", same},
		"WEEK":         {`extract(isoyear FROM starts_at AT TIME ZONE 'America/Sao_Paulo') || '-W' || lpad(extract(week FROM starts_at AT TIME ZONE 'America/Sao_Paulo')::text, 2, '0')`, same},
		"MONTH":        {"to_char(starts_at AT TIME ZONE 'America/Sao_Paulo', 'YYYY-MM')", same},
		"PRACTITIONER": {"practitioner_id::text", global(models.KindPractitioner)},
		"SERVICE":      {"coalesce(service_id::text, '')", global(models.KindService)},
		"STATUS": {"status", func(word string) string {
			var status models.AppointmentStatus
			require.NoError(t, status.Scan(word))
			return string(status)
		}},
	}
	month := models.DateTimeRange{From: new(o.at(t, "00:00", 10)), To: new(o.at(t, "00:00", 60))}
	for name, c := range map[string]struct {
		filter models.AppointmentFilter
		where  string
		args   []any
	}{
		"all":    {models.AppointmentFilter{}, "true", nil},
		"range":  {models.AppointmentFilter{Range: &month}, "starts_at >= $2 AND starts_at < $3", []any{*month.From, *month.To}},
		"status": {models.AppointmentFilter{Status: []models.AppointmentStatus{"SCHEDULED", "NO_SHOW"}}, "status IN ('agendado', 'faltou')", nil},
		"two lists": {models.AppointmentFilter{
			Status:          []models.AppointmentStatus{"SCHEDULED", "NO_SHOW"},
			PractitionerIds: []string{models.KindPractitioner.Global(o.here.Practitioners[0]), models.KindPractitioner.Global(o.here.Practitioners[1])},
		}, "status IN ('agendado', 'faltou')", nil},
		"contact": {models.AppointmentFilter{ContactID: new(models.KindContact.Global(o.here.Contacts[0]))}, "contact_id = $2", []any{o.here.Contacts[0]}},
		"nobody":  {models.AppointmentFilter{Status: []models.AppointmentStatus{}}, "false", nil},
	} {
		for first, one := range groups {
			for second, two := range groups {
				by := []models.AppointmentGroup{first}
				if first != second {
					by = append(by, second)
				}
				rows, err := o.sql.Query(t.Context(), fmt.Sprintf(`SELECT %s, %s, count(*), sum(extract(epoch FROM ends_at - starts_at) / 60)::int
					FROM appointments WHERE clinic_id = $1 AND %s GROUP BY 1, 2`, one.sql, two.sql, c.where), append([]any{o.here.ID}, c.args...)...)
				require.NoError(t, err)
				want := map[string][2]int{}
				var a, b string
				var figures [2]int
				_, err = pgx.ForEachRow(rows, []any{&a, &b, &figures[0], &figures[1]}, func() error {
					told := one.told(a)
					if first != second {
						told += "/" + two.told(b)
					}
					want[told] = figures
					return nil
				})
				require.NoError(t, err)
				counts, err := o.diary.Counts(o.as(t, models.RoleFinance), c.filter, by)
				require.NoError(t, err)
				got := map[string][2]int{}
				for _, count := range counts {
					got[count.Key] = [2]int{count.Count, count.Minutes}
				}
				require.Equal(t, want, got, "%s by %v", name, by)
				require.Len(t, counts, len(got))
			}
		}
	}
	for name, by := range map[string][]models.AppointmentGroup{"none": {}, "three": {"DAY", "STATUS", "MONTH"}, "twice": {"DAY", "DAY"}} {
		_, err := o.diary.Counts(o.as(t, models.RoleOwner), models.AppointmentFilter{}, by)
		badInput(t, err, name)
	}
}
