package doctor

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

const (
	// mostPaths bounds the places that are named of one answer, mostTags its tags.
	mostPaths = 10
	mostTags  = 8
)

// finding is a stale answer in words. Values are in none of them.
func (s Stale) finding() Finding {
	name := s.Operation
	if name == "" {
		name = "an operation without a name"
	}
	tags := s.Tags
	if len(tags) > mostTags {
		tags = append(slices.Clone(tags[:mostTags]), fmt.Sprintf("%d more", len(s.Tags)-mostTags))
	}
	age := time.Duration(s.AgeSeconds * float64(time.Second)).Round(time.Second)
	return Finding{
		Level: Problem, Rule: "what is kept is what Postgres says",
		Subject: fmt.Sprintf("%s for %s in clinic %s, kept %s ago", name, s.Role, s.Clinic, age),
		Detail:  "differs at " + strings.Join(s.Paths, ", ") + "; depends on " + strings.Join(tags, ", ") + "; stands at " + s.Key,
		Remedy:  fmt.Sprintf(`everything that is kept of the clinic falls, on every server, with: SELECT pg_notify('taskmed_cache', '{"c":"%s"}')`, s.Clinic),
	}
}

// notes are what is no fault of an answer's.
func (n counts) notes() []Finding {
	var notes []Finding
	note := func(count int, rule, detail string) {
		if count > 0 {
			notes = append(notes, Finding{Level: Note, Rule: rule, Subject: fmt.Sprintf("%d answers", count), Detail: detail})
		}
	}
	note(n.bad, "values in Redis are TaskMed's", "they are of another version, damaged or another's: servers take them for misses and count taskmed_respcache_bad_values_total")
	note(n.unexamined, "answers can be examined", "another build of taskmed kept them, or their documents are too long to be kept with them")
	note(n.failed, "answers can be computed anew", "the operation has errors now: look whether Postgres answers, and try again")
	return notes
}

// responseKeys are the names under which a document's fields stand in an answer.
func responseKeys(text string) map[string]bool {
	keys := map[string]bool{}
	document, err := parser.ParseQuery(&ast.Source{Input: text})
	if err != nil {
		return keys
	}
	var walk func(ast.SelectionSet)
	walk = func(set ast.SelectionSet) {
		for _, selection := range set {
			switch s := selection.(type) {
			case *ast.Field:
				keys[s.Alias] = true // its name where it has no alias
				walk(s.SelectionSet)
			case *ast.InlineFragment:
				walk(s.SelectionSet)
			}
		}
	}
	for _, operation := range document.Operations {
		walk(operation.SelectionSet)
	}
	for _, fragment := range document.Fragments {
		walk(fragment.SelectionSet)
	}
	return keys
}

// differing are the paths at which two answers differ, as "contacts.nodes[2].name".
// It descends only under the names of the document's fields: a key of a JSON value
// may be a patient's data.
func differing(one, other []byte, keys map[string]bool) []string {
	var paths []string
	var walk func(path string, a, b any)
	walk = func(path string, a, b any) {
		if len(paths) == mostPaths {
			return
		}
		switch left := a.(type) {
		case map[string]any:
			right, ok := b.(map[string]any)
			if !ok || !known(left, keys) || !known(right, keys) {
				break
			}
			for _, key := range union(left, right) {
				x, inLeft := left[key]
				y, inRight := right[key]
				inner := strings.TrimPrefix(path+"."+key, ".")
				if inLeft != inRight {
					paths = append(paths, inner)
					continue
				}
				walk(inner, x, y)
			}
			return
		case []any:
			right, ok := b.([]any)
			if !ok {
				break
			}
			if len(left) != len(right) {
				paths = append(paths, path+".length")
			}
			for i := range min(len(left), len(right)) {
				walk(path+"["+strconv.Itoa(i)+"]", left[i], right[i])
			}
			return
		}
		x, _ := json.Marshal(a) //nolint:errchkjson // it has just been decoded
		y, _ := json.Marshal(b) //nolint:errchkjson // likewise
		if !bytes.Equal(x, y) {
			paths = append(paths, cmp.Or(path, "data"))
		}
	}
	walk("", decoded(one), decoded(other))
	if len(paths) > mostPaths {
		paths = paths[:mostPaths]
	}
	return paths
}

func decoded(text []byte) any {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil {
		return string(text) // no JSON at all: it differs as a whole
	}
	return value
}

func known(object map[string]any, keys map[string]bool) bool {
	for key := range object {
		if !keys[key] {
			return false
		}
	}
	return true
}

func union(a, b map[string]any) []string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}
