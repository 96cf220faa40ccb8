package scheduling_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/scheduling"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

// line is an office with a waiting list.
type line struct {
	*office

	list *scheduling.Waitlist
}

func openLine(t *testing.T) *line {
	t.Helper()
	o := openOffice(t)
	return &line{o, scheduling.NewWaitlist(o.diary, scheduling.Uncounted{})}
}

// attend does what is due.
func (l *line) attend(t *testing.T) {
	t.Helper()
	require.NoError(t, l.list.Attend(t.Context(), l.here.ID))
}

// joins puts a contact in line for half an hour with anybody on Tuesday.
func (l *line) joins(t *testing.T, contact int, change ...func(*models.JoinWaitlistInput)) *models.WaitlistEntry {
	t.Helper()
	input := models.JoinWaitlistInput{
		ContactID: models.KindContact.Global(l.here.Contacts[contact]), ServiceID: models.KindService.Global(l.here.Services[0]),
		Range: &models.DateTimeRange{From: new(l.at(t, "00:00", 1)), To: new(l.at(t, "23:00", 1))},
	}
	for _, one := range change {
		one(&input)
	}
	entry, err := l.list.Join(l.as(t, models.RoleReceptionist), input)
	require.NoError(t, err)
	return entry
}

// with wants to see a practitioner.
func (l *line) with(practitioner int) func(*models.JoinWaitlistInput) {
	return func(input *models.JoinWaitlistInput) {
		input.PractitionerID = new(models.KindPractitioner.Global(l.here.Practitioners[practitioner]))
	}
}

// entry is one as it is read at the office's instant.
func (l *line) entry(t *testing.T, id string) (found struct {
	Status         models.WaitlistEntryStatus
	OfferedSlot    *struct{ StartsAt, EndsAt time.Time }
	OfferExpiresAt *time.Time
	EndedBy        *string
},
) {
	t.Helper()
	var answer struct{ Node any }
	answer.Node = &found
	l.graph.Must(t, l.as(t, models.RoleReceptionist), `query($id: ID!) { node(id: $id) { ... on WaitlistEntry {
		status endedBy offerExpiresAt offeredSlot { startsAt endsAt practitioner { name } } } } }`, map[string]any{"id": id}, &answer)
	return found
}

// offered is when the slot begins that an entry is offered; "" for none.
func (l *line) offered(t *testing.T, entry *models.WaitlistEntry) string {
	t.Helper()
	found := l.entry(t, entry.GetID())
	if found.OfferedSlot == nil {
		require.Nil(t, found.OfferExpiresAt)
		return ""
	}
	require.Equal(t, models.WaitlistEntryStatusOffered, found.Status)
	return found.OfferedSlot.StartsAt.In(time.FixedZone("", -3*60*60)).Format("15:04")
}

// fill books all of a practitioner's Tuesday, and gives what lies at a time.
func (l *line) fill(t *testing.T, practitioner int, clock string) (at *models.Appointment) {
	t.Helper()
	for _, half := range [][2]string{{"08:00", "12:00"}, {"13:00", "18:00"}} {
		for start := l.at(t, half[0], 1); start.Before(l.at(t, half[1], 1)); start = start.Add(30 * time.Minute) {
			id := l.Appointment(t, l.here, 2, practitioner, start, 30*time.Minute)
			if start.Equal(l.at(t, clock, 1)) {
				at = &models.Appointment{ID: id}
			}
		}
	}
	return at
}

func (l *line) cancel(t *testing.T, appointment *models.Appointment) {
	t.Helper()
	_, err := l.diary.Cancel(l.as(t, models.RoleReceptionist), models.CancelAppointmentInput{ID: appointment.GetID()})
	require.NoError(t, err)
}

// lapse has an offer run out by the database's clock.
func (l *line) lapse(t *testing.T) {
	t.Helper()
	l.Exec(t, "UPDATE slot_holds SET created_at = created_at - interval '1 hour', expires_at = expires_at - interval '1 hour' WHERE waitlist_entry_id IS NOT NULL")
	l.Exec(t, "UPDATE waitlist_offers SET offered_at = offered_at - interval '1 hour', expires_at = expires_at - interval '1 hour' WHERE outcome IS NULL")
	l.Exec(t, "UPDATE waitlist_entries SET offer_expires_at = offer_expires_at - interval '1 hour' WHERE offer_expires_at IS NOT NULL")
}

func offer(entry *models.WaitlistEntry) models.WaitlistOfferInput {
	return models.WaitlistOfferInput{ID: entry.GetID()}
}

func TestWaitlist_TheFirstInLineIsOfferedWhatIsCancelled(t *testing.T) {
	t.Parallel()
	l := openLine(t)
	freed := l.fill(t, 0, "09:00")
	other := l.joins(t, 1, l.with(1))
	first, second := l.joins(t, 0, l.with(0)), l.joins(t, 1)
	l.cancel(t, freed)
	require.Equal(t, 1, l.Count(t, "SELECT count(*) FROM waitlist_work"))
	l.attend(t)
	require.Zero(t, l.Count(t, "SELECT count(*) FROM waitlist_work"))
	require.Equal(t, "09:00", l.offered(t, first))
	require.Empty(t, l.offered(t, second))
	require.Empty(t, l.offered(t, other))

	// Nobody else gets it: neither by a booking nor by a hold, nor is it given free.
	desk := l.as(t, models.RoleReceptionist)
	_, _, err := l.diary.Schedule(desk, l.visit(l.at(t, "09:00", 1)))
	held := refused(t, err, models.UserErrorCodeConflict, "startsAt").EntityIds
	require.Len(t, held, 1)
	_, err = l.diary.Release(l.as(t, models.RoleOwner), models.ReleaseSlotInput{ID: held[0]})
	require.Equal(t, []string{first.GetID()}, refused(t, err, models.UserErrorCodeConflict, "id").EntityIds)
	visit := l.visit(l.at(t, "09:00", 1))
	visit.HoldID = &held[0]
	_, _, err = l.diary.Schedule(desk, visit)
	refused(t, err, models.UserErrorCodeForbidden, "holdId")
	_, _, err = l.list.Accept(desk, offer(second))
	refused(t, err, models.UserErrorCodeConflict, "id")

	l.Rehearsed(t, desk, func(ctx context.Context) {
		_, _, err := l.list.Accept(ctx, offer(first))
		require.NoError(t, err)
	})
	require.Equal(t, "09:00", l.offered(t, first), "a dry run accepts nothing")
	booked, _, err := l.list.Accept(desk, offer(first))
	require.NoError(t, err)
	require.Equal(t, l.here.Contacts[0], booked.ContactID)
	require.True(t, booked.StartsAt.Equal(l.at(t, "09:00", 1)))
	require.Equal(t, l.here.Services[0], *booked.ServiceID)
	require.Zero(t, l.Count(t, "SELECT count(*) FROM slot_holds"))
	now := l.entry(t, first.GetID())
	require.Equal(t, models.WaitlistEntryStatusBooked, now.Status)
	require.Equal(t, testkit.Subject("here", models.RoleReceptionist), *now.EndedBy)
	_, _, err = l.list.Accept(desk, offer(first))
	require.Contains(t, refused(t, err, models.UserErrorCodeConflict, "id").Message, "BOOKED")
	require.Equal(t, 1, l.Count(t, "SELECT count(*) FROM waitlist_offers WHERE outcome = 'accepted' AND appointment_id = $1 AND actor = $2", booked.ID, *now.EndedBy))
	// Its hold went with the booking: nothing is free, and nobody is offered anything.
	l.attend(t)
	require.Empty(t, l.offered(t, second))
}

func TestWaitlist_AnOfferGoesToTheNextWhenItEnds(t *testing.T) {
	t.Parallel()
	l := openLine(t)
	freed := l.fill(t, 0, "09:00")
	desk := l.as(t, models.RoleReceptionist)
	entries := []*models.WaitlistEntry{l.joins(t, 0), l.joins(t, 1), l.joins(t, 2, func(input *models.JoinWaitlistInput) { input.Range = nil })}
	l.cancel(t, freed)
	l.attend(t)
	require.Equal(t, "09:00", l.offered(t, entries[0]))
	_, err := l.list.Decline(desk, offer(entries[1]))
	refused(t, err, models.UserErrorCodeConflict, "id")
	declined, err := l.list.Decline(desk, offer(entries[0]))
	require.NoError(t, err)
	require.Nil(t, declined.OfferExpiresAt)
	l.attend(t)
	require.Empty(t, l.offered(t, entries[0]), "who let it go is not asked again")
	require.Equal(t, "09:00", l.offered(t, entries[1]))

	l.lapse(t)
	_, _, err = l.list.Accept(desk, offer(entries[1]))
	refused(t, err, models.UserErrorCodeExpired, "id")
	_, err = l.list.Decline(desk, offer(entries[1]))
	refused(t, err, models.UserErrorCodeExpired, "id")
	l.attend(t)
	require.Equal(t, models.WaitlistEntryStatusWaiting, l.entry(t, entries[1].GetID()).Status)
	require.Equal(t, "09:00", l.offered(t, entries[2]))

	_, err = l.list.Leave(desk, models.LeaveWaitlistInput{ID: entries[2].GetID()})
	require.NoError(t, err)
	l.attend(t)
	require.Equal(t, models.WaitlistEntryStatusLeft, l.entry(t, entries[2].GetID()).Status)
	require.Zero(t, l.Count(t, "SELECT count(*) FROM slot_holds"), "there is nobody left to ask")
	require.Zero(t, l.Count(t, "SELECT count(*) FROM waitlist_work"))
	_, err = l.list.Leave(desk, models.LeaveWaitlistInput{ID: entries[2].GetID()})
	refused(t, err, models.UserErrorCodeConflict, "id")
	require.Equal(t, 1, l.Count(t, "SELECT count(*) FROM waitlist_offers WHERE outcome = 'declined' AND actor IS NOT NULL"))
	require.Equal(t, 1, l.Count(t, "SELECT count(*) FROM waitlist_offers WHERE outcome = 'lapsed' AND actor IS NULL"))
	require.Equal(t, 1, l.Count(t, "SELECT count(*) FROM waitlist_offers WHERE outcome = 'withdrawn' AND actor IS NOT NULL"))
	// Another time is offered to who declined the first, who still comes first.
	l.cancel(t, &models.Appointment{ID: l.appointmentAt(t, "10:00")})
	l.attend(t)
	require.Equal(t, "10:00", l.offered(t, entries[0]))
}

func TestWaitlist_OffersOnlyWhatSuits(t *testing.T) {
	t.Parallel()
	l := openLine(t)
	freed := l.fill(t, 0, "09:00")
	contact := func(n int) func(*models.JoinWaitlistInput) {
		return func(input *models.JoinWaitlistInput) { input.ContactID = models.KindContact.Global(l.here.Contacts[n]) }
	}
	hour := l.joins(t, 0, func(input *models.JoinWaitlistInput) { input.ServiceID = models.KindService.Global(l.here.Services[1]) })
	late := l.joins(t, 0, func(input *models.JoinWaitlistInput) { input.Range.From = new(l.at(t, "09:15", 1)) })
	elsewhere := l.joins(t, 0, l.with(1))
	// João is with Dr. Carlos then.
	l.Appointment(t, l.here, 1, 1, l.at(t, "09:15", 1), 30*time.Minute)
	busy := l.joins(t, 0, contact(1))
	// Maria has died since, and Ana comes last.
	dead := l.joins(t, 0, contact(2))
	last := l.joins(t, 0)
	l.Exec(t, "UPDATE contacts SET deceased_on = '2026-11-20' WHERE id = $1", l.here.Contacts[2])
	require.Equal(t, models.WaitlistEntryStatusLeft, l.entry(t, dead.GetID()).Status)
	l.cancel(t, freed)
	l.attend(t)
	for _, one := range []*models.WaitlistEntry{hour, late, elsewhere, busy, dead} {
		require.Empty(t, l.offered(t, one))
	}
	require.Equal(t, "09:00", l.offered(t, last))
	// The hour fits as soon as what is beside it is free, too; it may reach over it.
	_, err := l.list.Decline(l.as(t, models.RoleReceptionist), offer(last))
	require.NoError(t, err)
	l.cancel(t, &models.Appointment{ID: l.appointmentAt(t, "09:30")})
	l.attend(t)
	require.Equal(t, "09:00", l.offered(t, hour))
	// Who is put away while something is offered gives it to the next.
	l.Exec(t, "UPDATE contacts SET status = 'arquivado' WHERE id = $1", l.here.Contacts[0])
	require.Equal(t, models.WaitlistEntryStatusLeft, l.entry(t, hour.GetID()).Status)
	require.Zero(t, l.Count(t, "SELECT count(*) FROM slot_holds"))
	l.attend(t)
	require.Zero(t, l.Count(t, "SELECT count(*) FROM waitlist_work"))
}

func TestWaitlist_ATimeThatIsSoonIsOfferedForShorter(t *testing.T) {
	t.Parallel()
	l := openLine(t)
	freed := l.fill(t, 0, "08:00")
	entry := l.joins(t, 0)
	l.now = l.at(t, "07:50", 1)
	l.cancel(t, freed)
	l.attend(t)
	require.Equal(t, "08:00", l.offered(t, entry))
	require.InDelta(t, 600, l.Count(t, "SELECT extract(epoch FROM expires_at - offered_at)::int FROM waitlist_offers"), 1)
	l.now = l.at(t, "23:00", 1)
	l.attend(t)
	require.Equal(t, models.WaitlistEntryStatusExpired, l.entry(t, entry.GetID()).Status, "its day is over")
	require.Zero(t, l.Count(t, "SELECT count(*) FROM slot_holds"))
}

func TestWaitlist_AcceptsOverWhatIsInTheWayByRight(t *testing.T) {
	t.Parallel()
	l := openLine(t)
	freed := l.fill(t, 0, "09:00")
	entry := l.joins(t, 0)
	l.cancel(t, freed)
	l.attend(t)
	visit := l.visit(l.at(t, "09:00", 1))
	visit.ContactID, visit.Overbook = models.KindContact.Global(l.here.Contacts[1]), new(true)
	over, _, err := l.diary.Schedule(l.as(t, models.RoleOwner), visit)
	require.NoError(t, err)
	desk := l.as(t, models.RoleReceptionist)
	_, instead, err := l.list.Accept(desk, offer(entry))
	require.Equal(t, []string{over.GetID()}, refused(t, err, models.UserErrorCodeConflict, "id").EntityIds)
	require.NotEmpty(t, instead)
	require.Equal(t, "09:00", l.offered(t, entry), "what was refused stands")
	input := offer(entry)
	input.Overbook = new(true)
	_, _, err = l.list.Accept(desk, input)
	refused(t, err, models.UserErrorCodeForbidden, "overbook")
	booked, _, err := l.list.Accept(l.as(t, models.RoleOwner), input)
	require.NoError(t, err)
	require.True(t, booked.Overbooked)
}

func TestWaitlist_RefusesWhoCannotWait(t *testing.T) {
	t.Parallel()
	l := openLine(t)
	desk := l.as(t, models.RoleReceptionist)
	base := models.JoinWaitlistInput{ContactID: models.KindContact.Global(l.here.Contacts[0]), ServiceID: models.KindService.Global(l.here.Services[0])}
	join := func(change func(*models.JoinWaitlistInput)) error {
		input := base
		change(&input)
		_, err := l.list.Join(desk, input)
		return err
	}
	first, err := l.list.Join(desk, base)
	require.NoError(t, err)
	require.Equal(t, []string{first.GetID()}, refused(t, join(func(*models.JoinWaitlistInput) {}), models.UserErrorCodeTaken, "contactId").EntityIds)
	refused(t, join(func(i *models.JoinWaitlistInput) { i.ContactID = models.KindContact.Global(l.elsewhere.Contacts[0]) }), models.UserErrorCodeNotFound, "contactId")
	refused(t, join(func(i *models.JoinWaitlistInput) { i.ServiceID = models.KindService.Global(l.elsewhere.Services[0]) }), models.UserErrorCodeNotFound, "serviceId")
	refused(t, join(func(i *models.JoinWaitlistInput) {
		i.PractitionerID = new(models.KindPractitioner.Global(l.elsewhere.Practitioners[0]))
	}), models.UserErrorCodeNotFound, "practitionerId")
	for _, within := range []models.DateTimeRange{
		{From: new(l.at(t, "09:00", 1)), To: new(l.at(t, "09:00", 1))}, {To: new(l.at(t, "06:00"))}, {From: new(l.at(t, "09:00", 900))}, {To: new(l.at(t, "09:00", 900))},
	} {
		mistakes := mistakesOf(t, join(func(i *models.JoinWaitlistInput) { i.Range = &within }))
		require.Len(t, mistakes, 1)
		require.Equal(t, models.UserErrorCodeInvalid, mistakes[0].Code)
		require.Equal(t, "range", mistakes[0].Field[0])
	}
	l.Exec(t, "DELETE FROM practitioner_services WHERE practitioner_id = $1 AND service_id = $2", l.here.Practitioners[1], l.here.Services[0])
	refused(t, join(func(i *models.JoinWaitlistInput) {
		i.PractitionerID = new(models.KindPractitioner.Global(l.here.Practitioners[1]))
	}), models.UserErrorCodeConflict, "serviceId")
	l.Exec(t, "UPDATE practitioners SET active = false WHERE id = $1", l.here.Practitioners[1])
	refused(t, join(func(i *models.JoinWaitlistInput) {
		i.PractitionerID = new(models.KindPractitioner.Global(l.here.Practitioners[1]))
	}), models.UserErrorCodeConflict, "practitionerId")
	l.Exec(t, "UPDATE contacts SET deceased_on = '2026-11-20' WHERE id = $1", l.here.Contacts[1])
	refused(t, join(func(i *models.JoinWaitlistInput) { i.ContactID = models.KindContact.Global(l.here.Contacts[1]) }), models.UserErrorCodeConflict, "contactId")
	l.Exec(t, "UPDATE contacts SET status = 'arquivado' WHERE id = $1", l.here.Contacts[2])
	refused(t, join(func(i *models.JoinWaitlistInput) { i.ContactID = models.KindContact.Global(l.here.Contacts[2]) }), models.UserErrorCodeConflict, "contactId")
	for n := range 9 {
		require.NoError(t, join(func(i *models.JoinWaitlistInput) { i.Range = &models.DateTimeRange{To: new(l.at(t, "09:00", 1+n))} }), n)
	}
	refused(t, join(func(i *models.JoinWaitlistInput) { i.Range = &models.DateTimeRange{To: new(l.at(t, "10:00", 1))} }), models.UserErrorCodeLimit, "contactId")
	_, err = l.list.Leave(l.elsewhere.As(t.Context(), models.RoleOwner), models.LeaveWaitlistInput{ID: first.GetID()})
	refused(t, err, models.UserErrorCodeNotFound, "id")
	_, err = l.list.Leave(desk, models.LeaveWaitlistInput{ID: models.KindContact.Global(l.here.Contacts[0])})
	refused(t, err, models.UserErrorCodeInvalid, "id")
}
