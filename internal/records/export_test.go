package records

import "github.com/taskmed/taskmed/models"

// failer is a test of testing or of rapid.
type failer interface{ Fatal(args ...any) }

// CanonicalJSON is the canonical form, for tests.
func CanonicalJSON(t failer, text []byte) string {
	return string(appendCanonical(nil, parsed(t, text)))
}

// StoredSize is the size that checkData expects jsonb to have.
func StoredSize(t failer, text []byte) int {
	size, fault := storedSize(parsed(t, text), deepestData)
	if fault != "" {
		t.Fatal(fault)
	}
	return size
}

func parsed(t failer, text []byte) any {
	value, err := parseJSON(models.JSON(text))
	if err != nil {
		t.Fatal(err)
	}
	return value
}
