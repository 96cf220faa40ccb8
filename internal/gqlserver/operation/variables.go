package operation

import (
	"encoding/json"
	"errors"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator"

	"github.com/taskmed/taskmed/models"
)

// Variables checks the given values, decoded with json.Decoder.UseNumber,
// against the operation's definitions and coerces them, defaults included. It
// is as strict as the specification: the validator's own coercion takes "5" for
// an Int and echoes what it refuses. Faults carry BAD_USER_INPUT and name the
// variable and the place in it, never its value. The given map is changed.
func (c *Checker) Variables(op *Operation, given map[string]any) (map[string]any, gqlerror.List) {
	v := variables{schema: c.schema}
	for _, definition := range op.Definition.VariableDefinitions {
		v.at = definition.Position
		value, ok := given[definition.Variable]
		switch {
		case ok:
			v.check(value, definition.Type, "$"+definition.Variable)
		case definition.Type.NonNull && definition.DefaultValue == nil:
			v.refuse("$"+definition.Variable, "must be given")
		}
	}
	if len(v.faults) > 0 {
		return nil, v.faults
	}
	coerced, err := validator.VariableValues(c.schema, op.Definition, given)
	if err != nil {
		return nil, gqlerror.List{variableFault(op, err)}
	}
	return coerced, nil
}

// variableFault is for what the validator refuses though the check above let it
// pass. Its message may hold the value, so only the variable's name is kept.
func variableFault(op *Operation, err error) *gqlerror.Error {
	var known *gqlerror.Error
	if errors.As(err, &known) && len(known.Path) > 1 {
		if name, ok := known.Path[1].(ast.PathName); ok && op.Definition.VariableDefinitions.ForName(string(name)) != nil {
			return Fault(models.BadUserInput, op.Definition.Position, "$%s is not of its type", name)
		}
	}
	return Fault(models.BadUserInput, op.Definition.Position, "a variable is not of its type")
}

type variables struct {
	schema *ast.Schema
	at     *ast.Position
	faults gqlerror.List
}

func (v *variables) refuse(place, what string) {
	if len(v.faults) < mostFaults {
		v.faults = append(v.faults, Fault(models.BadUserInput, v.at, "%s %s", place, what))
	}
}

func (v *variables) check(value any, typ *ast.Type, place string) {
	if value == nil {
		if typ.NonNull {
			v.refuse(place, "must not be null")
		}
		return
	}
	if typ.Elem != nil {
		list, ok := value.([]any)
		if !ok { // One value stands for a list of one.
			v.check(value, typ.Elem, place)
			return
		}
		for i, item := range list {
			if len(v.faults) >= mostFaults {
				return
			}
			v.check(item, typ.Elem, place+"["+strconv.Itoa(i)+"]")
		}
		return
	}
	definition := v.schema.Types[typ.NamedType]
	switch definition.Kind {
	case ast.InputObject:
		v.object(value, definition, place)
	case ast.Enum:
		text, ok := value.(string)
		if !ok || definition.EnumValues.ForName(text) == nil {
			v.refuse(place, "must be a value of "+definition.Name)
		}
	default:
		v.scalar(value, typ.NamedType, place)
	}
}

func (v *variables) object(value any, definition *ast.Definition, place string) {
	object, ok := value.(map[string]any)
	if !ok {
		v.refuse(place, "must be an object of "+definition.Name)
		return
	}
	known := 0
	for _, field := range definition.Fields {
		child, given := object[field.Name]
		if given {
			known++
			v.check(child, field.Type, place+"."+field.Name)
		} else if field.Type.NonNull && field.DefaultValue == nil {
			v.refuse(place+"."+field.Name, "must be given")
		}
	}
	if known < len(object) {
		// Not by name: a key of the body may hold anything.
		v.refuse(place, "has a field that "+definition.Name+" has not")
	}
}

func (v *variables) scalar(value any, name, place string) {
	ok := true
	switch name {
	case "Int":
		_, err := strconv.ParseInt(number(value), 10, 32)
		ok = err == nil
	case "Long":
		_, err := strconv.ParseInt(number(value), 10, 64)
		ok = err == nil
	case "Float":
		_, err := strconv.ParseFloat(number(value), 64)
		ok = err == nil
	case "String":
		_, ok = value.(string)
	case "Boolean":
		_, ok = value.(bool)
	case "ID":
		_, err := strconv.ParseInt(number(value), 10, 64)
		_, text := value.(string)
		ok = text || err == nil
	}
	if !ok {
		v.refuse(place, "must be of type "+name)
	}
}

func number(value any) string {
	n, _ := value.(json.Number)
	return n.String()
}
