package conform

import (
	"fmt"
	"slices"
	"testing"

	"github.com/taskmed/taskmed/models"
)

// Protection asks by every path for entities of a noun: answers name the ids of
// exactly those in them if the noun is @phi, and none if it is not.
func (s *Suite) Protection(t testing.TB, object string) (faults []string) {
	t.Helper()
	if !s.isNode(object) {
		return nil
	}
	of := s.described(t, object)
	protected := s.schema.Types[object].Directives.ForName("phi") != nil
	look := func(place string, shown []string) {
		noted := s.watch.noted().Protected()
		if s.Planted.Protected != nil {
			noted = s.Planted.Protected(noted)
		}
		var named []string
		for _, id := range noted {
			if _, err := of.Kind.Parse(id); err == nil {
				named = append(named, id)
			}
		}
		slices.Sort(shown)
		shown = slices.Compact(shown)
		slices.Sort(named)
		if !protected {
			shown = nil
		}
		if !slices.Equal(shown, named) {
			faults = append(faults, fmt.Sprintf("%s: the answer shows the protected entities %v and names %v", place, shown, named))
		}
	}
	id := of.Kind.Global(s.some(t, of, s.own))
	s.ask(t, models.RoleOwner, s.node(object, id, "id"))
	look("node of "+object, []string{id})
	// Without its id, an entity is shown all the same.
	s.ask(t, models.RoleOwner, s.node(object, id, "__typename"))
	look("node of "+object+" without its id", []string{id})
	for _, p := range s.paths(object) {
		parent := s.parent(t, p, s.own)
		answer := s.ask(t, models.RoleOwner, p.question(parent, s.needed(t, p, s.own), p.around("id")))
		entities, _ := p.got(t, answer)
		var shown []string
		for _, found := range entities {
			id, _ := found["id"].(string)
			shown = append(shown, id)
		}
		if len(shown) == 0 {
			faults = append(faults, p.name()+" shows nothing, so that nothing is seen here: have the seeder make some")
		}
		if p.parentKind == of.Kind {
			shown = append(shown, parent)
		}
		look(p.name(), shown)
	}
	return faults
}
