package app_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// waits is what the line shows of its entries.
type waits struct {
	Waitlist struct {
		TotalCount int
		Nodes      []struct {
			ID, Status, JoinedBy string
			Contact              struct{ Name string }
			OfferedSlot          *struct {
				StartsAt     time.Time
				Practitioner struct{ Name string }
			}
			OfferExpiresAt *time.Time
		}
	}
}

const waitingLine = `query { waitlist(first: 10) { totalCount nodes { id status joinedBy contact { name } offerExpiresAt offeredSlot { startsAt practitioner { name } } } } }`

// Two instances that share what they keep attend to one line. What is cancelled on one
// is offered, once, and shown by the other, which had kept the line as it was; accepting
// it there is shown here.
func TestWaitlist_TwoInstancesOfferOnceAndShowIt(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	visit := d.Appointment(t, clinic, 2, 0, deskMonday.Add(26*time.Hour), 30*time.Minute)
	options := []api.Option{api.WithRedis(d), api.Attending(), api.At(deskMonday)}
	one, two := api.NewServer(t, d, options...), api.NewServer(t, d, options...)
	desk, other := one.As(t, clinic, models.RoleReceptionist), two.As(t, clinic, models.RolePartner)
	line := func(c *api.Client) (shown waits) {
		c.Must(t, waitingLine, nil, &shown)
		return shown
	}
	join := `mutation($input: JoinWaitlistInput!) { joinWaitlist(input: $input) { waitlistEntry { id status } userErrors { code message } } }`
	for contact := range 2 {
		var joined struct {
			JoinWaitlist struct {
				WaitlistEntry struct{ ID, Status string }
				UserErrors    []any
			}
		}
		desk.Must(t, join, map[string]any{"input": map[string]any{"contactId": contactID(clinic, contact), "serviceId": models.KindService.Global(clinic.Services[0])}}, &joined)
		require.Empty(t, joined.JoinWaitlist.UserErrors)
		require.Equal(t, "WAITING", joined.JoinWaitlist.WaitlistEntry.Status)
	}
	for _, c := range []*api.Client{desk, other} {
		untilHit(t, c, waitingLine, nil)
		shown := line(c)
		require.Equal(t, 2, shown.Waitlist.TotalCount)
		require.Equal(t, "Ana Souza", shown.Waitlist.Nodes[0].Contact.Name)
		require.Equal(t, testkit.Subject("aurora", models.RoleReceptionist), shown.Waitlist.Nodes[0].JoinedBy)
		require.Nil(t, shown.Waitlist.Nodes[0].OfferedSlot)
	}
	desk.Must(t, `mutation($id: ID!) { cancelAppointment(input: {id: $id}) { appointment { status } userErrors { message } } }`,
		map[string]any{"id": models.KindAppointment.Global(visit)}, nil)
	require.Eventually(t, func() bool { return d.Count(t, "SELECT count(*) FROM waitlist_offers") > 0 }, 30*time.Second, 5*time.Millisecond)
	took := d.Count(t, `SELECT (1000 * extract(epoch FROM o.offered_at - a.updated_at))::int FROM waitlist_offers o, appointments a WHERE a.id = $1`, visit)
	t.Logf("offered %d ms after it was cancelled", took)
	if testkit.Timed() {
		require.Less(t, took, 1000)
	}
	offered := ""
	for _, c := range []*api.Client{desk, other} {
		shown := line(c)
		first := shown.Waitlist.Nodes[0]
		require.Equal(t, "OFFERED", first.Status, "an answer that was kept is not shown any more")
		require.True(t, first.OfferedSlot.StartsAt.Equal(deskMonday.Add(26*time.Hour)))
		require.Equal(t, "Dra. Beatriz Lima", first.OfferedSlot.Practitioner.Name)
		require.NotNil(t, first.OfferExpiresAt)
		require.Equal(t, "WAITING", shown.Waitlist.Nodes[1].Status)
		offered = first.ID
	}
	untilHit(t, desk, waitingLine, nil)
	var accepted struct {
		AcceptWaitlistOffer struct {
			Appointment *struct {
				Status  string
				Contact struct{ Name string }
			}
			UserErrors []struct{ Code, Message string }
		}
	}
	accept := `mutation($id: ID!) { acceptWaitlistOffer(input: {id: $id}) { appointment { status contact { name } } userErrors { code message } } }`
	other.Must(t, accept, map[string]any{"id": offered}, &accepted)
	require.Empty(t, accepted.AcceptWaitlistOffer.UserErrors)
	require.Equal(t, "Ana Souza", accepted.AcceptWaitlistOffer.Appointment.Contact.Name)
	require.Equal(t, "SCHEDULED", accepted.AcceptWaitlistOffer.Appointment.Status)
	require.Equal(t, 1, line(desk).Waitlist.TotalCount)
	require.Equal(t, 1, d.Count(t, "SELECT count(*) FROM waitlist_offers"))
	for _, role := range []models.Role{models.RoleFinance} {
		answer := one.As(t, clinic, role).Do(t, waitingLine, nil)
		require.NotEmpty(t, answer.Errors)
		require.Equal(t, "FORBIDDEN", answer.Errors[0].Extensions.Code)
	}
}

// An offer that nobody ends is told by the clock: what is kept of it holds until it
// expires and no longer, though nobody attends.
func TestWaitlist_AnOfferEndsByTheAnswersClock(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	server := api.NewServer(t, d, api.WithRedis(d))
	desk := server.As(t, clinic, models.RoleReceptionist)
	now := time.Now().UTC().Truncate(time.Second)
	expires := now.Add(6 * time.Second)
	entry := models.NewID()
	d.Exec(t, `INSERT INTO waitlist_entries (clinic_id, id, contact_id, service_id, joined_by, offered_practitioner_id, offered_starts_at, offered_ends_at, offer_expires_at)
		VALUES ($1, $2, $3, $4, 's', $5, $6, $7, $8)`, clinic.ID, entry, clinic.Contacts[0], clinic.Services[0], clinic.Practitioners[0], now.Add(24*time.Hour), now.Add(25*time.Hour), expires)
	shown := func() (found waits) {
		desk.Must(t, waitingLine, nil, &found)
		return found
	}
	require.Equal(t, "OFFERED", shown().Waitlist.Nodes[0].Status)
	untilHit(t, desk, waitingLine, nil)
	<-time.After(time.Until(expires))
	require.Equal(t, "WAITING", shown().Waitlist.Nodes[0].Status)
	require.Nil(t, shown().Waitlist.Nodes[0].OfferedSlot)
	require.Nil(t, shown().Waitlist.Nodes[0].OfferExpiresAt)
}
