package records

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/taskmed/taskmed/models"
)

var errNoJSON = errors.New("records: no JSON value")

// parseJSON reads exactly one JSON value; numbers stay as they are written.
func parseJSON(text models.JSON) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, errNoJSON
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errNoJSON
	}
	return value, nil
}

// appendCanonical writes a parsed value as RFC 8785 has it, but for numbers
// that a double cannot hold: those keep their digits.
func appendCanonical(text []byte, value any) []byte {
	switch v := value.(type) {
	case nil:
		return append(text, "null"...)
	case bool:
		return strconv.AppendBool(text, v)
	case string:
		return appendString(text, v)
	case json.Number:
		return append(text, parseNumber(string(v)).canonical()...)
	case []any:
		text = append(text, '[')
		for i, element := range v {
			if i > 0 {
				text = append(text, ',')
			}
			text = appendCanonical(text, element)
		}
		return append(text, ']')
	case map[string]any:
		text = append(text, '{')
		for i, key := range slices.SortedFunc(maps.Keys(v), compareUTF16) {
			if i > 0 {
				text = append(text, ',')
			}
			text = append(appendString(text, key), ':')
			text = appendCanonical(text, v[key])
		}
		return append(text, '}')
	}
	return text
}

// compareUTF16 orders keys by their UTF-16 code units (RFC 8785, 3.2.3), which
// for emoji is not the order of their bytes.
func compareUTF16(a, b string) int {
	return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
}

// appendString quotes as little as JSON allows (RFC 8785, 3.2.2.2).
func appendString(text []byte, value string) []byte {
	const hexDigits = "0123456789abcdef"
	text = append(text, '"')
	for i := range len(value) {
		switch char := value[i]; char {
		case '"', '\\':
			text = append(text, '\\', char)
		case '\b':
			text = append(text, `\b`...)
		case '\t':
			text = append(text, `\t`...)
		case '\n':
			text = append(text, `\n`...)
		case '\f':
			text = append(text, `\f`...)
		case '\r':
			text = append(text, `\r`...)
		default:
			if char < ' ' {
				text = append(text, `\u00`...)
				text = append(text, hexDigits[char>>4], hexDigits[char&0xf])
			} else {
				text = append(text, char)
			}
		}
	}
	return append(text, '"')
}

// number is a decimal: 0.digits times ten to the power of point, without zeros
// at either end of the digits. Zero has no digits.
type number struct {
	negative bool
	digits   string
	point    int
}

// furthestExponent stands for every exponent that is further from zero: no
// database holds such a number, and sums of it do not overflow.
const furthestExponent = 1 << 30

// parseNumber reads a number as JSON spells it.
func parseNumber(text string) number {
	var n number
	text, n.negative = strings.CutPrefix(text, "-")
	mantissa, power := text, ""
	if at := strings.IndexAny(text, "eE"); at >= 0 {
		mantissa, power = text[:at], text[at+1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	exponent := 0
	if power != "" {
		var err error
		if exponent, err = strconv.Atoi(power); err != nil || exponent > furthestExponent || exponent < -furthestExponent {
			exponent = furthestExponent
			if power[0] == '-' {
				exponent = -furthestExponent
			}
		}
	}
	n.digits, n.point = whole+fraction, len(whole)+exponent
	significant := strings.TrimLeft(n.digits, "0")
	n.point -= len(n.digits) - len(significant)
	n.digits = strings.TrimRight(significant, "0")
	if n.digits == "" {
		n.negative, n.point = false, 0
	}
	return n
}

// canonical is how ECMAScript prints the number (RFC 8785, 3.2.2.3), with all
// of its digits.
func (n number) canonical() string {
	if n.digits == "" {
		return "0"
	}
	sign := ""
	if n.negative {
		sign = "-"
	}
	count := len(n.digits)
	switch {
	case count <= n.point && n.point <= 21:
		return sign + n.digits + strings.Repeat("0", n.point-count)
	case 0 < n.point && n.point <= 21:
		return sign + n.digits[:n.point] + "." + n.digits[n.point:]
	case -6 < n.point && n.point <= 0:
		return sign + "0." + strings.Repeat("0", -n.point) + n.digits
	}
	mantissa := n.digits[:1]
	if count > 1 {
		mantissa += "." + n.digits[1:]
	}
	exponent := strconv.Itoa(n.point - 1)
	if n.point > 0 {
		exponent = "+" + exponent
	}
	return sign + mantissa + "e" + exponent
}
