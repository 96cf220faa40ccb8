// Package rehearsal makes up variables for operations, so that each can be run
// without a client, to see which SQL statements it sends, and sees to it that
// nothing of it is kept. What is looked at are the statements' texts, never a
// value.
package rehearsal

import (
	"slices"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
)

// Filler makes up variables.
type Filler struct {
	Schema *ast.Schema
	// IDs are global ids of entities that exist, by their type's name in the
	// schema, as "Contact". "" is taken where a type has none.
	IDs map[string]string
	// Now is when it is.
	Now time.Time
	// Free is when an appointment could begin; if zero, at the next day's noon.
	Free time.Time
	// Recurs is set where series are booked, moved and cancelled: what is here of
	// appointments is of one.
	Recurs bool
}

// deepest bounds input objects within input objects.
const deepest = 4

// Variables fills an operation's variables: those that it must have, or with all
// also those that it may have, since what is left out has no statement, either.
func (f Filler) Variables(document *ast.QueryDocument, operation *ast.OperationDefinition, all bool) map[string]any {
	places := f.places(document, operation)
	variables := map[string]any{}
	for _, definition := range operation.VariableDefinitions {
		if definition.DefaultValue != nil || !definition.Type.NonNull && !all {
			continue
		}
		at := places[definition.Variable]
		if at.argument == "" {
			at.argument = definition.Variable
		}
		if value, ok := f.value(definition.Type, at, all, deepest); ok {
			variables[definition.Variable] = value
		}
	}
	return variables
}

// place is where a variable is used: which argument or input field it is, and
// what the field that has the argument gives.
type place struct{ argument, gives string }

func (f Filler) places(document *ast.QueryDocument, operation *ast.OperationDefinition) map[string]place {
	places := map[string]place{}
	var values func(value *ast.Value, at place)
	values = func(value *ast.Value, at place) {
		if value == nil {
			return
		}
		if value.Kind == ast.Variable {
			places[value.Raw] = at
		}
		for _, child := range value.Children {
			inner := at
			if child.Name != "" {
				inner.argument = child.Name
			}
			values(child.Value, inner)
		}
	}
	var selections func(set ast.SelectionSet)
	selections = func(set ast.SelectionSet) {
		for _, selection := range set {
			switch s := selection.(type) {
			case *ast.Field:
				gives := ""
				if s.Definition != nil {
					gives = s.Definition.Type.Name()
				}
				for _, argument := range s.Arguments {
					values(argument.Value, place{argument.Name, gives})
				}
				selections(s.SelectionSet)
			case *ast.InlineFragment:
				selections(s.SelectionSet)
			}
		}
	}
	selections(operation.SelectionSet)
	for _, fragment := range document.Fragments {
		selections(fragment.SelectionSet)
	}
	return places
}

// value makes one up. There is none for what must not be given with the rest
// (pages go forward from the first) or would stop the operation early, as a reference
// that may be left out to what no id is known of, or to another of the same kind.
func (f Filler) value(kind *ast.Type, at place, all bool, depth int) (any, bool) {
	if kind.Name() == "ID" && !kind.NonNull && !f.refers(at) {
		return nil, false
	}
	if kind.Elem != nil {
		value, ok := f.value(kind.Elem, at, all, depth)
		return []any{value}, ok
	}
	switch at.argument {
	case "last", "before", "after", "expectedVersion":
		return nil, false
	case "recurrenceRule":
		// Once only: it is not known whether the weeks after are free.
		return "FREQ=WEEKLY;COUNT=1", f.Recurs
	}
	definition := f.Schema.Types[kind.NamedType]
	if definition == nil {
		return nil, false
	}
	switch definition.Kind {
	case ast.Enum:
		if len(definition.EnumValues) == 0 {
			return nil, false
		}
		return definition.EnumValues[0].Name, true
	case ast.InputObject:
		return f.object(definition, at, all, depth)
	default:
		return f.scalar(kind.NamedType, at), true
	}
}

func (f Filler) object(definition *ast.Definition, at place, all bool, depth int) (any, bool) {
	if depth == 0 {
		return nil, false
	}
	object := map[string]any{}
	for _, field := range definition.Fields {
		if f.Recurs && field.Name == "wholeSeries" {
			object[field.Name] = true
		}
		if field.DefaultValue != nil || !field.Type.NonNull && !all {
			continue
		}
		if value, ok := f.value(field.Type, place{field.Name, at.gives}, all, depth-1); ok {
			object[field.Name] = value
		}
	}
	return object, true
}

func (f Filler) scalar(name string, at place) any {
	midnight := f.Now.Truncate(24 * time.Hour)
	late := slices.Contains([]string{"to", "until", "end"}, at.argument)
	switch name {
	case "ID":
		if at.argument == "guardianId" {
			return nil // nobody is their own
		}
		return f.id(at)
	case "Int", "Long":
		return 10
	case "Float":
		return 1.5
	case "Boolean":
		return true
	case "DateTime":
		if at.argument == "startsAt" || at.argument == "endsAt" {
			return f.visit(at.argument == "endsAt").Format(time.RFC3339)
		}
		if late {
			midnight = midnight.Add(24 * time.Hour)
		}
		return midnight.Format(time.RFC3339)
	case "Date":
		switch {
		case strings.HasPrefix(at.argument, "birth"):
			return "1980-05-17"
		case strings.HasPrefix(at.argument, "deceased"): // It may be another day in the clinic.
			midnight = midnight.Add(-48 * time.Hour)
		}
		if late {
			midnight = midnight.Add(24 * time.Hour)
		}
		return midnight.Format(time.DateOnly)
	case "TimeZone":
		return "America/Sao_Paulo"
	case "Currency":
		return "BRL"
	case "JSON":
		return map[string]any{}
	}
	return text(at.argument)
}

// visit is when an appointment would begin, or end. It is short, so that what is
// free at its beginning is free until its end.
func (f Filler) visit(end bool) time.Time {
	const noon, short = 36 * time.Hour, 15 * time.Minute
	begins := f.Free
	if begins.IsZero() {
		begins = f.Now.Truncate(24 * time.Hour).Add(noon)
	}
	if end {
		return begins.Add(short)
	}
	return begins
}

// text is one that its field takes.
func text(argument string) string {
	lower := strings.ToLower(argument)
	switch {
	case strings.Contains(lower, "email"):
		return "maria@example.com"
	case strings.Contains(lower, "phone"):
		return "+5511987654321"
	case strings.Contains(lower, "taxid"), strings.Contains(lower, "cpf"):
		return "529.982.247-25"
	case lower == "state":
		return "SP"
	case lower == "postalcode":
		return "01310-100"
	case lower == "country":
		return "BR"
	case lower == "ics": // RFC 5545
		return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//TaskMed//rehearsal//EN\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:20990101T120000Z\r\nDTEND:20990101T130000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
	case lower == "codes": // of ICD-10
		return "J45.0"
	case strings.Contains(lower, "url"):
		return "https://example.com/hook"
	}
	return "maria silva"
}

// refers tells whether an argument is of a type that an id is known of, by its name, or
// of the one that the field gives.
func (f Filler) refers(at place) bool {
	_, known := f.named(at)
	return known || at.argument == "id" || at.argument == "ids"
}

// named is the id of an entity of the type that the argument names ("contactId").
func (f Filler) named(at place) (string, bool) {
	named := strings.TrimSuffix(strings.TrimSuffix(at.argument, "Ids"), "Id")
	for kind, id := range f.IDs {
		if strings.EqualFold(kind, named) {
			return id, true
		}
	}
	return "", false
}

// id is that of an entity of the type that the argument names, or of the one that the
// field gives ("id").
func (f Filler) id(at place) string {
	if id, known := f.named(at); known {
		return id
	}
	if id, ok := f.IDs[at.gives]; ok {
		return id
	}
	// A payload or a connection is named after what it is of.
	for _, kind := range kinds(f.IDs) {
		if strings.Contains(at.gives, kind) {
			return f.IDs[kind]
		}
	}
	if id, ok := f.IDs["Contact"]; ok {
		return id
	}
	return ""
}

// kinds are the names of types, the longest first.
func kinds(ids map[string]string) []string {
	names := make([]string, 0, len(ids))
	for name := range ids {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return names
}
