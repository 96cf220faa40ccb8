package people_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/people"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/models"
)

func TestSearch_PagesWithoutGapsOrRepeats(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	other := openDesk(t, d.database, "c")
	names := newNames(3)
	contacts := make([]person, 600)
	for i := range contacts {
		contacts[i] = names.person()
	}
	mine := d.add(t, contacts...)
	other.add(t, contacts...)
	ctx := d.clinic.As(t.Context(), models.RoleReceptionist)

	for _, text := range []string{
		"maria", "ma", "m", "s", "silva", "sant", "jose da silva", "maria silva", "mraia slva", "mari", "joao qqqq", "carlos xxxx yyyy zzzz",
		"maria aparecida silva santos", "gmail", "gmail.com", "@gmail", "maria gmail", "11", "119", "maria 11", "98", "ana maria jose joao", "sliva",
	} {
		whole := d.page(t, people.SearchQuery{Text: text, Request: paging.Request{First: new(100)}, Wanted: selection.Wanted{Count: true}})
		for _, size := range []int{1, 7, 100} {
			var after *string
			seen := map[uuid.UUID]bool{}
			var order []uuid.UUID
			for {
				page, err := d.directory.SearchContacts(ctx, people.SearchQuery{Text: text, Request: paging.Request{First: &size, After: after}})
				require.NoError(t, err)
				require.LessOrEqual(t, len(page.Items), size)
				for _, contact := range page.Items {
					require.False(t, seen[contact.ID], "%q by %d: twice the same contact", text, size)
					require.Contains(t, mine, contact.ID, "%q by %d: not a contact of this clinic", text, size)
					seen[contact.ID] = true
					order = append(order, contact.ID)
				}
				if !page.HasNext || size == 1 && len(order) >= 15 {
					break
				}
				require.Len(t, page.Items, size, "a page is full while there is more")
				after = new(page.Cursor(page.Items[len(page.Items)-1]))
			}
			for i := range min(len(order), len(whole.Items)) {
				require.Equal(t, whole.Items[i].ID, order[i], "%q by %d: at %d", text, size, i)
			}
			if size > 1 {
				assert.Len(t, order, whole.Total, "%q by %d", text, size)
			}
		}
		assert.Equal(t, whole.Total > 100, whole.HasNext, "%q", text)
	}
}

// A slip in a word of four letters or more leaves the contact findable, and so
// does one in each half of a long word.
func TestSearch_ForgivesAnySingleSlip(t *testing.T) {
	t.Parallel()
	words := []string{"Zoraide", "Fabricio", "Vasconcelos", "Joao", "Iara", "Wandersson", "Quitéria"}
	var contacts []person
	for _, word := range words {
		contacts = append(contacts, person{name: word + " Prado"})
	}
	d := newDesk(t, contacts...)
	random := rand.New(rand.NewPCG(7, 11))
	for range 300 {
		word := words[random.IntN(len(words))]
		plain := strings.NewReplacer("é", "e").Replace(strings.ToLower(word))
		slipped := slip(random, plain)
		if half := len(plain) / 2; half >= 4 && random.IntN(3) == 0 {
			slipped = slip(random, plain[:half]) + slip(random, plain[half:])
		}
		assert.Contains(t, d.search(t, slipped), word+" Prado", "%q for %q", slipped, plain)
		assert.Equal(t, word+" Prado", d.search(t, "prado "+slipped)[0], "%q for %q", slipped, plain)
	}
}

// slip puts in, leaves out, replaces or swaps one letter.
func slip(random *rand.Rand, word string) string {
	i := random.IntN(len(word) - 1)
	letter := string(rune('a' + random.IntN(26)))
	switch random.IntN(4) {
	case 0:
		return word[:i] + word[i+1:]
	case 1:
		return word[:i] + letter + word[i:]
	case 2:
		return word[:i] + letter + word[i+1:]
	default:
		return word[:i] + word[i+1:i+2] + word[i:i+1] + word[i+2:]
	}
}

// names makes contacts with names as unevenly spread as Brazil's: few that very
// many have, and many that few have.
type names struct {
	random *rand.Rand
	seen   map[string]bool
}

func newNames(seed uint64) *names {
	return &names{random: rand.New(rand.NewPCG(seed, 2)), seen: map[string]bool{}}
}

const (
	givenNames = "Maria José Ana João Antônio Francisco Carlos Paulo Pedro Lucas Luiz Marcos Luís Gabriel Rafael Daniel Marcelo Bruno Eduardo Felipe " +
		"Raimundo Rodrigo Manoel Mateus André Fernando Fábio Leonardo Gustavo Guilherme Leandro Tiago Anderson Ricardo Márcio Jorge Sebastião Alexandre " +
		"Roberto Edson Diego Vitor Sérgio Cláudio Aparecida Francisca Antônia Adriana Juliana Márcia Fernanda Patrícia Aline Sandra Camila Amanda Bruna " +
		"Jéssica Letícia Júlia Luciana Vanessa Mariana Gabriela Vera Vitória Larissa Cláudia Beatriz Rita Luana Sônia Renata Eliane Josefa Simone Natália"
	familyNames = "Silva Santos Oliveira Souza Rodrigues Ferreira Alves Pereira Lima Gomes Costa Ribeiro Martins Carvalho Almeida Lopes Soares Fernandes " +
		"Vieira Barbosa Rocha Dias Nascimento Andrade Moreira Nunes Marques Machado Mendes Freitas Cardoso Ramos Gonçalves Santana Teixeira Araújo Pinto " +
		"Cavalcante Reis Moura Monteiro Melo Borges Castro Campos Azevedo Batista Barros Correia Miranda Medeiros Duarte Garcia Sales Tavares Fonseca"
	syllables = "ba be bi bo ca ce co da de di fa fe ga go la le li lo ma me mi mo na ne no pa pe ra re ri ro sa se si ta te ti to va ve vi za ze zi"
	domains   = "gmail.com gmail.com gmail.com hotmail.com hotmail.com yahoo.com.br outlook.com uol.com.br clinica-viva.com.br"
)

// pick takes a word of a list, the first ones far more often than the last.
func (n *names) pick(list string) string {
	words := strings.Fields(list)
	at := n.random.Float64()
	return words[int(at*at*float64(len(words)))]
}

func (n *names) person() person {
	parts := []string{n.pick(givenNames)}
	if n.random.IntN(3) == 0 {
		parts = append(parts, n.pick(givenNames))
	}
	for i := range 1 + n.random.IntN(3) {
		if i == 0 && n.random.IntN(3) == 0 {
			parts = append(parts, "da")
		}
		family := n.pick(familyNames)
		if n.random.IntN(10) == 0 {
			family = "Mc"
			all := strings.Fields(syllables)
			for range 3 {
				family += all[n.random.IntN(len(all))]
			}
		}
		parts = append(parts, family)
	}
	c := person{name: strings.Join(parts, " "), status: "ativo"}
	if n.random.IntN(10) < 7 {
		all := strings.Fields(domains)
		c.email = fmt.Sprintf("%s.%s%d@%s", strings.ToLower(parts[0]), strings.ToLower(parts[len(parts)-1]), n.random.IntN(9999), all[n.random.IntN(len(all))])
	}
	if n.random.IntN(20) > 0 {
		c.phone = fmt.Sprintf("+55119%08d", n.random.IntN(100_000_000))
	}
	for c.taxID == "" || n.seen[c.taxID] {
		c.taxID = fmt.Sprintf("%011d", n.random.Int64N(100_000_000_000))
	}
	n.seen[c.taxID] = true
	if n.random.IntN(12) == 0 {
		c.preferred = string([]rune(parts[0])[:2]) + "zinha"
	}
	if n.random.IntN(15) == 0 {
		c.status = "arquivado"
	}
	return c
}
