package conform

import (
	"fmt"
	"testing"

	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/models"
)

// forged is a cursor that never was.
const forged = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// Isolation sends another clinic's ids, and ids that never were, wherever a noun
// takes or shows one: as a node, as a parent, as an argument, in a filter, in a
// cursor. The answers are equal, byte for byte; the clinic's own are not.
func (s *Suite) Isolation(t testing.TB, object string) (faults []string) {
	t.Helper()
	of := s.described(t, object)
	selection := s.leaves(object)
	same := func(place string, foreign, none question) {
		theirs, nobodys := s.ask(t, models.RoleOwner, foreign), s.ask(t, models.RoleOwner, none)
		if string(theirs.Body) != string(nobodys.Body) {
			faults = append(faults, fmt.Sprintf("%s: a foreign id is answered otherwise than one that never was:\n%s\n%s", place, theirs.Body, nobodys.Body))
		}
	}
	differs := func(place string, own, none question) {
		if string(s.ask(t, models.RoleOwner, own).Body) == string(s.ask(t, models.RoleOwner, none).Body) {
			faults = append(faults, place+": the clinic's own id is answered like one that never was, so that nothing is shown here")
		}
	}
	if s.isNode(object) {
		none := s.node(object, of.Kind.Global(models.NewID()), selection)
		same("node of "+object, s.node(object, of.Kind.Global(s.some(t, of, s.foreign)), selection), none)
		differs("node of "+object, s.node(object, of.Kind.Global(s.some(t, of, s.own)), selection), none)
	}
	for _, p := range s.paths(object) {
		args, shown := s.needed(t, p, s.own), p.around(selection)
		if p.parentKind != "" {
			none := p.question(p.parentKind.Global(models.NewID()), args, shown)
			same("the parent of "+p.name(), p.question(s.parent(t, p, s.foreign), args, shown), none)
			differs("the parent of "+p.name(), p.question(s.parent(t, p, s.own), args, shown), none)
		}
		parent := s.parent(t, p, s.own)
		for _, a := range s.arguments(p.field) {
			if a.of.Name() != "ID" {
				continue
			}
			give := func(id any) question {
				if a.of.Elem != nil {
					id = []any{id}
				}
				return p.question(parent, a.put(args, id), shown)
			}
			kind := s.kindNamed(t, p, a.name)
			none := give(kind.Global(models.NewID()))
			place := p.name() + "(" + a.String() + ")"
			same(place, give(kind.Global(s.idFor(t, p, a, s.foreign))), none)
			differs(place, give(kind.Global(s.idFor(t, p, a, s.own))), none)
		}
		if p.How == entity.Paged {
			faults = append(faults, s.cursorsOf(t, p)...)
		}
	}
	return faults
}

// cursorsOf sends a list the other clinic's cursor, and that of another list.
func (s *Suite) cursorsOf(t testing.TB, p path) (faults []string) {
	t.Helper()
	args, parent := s.needed(t, p, s.own), s.parent(t, p, s.own)
	after := func(cursor string) question {
		given := argument{name: "after"}.put(args, cursor)
		return p.question(parent, given, p.around("__typename"))
	}
	none := s.ask(t, models.RoleOwner, after(forged))
	if len(none.Errors) != 1 || none.Errors[0].Extensions.Code != string(models.BadUserInput) {
		faults = append(faults, fmt.Sprintf("%s(after): a forged cursor is answered with %s", p.name(), none.Body))
	}
	refused := func(whose, cursor string) {
		if answer := s.ask(t, models.RoleOwner, after(cursor)); string(answer.Body) != string(none.Body) {
			faults = append(faults, fmt.Sprintf("%s(after): %s cursor is answered otherwise than one that never was:\n%s\n%s", p.name(), whose, answer.Body, none.Body))
		}
	}
	theirs := s.askIn(t, s.foreign, models.RoleOwner, p.question(s.parent(t, p, s.foreign), s.needed(t, p, s.foreign), p.around("__typename")))
	_, page := p.got(t, theirs)
	refused("the other clinic's", endCursor(page))
	for _, other := range s.lists() {
		if other.name() == p.name() {
			continue
		}
		_, page := other.got(t, s.ask(t, models.RoleOwner, other.question(s.parent(t, other, s.own), s.needed(t, other, s.own), other.around("__typename"))))
		refused("a cursor of "+other.name()+": its", endCursor(page))
	}
	return faults
}

// lists are all connections of all nouns.
func (s *Suite) lists() []path {
	var all []path
	for _, object := range s.Nouns() {
		for _, p := range s.paths(object) {
			if p.How == entity.Paged {
				all = append(all, p)
			}
		}
	}
	return all
}

func endCursor(page map[string]any) string {
	info, _ := page["pageInfo"].(map[string]any)
	cursor, _ := info["endCursor"].(string)
	return cursor
}
