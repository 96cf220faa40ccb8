package entity

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/models"
)

func TestIn_TellsNoListFromAnEmptyOne(t *testing.T) {
	t.Parallel()
	const active, lead = models.ContactStatusActive, models.ContactStatusLead
	for name, c := range map[string]struct {
		values []models.ContactStatus
		wanted Query
	}{
		"not given":             {nil, Query{}},
		"of none":               {[]models.ContactStatus{}, Query{nothing: true}},
		"of one":                {[]models.ContactStatus{active}, Query{conditions: []condition{{sql: "status = ?", values: []any{"ativo"}}}}},
		"of one, named twice":   {[]models.ContactStatus{active, active}, Query{conditions: []condition{{sql: "status = ?", values: []any{"ativo"}}}}},
		"of two":                {[]models.ContactStatus{lead, active}, Query{each: &each{condition{sql: "status", values: []any{[]string{"ativo", "lead"}}}, "text[]"}}},
		"of two, in disorder":   {[]models.ContactStatus{active, lead, lead, active}, Query{each: &each{condition{sql: "status", values: []any{[]string{"ativo", "lead"}}}, "text[]"}}},
		"of what is no status":  {[]models.ContactStatus{"x"}, Query{}},
		"of what is one or not": {[]models.ContactStatus{active, "x"}, Query{}},
	} {
		q := &Query{}
		err := In(q, "status", c.values)
		require.Equal(t, c.wanted, *q, name)
		require.Equal(t, name == "of what is no status" || name == "of what is one or not", err != nil, name)
	}
	// A list is read once per value of one column; a second column is a condition.
	q := &Query{}
	require.NoError(t, In(q, "status", []models.ContactStatus{lead, active}))
	require.NoError(t, In(q, "other", []models.ContactStatus{lead, active}))
	require.Equal(t, "status", q.each.sql)
	require.Equal(t, []condition{{sql: "other = ANY(?)", values: []any{[]string{"ativo", "lead"}}}}, q.conditions)
}

func TestWithin_IsHalfOpen(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	later := at.Add(time.Hour)
	for name, c := range map[string]struct {
		span   *models.DateTimeRange
		wanted Query
	}{
		"no range":  {nil, Query{}},
		"no ends":   {&models.DateTimeRange{}, Query{}},
		"a start":   {&models.DateTimeRange{From: &at}, Query{conditions: []condition{{sql: "c >= ?", values: []any{at}}}}},
		"an end":    {&models.DateTimeRange{To: &at}, Query{conditions: []condition{{sql: "c < ?", values: []any{at}}}}},
		"both":      {&models.DateTimeRange{From: &at, To: &later}, Query{conditions: []condition{{sql: "c >= ?", values: []any{at}}, {sql: "c < ?", values: []any{later}}}}},
		"a moment":  {&models.DateTimeRange{From: &at, To: &at}, Query{nothing: true}},
		"in a zone": {&models.DateTimeRange{From: &at, To: new(at.In(time.FixedZone("", -3*60*60)))}, Query{nothing: true}},
	} {
		q := &Query{}
		require.NoError(t, q.Within("c", c.span), name)
		require.Equal(t, c.wanted, *q, name)
	}
	var refused *models.Error
	require.ErrorAs(t, (&Query{}).Within("c", &models.DateTimeRange{From: &later, To: &at}), &refused)
	require.Equal(t, models.BadUserInput, refused.Code)
}

func TestPointsAt_TakesTheKindsIDsAlone(t *testing.T) {
	t.Parallel()
	id := models.NewID()
	q := &Query{}
	require.NoError(t, q.PointsAt("contact_id", "contactId", models.KindContact, nil))
	require.Equal(t, Query{}, *q)
	require.NoError(t, q.PointsAt("contact_id", "contactId", models.KindContact, new(models.KindContact.Global(id))))
	require.Equal(t, []condition{{sql: "contact_id = ?", values: []any{id}}}, q.conditions)
	for _, wrong := range []string{"", "x", id.String(), models.KindService.Global(id)} {
		var refused *models.Error
		require.ErrorAs(t, q.PointsAt("contact_id", "contactId", models.KindContact, &wrong), &refused, wrong)
		require.Equal(t, models.BadUserInput, refused.Code)
		if wrong != "" {
			require.NotContains(t, refused.Message, wrong)
		}
	}
}

func TestWhereWide_HidesTheIndexFromPagesAlone(t *testing.T) {
	t.Parallel()
	q := &Query{}
	q.Where("a = ?", 1)
	q.WhereWide("b >= ?", 2)
	q.WhereWideBeside("EXISTS (SELECT FROM others WHERE c = ?)", 3)
	page, count := &statement{}, &statement{counting: true}
	for i, spelt := range []string{"a = ?", "(b >= ?) IS TRUE", "(SELECT EXISTS (SELECT FROM others WHERE c = ?))"} {
		require.Equal(t, spelt, page.spelt(q.conditions[i]))
		require.Equal(t, q.conditions[i].sql, count.spelt(q.conditions[i]))
	}
}
