package compose

import (
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
)

// node is a field of the answer that a composed query is to have.
type node struct {
	// key is its name in the answer; name and arguments (literals, in brackets)
	// are how a plain query asks for it.
	key, name, arguments string
	typ                  *ast.Type
	parent               *node
	// on is the type that a fragment at the parent narrows to; empty without need.
	on string
	// base is how a plain query begins where it does not begin at the root.
	base string
	// fragment is the type that a plain query narrows to where base gives several.
	fragment string
	// leaf is set for a scalar; probe asks for the type of an object whose type
	// is not known by the schema, or of which nothing is selected.
	leaf, probe *leaf
	// children are what is selected of an object of a type, in order, by the
	// type's name.
	children map[string][]*node
}

// leaf is a plain query for one thing.
type leaf struct {
	at *node
	// typename asks for __typename below the node.
	typename bool
	answer   Answer
	again    bool
}

// leaves are all plain queries that a node is made of.
func (n *node) leaves() []*leaf {
	var all []*leaf
	for _, own := range []*leaf{n.leaf, n.probe} {
		if own != nil {
			all = append(all, own)
		}
	}
	for _, children := range n.children {
		for _, child := range children {
			all = append(all, child.leaves()...)
		}
	}
	return all
}

// chain is the way from where the plain query begins to the node.
func (n *node) chain() []*node {
	var up []*node
	for at := n; at != nil; at = at.parent {
		up = append([]*node{at}, up...)
		if at.base != "" {
			break
		}
	}
	return up
}

// query is the plain query's text.
func (l *leaf) query(operation ast.Operation) string {
	inner := ""
	if l.typename {
		inner = " { __typename }"
	}
	chain := l.at.chain()
	for _, at := range slices.Backward(chain) {
		if at.base != "" {
			if at.fragment != "" && inner != "" {
				inner = " { ... on " + at.fragment + inner + " }"
			}
			return "query { " + at.base + inner + " }"
		}
		inner = at.name + at.arguments + inner
		if at.on != "" {
			inner = "... on " + at.on + " { " + inner + " }"
		}
		inner = " { " + inner + " }"
	}
	return string(operation) + inner
}

// plan is what a composed query is to be answered.
type plan struct {
	schema    *ast.Schema
	role      string
	operation ast.Operation
	given     map[string]any
	roots     []*node
}

// parsed reads a query that the schema allows.
func parsed(schema *ast.Schema, text string) (*ast.QueryDocument, error) {
	document, err := parser.ParseQuery(&ast.Source{Input: text})
	if err != nil {
		return nil, err
	}
	if faults := validator.ValidateWithRules(schema, document, nil); len(faults) > 0 {
		return nil, faults
	}
	return document, nil
}

// planned collects what a query selects, as the specification's CollectFields
// does (6.3.2), for every type that an object may turn out to be.
func planned(schema *ast.Schema, role string, q Question) (*plan, error) {
	document, err := parsed(schema, q.Text)
	if err != nil {
		return nil, err
	}
	operation := document.Operations[0]
	p := &plan{schema: schema, role: role, operation: operation.Operation, given: map[string]any{}}
	for _, variable := range operation.VariableDefinitions {
		if value, ok := q.Variables[variable.Variable]; ok {
			p.given[variable.Variable] = value
		} else if variable.DefaultValue != nil {
			value, err := variable.DefaultValue.Value(nil)
			if err != nil {
				return nil, err
			}
			p.given[variable.Variable] = value
		}
	}
	root := schema.Query
	if operation.Operation == ast.Mutation {
		root = schema.Mutation
	}
	p.roots = p.selects(nil, root, root, operation.SelectionSet)
	return p, nil
}

// selects are the fields that are selected of objects of one type.
func (p *plan) selects(parent *node, declared, concrete *ast.Definition, sets ...ast.SelectionSet) []*node {
	var order []string
	fields := map[string][]*ast.Field{}
	for _, set := range sets {
		p.collect(concrete, set, func(field *ast.Field) {
			if fields[field.Alias] == nil {
				order = append(order, field.Alias)
			}
			fields[field.Alias] = append(fields[field.Alias], field)
		})
	}
	nodes := make([]*node, len(order))
	for i, key := range order {
		same := fields[key]
		n := &node{key: key, name: same[0].Name, arguments: p.arguments(same[0]), typ: same[0].Definition.Type, parent: parent}
		if declared != concrete {
			n.on = concrete.Name
		}
		target := p.schema.Types[n.typ.Name()]
		if target.IsLeafType() {
			n.leaf = &leaf{at: n}
		} else {
			p.below(n, target, same)
		}
		nodes[i] = n
	}
	return nodes
}

func (p *plan) below(n *node, target *ast.Definition, same []*ast.Field) {
	possible := []*ast.Definition{target}
	if target.IsAbstractType() {
		possible = p.schema.PossibleTypes[target.Name]
		n.probe = &leaf{at: n, typename: true}
	}
	var sets []ast.SelectionSet
	for _, field := range same {
		sets = append(sets, field.SelectionSet)
	}
	n.children = map[string][]*node{}
	for _, concrete := range possible {
		if !mayRead(p.role, concrete.Directives) {
			continue // such an object is never in the answer
		}
		n.children[concrete.Name] = p.selects(n, target, concrete, sets...)
		if len(n.children[concrete.Name]) == 0 {
			n.probe = &leaf{at: n, typename: true}
		}
	}
}

// mayRead tells whether a role may read what is annotated so.
func mayRead(role string, directives ast.DirectiveList) bool {
	allow := directives.ForName("allow")
	if allow == nil {
		return true
	}
	for _, child := range allow.Arguments.ForName("roles").Value.Children {
		if child.Value.Raw == role {
			return true
		}
	}
	return false
}

func (p *plan) collect(concrete *ast.Definition, set ast.SelectionSet, take func(*ast.Field)) {
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			if p.included(s.Directives) {
				take(s)
			}
		case *ast.InlineFragment:
			if p.included(s.Directives) && p.applies(s.TypeCondition, concrete) {
				p.collect(concrete, s.SelectionSet, take)
			}
		case *ast.FragmentSpread:
			if p.included(s.Directives) && p.applies(s.Definition.TypeCondition, concrete) {
				p.collect(concrete, s.Definition.SelectionSet, take)
			}
		}
	}
}

func (p *plan) applies(condition string, concrete *ast.Definition) bool {
	if condition == "" || condition == concrete.Name {
		return true
	}
	return slices.Contains(p.schema.PossibleTypes[condition], concrete)
}

func (p *plan) included(directives ast.DirectiveList) bool {
	said := func(name string) (bool, bool) {
		directive := directives.ForName(name)
		if directive == nil {
			return false, false
		}
		text, _ := resolved(p.schema, directive.Arguments.ForName("if").Value, nil, p.given)
		return text == "true", true
	}
	if skip, ok := said("skip"); ok && skip {
		return false
	}
	include, ok := said("include")
	return include || !ok
}

// arguments are a field's, and the directives that the server acts on.
func (p *plan) arguments(field *ast.Field) string {
	var given []string
	for _, argument := range field.Arguments {
		if text, ok := resolved(p.schema, argument.Value, field.Definition.Arguments.ForName(argument.Name).Type, p.given); ok {
			given = append(given, argument.Name+": "+text)
		}
	}
	text := ""
	if len(given) > 0 {
		text = "(" + strings.Join(given, ", ") + ")"
	}
	for _, directive := range field.Directives {
		if directive.Name != "skip" && directive.Name != "include" {
			text += " @" + directive.Name
		}
	}
	return text
}
