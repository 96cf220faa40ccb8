package records

import "github.com/taskmed/taskmed/models"

// CanonicalJSON is the canonical form, for tests.
func CanonicalJSON(t interface{ Fatal(args ...any) }, text []byte) string {
	value, err := parseJSON(models.JSON(text))
	if err != nil {
		t.Fatal(err)
	}
	return string(appendCanonical(nil, value))
}
