package paging_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// fetch reads one page of a list.
type fetch[T any] func(paging.Request) (*paging.Page[T], error)

// require.TestingT is what testing.T and rapid.T have in common.
type tester interface {
	require.TestingT
	Helper()
}

// forwards follows a list from its start, size items at a time, and between
// lets something happen after each page.
func forwards[T any](t tester, get fetch[T], size int, between func()) []*T {
	t.Helper()
	var all []*T
	var after *string
	for {
		page, err := get(paging.Request{First: &size, After: after})
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Items), size)
		require.Equal(t, after != nil, page.HasPrevious)
		all = append(all, page.Items...)
		if !page.HasNext {
			return all
		}
		require.Len(t, page.Items, size, "only the last page is short")
		after = new(page.Cursor(page.Items[size-1]))
		between()
	}
}

// backwards follows a list from its end.
func backwards[T any](t tester, get fetch[T], size int) []*T {
	t.Helper()
	var all []*T
	var before *string
	for {
		page, err := get(paging.Request{Last: &size, Before: before})
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Items), size)
		require.Equal(t, before != nil, page.HasNext)
		all = append(slices.Clone(page.Items), all...)
		if !page.HasPrevious {
			return all
		}
		require.Len(t, page.Items, size, "only the first page is short")
		before = new(page.Cursor(page.Items[0]))
	}
}

func contactIDs(contacts []*models.Contact) []uuid.UUID {
	ids := make([]uuid.UUID, len(contacts))
	for i, contact := range contacts {
		ids[i] = contact.ID
	}
	return ids
}

// orders are one by text and one by time, each both ways.
func orders() []paging.Order[models.Contact] {
	id := func(c *models.Contact) uuid.UUID { return c.ID }
	name := paging.Order[models.Contact]{
		Name: "name", Column: "name_key", Type: "text", ID: id, Key: func(c *models.Contact) string { return c.NameKey },
	}
	created := paging.Order[models.Contact]{
		Name: "created", Column: "created_at", Type: "timestamptz", ID: id,
		Key: func(c *models.Contact) string { return paging.TimeKey(c.CreatedAt) },
	}
	nameDesc, createdDesc := name, created
	nameDesc.Name, nameDesc.Desc = "name/desc", true
	createdDesc.Name, createdDesc.Desc = "created/desc", true
	return []paging.Order[models.Contact]{name, nameDesc, created, createdDesc}
}

// book is a database in which each round of a property has a clinic of its own.
type book struct {
	*testkit.Database
	t    *testing.T
	conn *pgx.Conn
}

func newBook(t *testing.T) *book {
	t.Helper()
	d := testkit.NewDatabase(t)
	return &book{Database: d, t: t, conn: d.Connect(t, d.SuperuserURL)}
}

// clinic makes a clinic and a context for it.
func (b *book) clinic() (uuid.UUID, context.Context) {
	id := uuid.New()
	_, err := b.conn.Exec(b.t.Context(), "INSERT INTO clinics (id, name, slug) VALUES ($1, 'x', $2)", id, "c-"+id.String())
	require.NoError(b.t, err)
	return id, tenant.With(b.t.Context(), &tenant.Scope{Subject: "s", ClinicID: id, Role: models.RoleOwner})
}

// add writes contacts with few different names and times, so that many tie.
func (b *book) add(clinic uuid.UUID, names, minutes []int) {
	var batch pgx.Batch
	for i, name := range names {
		batch.Queue("INSERT INTO contacts (clinic_id, id, name, created_at) VALUES ($1, $2, $3, $4)", clinic, uuid.New(),
			[]string{"Ana", "ÁNA", "Zoë 🦷", "joão, o \"velho\""}[name],
			time.Date(2026, 11, 22, 9, minutes[i], 0, 123456000, time.UTC))
	}
	require.NoError(b.t, b.conn.SendBatch(b.t.Context(), &batch).Close())
}

func (b *book) contacts(ctx context.Context, order paging.Order[models.Contact], count bool) fetch[models.Contact] {
	return func(request paging.Request) (*paging.Page[models.Contact], error) {
		list := paging.List[models.Contact]{
			Table: "contacts", Columns: []string{"name", "name_key", "created_at"}, Order: order, Request: request, Count: count,
		}
		return list.Page(ctx, b.DB, b.Cursors)
	}
}

func draw(t *rapid.T, label string, most int) (names, minutes []int) {
	n := rapid.IntRange(0, most).Draw(t, label)
	return rapid.SliceOfN(rapid.IntRange(0, 3), n, n).Draw(t, "names"), rapid.SliceOfN(rapid.IntRange(0, 3), n, n).Draw(t, "minutes")
}

func TestList_PagesForwardsAndBackwardsAreTheWholeList(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	rapid.Check(t, func(t *rapid.T) {
		clinic, ctx := b.clinic()
		names, minutes := draw(t, "contacts", 15)
		b.add(clinic, names, minutes)
		order := rapid.SampledFrom(orders()).Draw(t, "order")
		size := rapid.IntRange(1, 16).Draw(t, "size")

		direction := "ASC"
		if order.Desc {
			direction = "DESC"
		}
		rows, err := database.Rows[models.Contact](ctx, b.DB,
			fmt.Sprintf("SELECT id FROM contacts ORDER BY %s %s, id %s", order.Column, direction, direction))
		require.NoError(t, err)
		whole := contactIDs(rows)
		require.Len(t, whole, len(names))

		require.ElementsMatch(t, whole, contactIDs(forwards(t, b.contacts(ctx, order, false), size, func() {})))
		require.Equal(t, whole, append([]uuid.UUID{}, contactIDs(forwards(t, b.contacts(ctx, order, false), size, func() {}))...))
		require.Equal(t, whole, append([]uuid.UUID{}, contactIDs(backwards(t, b.contacts(ctx, order, false), size))...))
		page, err := b.contacts(ctx, order, true)(paging.Request{First: &size})
		require.NoError(t, err)
		require.Equal(t, len(whole), page.Total)
	})
}

// What is added while somebody turns the pages is seen at most once, and what
// was there is seen exactly once.
func TestList_PagesStayTrueWhileRowsAreAdded(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	rapid.Check(t, func(t *rapid.T) {
		clinic, ctx := b.clinic()
		names, minutes := draw(t, "contacts", 12)
		b.add(clinic, names, minutes)
		order := rapid.SampledFrom(orders()).Draw(t, "order")
		get := b.contacts(ctx, order, false)
		before := contactIDs(forwards(t, get, 100, func() {}))

		during := 0
		turned := contactIDs(forwards(t, get, rapid.IntRange(1, 5).Draw(t, "size"), func() {
			if during++; during < 8 {
				added, when := draw(t, "added", 3)
				b.add(clinic, added, when)
			}
		}))
		seen := map[uuid.UUID]int{}
		for _, id := range turned {
			seen[id]++
			require.Equal(t, 1, seen[id], "seen twice")
		}
		var again []uuid.UUID
		for _, id := range turned {
			if slices.Contains(before, id) {
				again = append(again, id)
			}
		}
		require.Equal(t, append([]uuid.UUID(nil), before...), again, "in the same order, without a gap")
	})
}

// after and before together cut a piece out of the list.
func TestList_BetweenTwoCursors(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	clinic, ctx := b.clinic()
	b.add(clinic, make([]int, 10), make([]int, 10)) // all tie
	for _, order := range orders() {
		get := b.contacts(ctx, order, true)
		all, err := get(paging.Request{})
		require.NoError(t, err)
		require.Len(t, all.Items, 10)
		after, before := all.Cursor(all.Items[1]), all.Cursor(all.Items[8])
		first, err := get(paging.Request{First: new(3), After: &after, Before: &before})
		require.NoError(t, err)
		require.Equal(t, contactIDs(all.Items[2:5]), contactIDs(first.Items))
		require.True(t, first.HasNext)
		last, err := get(paging.Request{Last: new(3), After: &after, Before: &before})
		require.NoError(t, err)
		require.Equal(t, contactIDs(all.Items[5:8]), contactIDs(last.Items))
		require.True(t, last.HasPrevious)
		require.Equal(t, 10, last.Total, "the whole list is counted")
		none, err := get(paging.Request{After: &before, Before: &after})
		require.NoError(t, err)
		require.Empty(t, none.Items)
	}
}

func recordOrder(desc bool) paging.Order[models.MedicalRecord] {
	return paging.Order[models.MedicalRecord]{
		Name: fmt.Sprint("records/", desc), Column: "created_at", Type: "timestamptz", Desc: desc,
		Key: func(r *models.MedicalRecord) string { return paging.TimeKey(r.CreatedAt) },
		ID:  func(r *models.MedicalRecord) uuid.UUID { return r.ID },
	}
}

// The pages of many parents are those of each parent alone.
func TestList_PagesPerParentAreThoseOfEachParent(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic, other := d.NewClinic(t, "here"), d.NewClinic(t, "there")
	ctx := clinic.As(t.Context(), models.RoleOwner)
	conn := d.Connect(t, d.SuperuserURL)
	var batch pgx.Batch
	for i := range 40 {
		for _, c := range []*testkit.Clinic{clinic, other} {
			batch.Queue(`INSERT INTO medical_records (clinic_id, id, contact_id, practitioner_id, kind, title, body, created_at)
				VALUES ($1, $2, $3, $4, $5, 't', 'b', $6)`, c.ID, uuid.New(), c.Contacts[i%2], c.Practitioners[0],
				models.AllRecordKind[i%3], time.Date(2026, 11, 22, 9, i%5, 0, 0, time.UTC))
		}
	}
	require.NoError(t, conn.SendBatch(t.Context(), &batch).Close())
	parentOf := func(r *models.MedicalRecord) uuid.UUID { return r.ContactID }
	parents := append(slices.Clone(clinic.Contacts), other.Contacts[0], uuid.New(), clinic.Contacts[0])

	rapid.Check(t, func(t *rapid.T) {
		order := recordOrder(rapid.Bool().Draw(t, "desc"))
		narrowed := rapid.Bool().Draw(t, "narrowed")
		list := func(request paging.Request) *paging.List[models.MedicalRecord] {
			list := &paging.List[models.MedicalRecord]{
				Table: "medical_records", Columns: []string{"title", "contact_id"}, Order: order, Request: request, Count: true,
			}
			if narrowed {
				list.Where("kind = ANY(?)", []string{"evolution", "prescription"})
			}
			return list
		}
		request := paging.Request{}
		size := rapid.IntRange(1, 25).Draw(t, "size")
		if rapid.Bool().Draw(t, "forwards") {
			request.First = &size
		} else {
			request.Last = &size
		}
		if rapid.Bool().Draw(t, "cursor") {
			// A place in the first parent's list is a place in all of them.
			start, err := list(paging.Request{First: new(30)}).PagePerParent(ctx, d.DB, d.Cursors, "contact_id", parentOf, parents[:1])
			require.NoError(t, err)
			page := start[parents[0]]
			cursor := page.Cursor(rapid.SampledFrom(page.Items).Draw(t, "item"))
			if request.First != nil {
				request.After = &cursor
			} else {
				request.Before = &cursor
			}
		}
		counted, statements := database.WithStatementCount(ctx)
		pages, err := list(request).PagePerParent(counted, d.DB, d.Cursors, "contact_id", parentOf, parents)
		require.NoError(t, err)
		require.EqualValues(t, 2, statements.Load())
		require.Len(t, pages, len(parents)-1)
		for _, parent := range parents {
			alone := list(request)
			alone.Where("contact_id = ?", parent)
			want, err := alone.Page(ctx, d.DB, d.Cursors)
			require.NoError(t, err)
			got := pages[parent]
			require.Equal(t, want.Items, got.Items)
			require.Equal(t, want.HasNext, got.HasNext)
			require.Equal(t, want.HasPrevious, got.HasPrevious)
			require.Equal(t, want.Total, got.Total)
		}
	})
}

func TestList_RefusesSizesAndForeignCursors(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	clinic, ctx := b.clinic()
	_, elsewhere := b.clinic()
	b.add(clinic, []int{0, 1, 2}, []int{0, 1, 2})
	get := b.contacts(ctx, orders()[0], false)
	page, err := get(paging.Request{})
	require.NoError(t, err)
	cursor := page.Cursor(page.Items[0])
	for name, attempt := range map[string]struct {
		get     fetch[models.Contact]
		request paging.Request
	}{
		"first: 0":         {get, paging.Request{First: new(0)}},
		"first: 101":       {get, paging.Request{First: new(101)}},
		"first: -1":        {get, paging.Request{First: new(-1)}},
		"last: 0":          {get, paging.Request{Last: new(0)}},
		"last: 101":        {get, paging.Request{Last: new(101)}},
		"first and last":   {get, paging.Request{First: new(1), Last: new(1)}},
		"an empty cursor":  {get, paging.Request{After: new("")}},
		"a forged cursor":  {get, paging.Request{Before: new("bm90IGEgY3Vyc29y")}},
		"another order":    {b.contacts(ctx, orders()[1], false), paging.Request{After: &cursor}},
		"another column":   {b.contacts(ctx, orders()[2], false), paging.Request{After: &cursor}},
		"another clinic":   {b.contacts(elsewhere, orders()[0], false), paging.Request{After: &cursor}},
		"at the other end": {b.contacts(elsewhere, orders()[0], false), paging.Request{Before: &cursor}},
	} {
		_, err := attempt.get(attempt.request)
		var refused *models.Error
		require.ErrorAs(t, err, &refused, name)
		require.Equal(t, models.BadUserInput, refused.Code, name)
	}
	for _, size := range []int{1, 100} {
		require.NoError(t, paging.Request{First: &size}.Check())
		require.NoError(t, paging.Request{Last: &size}.Check())
		_, err := get(paging.Request{First: &size, After: &cursor})
		require.NoError(t, err)
	}
	_, err = b.contacts(t.Context(), orders()[0], false)(paging.Request{})
	require.ErrorIs(t, err, tenant.ErrNoScope)
}

// A short list in memory pages like one in the database.
func TestOfSlice_PagesLikeAList(t *testing.T) {
	t.Parallel()
	cursors := newCursors(t)
	ctx := tenant.With(t.Context(), &tenant.Scope{Subject: "s", ClinicID: someClinic, Role: models.RoleOwner})
	order := orders()[0]
	rapid.Check(t, func(t *rapid.T) {
		var all []*models.Contact
		for range rapid.IntRange(0, 12).Draw(t, "n") {
			all = append(all, &models.Contact{ID: uuid.New(), NameKey: rapid.SampledFrom([]string{"a", "b", "ç"}).Draw(t, "name")})
		}
		slices.SortFunc(all, func(a, b *models.Contact) int {
			if a.NameKey != b.NameKey {
				return slices.Compare([]byte(a.NameKey), []byte(b.NameKey))
			}
			return slices.Compare(a.ID[:], b.ID[:])
		})
		get := func(request paging.Request) (*paging.Page[models.Contact], error) {
			return paging.OfSlice(ctx, all, order, request, cursors)
		}
		size := rapid.IntRange(1, 13).Draw(t, "size")
		require.Equal(t, contactIDs(all), contactIDs(forwards(t, get, size, func() {})))
		require.Equal(t, contactIDs(all), contactIDs(backwards(t, get, size)))
		_, err := get(paging.Request{First: new(0)})
		require.Error(t, err)
		_, err = get(paging.Request{After: new("x")})
		require.Error(t, err)
	})
}
