package people

import (
	"context"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// longestSearch bounds a search's text, in characters.
const longestSearch = 100

// searchList binds the cursors of a search. A cursor stands for a place in the
// order of one text's matches and means nothing in another's, so the text is
// part of the name.
const searchList = "search/"

// misspeltRank is the first rank of the matches that are not as the text was typed.
const misspeltRank = 1000

// anySearch is the tag of a change that concerns every search.
const anySearch touched.Tag = "contact/search/any"

// SearchQuery says which contacts are looked for.
type SearchQuery struct {
	// Text is 1 to 100 characters, not counting blanks at its ends; words beyond
	// the eighth are not looked for.
	Text    string
	Request paging.Request
	// Wanted is what is selected of the contacts; with totalCount, all that paging on
	// would give is counted.
	Wanted selection.Wanted
}

// found is a contact with its place in the order of matches.
type found struct {
	models.Contact
	SearchRank int
	SearchLine string
}

// SearchContacts finds contacts by name, preferred name, e-mail, phone or CPF,
// the best match first (search_contacts in migrations says how well is well),
// in one statement, another for the total, and another where somebody wants to know
// what the answer depends on. A text that cannot be looked for is BAD_USER_INPUT.
func (d *Directory) SearchContacts(ctx context.Context, query SearchQuery) (*paging.Page[models.Contact], error) {
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

	// Who sees CPFs masked may ask for a whole one, and not find out the rest of one by
	// its beginnings.
	wholeTaxID := !models.SeesWholeTaxID(scope.Role)
	if wholeTaxID && wholeNumber(text) {
		if err := d.guess(ctx, scope); err != nil {
			return nil, err
		}
	}
	reading := database.Depends(ctx, anySearch)
	rows, err := database.Rows[found](reading, d.db, searchSQL(d.entities.Columns("Contact", query.Wanted)),
		text, limit+1, after.rank, after.line, after.id, wholeTaxID, scope.ClinicID)
	if err != nil {
		return nil, err
	}
	page := &paging.Page[models.Contact]{HasNext: len(rows) > limit, HasPrevious: query.Request.After != nil}
	lastRank := 0
	if len(rows) > 0 {
		lastRank = rows[len(rows)-1].SearchRank
	}
	rows = rows[:min(len(rows), limit)]
	places := make(map[uuid.UUID]*found, len(rows))
	for _, row := range rows {
		page.Items = append(page.Items, &row.Contact)
		places[row.ID] = row
		touched.Add(ctx, touched.Entity(models.KindContact, row.ID))
	}
	page.Cursor = func(contact *models.Contact) string {
		place := places[contact.ID]
		return d.cursors.Encode(scope.ClinicID, list,
			[]string{strconv.Itoa(place.SearchRank), place.SearchLine, contact.ID.String()})
	}
	if query.Wanted.Count {
		page.Total, err = database.Value[int](reading, d.db, "SELECT count(*)::int FROM search_contacts($1, $2, whole_tax_id => $3)", text, math.MaxInt32, wholeTaxID)
		if err != nil {
			return nil, err
		}
	}
	// A page that is full before the misspelt ones come does not depend on them.
	misspelt := query.Wanted.Count || !page.HasNext || lastRank >= misspeltRank
	if err := d.dependOnSearch(reading, text, misspelt); err != nil {
		return nil, err
	}
	return page, nil
}

// dependOnSearch declares what a search for a text depends on beside the contacts
// that it shows: the beginnings of its words and numbers, and of the words that it
// took for misspelt ones (cache_search_depends in migrations). Postgres makes them, as
// it makes a write's, so that both mean the same by a word. It may be asked after the
// search: nothing is kept if one of the tags was raised since the answer was begun.
func (d *Directory) dependOnSearch(ctx context.Context, text string, misspelt bool) error {
	if !touched.Collecting(ctx) {
		return nil
	}
	tags, err := database.Value[[]touched.Tag](ctx, d.db, "SELECT cache_search_depends($1, $2)", text, misspelt)
	if err != nil {
		return err
	}
	touched.Add(ctx, tags...)
	return nil
}

// searchSQL reads the contacts' columns in the order of the matches.
func searchSQL(columns []string) string {
	return "SELECT m.rank AS search_rank, m.name AS search_line, c." + strings.Join(columns, ", c.") +
		" FROM search_contacts($1, $2, $3, $4, $5, $6) m" +
		" JOIN contacts c ON c.clinic_id = $7 AND c.id = m.contact_id" +
		" ORDER BY m.rank, m.name, m.contact_id"
}

// searchable trims a text and refuses what Postgres could not take or what is
// no search.
func searchable(text string) (string, error) {
	text = validate.Line(text)
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

// wholeNumber tells whether a text holds as many digits as a CPF has, however they are
// parted.
func wholeNumber(text string) bool {
	const cpf = 11
	digits := 0
	for _, r := range text {
		switch {
		case r >= '0' && r <= '9':
			if digits++; digits >= cpf {
				return true
			}
		case !strings.ContainsRune(" .-/()+", r):
			digits = 0
		}
	}
	return false
}

func searchSize(request paging.Request) (int, error) {
	if request.Last != nil || request.Before != nil {
		return 0, models.BadInput("a search is read forwards only: give first and after")
	}
	window, err := request.Window()
	return window.Limit, err
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
