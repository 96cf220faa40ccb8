package people

import (
	"context"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/cachetag"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// longestSearch bounds a search's text, in characters.
const longestSearch = 100

// searchList binds the cursors of a search. A cursor stands for a place in the
// order of one text's matches and means nothing in another's, so the text is
// part of the name.
const searchList = "search/"

// SearchQuery says which contacts are looked for.
type SearchQuery struct {
	// Text is 1 to 100 characters, not counting blanks at its ends; words beyond
	// the eighth are not looked for.
	Text    string
	Request paging.Request
	// Count asks for the total: all that paging on would give.
	Count bool
}

// found is a contact with its place in the order of matches.
type found struct {
	models.Contact
	SearchRank int
	SearchLine string
}

// SearchContacts finds contacts by name, preferred name, e-mail, phone or CPF,
// the best match first (search_contacts in migrations says how well is well),
// in one statement, or two with the total. A text that cannot be looked for is
// BAD_USER_INPUT.
func (d *Directory) SearchContacts(ctx context.Context, query SearchQuery, sel selection.Set) (*paging.Page[models.Contact], error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	text, err := searchable(query.Text)
	if err != nil {
		return nil, err
	}
	limit, err := searchSize(query.Request)
	if err != nil {
		return nil, err
	}
	list := searchList + text
	after, err := d.searchPlace(scope.ClinicID, list, query.Request.After)
	if err != nil {
		return nil, err
	}

	reading := database.Depends(ctx, searchTags(text)...)
	rows, err := database.Rows[found](reading, d.db, searchSQL(contactColumns(sel)),
		text, limit+1, after.rank, after.line, after.id, scope.ClinicID)
	if err != nil {
		return nil, err
	}
	page := &paging.Page[models.Contact]{HasNext: len(rows) > limit, HasPrevious: query.Request.After != nil}
	rows = rows[:min(len(rows), limit)]
	places := make(map[uuid.UUID]*found, len(rows))
	for _, row := range rows {
		page.Items = append(page.Items, &row.Contact)
		places[row.ID] = row
		cachetag.Add(ctx, cachetag.Entity(models.KindContact, row.ID))
	}
	page.Cursor = func(contact *models.Contact) string {
		place := places[contact.ID]
		return d.cursors.Encode(scope.ClinicID, list,
			[]string{strconv.Itoa(place.SearchRank), place.SearchLine, contact.ID.String()})
	}
	if query.Count {
		page.Total, err = database.Value[int](reading, d.db, "SELECT count(*)::int FROM search_contacts($1, $2)", text, math.MaxInt32)
		if err != nil {
			return nil, err
		}
	}
	return page, nil
}

// searchTags are what a search for a text depends on beside the contacts that it
// shows: telephone numbers and CPFs are looked for by digits alone, so a text that
// can hold none does not depend on them. What Postgres' unaccent makes of signs and
// of other scripts is not known here, so those may hold some.
func searchTags(text string) []cachetag.Tag {
	tags := []cachetag.Tag{cachetag.Of("contact/search")}
	name := func(r rune) bool { return unicode.In(r, unicode.Latin) || strings.ContainsRune(" '-.@_", r) }
	for _, r := range text {
		if !name(r) {
			return append(tags, cachetag.Of("contact/search/number"))
		}
	}
	return tags
}

// searchSQL reads the contacts' columns in the order of the matches.
func searchSQL(columns []string) string {
	return "SELECT m.rank AS search_rank, m.name AS search_line, c." + strings.Join(columns, ", c.") +
		" FROM search_contacts($1, $2, $3, $4, $5) m" +
		" JOIN contacts c ON c.clinic_id = $6 AND c.id = m.contact_id" +
		" ORDER BY m.rank, m.name, m.contact_id"
}

// searchable trims a text and refuses what Postgres could not take or what is
// no search.
func searchable(text string) (string, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return "", models.BadInput("query must not be empty")
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return "", models.BadInput("query holds a character that no text can have")
	case utf8.RuneCountInString(text) > longestSearch:
		return "", models.BadInput("query may have %d characters at most", longestSearch)
	}
	return text, nil
}

func searchSize(request paging.Request) (int, error) {
	if request.Last != nil || request.Before != nil {
		return 0, models.BadInput("a search is read forwards only: give first and after")
	}
	if err := request.Check(); err != nil {
		return 0, err
	}
	if request.First == nil {
		return paging.DefaultSize, nil
	}
	return *request.First, nil
}

// searchPlace is where a page begins; before all matches without a cursor.
type searchPlace struct {
	rank int
	line string
	id   uuid.UUID
}

func (d *Directory) searchPlace(clinic uuid.UUID, list string, cursor *string) (searchPlace, error) {
	if cursor == nil {
		return searchPlace{rank: -1}, nil
	}
	key, err := d.cursors.Decode(clinic, list, *cursor, 3)
	if err != nil {
		return searchPlace{}, models.BadInput("after is no cursor of this search; use one that this search, for this text, gave you")
	}
	rank, rankErr := strconv.Atoi(key[0])
	id, idErr := uuid.Parse(key[2])
	if rankErr != nil || idErr != nil {
		return searchPlace{}, models.BadInput("after is no cursor of this search")
	}
	return searchPlace{rank: rank, line: key[1], id: id}, nil
}
