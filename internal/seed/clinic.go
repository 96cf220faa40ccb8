package seed

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/taskmed/taskmed/models"
)

// Developer is a subject that owns every seeded clinic and sees statements and
// cost.
const Developer = "developer@taskmed.example"

// Subject is who holds a role ("owner", "admin", "practitioner",
// "receptionist", "finance", "partner") in a seeded clinic.
func Subject(slug, role string) string {
	return role + "@" + strings.TrimPrefix(slug, "clinica-") + ".example"
}

// clinic is all the rows of one clinic before they are written.
type clinic struct {
	lists    *lists
	seed     uint64
	slug     string
	name     string
	zoneName string
	zone     *time.Location
	id       pgtype.UUID
	created  time.Time
	// today and the first instant of it; nothing is older than it but the
	// appointments to come.
	today    date
	midnight time.Time

	members       []member
	services      []service
	practitioners []practitioner
	hours         []hours
	timeOff       []timeOff
	contacts      []contact
	consents      []consent
	appointments  []appointment
	series        []series
	steps         []stepTaken
	waiting       []waiting
	records       []record
	attachments   []*models.Attachment
	conversations []conversation
	messages      []message
	invoices      []invoice
	items         []invoiceItem
	payments      []payment
	refunds       []refund
	changes       []change
	identities    []identity
	accounts      []account
	hooks         []hook
	// known are the channels and addresses that are some contact's.
	known map[string]bool
}

type member struct {
	id          pgtype.UUID
	subject     string
	name        string
	role        string
	permissions []string
}

func (c *clinic) source(stream string) source { return newSource(c.seed, c.slug, stream) }

// makeClinic makes the i-th clinic and hands its rows over as they get ready,
// referenced tables before those that refer: ready may write the first ones
// while the next are made, for what was handed over changes no more. It needs
// no database.
func makeClinic(l *lists, o Options, i int, ready func(*clinic, []batch) error) error {
	c := &clinic{lists: l, seed: o.Seed, slug: o.slug(i), zoneName: "America/Sao_Paulo", today: dateOf(o.Today), known: map[string]bool{}}
	s := c.source("clinic")
	if i >= 2 {
		c.zoneName = pick(s, []string{"America/Sao_Paulo", "America/Sao_Paulo", "America/Fortaleza", "America/Recife", "America/Manaus", "America/Bahia"})
	}
	zone, err := time.LoadLocation(c.zoneName)
	if err != nil {
		return fmt.Errorf("time zone of %s: %w", c.slug, err)
	}
	c.zone, c.midnight = zone, c.today.at(0, zone)
	c.created = s.moment(c.midnight.AddDate(-5, 0, 0), c.midnight.AddDate(-4, 0, 0))
	c.id = s.id(c.created)
	c.name = "Clínica " + strings.ToUpper(plainTail(c.slug)[:1]) + plainTail(c.slug)[1:]

	c.makeMembers()
	c.makeStaff(o.Practitioners)
	c.makeColleagues()
	c.makeContacts(o.Contacts)
	c.makeHomes()
	c.makeConsents()
	if err := ready(c, c.people()); err != nil {
		return err
	}
	if err := c.makeDiary(o.Appointments); err != nil {
		return err
	}
	c.takeSteps()
	c.makeWaiting()
	if err := ready(c, c.diary()); err != nil {
		return err
	}
	if err := c.makeRecords(o.Records); err != nil {
		return err
	}
	if err := ready(c, c.files()); err != nil {
		return err
	}
	c.makeAccounts()
	c.makeConversations()
	c.makeInvoices()
	c.makeChanges()
	c.makeHooks()
	return ready(c, slices.Concat(c.talkAndMoney(), c.listening()))
}

func plainTail(slug string) string { return strings.TrimPrefix(slug, "clinica-") }

func (c *clinic) makeMembers() {
	s := c.source("members")
	add := func(subject, name, role string, permissions ...string) {
		c.members = append(c.members, member{
			id: s.id(c.created), subject: subject, name: name, role: role,
			permissions: append([]string{}, permissions...),
		})
	}
	add(Subject(c.slug, "owner"), c.lists.person(s).name, "owner", "developer")
	add(Subject(c.slug, "admin"), c.lists.person(s).name, "admin", "developer")
	add(Subject(c.slug, "practitioner"), c.lists.person(s).name, "practitioner")
	add(Subject(c.slug, "receptionist"), c.lists.person(s).name, "receptionist")
	add(Subject(c.slug, "finance"), c.lists.person(s).name, "finance")
	add(Subject(c.slug, "partner"), "Integração parceira", "partner")
	add(Developer, "Desenvolvimento", "owner", "developer")
}

// makeColleagues makes a member of each practitioner, who signs in their name: the
// demo's practitioner is the first who treats.
func (c *clinic) makeColleagues() {
	s := c.source("colleagues")
	own := slices.IndexFunc(c.members, func(m member) bool { return m.role == "practitioner" })
	for i := range c.practitioners {
		if i == 0 {
			c.practitioners[i].member = own
			continue
		}
		c.practitioners[i].member = len(c.members)
		c.members = append(c.members, member{
			id: s.id(c.created), subject: Subject(c.slug, fmt.Sprint("practitioner", i+1)), name: c.practitioners[i].name, role: "practitioner",
			permissions: []string{},
		})
	}
}
