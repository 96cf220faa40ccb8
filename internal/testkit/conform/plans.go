package conform

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/profile"
)

// walked are the filters that no index of the list's own table narrows in so small a
// clinic, and why: their lists are read in their own order until the page is full.
func walked() map[string]string {
	const elsewhere = "an index of another table narrows it, where there is much to narrow: TestContacts_FiltersAreServedByIndexes"
	return map[string]string{
		"Query.contacts filter.tag": elsewhere, "Query.contacts filter.allTags": elsewhere, "Query.contacts filter.practitionerId": elsewhere,
	}
}

// Plans asks for what every path shows, with each filter and each order alone, and
// for Postgres' plans, made without looking at a value, as the application's role.
// An index serves each: it narrows by more than the clinic, or gives a whole list's
// order. A Boolean narrows by a half at best and needs none of its own.
func (s *Suite) Plans(t testing.TB, object string) (faults []string) {
	t.Helper()
	// Of so few rows the planner would rather sort all than use the index that gives
	// their order; and rather than sort the few of a filter, read all in order.
	for _, sorts := range []bool{false, true} {
		s.set(t, fmt.Sprintf("enable_sort = %t", sorts))
		faults = append(faults, s.plans(t, object, sorts)...)
	}
	return faults
}

// plans looks at filters where the planner may sort, and at orders where it may not.
func (s *Suite) plans(t testing.TB, object string, sorts bool) (faults []string) {
	t.Helper()
	of := s.described(t, object)
	of.Columns = nil // indexes may have columns that no field is made of
	for _, c := range s.columns(t, of.Table) {
		of.Columns = append(of.Columns, c.name)
	}
	for _, p := range s.paths(object) {
		parent := s.parent(t, p, s.own)
		for _, v := range s.variants(t, p, s.own) {
			narrows := v.of != nil && v.of.of.Name() != "Boolean" && !isOrder(s.schema.Types[v.of.of.Name()])
			if narrows != sorts || v.of != nil && walked()[p.name()+" "+v.of.String()] != "" {
				continue
			}
			args := v.args
			if v.of != nil && isRange(s.schema.Types[v.of.of.Name()]) {
				// Of a range that most lie in the list's own order leads to a page (entity.Narrow).
				args = v.of.put(args, ofADay(s.schema.Types[v.of.of.Name()]))
			}
			if p.How == entity.Paged {
				args = argument{name: "first"}.put(args, 10)
			}
			// edges and pageInfo read nothing more, so nodes are enough.
			selection := "__typename"
			if p.How == entity.Paged {
				selection = "nodes { __typename }"
			}
			q := p.question(parent, args, selection)
			answer := s.server.AsSubject(t, s.own, developer(s.own)).Do(t, q.text, q.variables, "X-TaskMed-Explain", "plans")
			if len(answer.Errors) > 0 {
				faults = append(faults, fmt.Sprintf("%s: %s", v.name, answer.Body))
				continue
			}
			faults = append(faults, s.plansOf(t, v.name, of, answer.Body, narrows || p.Parent != "", p.How == entity.Paged && !sorts)...)
		}
	}
	return faults
}

// plansOf looks at the plans of the statements that read a noun's table: whether an index
// narrows them, or gives their order.
func (s *Suite) plansOf(t testing.TB, name string, of entity.Described, body []byte, narrows, ordered bool) (faults []string) {
	t.Helper()
	var told struct {
		Extensions struct {
			TaskMed struct{ SQL []*profile.Statement }
		}
	}
	require.NoError(t, json.Unmarshal(body, &told))
	seen := false
	for _, statement := range told.Extensions.TaskMed.SQL {
		if statement.Plan == nil {
			if regexp.MustCompile(`\b` + of.Table + `\b`).MatchString(statement.Text) {
				faults = append(faults, fmt.Sprintf("%s: %s has no plan: %s", name, statement.Text, statement.NoPlan))
			}
			continue
		}
		r := readOf(statement.Plan, of)
		if !r.reads {
			continue
		}
		seen = true
		switch {
		case r.whole:
			faults = append(faults, fmt.Sprintf("%s reads all of %s, of every clinic: no index serves it", name, of.Table))
		case narrows && !r.narrowed:
			faults = append(faults, fmt.Sprintf("%s: no index of %s serves this filter; it reads the clinic's rows one by one (%s)", name, of.Table, r.using))
		case r.sorts && (ordered || !r.narrowed):
			faults = append(faults, fmt.Sprintf("%s: no index of %s gives this order; all of the list's rows are sorted (%s)", name, of.Table, r.using))
		}
	}
	if !seen {
		faults = append(faults, fmt.Sprintf("%s: no statement is seen that reads %s", name, of.Table))
	}
	return faults
}

// reading is how a plan reads a table.
type reading struct {
	reads, whole, narrowed, sorts bool
	using                         string
}

func readOf(plan *profile.Plan, of entity.Described) (r reading) {
	var walk func(step *profile.Plan)
	walk = func(step *profile.Plan) {
		// Incremental Sort is none: equals of what the index gives are put in order by their id.
		r.sorts = r.sorts || step.Node == "Sort"
		if step.On == of.Table {
			r.reads = true
			r.whole = r.whole || step.Whole
			r.using += step.Node + " " + step.Using + " " + strings.Join(step.Conditions, "; ")
			r.narrowed = r.narrowed || narrowed(step, of)
		}
		for _, below := range step.Below {
			walk(below)
		}
	}
	walk(plan)
	return r
}

// narrowed is whether a step's index looks for more than the clinic.
func narrowed(step *profile.Plan, of entity.Described) bool {
	steps := append([]*profile.Plan{step}, step.Below...) // a bitmap's index is a step of its own
	for _, each := range steps {
		for _, condition := range each.Conditions {
			text, isIndex := strings.CutPrefix(condition, "index: ")
			if !isIndex {
				continue
			}
			for _, column := range of.Columns {
				if column != tenantColumn(of.Table) && regexp.MustCompile(`\b`+column+`\b`).MatchString(text) {
					return true
				}
			}
			if of.Table == "clinics" {
				return true // the clinic is the row
			}
		}
	}
	return false
}
