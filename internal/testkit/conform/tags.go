package conform

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// asked is a question with what it was answered and what that depends on.
type asked struct {
	name string
	q    question
	body string
	tags []touched.Tag
}

// Tags changes every column of a noun's rows by SQL, past the API, adds and removes
// rows, and looks at what every path answers before and after. An answer that is not
// the same depends on something that the write announced; and every form of tag that
// the noun's reads declare is one that such writes announce.
func (s *Suite) Tags(t testing.TB, object string) (faults []string) {
	t.Helper()
	of := s.described(t, object)
	questions := s.questions(t, object)
	announced, declared := map[string]bool{}, map[string]bool{}
	changed, writes := 0, 0
	for i := range questions {
		s.answer(t, &questions[i])
		for _, tag := range questions[i].tags {
			if form := formOf(tag); strings.HasPrefix(form, s.registry.Word(object)+"/") || strings.HasPrefix(form, s.registry.Word(object)+":") {
				declared[form] = true
			}
		}
		if len(questions[i].tags) == 0 {
			faults = append(faults, questions[i].name+": the answer depends on nothing")
		}
	}
	stale := map[string]bool{}
	for _, w := range append(s.linking(t, object), s.writes(t, of)...) {
		ran := s.write(t, w)
		if ran == "" {
			continue
		}
		writes++
		tags := s.notified(t)
		for _, tag := range tags {
			announced[formOf(tag)] = true
		}
		for i := range questions {
			before := questions[i]
			s.answer(t, &questions[i])
			if before.body == questions[i].body {
				continue
			}
			changed++
			if !told(before.tags, tags) && !stale[before.name+w.column] {
				stale[before.name+w.column] = true
				faults = append(faults, fmt.Sprintf("%s: the answer changes by %s, which announces %q; it depends on %q", before.name, ran, tags, before.tags))
			}
		}
	}
	if writes == 0 || changed == 0 && len(questions) > 0 {
		faults = append(faults, fmt.Sprintf("%s: %d writes changed %d answers, so that nothing is seen here", object, writes, changed))
	}
	for _, form := range slices.Sorted(maps.Keys(declared)) {
		if !announced[form] && of.Table != "clinics" {
			faults = append(faults, fmt.Sprintf("%s: reads depend on %q, which no write to %s announces", object, form, of.Table))
		}
	}
	t.Logf("%s: %d questions, %d writes, %d changed answers", object, len(questions), writes, changed)
	return faults
}

func told(depends, announced []touched.Tag) bool {
	for _, tag := range announced {
		if tag == touched.Everything || slices.Contains(depends, tag) {
			return true
		}
	}
	return false
}

// formOf is a tag without its values.
func formOf(tag touched.Tag) string {
	text := regexp.MustCompile(`=[^/]*`).ReplaceAllString(string(tag), "=")
	return regexp.MustCompile(`:.*`).ReplaceAllString(text, ":")
}

// questions ask by every path and with every argument alone: for all leaves, and
// for short pages of nothing but ids, which only what the list depends on can tell.
func (s *Suite) questions(t testing.TB, object string) []asked {
	t.Helper()
	var all []asked
	of := s.described(t, object)
	if s.isNode(object) {
		all = append(all, asked{name: "node of " + object, q: s.node(object, of.Kind.Global(s.some(t, of, s.own)), s.leaves(object))})
	}
	for _, p := range s.paths(object) {
		for n, parent := range s.parents(t, p, s.own, 2) {
			id := ""
			if p.parentKind != "" {
				id = p.parentKind.Global(parent)
			}
			times := map[string]int{}
			for _, v := range s.variants(t, p, s.own) {
				// One value of an argument's tells as much as all of them.
				if v.of != nil {
					if times[v.of.String()]++; times[v.of.String()] > 2 {
						continue
					}
				}
				name := fmt.Sprintf("%s below parent %d", v.name, n+1)
				if v.of == nil {
					all = append(all, asked{name: name, q: p.question(id, v.args, p.around(s.leaves(object)))})
				}
				if p.How == entity.Paged {
					short := argument{name: "first"}.put(v.args, 2)
					all = append(all, asked{name: name + ", a short page", q: p.question(id, short, "nodes { __typename } edges { cursor } totalCount")})
				}
			}
		}
	}
	return all
}

func (s *Suite) answer(t testing.TB, a *asked) {
	t.Helper()
	answer := s.ask(t, models.RoleOwner, a.q)
	require.NotNil(t, s.watch.noted())
	a.tags, _ = s.watch.noted().Tags()
	a.body = string(answer.Data)
}

// notified gives the tags of all writes past the API since the last time. It
// notifies itself and waits until it hears that, since Postgres keeps the order.
func (s *Suite) notified(t testing.TB) (tags []touched.Tag) {
	t.Helper()
	mark := uuid.NewString()
	s.exec(t, "SELECT pg_notify($1, $2)", database.NotifyChannel, `{"k": "`+mark+`"}`)
	for {
		ctx, done := context.WithTimeout(t.Context(), time.Minute)
		heard, err := s.psql.WaitForNotification(ctx)
		done()
		require.NoError(t, err)
		var told struct {
			Clinic *uuid.UUID    `json:"c"`
			Tags   []touched.Tag `json:"t"`
			Token  string        `json:"k"`
		}
		require.NoError(t, json.Unmarshal([]byte(heard.Payload), &told))
		switch {
		case told.Token == mark:
			return tags
		case told.Clinic == nil || *told.Clinic == s.own.ID && told.Tags == nil:
			tags = append(tags, touched.Everything)
		case *told.Clinic == s.own.ID:
			tags = append(tags, told.Tags...)
		}
	}
}
