package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/models"
)

// Page is a page of a list, of which ids alone are looked at.
type Page struct {
	Nodes    []struct{ ID string }
	Edges    []struct{ Cursor string }
	PageInfo struct {
		HasNextPage, HasPreviousPage bool
		StartCursor, EndCursor       *string
	}
	TotalCount int
}

// Paged is what a document selects of a connection to fill a Page, its total too.
const Paged = "{ nodes { id } edges { cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount }"

// IDs are those of the entities on the page.
func (p *Page) IDs() []uuid.UUID {
	ids := make([]uuid.UUID, len(p.Nodes))
	for i, node := range p.Nodes {
		ids[i] = IDOf(node.ID)
	}
	return ids
}

// IDOf is the UUID in a global id; the nil UUID for what is none.
func IDOf(global string) uuid.UUID {
	_, id, err := models.ParseGlobal(global)
	if err != nil {
		return uuid.Nil
	}
	return id
}

// Globals gives ids as clients have them.
func Globals(kind models.Kind, ids []uuid.UUID) []string {
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = kind.Global(id)
	}
	return all
}

// Args writes a field's arguments as GraphQL has them: those with nil values are left
// out. Enums are given as their Go values, which are their names.
func Args(args map[string]any) string {
	var text strings.Builder
	for name, value := range args {
		if written := literal(value); written != "" {
			text.WriteString(" " + name + ": " + written)
		}
	}
	if text.String() == "" {
		return ""
	}
	return "(" + text.String()[1:] + ")"
}

// Enum is an enum's value, or several, as they stand in a document.
type Enum string

// Enums is a list of an enum's values; nil is none given.
func Enums[E ~string](values []E) any {
	if values == nil {
		return nil
	}
	return Enum(fmt.Sprint(values))
}

func literal(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case Enum:
		return string(v)
	case map[string]any:
		var text strings.Builder
		text.WriteString("{")
		for name, of := range v {
			if written := literal(of); written != "" {
				text.WriteString(" " + name + ": " + written)
			}
		}
		return text.String() + " }"
	}
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	switch text[0] {
	case 'n': // null
		return ""
	case '{':
		var object map[string]any
		if err := json.Unmarshal(text, &object); err != nil {
			panic(err)
		}
		return literal(object)
	}
	return string(text)
}

// Page reads a page of one of Query's lists.
func (g *Graph) Page(t T, ctx context.Context, field string, args map[string]any) (*Page, error) { //nolint:revive // a test comes first
	t.Helper()
	var data struct{ List *Page }
	err := g.Try(t, ctx, "{ list: "+field+Args(args)+Paged+" }", nil, &data)
	return data.List, err
}

// PagesOf reads the same page of a list of several parents at once; who is not there is
// not in the map.
func (g *Graph) PagesOf(
	t T, ctx context.Context, kind models.Kind, parents []uuid.UUID, field string, args map[string]any, //nolint:revive // a test comes first
) (map[uuid.UUID]*Page, error) {
	t.Helper()
	var data struct {
		Nodes []*struct {
			ID   string
			List *Page
		}
	}
	object := map[models.Kind]string{
		models.KindContact: "Contact", models.KindPractitioner: "Practitioner", models.KindAppointment: "Appointment", models.KindClinic: "Clinic",
	}[kind]
	require.NotEmpty(t, object)
	err := g.Try(t, ctx, "query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on "+object+" { list: "+field+Args(args)+Paged+" } } }",
		map[string]any{"ids": Globals(kind, parents)}, &data)
	pages := map[uuid.UUID]*Page{}
	for _, node := range data.Nodes {
		if node != nil {
			pages[IDOf(node.ID)] = node.List
		}
	}
	return pages, err
}
