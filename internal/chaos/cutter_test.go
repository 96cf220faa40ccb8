package chaos_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/devstack"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

// answersLost has a server lose its connection to Postgres in commits, before they arrive
// and after they are done (promise F3).
func (p *world) answersLost(t *testing.T) {
	c := testkit.NewCutter(t, p.stack.AppURL(devstack.Database))
	server := p.serve(t, p.stack.RedisURL(), "DATABASE_URL="+c.URL())
	clinic, conn := p.clinics[0], p.connected(t)
	for n := range 20 {
		for _, lost := range []testkit.Loss{testkit.LoseQuestion, testkit.LoseAcknowledgement} {
			for _, key := range []string{"", fmt.Sprintf("lost %d %d", n, lost)} {
				name := strings.TrimSpace(fmt.Sprintf("Lost %d %d %s", n, lost, key))
				variables := map[string]any{"name": name}
				cut := c.Cuts()
				c.Cut(lost, name)
				var answer madeContact
				err := callOnce(t.Context(), server.url(), clinic.ID, clinic.Reception, key, makeContact, variables, &answer)
				require.Equal(t, cut+1, c.Cuts(), "the commit was cut")
				var said refused
				require.ErrorAs(t, err, &said, name)
				require.Equal(t, string(models.OutcomeUnknown), said.Code, name)
				there := count(t, conn, "SELECT count(*) FROM contacts WHERE name = $1", name)
				require.Equal(t, map[testkit.Loss]int{testkit.LoseQuestion: 0, testkit.LoseAcknowledgement: 1}[lost], there, "%s: what Postgres did", name)
				if key == "" {
					continue
				}
				for range 2 {
					err := callOnce(t.Context(), server.url(), clinic.ID, clinic.Reception, key, makeContact, variables, &answer)
					require.NoError(t, err, name)
					require.NotNil(t, answer.CreateContact.Contact)
					lost, twice := p.lostAndTwice(t, conn, []made{{name, answer.CreateContact.Contact.ID}})
					assert.Zero(t, lost+twice, "%s: lost %d, twice %d", name, lost, twice)
				}
			}
		}
	}
}
