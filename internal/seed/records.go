package seed

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/taskmed/taskmed/internal/records"
	"github.com/taskmed/taskmed/models"
)

type record struct {
	id           pgtype.UUID
	contact      int
	practitioner int
	// appointment and amends are indexes, or none.
	appointment int
	amends      int
	kind        string
	title       string
	body        string
	codes       []string
	data        string
	amendment   string
	signedAt    time.Time
	signedBy    string
	amendedAt   time.Time
	withdrawal  string
	digest      string
	version     int
	created     time.Time
	updated     time.Time
}

const none = -1

// makeRecords writes about the past appointments in their order, several about
// one where there are more records than appointments.
func (c *clinic) makeRecords(count int) error {
	s := c.source("records")
	var done []int
	for i := range c.appointments {
		if a := &c.appointments[i]; a.status == "concluido" && a.end.Before(c.midnight) {
			done = append(done, i)
		}
	}
	sort.Slice(done, func(i, j int) bool {
		a, b := &c.appointments[done[i]], &c.appointments[done[j]]
		return a.start.Before(b.start) || a.start.Equal(b.start) && a.practitioner < b.practitioner
	})
	seen := map[int]bool{}
	c.records = make([]record, 0, count)
	amended := map[int]bool{}
	nth, before := 0, none
	for i := range count {
		if amends := i - 1; i > 0 && s.chance(1) && c.records[amends].amends == none && c.canAmend(amends) && !amended[amends] {
			amended[amends] = true
			r := c.amend(s, amends)
			c.records[amends].amendedAt, c.records[amends].version, c.records[amends].updated = r.signedAt, 3, r.signedAt
			if err := c.sign(&r); err != nil {
				return err
			}
			c.records = append(c.records, r)
			continue
		}
		r := record{appointment: none, amends: none}
		if len(done) > 0 {
			r.appointment = done[int(int64(i)*int64(len(done))/int64(count))]
			if r.appointment == before {
				nth++
			} else {
				nth, before = 0, r.appointment
			}
			a := &c.appointments[r.appointment]
			r.contact, r.practitioner = a.contact, a.practitioner
			r.created = s.moment(a.start.Add(5*time.Minute), a.end).Add(time.Duration(nth) * time.Minute)
		} else {
			r.contact, r.practitioner = s.IntN(len(c.contacts)), s.IntN(len(c.practitioners))
			r.created = s.moment(c.contacts[r.contact].created, c.midnight)
		}
		r.created = earlier(r.created, c.midnight.Add(-time.Minute))
		r.kind = recordKind(s, seen[r.contact], nth)
		seen[r.contact] = true
		r.id = s.id(r.created)
		c.write(s, &r)
		c.close(s, &r)
		if err := c.sign(&r); err != nil {
			return err
		}
		c.records = append(c.records, r)
	}
	return nil
}

// recordKind is the kind of the nth record about one visit.
func recordKind(s source, known bool, nth int) string {
	if !known {
		return "anamnesis"
	}
	drawn := s.IntN(100)
	if nth > 0 {
		drawn = 58 + drawn*42/100
	}
	switch {
	case drawn < 58:
		return "evolution"
	case drawn < 74:
		return "prescription"
	case drawn < 84:
		return "exam_request"
	case drawn < 91:
		return "exam_result"
	case drawn < 96:
		return "certificate"
	default:
		return "referral"
	}
}

// write fills title, body and codes. A contact mostly keeps its condition from
// visit to visit.
func (c *clinic) write(s source, r *record) {
	specialty := c.practitioners[r.practitioner].specialty
	conditions := c.lists.conditions[specialty]
	about := conditions[r.contact%len(conditions)]
	if s.chance(25) {
		about = pick(s, conditions)
	}
	who := c.contacts[r.contact].person
	r.codes = []string{about.Code}
	switch r.kind {
	case "anamnesis":
		r.title = "Anamnese: " + about.Title
		r.body = fmt.Sprintf("Queixa principal e história da doença atual: %s\n\nAntecedentes: nega internações recentes; %s\n\nExame físico: %s\n\nHipótese diagnóstica: %s (CID-10 %s).\n\nConduta: %s",
			about.Complaint, pick(s, []string{"mãe hipertensa.", "pai diabético.", "sem antecedentes familiares relevantes.", "ex-tabagista há cinco anos.", "alergia a dipirona."}),
			about.Exam, about.Title, about.Code, about.Plan)
		r.data = vitals(s)
	case "evolution":
		r.title = "Evolução: " + about.Title
		r.body = fmt.Sprintf("%s\n\n%s\n\nConduta: %s", about.Complaint, about.Exam, about.Plan)
		if s.chance(60) {
			r.data = vitals(s)
		}
	case "prescription":
		r.title = "Receita: " + about.Title
		r.body = fmt.Sprintf("Uso:\n1. %s.\n\nOrientações: %s", about.Drug, about.Plan)
	case "exam_request":
		r.title = "Solicitação de exames: " + about.Title
		r.body = fmt.Sprintf("Solicito: %s.\n\nIndicação clínica: %s (CID-10 %s).", about.Test, about.Title, about.Code)
	case "exam_result":
		r.title = "Resultado de exames: " + about.Title
		r.body = fmt.Sprintf("Exame: %s.\n\nResultado: %s.", about.Test, about.Result)
	case "certificate":
		days := pick(s, []string{"um dia", "dois dias", "três dias", "cinco dias", "sete dias"})
		r.title = "Atestado de " + days
		r.body = fmt.Sprintf("Atesto para os devidos fins que %s esteve em atendimento nesta data e necessita de %s de afastamento de suas atividades, a partir de hoje. CID-10 %s, informado com autorização do paciente.",
			who.name, days, about.Code)
	default:
		r.title = "Encaminhamento: " + about.Referral
		r.body = fmt.Sprintf("Encaminho para avaliação em %s.\n\nMotivo: %s (CID-10 %s). %s\n\nExames: %s.",
			about.Referral, about.Title, about.Code, about.Complaint, about.Result)
	}
	if s.chance(6) && about.Code != "I10" {
		r.codes = append(r.codes, "I10")
	}
}

// vitals have their keys in the order that jsonb keeps them in.
func vitals(s source) string {
	return fmt.Sprintf(`{"pressure": "%d/%d", "heart_rate": %d, "temperature": 3%d.%d, "oxygen_saturation": %d}`,
		s.between(105, 150), s.between(65, 95), s.between(56, 98), s.between(5, 7), s.between(0, 9), s.between(94, 99))
}

// close says when it was signed: what is older than a few days is; the newest are
// drafts still, and a few older ones were forgotten.
func (c *clinic) close(s source, r *record) {
	r.version, r.updated = 1, r.created
	recent := r.created.After(c.midnight.AddDate(0, 0, -6))
	if recent && s.chance(60) || s.chance(1) {
		return
	}
	r.version = 2
	r.signedAt = earlier(r.created.Add(time.Duration(s.between(30, 2400))*time.Second), c.midnight)
	r.updated = r.signedAt
	r.signedBy = c.members[c.practitioners[r.practitioner].member].subject
	// A few were written of the wrong patient; nothing amends them.
	if r.id.Bytes[15]%64 == 7 {
		r.withdrawal = "Prontuário do paciente errado"
	}
}

// sign computes the digest that the API would have computed.
func (c *clinic) sign(r *record) error {
	files := c.attach(r)
	if r.signedBy == "" {
		return nil
	}
	signed := models.MedicalRecord{
		ClinicID: c.id.Bytes, ID: r.id.Bytes, ContactID: c.contacts[r.contact].id.Bytes,
		PractitionerID: c.practitioners[r.practitioner].id.Bytes,
		Title:          r.title, Body: r.body, Codes: r.codes, Data: models.JSON(r.data),
		SignedAt: &r.signedAt, Signer: &r.signedBy,
	}
	if err := signed.Kind.Scan(r.kind); err != nil {
		return fmt.Errorf("record kind: %w", err)
	}
	if r.appointment != none {
		signed.AppointmentID = new(uuid.UUID(c.appointments[r.appointment].id.Bytes))
	}
	if r.amends != none {
		signed.AmendsID, signed.AmendmentReason = new(uuid.UUID(c.records[r.amends].id.Bytes)), &r.amendment
	}
	r.digest = records.Digest(&signed, files...)
	return nil
}

func (c *clinic) canAmend(i int) bool {
	r := &c.records[i]
	return !r.signedAt.IsZero() && r.withdrawal == "" && r.created.Before(c.midnight.AddDate(0, 0, -30)) && r.kind != "certificate"
}

func (c *clinic) amend(s source, i int) record {
	r := c.records[i]
	r.amends = i
	r.created = r.signedAt.Add(time.Duration(s.between(1, 72)) * time.Hour)
	r.id = s.id(r.created)
	r.amendment = pick(s, []string{"Correção de dose", "Inclusão de informação relatada pela família", "Correção de lateralidade", "Complemento após resultado de exame"})
	r.body = strings.TrimSuffix(r.body, "\n") + "\n\nAdendo: " + r.amendment + ", conferida com o paciente."
	r.version, r.signedAt = 1, r.created
	r.updated = r.created
	return r
}
