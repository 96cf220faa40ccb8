package operation

import (
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/taskmed/taskmed/models"
)

// arguments are what an operation's arguments, those of its fragments included,
// ask of its variables.
type arguments struct {
	uses     map[string]use
	defaults map[string]any
	open     []openValue
}

// readArguments judges every literal of a validated document, brings it into the
// form that coercion gives it, and gives what the operations ask of their
// variables, in their order. Each definition is walked once.
func (c *Checker) readArguments(doc *ast.QueryDocument) ([]arguments, gqlerror.List) {
	w := argumentWalker{checker: c, reader: c.reader(models.BadUserInput)}
	fragments := make(map[string]*uses, len(doc.Fragments))
	for _, fragment := range doc.Fragments {
		fragments[fragment.Name] = w.definition(fragment.SelectionSet, fragment.Directives)
	}
	known := make([]arguments, len(doc.Operations))
	for i, operation := range doc.Operations {
		own := w.definition(operation.SelectionSet, operation.Directives)
		for _, variable := range operation.VariableDefinitions {
			w.directives(variable.Directives)
		}
		if operation.Operation == ast.Mutation {
			w.agree(doc, operation)
		}
		known[i] = gathered(own, fragments)
		w.defaults(operation, &known[i])
	}
	return known, w.reader.faults
}

// gathered is what an operation and all fragments that it leads to say together.
func gathered(own *uses, fragments map[string]*uses) arguments {
	var all uses
	seen := map[string]bool{}
	var visit func(part *uses)
	visit = func(part *uses) {
		for name, one := range part.variables {
			all.add(name, one)
		}
		all.open = append(all.open, part.open...)
		for _, name := range part.spreads {
			if !seen[name] {
				seen[name] = true
				visit(fragments[name])
			}
		}
	}
	visit(own)
	return arguments{uses: all.variables, open: all.open}
}

type argumentWalker struct {
	checker *Checker
	reader  *reader
	// found is of the definition that is walked.
	found *uses
}

func (w *argumentWalker) definition(set ast.SelectionSet, directives ast.DirectiveList) *uses {
	w.found = &uses{}
	w.directives(directives)
	w.set(set)
	return w.found
}

func (w *argumentWalker) set(set ast.SelectionSet) {
	for _, selection := range set {
		switch selected := selection.(type) {
		case *ast.Field:
			w.field(selected)
			w.set(selected.SelectionSet)
		case *ast.InlineFragment:
			w.directives(selected.Directives)
			w.set(selected.SelectionSet)
		case *ast.FragmentSpread:
			w.directives(selected.Directives)
			w.found.spreads = append(w.found.spreads, selected.Name)
		}
	}
}

func (w *argumentWalker) field(selected *ast.Field) {
	root := w.checker.schema.Mutation != nil && selected.ObjectDefinition == w.checker.schema.Mutation
	for _, argument := range selected.Arguments {
		how := w.condition()
		if root {
			how = manner{longest: int(w.checker.limits.ListSize), keeps: true}
		} else if info := w.checker.fields[selected.Definition]; info != nil {
			how.keeps = info.slicedBy(argument.Name)
		}
		w.reader.literal(argument.Value, selected.Definition.Arguments.ForName(argument.Name).Type, &place{name: argument.Name}, how, w.found)
	}
	w.directives(selected.Directives)
	for _, directive := range selected.Directives {
		if ofMutations(directive.Name) && (!root || strings.HasPrefix(selected.Name, "__")) {
			w.refuse(directive.Position, "@%s belongs on a mutation's own field, nowhere else", directive.Name)
		}
	}
}

// condition is how lists are read that select.
func (w *argumentWalker) condition() manner {
	return manner{longest: int(w.checker.limits.PageSize)}
}

func (w *argumentWalker) directives(list ast.DirectiveList) {
	for _, directive := range list {
		for _, argument := range directive.Arguments {
			typ := directive.Definition.Arguments.ForName(argument.Name).Type
			w.reader.literal(argument.Value, typ, &place{name: "@" + directive.Name + "." + argument.Name}, w.condition(), w.found)
		}
	}
}

// defaults judges the defaults of an operation's variables and keeps them coerced.
func (w *argumentWalker) defaults(operation *ast.OperationDefinition, known *arguments) {
	for _, definition := range operation.VariableDefinitions {
		one, used := known.uses[definition.Variable]
		if !used || definition.DefaultValue == nil {
			continue
		}
		at, before := place{name: "$" + definition.Variable}, len(w.reader.faults)
		w.reader.literal(definition.DefaultValue, definition.Type, &at, one.manner, &uses{})
		if len(w.reader.faults) > before {
			continue
		}
		plain, err := definition.DefaultValue.Value(nil)
		if err != nil {
			w.refuse(definition.Position, "$%s has a default that cannot be read", definition.Variable)
			continue
		}
		if known.defaults == nil {
			known.defaults = map[string]any{}
		}
		known.defaults[definition.Variable] = w.reader.value(plain, definition.Type, &at, one.manner)
	}
}

func (w *argumentWalker) refuse(at *ast.Position, format string, args ...any) {
	if !w.reader.full() {
		w.reader.faults = append(w.reader.faults, Fault(ValidationFailed, at, format, args...))
	}
}

// ofMutations are the directives that say how a mutation is run. Resolvers read
// them off the first of the fields that are merged into one.
func ofMutations(directive string) bool { return directive == "dryRun" || directive == "idempotent" }

// agree refuses root fields of one response key that say different things of how
// they are run: which of them is heard would hang on their order.
func (w *argumentWalker) agree(doc *ast.QueryDocument, operation *ast.OperationDefinition) {
	first, seen := map[string]string{}, map[string]bool{}
	var visit func(set ast.SelectionSet)
	visit = func(set ast.SelectionSet) {
		for _, selection := range set {
			switch selected := selection.(type) {
			case *ast.Field:
				said := saidOfRunning(selected.Directives)
				if known, again := first[selected.Alias]; again && known != said {
					w.refuse(selected.Position, "fields of one name must have the same directives")
				} else {
					first[selected.Alias] = said
				}
			case *ast.InlineFragment:
				visit(selected.SelectionSet)
			case *ast.FragmentSpread:
				if fragment := doc.Fragments.ForName(selected.Name); !seen[selected.Name] {
					seen[selected.Name] = true
					visit(fragment.SelectionSet)
				}
			}
		}
	}
	visit(operation.SelectionSet)
}

func saidOfRunning(directives ast.DirectiveList) string {
	var said strings.Builder
	for _, name := range []string{"dryRun", "idempotent"} {
		if directive := directives.ForName(name); directive != nil {
			said.WriteString("@" + name)
			for _, argument := range directive.Arguments {
				said.WriteString(" " + argument.Name + ":" + argument.Value.String())
			}
		}
	}
	return said.String()
}
