package writer_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"time"

	"github.com/google/uuid"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/internal/objects"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/models"
)

// world makes random values of what an operation asks for.
type world struct {
	dice   *rand.Rand
	table  *objects.Table
	schema *ast.Schema
	// calm worlds have no errors, and nothing that is missing or null in them but
	// texts; roots are never null.
	calm bool
	// made are entities that may be shown again somewhere else.
	made  map[*objects.Object][]any
	count int
}

var errFetching = errors.New("it could not be fetched")

func (w *world) rarely(in int) bool { return !w.calm && w.dice.IntN(in) == 0 }

// answer is what a resolver would give for a field, with all that is selected
// below it kept.
func (w *world) answer(field *selection.Field) (any, error) {
	of := field.Of
	if w.rarely(150) {
		return nil, errFetching
	}
	if w.rarely(12) && !of.NonNull {
		return nil, nil
	}
	value := w.value(of)
	w.fetch(field, value)
	return value, nil
}

// value is a value of a field's Go type.
func (w *world) value(of *objects.Field) any {
	if !of.List {
		return w.one(of)
	}
	element := w.goType(of)
	list := reflect.MakeSlice(reflect.SliceOf(element), 0, 4)
	for range w.few() {
		one := reflect.New(element).Elem()
		switch {
		case w.rarely(100):
		case w.rarely(20) && of.Target == nil:
			one.Set(reflect.ValueOf((*models.Contact)(nil)))
		default:
			one.Set(reflect.ValueOf(w.one(of)))
		}
		list = reflect.Append(list, one)
	}
	if list.Len() == 0 && w.rarely(2) {
		list = reflect.Zero(list.Type())
	}
	return list.Interface()
}

func (w *world) goType(of *objects.Field) reflect.Type {
	if of.Target != nil {
		return reflect.TypeOf(of.Target.Value)
	}
	if of.Result != "Node" {
		panic("tell the test what Go type the interface " + of.Result + " has")
	}
	return reflect.TypeFor[models.Node]()
}

func (w *world) one(of *objects.Field) any {
	object := of.Target
	if object == nil {
		possible := w.schema.GetPossibleTypes(w.schema.Types[of.Result])
		object = w.table.Named(possible[w.dice.IntN(len(possible))].Name)
	}
	if shown := w.made[object]; len(shown) > 0 && (w.rarely(5) || w.count > largestWorld) {
		return shown[w.dice.IntN(len(shown))]
	}
	if connection, ok := w.connection(object.Name); ok && w.dice.IntN(2) == 0 {
		return connection
	}
	made := reflect.New(reflect.TypeOf(object.Value).Elem())
	w.fill(made.Elem(), 0)
	w.made[object] = append(w.made[object], made.Interface())
	w.count++
	return made.Interface()
}

// connection is a connection as the tables make it: the same entities stand in
// its nodes and its edges.
func (w *world) connection(name string) (any, bool) {
	object := w.table.Named(name)
	nodes := object.Fields["nodes"]
	if nodes == nil {
		return nil, false
	}
	page := objects.Page{Nodes: w.value(nodes), Total: w.dice.IntN(99)}
	if n, _ := nodes.Length(page.Nodes); n < 0 {
		page.Nodes = reflect.MakeSlice(reflect.TypeOf(page.Nodes), 0, 0).Interface()
	} else if w.dice.IntN(2) == 0 {
		page.Cursors = make([]string, n)
	}
	if !w.rarely(20) {
		page.Info = &models.PageInfo{HasNextPage: true}
	}
	return w.table.Connection(name, page)
}

// largestWorld bounds the entities of a world: with lists below lists there is no
// end to them otherwise.
const largestWorld = 500

func (w *world) few() int {
	if w.count > largestWorld {
		return 0
	}
	if w.calm {
		return 2
	}
	return w.dice.IntN(4)
}

// fetch keeps what is selected below a value for its places.
func (w *world) fetch(field *selection.Field, value any) {
	if value == nil {
		return
	}
	values := []any{value}
	if field.Of.List {
		values = field.Of.Elements(value)
	}
	for _, value := range values {
		object := w.table.Of(value)
		if object == nil {
			continue
		}
		if null, _ := object.Nil(value); null {
			continue
		}
		for _, selected := range field.On(object.Name) {
			of := selected.Of
			switch {
			case of == nil || of.Leaf != nil:
			case of.Part != nil:
				w.fetch(selected, of.Part(value))
			default:
				w.keep(selected, value)
			}
		}
	}
}

func (w *world) keep(field *selection.Field, entity any) {
	keeper, ok := entity.(interface {
		Keep(place, child any, err error)
		Kept(place any) (any, bool, error)
	})
	if !ok {
		panic(fmt.Sprintf("%T has relations and does not embed models.Prefetched", entity))
	}
	if _, found, _ := keeper.Kept(field); found || w.rarely(200) {
		return
	}
	switch {
	case w.rarely(200):
		keeper.Keep(field, nil, nil)
	case w.rarely(40) && !field.Of.List && field.Of.Target != nil && (!field.Of.NonNull || w.rarely(4)):
		keeper.Keep(field, field.Of.Target.Value, nil) // a nil pointer
	default:
		child, err := w.answer(field)
		keeper.Keep(field, child, err)
	}
}

const deepest = 4

// fill fills a Go value with anything that its type may have.
func (w *world) fill(v reflect.Value, depth int) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(w.instant()))
		return
	case models.Date:
		v.Set(reflect.ValueOf(models.DateOf(w.instant())))
		return
	case models.JSON:
		texts := []models.JSON{nil, {}, models.JSON(`{"a": [1, "é<&>"]}`), models.JSON(`"\u2028"`), models.JSON("null")}
		v.Set(reflect.ValueOf(texts[w.dice.IntN(len(texts))]))
		return
	case uuid.UUID:
		var id uuid.UUID
		for i := range id {
			id[i] = byte(w.dice.IntN(256))
		}
		v.Set(reflect.ValueOf(id))
		return
	case models.Prefetched:
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(w.text(v.Type().Name()))
	case reflect.Bool:
		v.SetBool(w.dice.IntN(2) == 0)
	case reflect.Int, reflect.Int64:
		v.SetInt([]int64{0, 1, -1, 1 << 31, -1 << 63, 1<<63 - 1, w.dice.Int64()}[w.dice.IntN(7)])
	case reflect.Uint8:
		v.SetUint(uint64(w.dice.IntN(256)))
	case reflect.Struct:
		for _, field := range v.Fields() {
			w.fill(field, depth)
		}
	case reflect.Pointer:
		w.point(v, depth)
	case reflect.Slice:
		n := w.few()
		if depth >= deepest {
			n = 0
		}
		if n == 0 && w.dice.IntN(2) == 0 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			w.fill(v.Index(i), depth+1)
		}
	default:
		panic(fmt.Sprintf("tell the test how to fill a %s", v.Type()))
	}
}

func (w *world) point(v reflect.Value, depth int) {
	null := w.dice.IntN(4) == 0
	if w.table.Of(v.Interface()) != nil {
		null = w.rarely(60) || depth >= deepest
	}
	if null {
		return
	}
	v.Set(reflect.New(v.Type().Elem()))
	w.fill(v.Elem(), depth+1)
}

func (w *world) instant() time.Time {
	far := []time.Time{
		{},
		time.Date(12026, 1, 2, 3, 4, 5, 6000, time.UTC), time.Date(-44, 3, 15, 0, 0, 0, 0, time.UTC),
		time.Date(2026, 2, 28, 23, 59, 59, 999_999_999, time.FixedZone("", -3*3600)),
	}
	if i := w.dice.IntN(12); i < len(far) {
		return far[i]
	}
	return time.Unix(w.dice.Int64N(1<<33), w.dice.Int64N(1e9))
}

func (w *world) text(typeName string) string {
	if enum := w.schema.Types[typeName]; enum != nil && enum.Kind == ast.Enum && w.dice.IntN(30) > 0 {
		return enum.EnumValues[w.dice.IntN(len(enum.EnumValues))].Name
	}
	pieces := []string{
		"", "Ana", "São Paulo", "\"", `\`, "\x00", "\x1f", "\n\r\t", "\x7f", "<&>'", "\u2028\u2029", "\xff\xfe", "\xe2\x80", "😀", "\ufeff", "%s", "\b\f",
	}
	text := ""
	for range w.dice.IntN(4) {
		text += pieces[w.dice.IntN(len(pieces))]
	}
	return text
}
