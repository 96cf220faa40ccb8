package operation

import (
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/taskmed/taskmed/models"
)

// Variables judges the given values, decoded with json.Decoder.UseNumber,
// against the operation's definitions and coerces them at every depth, defaults
// included. Faults carry BAD_USER_INPUT and name the variable and the place in
// it, never its value. The given map is not changed; what is given back is
// shared in parts and must not be.
func (c *Checker) Variables(op *Operation, given map[string]any) (map[string]any, gqlerror.List) {
	definitions := op.Definition.VariableDefinitions
	coerced := make(map[string]any, len(definitions))
	r := c.reader(models.BadUserInput)
	for _, definition := range definitions {
		r.at = definition.Position
		at, use := place{name: "$" + definition.Variable}, op.arguments.uses[definition.Variable]
		value, ok := given[definition.Variable]
		switch {
		case ok && value == nil && use.needed:
			// Its type lets null pass for the sake of its default; its place does not.
			r.refuse(&at, "must not be null")
		case ok:
			coerced[definition.Variable] = r.value(value, definition.Type, &at, use.manner)
		case definition.DefaultValue != nil:
			coerced[definition.Variable] = op.arguments.defaults[definition.Variable]
		case definition.Type.NonNull:
			r.refuse(&at, "must be given")
		}
	}
	if len(r.faults) > 0 {
		return nil, r.faults
	}
	for _, open := range op.arguments.open {
		r.at = open.value.Position
		at := place{name: open.at}
		if whole, err := open.value.Value(coerced); err == nil { // its numbers were read before
			r.leaf(whole, open.scalar, &at)
		}
	}
	if len(r.faults) > 0 {
		return nil, r.faults
	}
	return coerced, nil
}

func (c *Checker) reader(code models.Code) *reader {
	return &reader{schema: c.schema, leaves: c.leaves, code: code}
}

// use is what the places of a variable ask of it together.
type use struct {
	manner

	// needed is whether it may not be null at one of them.
	needed bool
}

// openValue is a literal of an open scalar with variables in it.
type openValue struct {
	value  *ast.Value
	scalar string
	at     string
}

// uses are what one definition of a document makes of variables.
type uses struct {
	variables map[string]use
	open      []openValue
	spreads   []string
}

func (u *uses) add(variable string, one use) {
	if u.variables == nil {
		u.variables = map[string]use{}
	}
	if known, ok := u.variables[variable]; ok {
		one = use{manner: known.and(one.manner), needed: known.needed || one.needed}
	}
	u.variables[variable] = one
}
