package seed

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// person is what contacts, practitioners and staff have in common.
type person struct {
	name  string
	given string
	email string
	woman bool
}

func (l *lists) person(s source) person {
	p := person{woman: s.chance(54)}
	compound := s.chance(24)
	switch {
	case p.woman && compound:
		p.given = l.compoundFemale.pick(s)
	case p.woman:
		p.given = l.female.pick(s)
	case compound:
		p.given = l.compoundMale.pick(s)
	default:
		p.given = l.male.pick(s)
	}
	words := []string{p.given}
	count := 2
	if s.chance(18) {
		count = 1
	} else if s.chance(15) {
		count = 3
	}
	var last string
	for len(words) <= count {
		next := l.surnames.pick(s)
		if strings.Contains(words[len(words)-1], next.name) {
			continue
		}
		last = next.name
		if s.chance(next.percent) {
			words = append(words, next.particle+" "+next.name)
		} else {
			words = append(words, next.name)
		}
	}
	if !p.woman && s.chance(4) {
		words = append(words, pick(s, []string{"Filho", "Neto", "Júnior"}))
	}
	p.name = strings.Join(words, " ")
	first, _, _ := strings.Cut(p.given, " ")
	host := pick(s, []string{"correio.example", "correio.example", "mail.example", "caixa.example", "familia.example"})
	p.email = plain(first) + "." + plain(last) + strconv.Itoa(s.between(1, 9999)) + "@" + host
	return p
}

// plain is a name as it stands in an e-mail address.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case 'á', 'à', 'â', 'ã', 'Á', 'Â':
			return 'a'
		case 'é', 'ê', 'É':
			return 'e'
		case 'í', 'Í':
			return 'i'
		case 'ó', 'ô', 'õ', 'Ó':
			return 'o'
		case 'ú', 'Ú':
			return 'u'
		case 'ç':
			return 'c'
		case ' ':
			return -1
		default:
			if r >= 'A' && r <= 'Z' {
				return r + 'a' - 'A'
			}
			return r
		}
	}, name)
}

// phone is a Brazilian mobile number in E.164.
func phone(s source) string {
	ddd := pick(s, []int{11, 11, 11, 11, 21, 21, 31, 31, 41, 51, 61, 71, 81, 85, 19, 13, 27, 48, 62, 91})
	return fmt.Sprintf("+55%d9%d%07d", ddd, s.between(6, 9), s.IntN(10_000_000))
}

// taxIDs hands out CPF numbers, none twice.
type taxIDs map[string]bool

func (used taxIDs) next(s source) string {
	for {
		id := cpf(s.IntN(1_000_000_000))
		if !used[id] && strings.Trim(id, id[:1]) != "" {
			used[id] = true
			return id
		}
	}
}

// cpf adds the two check digits of Receita Federal's modulo 11 to nine digits.
func cpf(nine int) string {
	digits := fmt.Appendf(make([]byte, 0, 11), "%09d", nine)
	for len(digits) < 11 {
		sum := 0
		for i, digit := range digits {
			sum += int(digit-'0') * (len(digits) + 1 - i)
		}
		check := sum * 10 % 11 % 10
		digits = append(digits, byte('0'+check))
	}
	return string(digits)
}

type contact struct {
	id        pgtype.UUID
	person    person
	preferred string
	phone     string
	taxID     string
	born      date
	status    string
	tags      []string
	source    string
	notes     string
	reference string
	version   int
	created   time.Time
	updated   time.Time
	hasEmail  bool

	otherPhones []string
	// guardian is an index, or none.
	guardian   int
	home       *home
	plan, card string
}

// makeContacts gives the clinic's contacts in the order they came. The first is
// always active, so that an appointment finds somebody.
func (c *clinic) makeContacts(count int) {
	s := c.source("contacts")
	used := taxIDs{}
	c.contacts = make([]contact, count)
	opened, now := c.midnight.AddDate(-4, 0, 0), c.midnight
	step := now.Sub(opened) / time.Duration(max(count, 1))
	for i := range c.contacts {
		// Spread evenly and shaken within its share, so that they stay in order.
		from := opened.Add(time.Duration(i) * step)
		created := s.moment(from, from.Add(step))
		p := c.lists.person(s)
		row := contact{
			id: s.id(created), person: p, created: created, updated: created, version: 1,
			status: "ativo", hasEmail: s.chance(78), born: birthDate(s, dateOf(created)),
			source: pick(s, c.lists.practice.Sources),
		}
		recent := created.After(now.AddDate(0, -4, 0))
		switch drawn := s.IntN(100); {
		case i == 0:
		case recent && drawn < 40, drawn < 4:
			row.status = "lead"
		case drawn >= 95:
			row.status = "arquivado"
		case drawn >= 86:
			row.status = "inativo"
		}
		if s.chance(94) {
			row.phone = phone(s)
		}
		if row.status != "lead" && s.chance(90) {
			row.taxID = used.next(s)
		}
		if s.chance(9) {
			row.preferred, _, _ = strings.Cut(p.given, " ")
		}
		row.tags = c.tags(s, &row)
		if s.chance(12) {
			row.notes = pick(s, c.lists.practice.ContactNotes)
		}
		if s.chance(20) {
			row.reference = fmt.Sprintf("ERP-%06d", i+1)
		}
		if s.chance(35) {
			row.version = s.between(2, 6)
			row.updated = s.moment(created, now)
		}
		c.contacts[i] = row
	}
}

type consent struct {
	id       pgtype.UUID
	contact  int
	purpose  string
	granted  bool
	evidence string
	decided  time.Time
}

// makeConsents asks every contact for what the clinic needs, and some changed
// their mind later.
func (c *clinic) makeConsents() {
	s := c.source("consents")
	for i := range c.contacts {
		who := &c.contacts[i]
		decide := func(at time.Time, purpose string, granted bool) {
			c.consents = append(c.consents, consent{
				id: s.id(at), contact: i, purpose: purpose, granted: granted, decided: at,
				evidence: pick(s, []string{"Termo assinado na recepção", "Aceite pelo aplicativo", "Confirmado por WhatsApp"}),
			})
		}
		if who.status == "lead" {
			decide(who.created, "communication", true)
			continue
		}
		decide(who.created, "treatment", true)
		decide(who.created, "communication", s.chance(92))
		if s.chance(15) {
			decide(who.created, "marketing", s.chance(60))
		}
		if s.chance(4) {
			decide(s.moment(who.created, c.midnight), "communication", false)
		}
	}
}

// tags never contradict age and sex.
func (c *clinic) tags(s source, who *contact) []string {
	tags := []string{}
	age := int(c.today-who.born) / 365
	switch {
	case age < 12:
		tags = append(tags, "criança")
	case age >= 60 && s.chance(70):
		tags = append(tags, "idoso")
	case who.person.woman && age >= 20 && age < 40 && s.chance(5):
		tags = append(tags, "gestante")
	}
	for len(tags) < 3 && s.chance(35) {
		if tag := pick(s, c.lists.practice.Tags); !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	return tags
}

// birthDate follows roughly who visits clinics: children, and more of the old.
func birthDate(s source, registered date) date {
	age := s.between(18, 64)
	if s.chance(16) {
		age = s.between(0, 17)
	} else if s.chance(30) {
		age = s.between(55, 93)
	}
	return registered - date(age*365+age/4+s.between(1, 364))
}

// home is where a contact lives: in São Paulo, in streets that the demo invented.
type home struct{ street, number, district, postalCode string }

// makeHomes says of contacts where they live, by which further numbers they are called,
// who pays, and who decides for children: a grown-up who came before them.
func (c *clinic) makeHomes() {
	s := c.source("homes")
	grownUp := none
	for i := range c.contacts {
		who := &c.contacts[i]
		// Some leads are patients who were not recognised.
		if who.status == "lead" && grownUp != none && s.chance(15) {
			known := &c.contacts[grownUp]
			who.person, who.phone, who.born, who.tags, who.preferred = known.person, known.phone, known.born, known.tags, known.preferred
		}
		who.guardian, who.otherPhones = none, []string{}
		if who.status != "lead" && s.chance(70) {
			who.home = &home{
				street:     pick(s, []string{"Rua das Acácias", "Rua dos Ipês", "Avenida das Palmeiras", "Alameda dos Jacarandás", "Travessa das Mangueiras"}),
				number:     strconv.Itoa(s.between(1, 2500)),
				district:   pick(s, []string{"Vila Aurora", "Jardim das Flores", "Bela Vista do Sul", "Alto da Colina"}),
				postalCode: fmt.Sprintf("0%07d", s.between(1_000_000, 8_499_999)),
			}
		}
		if s.chance(15) {
			who.otherPhones = append(who.otherPhones, phone(s))
		}
		if s.chance(45) {
			who.plan = pick(s, []string{"Plano Ipê", "Saúde Aurora", "Cuidar Mais"})
			who.card = fmt.Sprintf("%015d", s.Int64N(1_000_000_000_000_000))
		}
		const eighteen = 18 * 365
		switch minor := int(c.today-who.born) < eighteen; {
		case !minor:
			grownUp = i
		case grownUp != none:
			who.guardian = grownUp
		}
	}
}
