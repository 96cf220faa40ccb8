package operation

import (
	"encoding/json"
	"fmt"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCanonicalNumber_IsEqualForEqualNumbersAlone(t *testing.T) {
	t.Parallel()
	texts := []string{
		"0", "-0", "0.0", "0e5", "5", "5.0", "5.00", "50e-1", "0.5e1", "5E0", "5e+0", "-5", "50", "0.05", "5e-2", "1e2", "100", "100.0",
		"12345678901234567890", "12345678901234567891", "0.1", "0.10000000000000000001", "1e400", "10e399",
	}
	for _, one := range texts {
		for _, other := range texts {
			a, ok := new(big.Rat).SetString(one)
			require.True(t, ok)
			b, ok := new(big.Rat).SetString(other)
			require.True(t, ok)
			require.Equal(t, a.Cmp(b) == 0, canonicalNumber(one) == canonicalNumber(other), "%s and %s", one, other)
		}
	}
	require.Equal(t, "1e99999999999", canonicalNumber("1e99999999999"), "too much to be counted: as it is")
}

func TestCanonical_TakesWhateverCoercionGives(t *testing.T) {
	t.Parallel()
	got, err := Canonical(map[string]any{
		"b": []any{int64(1), json.Number("1.0"), 1, 1.0, nil, true, "\u2028<é"},
		"a": map[string]any{"y": []string{"1"}, "x": map[string]int{"z": 10}},
	})
	require.NoError(t, err)
	if want := `{"a":{"x":{"z":1e1},"y":["1"]},"b":[1e0,1e0,1e0,1e0,null,true,"\u2028\u003cé"]}`; string(got) != want {
		t.Fatalf("want %s, got %s", want, got)
	}
	require.True(t, json.Valid(got))
	_, err = Canonical(map[string]any{"a": make(chan int)})
	require.Error(t, err)
}

func FuzzCanonicalNumber(f *testing.F) {
	f.Add(int64(5), int8(-1))
	f.Fuzz(func(t *testing.T, digits int64, power int8) {
		text := fmt.Sprintf("%de%d", digits, power)
		a, _ := new(big.Rat).SetString(text)
		b, ok := new(big.Rat).SetString(canonicalNumber(text))
		require.True(t, ok)
		require.Zero(t, a.Cmp(b), "%s became %s", text, canonicalNumber(text))
	})
}
