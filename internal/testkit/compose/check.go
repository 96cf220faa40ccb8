package compose

import (
	"encoding/json"
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
	if gone := []string{"discard", "release", "remove"}; slices.ContainsFunc(gone, func(word string) bool { return strings.HasPrefix(root.name, word) }) {
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
