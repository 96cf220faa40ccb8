package answering

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/taskmed/taskmed/internal/gqlserver"
	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/models"
)

// recipe is what it takes to compute a kept answer anew. It stands beside the
// answer, to whose clinic it belongs.
type recipe struct {
	Name      string          `json:"n,omitempty"`
	Text      string          `json:"q"`
	Variables json.RawMessage `json:"v,omitempty"`
	Role      models.Role     `json:"r"`
	// Permissions are those of who asked, Subject who it was where the answer is
	// the subject's own, and SubjectName what it was called.
	Permissions []string `json:"p,omitempty"`
	Subject     string   `json:"s,omitempty"`
	SubjectName string   `json:"m,omitempty"`
}

// longestRecipe bounds a recipe, in bytes. A longer one is not kept: the answer
// is then one that nobody can examine.
const longestRecipe = 16 << 10

// recipeOf is a question's recipe, nil if it is too long.
func recipeOf(q *gqlserver.Question) []byte {
	if len(q.Text)+len(q.Variables) > longestRecipe {
		return nil
	}
	r := recipe{Name: q.Name, Text: q.Text, Variables: q.Variables, Role: q.Scope.Role, Permissions: q.Scope.Permissions}
	if q.Caching.Scope == operation.ScopePrivate {
		r.Subject, r.SubjectName = q.Scope.Subject, q.Scope.Name
	}
	text, err := json.Marshal(r)
	if err != nil || len(text) > longestRecipe {
		return nil
	}
	return text
}

// asSent turns canonical variables back into some that a client could send:
// whole numbers stand without an exponent.
func asSent(canonical json.RawMessage) (json.RawMessage, error) {
	if len(canonical) == 0 {
		return nil, nil
	}
	decoder := json.NewDecoder(strings.NewReader(string(canonical)))
	decoder.UseNumber()
	var values any
	if err := decoder.Decode(&values); err != nil {
		return nil, fmt.Errorf("read the variables: %w", err)
	}
	return json.Marshal(plain(values))
}

func plain(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			v[key] = plain(inner)
		}
	case []any:
		for i, inner := range v {
			v[i] = plain(inner)
		}
	case json.Number:
		const most = 20 // digits of a 64-bit number
		digits, power, _ := strings.Cut(v.String(), "e")
		if zeros := len(power); zeros > 0 && power[0] != '-' {
			var n int
			if _, err := fmt.Sscan(power, &n); err == nil && n <= most {
				return json.Number(digits + strings.Repeat("0", n))
			}
		}
	}
	return value
}
