package touched_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/internal/testkit/graph"
	"github.com/taskmed/taskmed/models"
)

// read is a query, with the places of the schema that it asks for.
type read struct {
	document  string
	variables map[string]any
	places    []string
}

// acrossClinics are the fields that are answered from several clinics. No answer with
// one of them is kept (TestTags_MembershipsAreNotKept).
var acrossClinics = []string{"Query.clinics", "Viewer.memberships"} //nolint:gochecknoglobals // a constant in all but Go's terms

// places are all fields that the schema has below Query and that give objects.
func (w *world) places() []string {
	var all []string
	var walk func(object *ast.Definition)
	walk = func(object *ast.Definition) {
		for _, field := range w.askable(object) {
			place := object.Name + "." + field.Name
			if !w.composite(field) || slices.Contains(all, place) {
				continue
			}
			all = append(all, place)
			for _, possible := range w.graph.Schema.GetPossibleTypes(w.graph.Schema.Types[field.Type.Name()]) {
				walk(possible)
			}
		}
	}
	walk(w.graph.Schema.Query)
	return all
}

func (w *world) askable(object *ast.Definition) ast.FieldList {
	return slices.DeleteFunc(slices.Clone(object.Fields), func(field *ast.FieldDefinition) bool {
		return strings.HasPrefix(field.Name, "__") || slices.Contains(acrossClinics, object.Name+"."+field.Name)
	})
}

func (w *world) composite(field *ast.FieldDefinition) bool {
	return w.graph.Schema.Types[field.Type.Name()].IsCompositeType()
}

// asking puts a random query together.
type asking struct {
	*world
	t      testing.TB
	places []string
}

// read draws a query of one of Query's fields: some of what the schema has below it,
// with arguments of all kinds.
func (w *world) read(t testing.TB) read {
	t.Helper()
	const levels = 3
	a := &asking{world: w, t: t}
	text := a.field(w.graph.Schema.Query, one(w, w.askable(w.graph.Schema.Query)), levels)
	return read{document: "{ " + text + " }", places: a.places}
}

// field is a field with its arguments and what is selected below it, so many levels of
// entities deep.
func (a *asking) field(object *ast.Definition, field *ast.FieldDefinition, levels int) string {
	if !a.composite(field) {
		return field.Name
	}
	a.places = append(a.places, object.Name+"."+field.Name)
	result := a.graph.Schema.Types[field.Type.Name()]
	if !result.IsAbstractType() {
		return field.Name + a.arguments(field, result.Name) + a.selection(result, levels)
	}
	possible := one(a.world, a.graph.Schema.GetPossibleTypes(result))
	return field.Name + a.arguments(field, possible.Name) + " { __typename ... on " + possible.Name + a.selection(possible, levels) + " }"
}

func (a *asking) selection(object *ast.Definition, levels int) string {
	text := " { __typename"
	entity := object.Fields.ForName("id") != nil
	if entity {
		levels--
	}
	list := strings.HasSuffix(object.Name, "Connection")
	// A list that shows nothing of its entities depends on little.
	shown := one(a.world, []string{"nodes", "nodes", "edges"})
	for _, field := range a.askable(object) {
		wanted := a.dice.IntN(2) == 0
		switch {
		case list && (field.Name == "nodes" || field.Name == "edges"):
			wanted = field.Name == shown
		case !list && !strings.HasSuffix(object.Name, "Edge") && a.composite(field) && field.Type.Name() != "Money":
			wanted = levels > 0 && a.dice.IntN(4) == 0
		case field.Name == "node":
			wanted = true
		}
		if wanted {
			text += " " + a.field(object, field, levels)
		}
	}
	return text + " }"
}

// arguments draws a field's, which gives entities of a type.
func (a *asking) arguments(field *ast.FieldDefinition, result string) string {
	args := map[string]any{}
	for _, argument := range field.Arguments {
		switch argument.Name {
		case "first":
			if backwards := field.Arguments.ForName("last") != nil && a.dice.IntN(4) == 0; backwards {
				args["last"] = 1 + a.dice.IntN(4)
			} else {
				args["first"] = 1 + a.dice.IntN(6)
			}
		case "last", "after", "before": // drawn with first; cursors are TestSearchTags' business
		default:
			if argument.Type.NonNull || a.dice.IntN(3) == 0 {
				args[argument.Name] = a.value(argument.Name, argument.Type, result)
			}
		}
	}
	return graph.Args(args)
}

// value draws what an argument may be.
func (a *asking) value(name string, of *ast.Type, result string) any {
	if ids := a.idsFor(name, result); ids != nil {
		if of.Elem != nil {
			return some(a.world, ids)
		}
		return one(a.world, ids)
	}
	definition := a.graph.Schema.Types[of.Name()]
	switch {
	case of.Name() == "DateTimeRange":
		if of.NonNull && a.dice.IntN(4) > 0 {
			return a.span()
		}
		return a.openSpan()
	case of.Name() == "DateRange":
		return a.days()
	case definition.Kind == ast.Enum:
		values := make([]graph.Enum, 0, len(definition.EnumValues))
		for _, value := range definition.EnumValues {
			values = append(values, graph.Enum(value.Name))
		}
		if of.Elem != nil {
			return graph.Enums(some(a.world, values))
		}
		return one(a.world, values)
	case definition.Kind == ast.InputObject:
		object := map[string]any{}
		for _, field := range definition.Fields {
			if field.Type.NonNull || a.dice.IntN(3) == 0 {
				object[field.Name] = a.value(field.Name, field.Type, result)
			}
		}
		return object
	case of.Name() == "Boolean":
		return a.dice.IntN(2) == 0
	case name == "query":
		return one(a.world, []string{"ana", "sousa", "silva joão", "mar", "beatr", "5511", "98765", "11 98765-4321", "ana 21987", "carlad"})
	case name == "tag":
		return "vip"
	case name == "externalReference":
		return "ref-1"
	}
	require.Fail(a.t, "nobody knows what to give", "%s: %s", name, of)
	return nil
}

// idsFor are global ids for an argument: contactId is a contact's, and id is one of
// what the field gives.
func (a *asking) idsFor(name, result string) []string {
	kinds := map[string]models.Kind{
		"Contact": models.KindContact, "Practitioner": models.KindPractitioner, "Service": models.KindService,
		"Appointment": models.KindAppointment, "MedicalRecord": models.KindMedicalRecord, "Clinic": models.KindClinic, "Invoice": models.KindInvoice,
	}
	object := strings.TrimSuffix(strings.TrimSuffix(name, "s"), "Id")
	if name == "id" || name == "ids" {
		object = result
	} else if object == strings.TrimSuffix(name, "s") {
		return nil
	}
	kind, known := kinds[strings.ToUpper(object[:1])+object[1:]]
	require.True(a.t, known, "nobody knows ids of %s", object)
	tables := map[models.Kind]string{
		models.KindContact: "contacts", models.KindPractitioner: "practitioners", models.KindService: "services",
		models.KindAppointment: "appointments", models.KindMedicalRecord: "medical_records", models.KindInvoice: "invoices",
	}
	ids := []uuid.UUID{a.clinic.ID}
	if kind != models.KindClinic {
		ids = a.ids(tables[kind])
	}
	return graph.Globals(kind, ids)
}
