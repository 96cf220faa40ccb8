package operation

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/models"
)

// leaf says how the values of one scalar are read.
type leaf struct {
	// kinds are the literals that it is written as.
	kinds []ast.ValueKind
	// read coerces a value as JSON has it (numbers are json.Number) or as
	// ast.Value gives it (numbers are int64 or float64).
	read func(value any) (any, error)
	// open is whether its literals may hold lists, objects and variables.
	open bool
}

// errType refuses a value that is of another type altogether. What models
// refuse has words of its own.
var errType = errors.New("operation: the value is of another type")

var currencies = regexp.MustCompile(`^[A-Z]{3}$`)

// readLeaves is how each scalar is read. What a resolver is given later is read
// there once more, so the models' own functions are used where there are any.
// A scalar of the schema that is not among them is an error: its values would be
// judged by resolvers, when a part of the request has run already.
func readLeaves(schema *ast.Schema) (map[string]leaf, error) {
	known := allLeaves()
	for name, definition := range schema.Types {
		if _, ok := known[name]; definition.Kind == ast.Scalar && !ok {
			return nil, fmt.Errorf("operation: the scalar %s has no entry among the leaves: say how its values are read", name)
		}
	}
	return known, nil
}

func allLeaves() map[string]leaf {
	whole := []ast.ValueKind{ast.IntValue}
	textual := []ast.ValueKind{ast.StringValue, ast.BlockValue}
	return map[string]leaf{
		"Int": {kinds: whole, read: func(value any) (any, error) {
			n, err := wholeNumber(value)
			if err != nil || n < math.MinInt32 || n > math.MaxInt32 {
				return nil, errType
			}
			return n, nil
		}},
		"Long": {kinds: whole, read: func(value any) (any, error) { n, err := wholeNumber(value); return n, err }},
		"Float": {kinds: []ast.ValueKind{ast.IntValue, ast.FloatValue}, read: func(value any) (any, error) {
			var n float64
			var err error
			switch v := value.(type) {
			case float64:
				n = v
			case int64:
				n = float64(v)
			case json.Number:
				n, err = v.Float64()
			default:
				err = errType
			}
			if err != nil || math.IsInf(n, 0) || math.IsNaN(n) {
				return nil, errType
			}
			return n, nil
		}},
		"String":  {kinds: textual, read: text(func(string) error { return nil })},
		"Boolean": {kinds: []ast.ValueKind{ast.BooleanValue}, read: is[bool]},
		"ID": {kinds: append(slices.Clone(textual), ast.IntValue), read: func(value any) (any, error) {
			if id, ok := value.(string); ok {
				return id, nil
			}
			n, err := wholeNumber(value)
			return strconv.FormatInt(n, 10), err
		}},
		"DateTime": {kinds: textual, read: func(value any) (any, error) {
			_, err := models.UnmarshalDateTime(value)
			return value, err
		}},
		"Date":     {kinds: textual, read: text(func(value string) error { _, err := models.ParseDate(value); return err })},
		"TimeZone": {kinds: textual, read: text(timeZone)},
		"Currency": {kinds: textual, read: text(func(value string) error {
			if !currencies.MatchString(value) {
				return models.BadInput("a Currency is an ISO 4217 code such as BRL")
			}
			return nil
		})},
		"JSON": {open: true, read: jsonValue},
	}
}

func is[T any](value any) (any, error) {
	if _, ok := value.(T); !ok {
		return nil, errType
	}
	return value, nil
}

func text(judge func(string) error) func(any) (any, error) {
	return func(value any) (any, error) {
		given, ok := value.(string)
		if !ok {
			return nil, errType
		}
		return given, judge(given)
	}
}

func wholeNumber(value any) (int64, error) {
	switch v := value.(type) {
	case int64:
		return v, nil
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return n, nil
		}
	}
	return 0, errType
}

// timeZone takes names of the IANA database alone; time.LoadLocation also knows
// "" and "Local", which mean something else on every machine.
func timeZone(name string) error {
	if name != "" && name != "Local" && len(name) < 64 {
		if _, err := time.LoadLocation(name); err == nil {
			return nil
		}
	}
	return models.BadInput("a TimeZone is an IANA name such as America/Sao_Paulo")
}

// roomForJSON is above what models.JSON takes, in bytes.
const roomForJSON = 300 << 10

// jsonValue looks at the size before the model writes the value out: a literal
// may hold one long variable hundreds of times.
func jsonValue(value any) (any, error) {
	if roomLeft(value, roomForJSON) < 0 {
		return nil, models.BadInput("a JSON value may take 256 KB at most")
	}
	var read models.JSON
	return value, read.UnmarshalGQL(value)
}

// roomLeft is what a value leaves of a room at most, negative where it does not
// fit; it visits no more of the value than fits.
func roomLeft(value any, room int) int {
	room-- // every value takes a byte at least
	switch v := value.(type) {
	case string:
		room -= len(v)
	case json.Number:
		room -= len(v)
	case []any:
		for i := 0; i < len(v) && room >= 0; i++ {
			room = roomLeft(v[i], room)
		}
	case map[string]any:
		for key, item := range v {
			if room < 0 {
				break
			}
			room = roomLeft(item, room-len(key))
		}
	}
	return room
}
