package operation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Canonical writes coerced variables so that equal ones are equal texts: keys
// are sorted, and a number has one way to be written. Absent and null differ.
func Canonical(variables map[string]any) ([]byte, error) {
	var buffer bytes.Buffer
	if err := writeCanonical(&buffer, variables); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

func writeCanonical(buffer *bytes.Buffer, value any) error {
	switch v := value.(type) {
	case map[string]any:
		buffer.WriteByte('{')
		for i, key := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				buffer.WriteByte(',')
			}
			if err := writeJSON(buffer, key); err != nil {
				return err
			}
			buffer.WriteByte(':')
			if err := writeCanonical(buffer, v[key]); err != nil {
				return err
			}
		}
		buffer.WriteByte('}')
		return nil
	case []any:
		buffer.WriteByte('[')
		for i, item := range v {
			if i > 0 {
				buffer.WriteByte(',')
			}
			if err := writeCanonical(buffer, item); err != nil {
				return err
			}
		}
		buffer.WriteByte(']')
		return nil
	case json.Number:
		buffer.WriteString(canonicalNumber(v.String()))
		return nil
	case int64:
		buffer.WriteString(canonicalNumber(strconv.FormatInt(v, 10)))
		return nil
	case int:
		buffer.WriteString(canonicalNumber(strconv.Itoa(v)))
		return nil
	case float64:
		buffer.WriteString(canonicalNumber(strconv.FormatFloat(v, 'g', -1, 64)))
		return nil
	case nil, string, bool:
		return writeJSON(buffer, v)
	default:
		return writeOther(buffer, v)
	}
}

// writeOther is for what coercion made of a list of one type or the like.
func writeOther(buffer *bytes.Buffer, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("canonical variables: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var plain any
	if err := decoder.Decode(&plain); err != nil {
		return fmt.Errorf("canonical variables: %w", err)
	}
	return writeCanonical(buffer, plain)
}

func writeJSON(buffer *bytes.Buffer, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("canonical variables: %w", err)
	}
	buffer.Write(text)
	return nil
}

// canonicalNumber writes a JSON number as its digits without leading and
// trailing zeros and a power of ten: 5, 5.0 and 50e-1 are 5e0. Nothing is
// rounded: what differs stays different, however little.
func canonicalNumber(text string) string {
	sign, rest := "", text
	if strings.HasPrefix(rest, "-") {
		sign, rest = "-", rest[1:]
	}
	mantissa, power, found := strings.Cut(strings.ToLower(rest), "e")
	exponent := 0
	if found {
		parsed, err := strconv.ParseInt(power, 10, 32)
		if err != nil {
			return text
		}
		exponent = int(parsed)
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := whole + fraction
	exponent -= len(fraction)
	digits = strings.TrimLeft(digits, "0")
	if digits == "" {
		return "0e0"
	}
	trimmed := strings.TrimRight(digits, "0")
	exponent += len(digits) - len(trimmed)
	return sign + trimmed + "e" + strconv.Itoa(exponent)
}
