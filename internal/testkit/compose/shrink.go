package compose

import (
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
)

// mostTries bounds the questions that shrinking one asks.
const mostTries = 250

// Shrink takes selections, arguments and directives away from a question for as
// long as it fails, and gives the smallest that still does with its error.
func Shrink(schema *ast.Schema, q Question, fails func(Question) error) (Question, error) {
	last := fails(q)
	for tries := 0; last != nil && tries < mostTries; {
		smaller := false
		for n := 0; tries < mostTries; n++ {
			candidate, ok := without(schema, q, n)
			if !ok {
				break
			}
			if _, err := parsed(schema, candidate.Text); err != nil || candidate.Text == q.Text {
				continue
			}
			tries++
			if err := fails(candidate); err != nil {
				q, last, smaller = candidate, err, true
				n--
			}
		}
		if !smaller {
			break
		}
	}
	return q, last
}

// without is the question without the n-th thing that can be taken away.
func without(schema *ast.Schema, q Question, n int) (Question, bool) {
	document, err := parsed(schema, q.Text)
	if err != nil {
		return q, false
	}
	c := cutter{left: n}
	for _, operation := range document.Operations {
		operation.SelectionSet = c.set(operation.SelectionSet)
	}
	for _, fragment := range document.Fragments {
		fragment.SelectionSet = c.set(fragment.SelectionSet)
	}
	if c.left >= 0 {
		return q, false
	}
	prune(document)
	var text strings.Builder
	formatter.NewFormatter(&text, formatter.WithIndent(" ")).FormatQueryDocument(document)
	variables := map[string]any{}
	for _, declared := range document.Operations[0].VariableDefinitions {
		if value, ok := q.Variables[declared.Variable]; ok {
			variables[declared.Variable] = value
		}
	}
	return Question{Text: text.String(), Variables: variables}, true
}

// cutter counts what can be taken away and takes what its count comes to.
type cutter struct{ left int }

func (c *cutter) cut() bool {
	c.left--
	return c.left == -1
}

func (c *cutter) set(set ast.SelectionSet) ast.SelectionSet {
	var kept ast.SelectionSet
	for _, selection := range set {
		if c.cut() {
			continue
		}
		switch s := selection.(type) {
		case *ast.Field:
			if len(s.Directives) > 0 && s.Directives.ForName("dryRun") == nil && c.cut() {
				s.Directives = nil
			}
			for i := range s.Arguments {
				if c.cut() {
					s.Arguments = slices.Delete(slices.Clone(s.Arguments), i, i+1)
					break
				}
			}
			if s.Alias != s.Name && c.cut() {
				s.Alias = s.Name
			}
			if s.SelectionSet != nil {
				s.SelectionSet = c.set(s.SelectionSet)
			}
		case *ast.InlineFragment:
			if c.cut() {
				kept = append(kept, s.SelectionSet...)
				continue
			}
			s.SelectionSet = c.set(s.SelectionSet)
		case *ast.FragmentSpread:
			if c.cut() {
				kept = append(kept, s.Definition.SelectionSet...)
				continue
			}
		}
		kept = append(kept, selection)
	}
	return kept
}

// prune drops the fragments and variables that nothing uses any longer.
func prune(document *ast.QueryDocument) {
	fragments, variables := map[string]bool{}, map[string]bool{}
	var value func(*ast.Value)
	value = func(v *ast.Value) {
		if v.Kind == ast.Variable {
			variables[v.Raw] = true
		}
		for _, child := range v.Children {
			value(child.Value)
		}
	}
	directives := func(list ast.DirectiveList) {
		for _, directive := range list {
			for _, argument := range directive.Arguments {
				value(argument.Value)
			}
		}
	}
	var set func(ast.SelectionSet)
	set = func(selections ast.SelectionSet) {
		for _, selection := range selections {
			switch s := selection.(type) {
			case *ast.Field:
				directives(s.Directives)
				for _, argument := range s.Arguments {
					value(argument.Value)
				}
				set(s.SelectionSet)
			case *ast.InlineFragment:
				directives(s.Directives)
				set(s.SelectionSet)
			case *ast.FragmentSpread:
				directives(s.Directives)
				if !fragments[s.Name] {
					fragments[s.Name] = true
					set(document.Fragments.ForName(s.Name).SelectionSet)
				}
			}
		}
	}
	for _, operation := range document.Operations {
		set(operation.SelectionSet)
		operation.VariableDefinitions = slices.DeleteFunc(operation.VariableDefinitions, func(v *ast.VariableDefinition) bool { return !variables[v.Variable] })
	}
	document.Fragments = slices.DeleteFunc(document.Fragments, func(f *ast.FragmentDefinition) bool { return !fragments[f.Name] })
}
