package seed

import (
	"fmt"
	"strconv"
)

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
