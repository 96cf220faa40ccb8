package conform

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/models"
)

// Pages walks every list of a noun from end to end, forwards and backwards, in
// every order: each time it shows what SQL does, in its order, and says rightly
// whether there is more.
func (s *Suite) Pages(t testing.TB, object string) (faults []string) {
	t.Helper()
	for _, p := range s.paths(object) {
		if p.How != entity.Paged {
			continue
		}
		parents := s.parents(t, p, s.own, 1)
		for _, v := range s.variants(t, p, s.own) {
			if v.of != nil && !isOrder(s.schema.Types[v.of.of.Name()]) {
				continue
			}
			want := s.inOrder(t, p, v, parents[0])
			if len(want) < 2 {
				faults = append(faults, fmt.Sprintf("%s has %d entities: have the seeder make more", v.name, len(want)))
				continue
			}
			for _, backwards := range []bool{false, true} {
				got, fault := s.walk(t, p, v, backwards, len(want))
				if fault != "" {
					faults = append(faults, fault)
				} else if !slices.Equal(want, got) {
					faults = append(faults, fmt.Sprintf("%s, backwards: %t, walks %d entities that SQL has not, or not so (%d):\n%v\n%v", v.name, backwards, len(got), len(want), got, want))
				}
			}
		}
	}
	return faults
}

// inOrder are the ids that a list has, by SQL written for it.
func (s *Suite) inOrder(t testing.TB, p path, v variant, parent uuid.UUID) []string {
	t.Helper()
	of := s.described(t, p.target)
	order, direction := p.Order, ""
	if p.Desc {
		direction = " DESC"
	}
	if v.of != nil {
		wanted, _ := v.args[v.of.name].(map[string]any)
		order, direction = strings.ToLower(fmt.Sprint(wanted["field"])), " "+fmt.Sprint(wanted["direction"])
		if slices.Contains(of.Columns, order+"_key") { // texts are sorted by a key of theirs
			order += "_key"
		}
	}
	where, values := tenantColumn(of.Table)+" = $1", []any{s.own.ID}
	equal := func(column string, id uuid.UUID) {
		values = append(values, id)
		where += fmt.Sprintf(" AND %s = $%d", column, len(values))
	}
	if p.Parent != "" {
		equal(p.Parent, parent)
	}
	if p.Through != nil {
		values = append(values, parent)
		where += fmt.Sprintf(" AND id IN (SELECT %s FROM %s WHERE clinic_id = $1 AND %s = $%d)", p.Through.Row, p.Through.Table, p.Through.Parent, len(values))
	}
	for _, a := range s.arguments(p.field) {
		if global, given := v.args[a.name].(string); given && a.of.Name() == "ID" {
			if _, id, err := models.ParseGlobal(global); err == nil {
				equal(columnFor(a.name), id)
			}
		}
	}
	if p.Where != "" {
		where += " AND " + p.Where
	}
	if !strings.Contains(order, ",") { // what a list is sorted by, its entities have
		where += " AND " + order + " IS NOT NULL"
	}
	found := s.ids(t, fmt.Sprintf("SELECT id FROM %[1]s WHERE %[2]s ORDER BY %[3]s%[4]s, id%[4]s", of.Table, where, order, direction), values...)
	globals := make([]string, len(found))
	for i, id := range found {
		globals[i] = of.Kind.Global(id)
	}
	return globals
}

// walk reads a list page by page, and gives its ids in the list's own order.
func (s *Suite) walk(t testing.TB, p path, v variant, backwards bool, all int) (ids []string, fault string) {
	t.Helper()
	size, beyond, more, cursor := "first", "after", "hasNextPage", "endCursor"
	if backwards {
		size, beyond, more, cursor = "last", "before", "hasPreviousPage", "startCursor"
	}
	parent := s.parent(t, p, s.own)
	// No page but the last is as long as the others: that is where walks go wrong.
	args := argument{name: size}.put(v.args, min(100, max(1, all/4)))
	for range all + 2 {
		answer := s.ask(t, models.RoleOwner, p.question(parent, args, p.around("id")))
		if len(answer.Errors) > 0 {
			return nil, fmt.Sprintf("%s: %s", v.name, answer.Body)
		}
		entities, page := p.got(t, answer)
		shown := make([]string, 0, len(entities))
		for _, found := range entities {
			id, _ := found["id"].(string)
			shown = append(shown, id)
		}
		if backwards {
			ids = append(shown, ids...)
		} else {
			ids = append(ids, shown...)
		}
		info, _ := page["pageInfo"].(map[string]any)
		if info[more] != true {
			return ids, ""
		}
		args = argument{name: beyond}.put(args, info[cursor])
	}
	return nil, fmt.Sprintf("%s, backwards: %t, does not end", v.name, backwards)
}
