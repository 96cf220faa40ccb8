package compose

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// match walks a composed answer beside the plain ones.
type match struct {
	checker   *Checker
	operation ast.Operation
	// written tells that each plain query is a dry run of its own, in which ids
	// and times of what is written are others.
	written bool
}

func (m match) object(path string, children []*node, at map[*leaf]json.RawMessage, got json.RawMessage) error {
	keys, values, err := fieldsOf(got)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	want := make([]string, len(children))
	for i, child := range children {
		want[i] = child.key
	}
	if !slices.Equal(want, keys) {
		return fmt.Errorf("%s has the keys %v and not %v", path, keys, want)
	}
	for _, child := range children {
		below := map[*leaf]json.RawMessage{}
		for _, l := range child.leaves() {
			_, answers, err := fieldsOf(at[l])
			if err != nil {
				return fmt.Errorf("%s: %w", l.query(m.operation), err)
			}
			value, ok := answers[child.name]
			if !ok {
				return fmt.Errorf("%q was answered without %s: %s", l.query(m.operation), child.name, brief(at[l]))
			}
			below[l] = value
		}
		if err := m.value(path+"."+child.key, child, child.typ, below, values[child.key]); err != nil {
			return err
		}
	}
	return nil
}

func (m match) value(path string, n *node, of *ast.Type, at map[*leaf]json.RawMessage, got json.RawMessage) error {
	if n.leaf != nil {
		return m.scalar(path, n.leaf, at[n.leaf], got)
	}
	for l, value := range at {
		if !isNull(value) {
			continue
		}
		if !isNull(got) {
			return fmt.Errorf("%s is %s and not null, as for %q", path, brief(got), l.query(m.operation))
		}
		return agreeOnNull(path, m.operation, at)
	}
	if isNull(got) {
		return fmt.Errorf("%s is null; plain: %s", path, m.said(at))
	}
	if of.Elem != nil {
		return m.list(path, n, of, at, got)
	}
	concrete := of.Name()
	if n.probe != nil {
		var probed struct {
			Typename string `json:"__typename"`
		}
		if err := json.Unmarshal(at[n.probe], &probed); err != nil {
			return err
		}
		concrete = probed.Typename
	}
	return m.object(path, n.children[concrete], at, got)
}

func (m match) list(path string, n *node, of *ast.Type, at map[*leaf]json.RawMessage, got json.RawMessage) error {
	var items []json.RawMessage
	if err := json.Unmarshal(got, &items); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	plain := map[*leaf][]json.RawMessage{}
	for l, value := range at {
		var own []json.RawMessage
		if err := json.Unmarshal(value, &own); err != nil {
			return fmt.Errorf("%s: %w", l.query(m.operation), err)
		}
		if len(own) != len(items) {
			return fmt.Errorf("%s has %d items and not %d, as for %q", path, len(items), len(own), l.query(m.operation))
		}
		plain[l] = own
	}
	for i, item := range items {
		below := make(map[*leaf]json.RawMessage, len(at))
		for l := range at {
			below[l] = plain[l][i]
		}
		if err := m.value(fmt.Sprintf("%s.%d", path, i), n, of.Elem, below, item); err != nil {
			return err
		}
	}
	return nil
}

func (m match) scalar(path string, l *leaf, want, got json.RawMessage) error {
	if bytes.Equal(want, got) {
		return nil
	}
	if m.written && m.changes(l) && len(got) > len(`""`) && got[0] == want[0] && !isNull(got) {
		return nil
	}
	return fmt.Errorf("%s is %s and not %s, as for %q", path, brief(got), brief(want), l.query(m.operation))
}

// changes tells whether a dry run's plain query is answered otherwise each time.
func (m match) changes(l *leaf) bool {
	if !l.again {
		if !bytes.Equal(m.checker.Plain(Question{Text: l.query(m.operation)}).Data, l.answer.Data) {
			l.again = true
		}
	}
	return l.again
}

// said is what the plain queries were answered at a place.
func (m match) said(at map[*leaf]json.RawMessage) string {
	var said []string
	for l, value := range at {
		said = append(said, fmt.Sprintf("%s for %q", brief(value), l.query(m.operation)))
	}
	slices.Sort(said)
	return strings.Join(said, "; ")
}

// agreeOnNull tells of plain queries that find something where another finds
// nothing, and neither has an error.
func agreeOnNull(path string, operation ast.Operation, at map[*leaf]json.RawMessage) error {
	for _, value := range at {
		if isNull(value) {
			continue
		}
		for l, other := range at {
			if isNull(other) && len(l.answer.Errors) == 0 {
				return fmt.Errorf("the plain queries disagree on %s: %q finds null", path, l.query(operation))
			}
		}
	}
	return nil
}

// compareErrors holds a composed answer's errors against the plain ones': each is
// one of theirs, at its own path, and where theirs made a null, one is told.
func compareErrors(leaves []*leaf, got Answer) error {
	var want []Error
	for _, l := range leaves {
		for _, e := range l.answer.Errors {
			chain := l.at.chain()
			at, path := 0, make([]any, len(e.Path))
			for i, step := range e.Path {
				if name, ok := step.(string); ok && at < len(chain) && name == chain[at].name {
					step = chain[at].key
					at++
				}
				path[i] = step
			}
			want = append(want, Error{Message: e.Message, Code: e.Code, Path: path})
		}
	}
	for _, e := range got.Errors {
		if !slices.ContainsFunc(want, func(w Error) bool {
			return w.Message == e.Message && w.Code == e.Code && fmt.Sprint(w.Path) == fmt.Sprint(e.Path)
		}) {
			return fmt.Errorf("the error %q (%s) at %v is none of the plain queries': %v", e.Message, e.Code, e.Path, want)
		}
	}
	for _, w := range want {
		null := nulled(got.Data, w.Path)
		if !slices.ContainsFunc(got.Errors, func(e Error) bool {
			return len(e.Path) >= len(null) && fmt.Sprint(e.Path[:len(null)]) == fmt.Sprint(null)
		}) {
			return fmt.Errorf("nothing is told of the error %q at %v", w.Message, w.Path)
		}
	}
	return nil
}

// nulled is the part of a path at whose end the answer has a null.
func nulled(data json.RawMessage, path []any) []any {
	var value any
	if json.Unmarshal(data, &value) != nil {
		return nil
	}
	for i, step := range path {
		if value == nil {
			return path[:i]
		}
		switch at := value.(type) {
		case map[string]any:
			value = at[fmt.Sprint(step)]
		case []any:
			index, ok := step.(float64)
			if !ok || int(index) >= len(at) {
				return path
			}
			value = at[int(index)]
		}
	}
	return path
}

var errNoObject = errors.New("that is no object")

// fieldsOf are an object's keys in order and its values.
func fieldsOf(object json.RawMessage) ([]string, map[string]json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(object))
	if opening, err := decoder.Token(); err != nil || opening != json.Delim('{') {
		return nil, nil, fmt.Errorf("%w: %s", errNoObject, brief(object))
	}
	keys, values := []string{}, map[string]json.RawMessage{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, nil, err
		}
		key := fmt.Sprint(token)
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, nil, err
		}
		if _, double := values[key]; double {
			return nil, nil, fmt.Errorf("the key %s is there twice: %s", key, brief(object))
		}
		keys, values[key] = append(keys, key), value
	}
	return keys, values, nil
}

func isNull(value json.RawMessage) bool { return len(value) == 0 || string(value) == "null" }

func brief(value json.RawMessage) string {
	const most = 300
	if len(value) > most {
		return string(value[:most]) + "…"
	}
	return string(value)
}
