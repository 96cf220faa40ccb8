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

// Checker compares composed queries' answers with plain ones'.
type Checker struct {
	Schema *ast.Schema
	// Role is who asks.
	Role string
	// Composed and Plain ask; they may ask different servers over one database.
	Composed, Plain Ask
	// Keep tells that nothing is written meanwhile, so that no plain query is
	// asked twice.
	Keep bool
	// Asked counts plain queries that were sent, Leaves those that answers were
	// compared with, Failing the composed queries that had errors to be compared,
	// Refused those that changed nothing for the user's mistakes.
	Asked, Leaves, Failing, Refused int

	kept map[string]Answer
}

// Check asks a composed query and tells how its answer differs from what plain
// queries say.
func (c *Checker) Check(q Question) error {
	p, err := planned(c.Schema, c.Role, q)
	if err != nil {
		return fmt.Errorf("the query is not valid: %w", err)
	}
	got := c.Composed(q)
	return c.compare(p, got)
}

func (c *Checker) compare(p *plan, got Answer) error {
	at := map[*leaf]json.RawMessage{}
	var leaves []*leaf
	for _, root := range p.roots {
		leaves = append(leaves, root.leaves()...)
	}
	for _, l := range leaves {
		if err := c.ask(p.operation, l); err != nil {
			return err
		}
		at[l] = l.answer.Data
	}
	for _, l := range leaves {
		if isNull(l.answer.Data) {
			if !isNull(got.Data) {
				return fmt.Errorf("data is %s and not null, as for %q", brief(got.Data), l.query(p.operation))
			}
			return compareErrors(leaves, got)
		}
	}
	if isNull(got.Data) {
		return fmt.Errorf("data is null: %v", got.Errors)
	}
	m := match{checker: c, operation: p.operation, written: p.operation == ast.Mutation}
	if err := m.object("", p.roots, at, got.Data); err != nil {
		return err
	}
	if len(got.Errors) > 0 {
		c.Failing++
	}
	return compareErrors(leaves, got)
}

// CheckWritten runs mutations for real, whose payloads select each entity's id as
// theID, and compares the entities of the last one's with what plain queries say
// of them afterwards.
func (c *Checker) CheckWritten(q Question) error {
	p, err := planned(c.Schema, c.Role, q)
	if err != nil {
		return fmt.Errorf("the mutation is not valid: %w", err)
	}
	got := c.Composed(q)
	c.kept = nil
	if len(got.Errors) > 0 || isNull(got.Data) {
		return fmt.Errorf("the mutation failed: %v", got.Errors)
	}
	return c.compareWritten(p, got.Data)
}

func (c *Checker) compareWritten(p *plan, data json.RawMessage) error {
	// What an earlier mutation of the request saw is no longer to be seen.
	root := p.roots[len(p.roots)-1]
	if strings.HasPrefix(root.name, "discard") || strings.HasPrefix(root.name, "release") {
		return nil // what it shows is no more
	}
	_, payloads, err := fieldsOf(data)
	if err != nil {
		return err
	}
	_, payload, err := fieldsOf(payloads[root.key])
	if err != nil {
		return err
	}
	for _, n := range root.children[root.typ.Name()] {
		if !slices.Contains(c.Schema.Types[n.typ.Name()].Interfaces, "Node") {
			continue
		}
		if isNull(payload[n.key]) {
			c.Refused++
			continue
		}
		// A list of entities is as many of them.
		of, entities := n.typ, []json.RawMessage{payload[n.key]}
		if n.typ.Elem != nil {
			of = n.typ.Elem
			if err := json.Unmarshal(payload[n.key], &entities); err != nil {
				return err
			}
		}
		for i, written := range entities {
			if err := c.compareEntity(fmt.Sprintf("%s.%s.%d", root.key, n.key, i), n, of, written); err != nil {
				return err
			}
		}
	}
	return nil
}

// compareEntity compares one entity of a payload with what a plain query says of it: of
// its own field of Query, or else of node.
func (c *Checker) compareEntity(path string, n *node, of *ast.Type, written json.RawMessage) error {
	var entity struct {
		TheID string `json:"theID"`
	}
	if err := json.Unmarshal(written, &entity); err != nil {
		return err
	}
	name := strings.ToLower(of.Name()[:1]) + of.Name()[1:]
	n.base, n.fragment = fmt.Sprintf("%s(id: %q)", name, entity.TheID), ""
	if field := c.Schema.Query.Fields.ForName(name); field == nil || field.Arguments.ForName("id") == nil {
		name = "node"
		n.base, n.fragment = fmt.Sprintf("node(id: %q)", entity.TheID), of.Name()
	}
	at := map[*leaf]json.RawMessage{}
	for _, l := range n.leaves() {
		if err := c.ask(ast.Query, l); err != nil {
			return err
		}
		_, answers, err := fieldsOf(l.answer.Data)
		if err != nil {
			return fmt.Errorf("%s: %w", l.query(ast.Query), err)
		}
		at[l] = answers[name]
	}
	m := match{checker: c, operation: ast.Query}
	return m.value(path, n, of, at, written)
}

func (c *Checker) ask(operation ast.Operation, l *leaf) error {
	c.Leaves++
	text := l.query(operation)
	if kept, ok := c.kept[text]; ok {
		l.answer = kept
		return nil
	}
	c.Asked++
	l.answer = c.Plain(Question{Text: text})
	if l.answer.Data == nil {
		return fmt.Errorf("the plain query %q was refused: %v", text, l.answer.Errors)
	}
	if c.Keep {
		if c.kept == nil {
			c.kept = map[string]Answer{}
		}
		c.kept[text] = l.answer
	}
	return nil
}

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
