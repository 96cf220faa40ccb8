package operation

import (
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// shape walks a parsed document once, without its schema, and refuses what
// would make a later walk grow faster than the document.
type shape struct {
	limits Limits
	fault  *gqlerror.Error
	// parts are the fragments by name.
	parts map[string]*part

	aliases, directives, inline, spreads, duplicates int
}

// part is what is known of one operation or fragment.
type part struct {
	definition ast.SelectionSet
	at         *ast.Position
	// nodes counts its selections; depth and roots are its own, and once it is
	// resolved, those with all fragments in it.
	nodes, depth, roots int
	// spreads are its fragments, each with the depth it stands at.
	spreads []spread
	state   uint8
	visited int
}

type spread struct {
	name  string
	depth int
	at    *ast.Position
}

const (
	unresolved uint8 = iota
	resolving
	resolved
)

// checkShape returns the first fault and how many nodes the document has.
func checkShape(limits Limits, doc *ast.QueryDocument) (int, *gqlerror.Error) {
	s := &shape{limits: limits, parts: make(map[string]*part, len(doc.Fragments))}
	if len(doc.Operations) > limits.Operations {
		return 0, Fault(ValidationFailed, nil, "the document has %d operations; %d at most", len(doc.Operations), limits.Operations)
	}
	if len(doc.Fragments) > limits.Fragments {
		return 0, Fault(ValidationFailed, nil, "the document has %d fragments; %d at most", len(doc.Fragments), limits.Fragments)
	}
	var all []*part
	for _, fragment := range doc.Fragments {
		p := s.read(fragment.SelectionSet, fragment.Position, fragment.Directives)
		s.parts[fragment.Name] = p
		all = append(all, p)
	}
	for _, operation := range doc.Operations {
		if n := len(operation.VariableDefinitions); n > limits.Variables {
			s.refuse(operation.Position, "the operation has %d variables; %d at most", n, limits.Variables)
		}
		for _, variable := range operation.VariableDefinitions {
			s.value(variable.DefaultValue, 0)
			s.annotated(variable.Directives)
		}
		p := s.read(operation.SelectionSet, operation.Position, operation.Directives)
		all = append(all, p)
		s.resolve(p)
		s.checkRoots(operation, p)
	}
	nodes, work := 0, 0
	for i, p := range all {
		s.resolve(p)
		nodes += p.nodes
		work += s.reach(p, i+1)
	}
	if work > limits.Work {
		s.refuse(nil, "the document's fragments take %d steps to validate; %d at most", work, limits.Work)
	}
	return nodes, s.fault
}

func (s *shape) checkRoots(operation *ast.OperationDefinition, p *part) {
	limit := s.limits.RootFields
	if operation.Operation == ast.Mutation {
		limit = s.limits.RootMutations
	}
	if p.roots > limit {
		s.refuse(operation.Position, "the operation has %d root fields; %d at most", p.roots, limit)
	}
}

func (s *shape) refuse(at *ast.Position, format string, args ...any) {
	if s.fault == nil {
		s.fault = Fault(ValidationFailed, at, format, args...)
	}
}

func (s *shape) read(set ast.SelectionSet, at *ast.Position, directives ast.DirectiveList) *part {
	p := &part{definition: set, at: at}
	s.annotated(directives)
	s.set(p, set, 1, 0, map[string]bool{})
	return p
}

// set walks a selection set at a depth; keys are the response keys of the
// innermost field's set, which inline fragments share.
func (s *shape) set(p *part, set ast.SelectionSet, depth, nested int, keys map[string]bool) {
	for _, selection := range set {
		if s.fault != nil {
			return
		}
		p.nodes++
		switch selected := selection.(type) {
		case *ast.Field:
			s.field(p, selected, depth, keys)
		case *ast.InlineFragment:
			s.inline++
			s.annotated(selected.Directives)
			if s.inline > s.limits.InlineFragments || nested >= s.limits.Depth {
				s.refuse(selected.Position, "too many inline fragments; %d at most, nested %d deep", s.limits.InlineFragments, s.limits.Depth)
				return
			}
			s.set(p, selected.SelectionSet, depth, nested+1, keys)
		case *ast.FragmentSpread:
			s.spreads++
			s.annotated(selected.Directives)
			if s.spreads > s.limits.Spreads {
				s.refuse(selected.Position, "too many fragment spreads; %d at most", s.limits.Spreads)
				return
			}
			p.spreads = append(p.spreads, spread{selected.Name, depth, selected.Position})
		}
	}
}

func (s *shape) field(p *part, field *ast.Field, depth int, keys map[string]bool) {
	if depth > s.limits.Depth {
		s.refuse(field.Position, "fields nest more than %d deep", s.limits.Depth)
		return
	}
	p.depth = max(p.depth, depth)
	if depth == 1 {
		p.roots++
	}
	if field.Alias != field.Name {
		if s.aliases++; s.aliases > s.limits.Aliases {
			s.refuse(field.Position, "too many aliases; %d at most", s.limits.Aliases)
		}
	}
	if keys[field.Alias] {
		if s.duplicates++; s.duplicates > s.limits.Duplicates {
			s.refuse(field.Position, "too many fields selected twice; %d at most", s.limits.Duplicates)
		}
	}
	keys[field.Alias] = true
	for _, argument := range field.Arguments {
		s.value(argument.Value, 0)
	}
	s.annotated(field.Directives)
	if len(field.SelectionSet) > 0 {
		s.set(p, field.SelectionSet, depth+1, 0, make(map[string]bool, len(field.SelectionSet)))
	}
}

func (s *shape) annotated(directives ast.DirectiveList) {
	s.directives += len(directives)
	for _, directive := range directives {
		if s.directives > s.limits.Directives {
			s.refuse(directive.Position, "too many directives; %d at most", s.limits.Directives)
			return
		}
		if directive.Name == "defer" {
			// Over a plain answer the deferred part would be lost.
			s.refuse(directive.Position, "@defer is not served")
		}
		for _, argument := range directive.Arguments {
			s.value(argument.Value, 0)
		}
	}
}

func (s *shape) value(value *ast.Value, depth int) {
	if value == nil || len(value.Children) == 0 || s.fault != nil {
		return
	}
	if depth >= s.limits.ValueDepth {
		s.refuse(value.Position, "values nest more than %d deep", s.limits.ValueDepth)
		return
	}
	for _, child := range value.Children {
		s.value(child.Value, depth+1)
	}
}

// resolve adds to a part what its fragments bring, each resolved once.
func (s *shape) resolve(p *part) {
	if p.state == resolved || s.fault != nil {
		return
	}
	p.state = resolving
	for _, spread := range p.spreads {
		fragment := s.parts[spread.name]
		if fragment == nil { // The validator says so with its usual words.
			continue
		}
		if fragment.state == resolving {
			s.refuse(spread.at, "fragment %q contains itself", spread.name)
			return
		}
		s.resolve(fragment)
		if s.fault != nil {
			return
		}
		p.depth = max(p.depth, spread.depth-1+fragment.depth)
		if p.depth > s.limits.Depth {
			s.refuse(spread.at, "fields nest more than %d deep", s.limits.Depth)
			return
		}
		if spread.depth == 1 {
			// Capped, or a chain of fragments that spread the next twice would
			// double it out of an int.
			p.roots = min(p.roots+fragment.roots, 1<<20)
		}
	}
	p.state = resolved
}

// reach counts the nodes of a part and of all fragments it leads to, each once.
// The mark is another for every part that is asked.
func (s *shape) reach(p *part, mark int) int {
	if s.fault != nil || p.visited == mark {
		return 0
	}
	p.visited = mark
	nodes := p.nodes
	for _, spread := range p.spreads {
		if fragment := s.parts[spread.name]; fragment != nil {
			nodes += s.reach(fragment, mark)
		}
	}
	return nodes
}
