package mutations

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"

	"github.com/taskmed/taskmed/internal/idempotency"
	"github.com/taskmed/taskmed/models"
)

// once is the key under which a field is run once, and what it must be run with.
type once struct {
	key   string
	input idempotency.Digest
	// request is the key of the whole request, "" where the field has one of its own.
	request   string
	requested idempotency.Digest
}

// asked is what a client asks of a mutation, but for what it selects of the payload.
type asked struct {
	Alias, Name string
	Arguments   map[string]any
}

// onceOf reads a field's key, or the request's; nil where there is none.
func onceOf(ctx context.Context, field graphql.CollectedField) (*once, error) {
	operation := graphql.GetOperationContext(ctx)
	if directive := field.Directives.ForName(idempotentDirective); directive != nil {
		key, _ := directive.ArgumentMap(operation.Variables)["key"].(string)
		if err := checkKey("@idempotent(key:)", key); err != nil {
			return nil, err
		}
		input, err := digest(asked{Name: field.Name, Arguments: field.ArgumentMap(operation.Variables)})
		return &once{key: named("field", key), input: input}, err
	}
	values := operation.Headers.Values(Header)
	if len(values) == 0 {
		return nil, nil
	}
	key, err := headerKey(values)
	if err != nil {
		return nil, err
	}
	var all []asked
	o := &once{request: named("request", key), key: named("request", key, field.Alias)}
	for _, root := range graphql.CollectFields(operation, operation.Operation.SelectionSet, []string{mutationType}) {
		one := asked{root.Alias, root.Name, root.ArgumentMap(operation.Variables)}
		if all = append(all, one); root.Alias == field.Alias {
			if o.input, err = digest(one); err != nil {
				return nil, err
			}
		}
	}
	o.requested, err = digest(all)
	return o, err
}

// named makes one name of parts, of the same length however long they are.
func named(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])
}

func digest(of any) (idempotency.Digest, error) {
	// encoding/json sorts the keys of maps.
	text, err := json.Marshal(of)
	return sha256.Sum256(text), err
}

// headerKey reads the header's one value: a String of RFC 8941, section 3.3.3, or, as
// many clients send it, the bare key.
func headerKey(values []string) (string, error) {
	key := strings.Trim(values[0], " \t")
	if len(values) > 1 {
		return "", models.BadInput("send one %s", Header)
	}
	if strings.HasPrefix(key, `"`) {
		quoted, ok := unquote(key)
		if !ok {
			return "", models.BadInput(`%s is a text in quotation marks, such as "8e03978e-40d5-43e8-bc93-6894a57f9324"`, Header)
		}
		key = quoted
	}
	return key, checkKey(Header, key)
}

// unquote reads a String of RFC 8941, section 4.2.5.
func unquote(text string) (string, bool) {
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return b.String(), i == len(text)-1
		case c == '\\':
			if i++; i == len(text) || text[i] != '"' && text[i] != '\\' {
				return "", false
			}
			b.WriteByte(text[i])
		case c < ' ' || c > '~':
			return "", false
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}

func checkKey(where, key string) error {
	visible := strings.IndexFunc(key, func(r rune) bool { return r < ' ' || r == utf8.RuneError || r == 0x7f }) < 0
	if n := utf8.RuneCountInString(key); n == 0 || n > idempotency.LongestKey || !visible {
		return models.BadInput("%s has 1 to %d characters", where, idempotency.LongestKey)
	}
	return nil
}
