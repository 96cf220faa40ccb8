package fingerprint_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/fingerprint"
)

func TestOf_SeesTheTokensAlone(t *testing.T) {
	t.Parallel()
	of := func(text string) fingerprint.Fingerprint {
		mark, err := fingerprint.Of(text)
		require.NoError(t, err, text)
		return mark
	}
	same := of(`query Q($n: Int = 5) { contact(id: "a b", n: $n) { id name } }`)
	assert.Equal(t, same, of("query Q ( $n : Int=5 ) {\n\tcontact(id: \"a b\" n: $n) { # a comment\r\n id, name }\n}"))
	for _, other := range []string{
		`query Q($n: Int = 5) { contact(id: "a  b", n: $n) { id name } }`,
		`query Q($n: Int = 5) { contact(id: """a b""", n: $n) { id name } }`,
		`query Q($n: Int = 50) { contact(id: "a b", n: $n) { id name } }`,
		`query Q($n: Int = 5) { contact(id: "a b", n: $n) { name id } }`,
		`query Q($n: Int = 5) { contact(id: "a b", n: $n) { idname } }`,
		`query q($n: Int = 5) { contact(id: "a b", n: $n) { id name } }`,
		`query Q($n: Int = 5.0) { contact(id: "a b", n: $n) { id name } }`,
		`query Q($n: Int = "5") { contact(id: "a b", n: $n) { id name } }`,
	} {
		assert.NotEqual(t, same, of(other), other)
	}
	_, err := fingerprint.Of(`{ a(b: "open) }`)
	assert.Error(t, err)
}

func FuzzOf(f *testing.F) {
	f.Add("{ a }")
	f.Add("\"\"\"block\"\"\" # x")
	f.Fuzz(func(t *testing.T, text string) {
		mark, err := fingerprint.Of(text)
		if err != nil {
			return
		}
		again, err := fingerprint.Of("\n" + text + "\n")
		require.NoError(t, err)
		require.Equal(t, mark, again)
	})
}
