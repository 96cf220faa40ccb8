package entity_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/graph"
	"github.com/taskmed/taskmed/models"
)

// fetch reads one page of a list.
type fetch func(args map[string]any) (*graph.Page, error)

// forwards follows a list from its start, size items at a time, and between lets
// something happen after each page.
func forwards(t graph.T, get fetch, size int, between func()) []uuid.UUID {
	t.Helper()
	all := []uuid.UUID{}
	args := map[string]any{"first": size}
	for {
		page, err := get(args)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Nodes), size)
		require.Equal(t, args["after"] != nil, page.PageInfo.HasPreviousPage)
		requireCursors(t, page)
		all = append(all, page.IDs()...)
		if !page.PageInfo.HasNextPage {
			return all
		}
		require.Len(t, page.Nodes, size, "only the last page is short")
		args["after"] = page.PageInfo.EndCursor
		between()
	}
}

// backwards follows a list from its end.
func backwards(t graph.T, get fetch, size int) []uuid.UUID {
	t.Helper()
	all := []uuid.UUID{}
	args := map[string]any{"last": size}
	for {
		page, err := get(args)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Nodes), size)
		require.Equal(t, args["before"] != nil, page.PageInfo.HasNextPage)
		requireCursors(t, page)
		all = append(page.IDs(), all...)
		if !page.PageInfo.HasPreviousPage {
			return all
		}
		require.Len(t, page.Nodes, size, "only the first page is short")
		args["before"] = page.PageInfo.StartCursor
	}
}

func requireCursors(t graph.T, page *graph.Page) {
	t.Helper()
	require.Len(t, page.Edges, len(page.Nodes))
	if len(page.Nodes) == 0 {
		require.Nil(t, page.PageInfo.StartCursor)
		require.Nil(t, page.PageInfo.EndCursor)
		return
	}
	require.Equal(t, page.Edges[0].Cursor, *page.PageInfo.StartCursor)
	require.Equal(t, page.Edges[len(page.Edges)-1].Cursor, *page.PageInfo.EndCursor)
}

// order is one of contacts, with the column that stands for it.
type order struct {
	field     graph.Enum
	column    string
	direction graph.Enum
}

func (o order) arg() map[string]any {
	return map[string]any{"field": o.field, "direction": o.direction}
}

// orders are one by text and two by time, each both ways.
func orders() (all []order) {
	for field, column := range map[graph.Enum]string{"NAME": "name_key", "CREATED_AT": "created_at", "UPDATED_AT": "updated_at"} {
		all = append(all, order{field, column, "ASC"}, order{field, column, "DESC"})
	}
	slices.SortFunc(all, func(a, b order) int {
		return strings.Compare(a.column+string(a.direction), b.column+string(b.direction))
	})
	return all
}

// book is a database in which each round of a property has a clinic of its own.
type book struct {
	*testkit.Database
	t     *testing.T
	graph *graph.Graph
	conn  *pgx.Conn
}

func newBook(t *testing.T) *book {
	t.Helper()
	d := testkit.NewDatabase(t)
	return &book{Database: d, t: t, graph: graph.New(t, d.DB, d.Cursors, time.Now), conn: d.Connect(t, d.SuperuserURL)}
}

// clinic makes a clinic and a context for it.
func (b *book) clinic() (uuid.UUID, context.Context) {
	id := uuid.New()
	_, err := b.conn.Exec(b.t.Context(), "INSERT INTO clinics (id, name, slug) VALUES ($1, 'x', $2)", id, "c-"+id.String())
	require.NoError(b.t, err)
	return id, tenant.With(b.t.Context(), &tenant.Scope{Subject: "s", ClinicID: id, Role: models.RoleOwner})
}

// drawn are contacts of few different names, times and statuses, so that many tie.
type drawn []struct{ name, minute, status int }

func draw(t *rapid.T, label string, most int) drawn {
	contacts := make(drawn, rapid.IntRange(0, most).Draw(t, label))
	small := rapid.IntRange(0, 3)
	for i := range contacts {
		contacts[i].name, contacts[i].minute, contacts[i].status = small.Draw(t, "name"), small.Draw(t, "minute"), small.Draw(t, "status")
	}
	return contacts
}

func (b *book) add(clinic uuid.UUID, contacts drawn) {
	var batch pgx.Batch
	for _, c := range contacts {
		at := time.Date(2026, 11, 22, 9, c.minute, 0, 123456000, time.UTC)
		batch.Queue("INSERT INTO contacts (clinic_id, id, name, created_at, updated_at, status) VALUES ($1, $2, $3, $4, $5, $6)", clinic, uuid.New(),
			[]string{"Ana", "ÁNA", "Zoë 🦷", "joão, o \"velho\""}[c.name], at, at.Add(time.Hour), models.AllContactStatus[c.status])
	}
	require.NoError(b.t, b.conn.SendBatch(b.t.Context(), &batch).Close())
}

// contacts reads pages of a clinic's contacts.
func (b *book) contacts(ctx context.Context, fixed map[string]any) fetch {
	return func(args map[string]any) (*graph.Page, error) {
		all := maps.Clone(fixed)
		if all == nil {
			all = map[string]any{}
		}
		maps.Copy(all, args)
		return b.graph.Page(b.t, ctx, "contacts", all)
	}
}

// bySQL gives the ids that a statement written by hand answers with.
func (b *book) bySQL(t graph.T, sql string, args ...any) []uuid.UUID {
	t.Helper()
	rows, err := b.conn.Query(b.t.Context(), sql, args...)
	require.NoError(t, err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	require.NoError(t, err)
	return ids
}

// Of every order, and of every filter by status: none given, of no status, of one, of
// several, some of them named twice.
func TestList_PagesForwardsAndBackwardsAreTheWholeList(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	rapid.Check(t, func(t *rapid.T) {
		clinic, ctx := b.clinic()
		b.add(clinic, draw(t, "contacts", 15))
		by := rapid.SampledFrom(orders()).Draw(t, "order")
		size := rapid.IntRange(1, 16).Draw(t, "size")
		fixed := map[string]any{"orderBy": by.arg()}
		// Archived contacts are left out unless they are asked for.
		statuses := []models.ContactStatus{models.ContactStatusActive, models.ContactStatusInactive, models.ContactStatusLead}
		if rapid.Bool().Draw(t, "filtered") {
			statuses = rapid.SliceOfN(rapid.SampledFrom(models.AllContactStatus), 0, 5).Draw(t, "statuses")
			fixed["filter"] = map[string]any{"status": graph.Enums(append([]models.ContactStatus{}, statuses...))}
		}
		words, err := models.StoredWords(statuses)
		require.NoError(t, err)
		whole := b.bySQL(t, fmt.Sprintf("SELECT id FROM contacts WHERE clinic_id = $1 AND status = ANY($2) ORDER BY %[1]s %[2]s, id %[2]s", by.column, by.direction), clinic, words)

		require.Equal(t, whole, forwards(t, b.contacts(ctx, fixed), size, func() {}))
		require.Equal(t, whole, backwards(t, b.contacts(ctx, fixed), size))
		page, err := b.contacts(ctx, fixed)(map[string]any{"first": size})
		require.NoError(t, err)
		require.Equal(t, len(whole), page.TotalCount)
	})
}

// What is added while somebody turns the pages is seen at most once, and what was there
// is seen exactly once.
func TestList_PagesStayTrueWhileRowsAreAdded(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	rapid.Check(t, func(t *rapid.T) {
		clinic, ctx := b.clinic()
		b.add(clinic, draw(t, "contacts", 12))
		get := b.contacts(ctx, map[string]any{"orderBy": rapid.SampledFrom(orders()).Draw(t, "order").arg()})
		before := forwards(t, get, 100, func() {})

		during := 0
		turned := forwards(t, get, rapid.IntRange(1, 5).Draw(t, "size"), func() {
			if during++; during < 8 {
				b.add(clinic, draw(t, "added", 3))
			}
		})
		again := []uuid.UUID{}
		seen := map[uuid.UUID]bool{}
		for _, id := range turned {
			require.False(t, seen[id], "seen twice")
			seen[id] = true
			if slices.Contains(before, id) {
				again = append(again, id)
			}
		}
		require.Equal(t, before, again, "in the same order, without a gap")
	})
}

// after and before together cut a piece out of the list.
func TestList_BetweenTwoCursors(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	clinic, ctx := b.clinic()
	b.add(clinic, make(drawn, 10)) // all tie
	for _, by := range orders() {
		get := b.contacts(ctx, map[string]any{"orderBy": by.arg()})
		all, err := get(nil)
		require.NoError(t, err)
		require.Len(t, all.Nodes, 10)
		after, before := all.Edges[1].Cursor, all.Edges[8].Cursor
		first, err := get(map[string]any{"first": 3, "after": after, "before": before})
		require.NoError(t, err)
		require.Equal(t, all.IDs()[2:5], first.IDs())
		require.True(t, first.PageInfo.HasNextPage)
		last, err := get(map[string]any{"last": 3, "after": after, "before": before})
		require.NoError(t, err)
		require.Equal(t, all.IDs()[5:8], last.IDs())
		require.True(t, last.PageInfo.HasPreviousPage)
		require.Equal(t, 10, last.TotalCount, "the whole list is counted")
		none, err := get(map[string]any{"after": before, "before": after})
		require.NoError(t, err)
		require.Empty(t, none.Nodes)
	}
}

// The pages of many parents are those of each parent alone.
func TestList_PagesPerParentAreThoseOfEachParent(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	clinic, other := b.NewClinic(t, "here"), b.NewClinic(t, "there")
	ctx := clinic.As(t.Context(), models.RoleOwner)
	var batch pgx.Batch
	for i := range 40 {
		for _, c := range []*testkit.Clinic{clinic, other} {
			batch.Queue(`INSERT INTO medical_records (clinic_id, id, contact_id, practitioner_id, kind, title, body, created_at)
				VALUES ($1, $2, $3, $4, $5, 't', 'b', $6)`, c.ID, uuid.New(), c.Contacts[i%2], c.Practitioners[0],
				models.AllRecordKind[i%3], time.Date(2026, 11, 22, 9, i%5, 0, 0, time.UTC))
		}
	}
	require.NoError(t, b.conn.SendBatch(t.Context(), &batch).Close())
	parents := append(slices.Clone(clinic.Contacts), other.Contacts[0], uuid.New(), clinic.Contacts[0])
	many := func(ctx context.Context, parents []uuid.UUID, args map[string]any) map[uuid.UUID]*graph.Page {
		pages, err := b.graph.PagesOf(t, ctx, models.KindContact, parents, "medicalRecords", args)
		require.NoError(t, err)
		return pages
	}

	rapid.Check(t, func(t *rapid.T) {
		args := map[string]any{}
		if rapid.Bool().Draw(t, "narrowed") {
			args["kind"] = graph.Enums(rapid.SliceOfN(rapid.SampledFrom(models.AllRecordKind[:4]), 1, 4).Draw(t, "kinds"))
		}
		size, cursor := "last", "before"
		if rapid.Bool().Draw(t, "forwards") {
			size, cursor = "first", "after"
		}
		if rapid.Bool().Draw(t, "cursor") {
			// A place in the first parent's list is a place in all of them.
			start := many(ctx, parents[:1], map[string]any{"first": 30})[parents[0]]
			args[cursor] = rapid.SampledFrom(start.Edges).Draw(t, "item").Cursor
		}
		args[size] = rapid.IntRange(1, 25).Draw(t, "size")
		counted, counts := database.WithCounts(ctx)
		pages := many(counted, parents, args)
		require.EqualValues(t, 3, counts.Statements.Load(), "the contacts, their pages, their counts")
		require.EqualValues(t, 2, counts.RoundTrips.Load())
		require.Len(t, pages, len(clinic.Contacts), "whom the clinic has not is not there")
		for _, parent := range clinic.Contacts {
			require.Equal(t, many(ctx, []uuid.UUID{parent}, args)[parent], pages[parent])
		}
	})
}

func TestList_RefusesSizesAndForeignCursors(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	clinic, ctx := b.clinic()
	_, elsewhere := b.clinic()
	b.add(clinic, drawn{{0, 0, 0}, {1, 1, 1}, {2, 2, 2}})
	get := b.contacts(ctx, nil)
	page, err := get(nil)
	require.NoError(t, err)
	cursor := page.Edges[0].Cursor
	for name, attempt := range map[string]struct {
		get  fetch
		args map[string]any
	}{
		"first: 0":         {get, map[string]any{"first": 0}},
		"first: 101":       {get, map[string]any{"first": 101}},
		"first: -1":        {get, map[string]any{"first": -1}},
		"last: 0":          {get, map[string]any{"last": 0}},
		"last: 101":        {get, map[string]any{"last": 101}},
		"first and last":   {get, map[string]any{"first": 1, "last": 1}},
		"an empty cursor":  {get, map[string]any{"after": ""}},
		"a forged cursor":  {get, map[string]any{"before": "bm90IGEgY3Vyc29y"}},
		"the other way":    {b.contacts(ctx, map[string]any{"orderBy": order{"NAME", "", "DESC"}.arg()}), map[string]any{"after": cursor}},
		"another column":   {b.contacts(ctx, map[string]any{"orderBy": order{"CREATED_AT", "", "ASC"}.arg()}), map[string]any{"after": cursor}},
		"another clinic":   {b.contacts(elsewhere, nil), map[string]any{"after": cursor}},
		"at the other end": {b.contacts(elsewhere, nil), map[string]any{"before": cursor}},
	} {
		_, err := attempt.get(attempt.args)
		badInput(t, err, name)
	}
	for _, size := range []int{1, 100} {
		for _, end := range []string{"first", "last"} {
			_, err := get(map[string]any{end: size, "after": cursor})
			require.NoError(t, err)
		}
	}
	same, err := b.contacts(ctx, map[string]any{"orderBy": order{"NAME", "", "ASC"}.arg()})(map[string]any{"after": cursor})
	require.NoError(t, err, "the list's own order, named")
	require.Len(t, same.Nodes, 2)
	_, err = b.contacts(t.Context(), nil)(nil)
	require.ErrorIs(t, err, tenant.ErrNoScope)
}

func badInput(t graph.T, err error, of string) {
	t.Helper()
	var refused *models.Error
	require.ErrorAs(t, err, &refused, of)
	require.Equal(t, models.BadUserInput, refused.Code, of)
}

// A list of the clinic's own is that of the request's clinic, and of no other.
func TestList_OfAClinicIsTheRequestsOwn(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	here, there := b.NewClinic(t, "here"), b.NewClinic(t, "there")
	for _, clinic := range []*testkit.Clinic{here, there} {
		for field, wanted := range map[string][]uuid.UUID{"practitioners": clinic.Practitioners, "services": clinic.Services} {
			pages, err := b.graph.PagesOf(t, clinic.As(t.Context(), models.RoleOwner), models.KindClinic, []uuid.UUID{here.ID, there.ID}, field, nil)
			require.NoError(t, err)
			require.Len(t, pages, 1)
			require.ElementsMatch(t, wanted, pages[clinic.ID].IDs())
			require.Equal(t, 2, pages[clinic.ID].TotalCount)
		}
	}
	b.Exec(t, "UPDATE services SET active = false WHERE id = $1", here.Services[0])
	for active, wanted := range map[bool]uuid.UUID{true: here.Services[1], false: here.Services[0]} {
		pages, err := b.graph.PagesOf(t, here.As(t.Context(), models.RoleOwner), models.KindClinic, []uuid.UUID{here.ID}, "services", map[string]any{"active": active})
		require.NoError(t, err)
		require.Equal(t, []uuid.UUID{wanted}, pages[here.ID].IDs())
		require.Equal(t, 1, pages[here.ID].TotalCount)
	}
	// A membership shows other clinics, whose lists cannot be read in passing.
	b.Exec(t, "INSERT INTO memberships (clinic_id, id, subject, name, role) VALUES ($1, gen_random_uuid(), $2, 'x', 'owner')",
		there.ID, testkit.Subject("here", models.RoleOwner))
	err := b.graph.Try(t, here.As(t.Context(), models.RoleOwner), "{ viewer { memberships { clinic { name services { totalCount } } } } }", nil, nil)
	var refused *models.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, models.Forbidden, refused.Code)
}
