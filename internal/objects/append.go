package objects

import (
	"fmt"
	"math"
	"strconv"

	"github.com/99designs/gqlgen/graphql"
)

const hexadecimal = "0123456789ABCDEF"

// AppendString appends a text as graphql.MarshalString writes it, byte for byte:
// what is no UTF-8 stays as it is.
func AppendString(b []byte, text string) []byte {
	b = append(b, '"')
	start := 0
	for i := range len(text) {
		c := text[i]
		if c >= ' ' && c != '\\' && c != '"' {
			continue
		}
		b = append(b, text[start:i]...)
		start = i + 1
		switch c {
		case '\t':
			b = append(b, `\t`...)
		case '\r':
			b = append(b, `\r`...)
		case '\n':
			b = append(b, `\n`...)
		case '\\', '"':
			b = append(b, '\\', c)
		default:
			b = append(b, '\\', 'u', '0', '0', hexadecimal[c>>4], hexadecimal[c&0xf])
		}
	}
	b = append(b, text[start:]...)
	return append(b, '"')
}

// AppendEnum appends an enum's value as the MarshalGQL that gqlgen generates
// writes it.
func AppendEnum(b []byte, value string) []byte {
	for i := range len(value) {
		if c := value[i]; c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return strconv.AppendQuote(b, value)
		}
	}
	b = append(b, '"')
	b = append(b, value...)
	return append(b, '"')
}

// AppendFloat appends a number as graphql.MarshalFloatContext writes it, which
// refuses what JSON has no number for.
func AppendFloat(b []byte, number float64) ([]byte, bool) {
	if math.IsInf(number, 0) || math.IsNaN(number) {
		return b, false
	}
	return fmt.Appendf(b, "%g", number), true
}

// AppendMarshaler appends what a Marshaler writes. Null is left to gqlgen, which
// takes it for an absent value.
func AppendMarshaler(b []byte, value graphql.Marshaler) ([]byte, bool) {
	if value == nil || value == graphql.Marshaler(graphql.Null) {
		return b, false
	}
	w := appender{b}
	value.MarshalGQL(&w)
	return w.b, true
}

type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

func (a *appender) WriteString(s string) (int, error) {
	a.b = append(a.b, s...)
	return len(s), nil
}
