// Package validate checks what people type before it reaches Postgres, and
// collects every mistake of an input so that a form can show them all at once.
package validate

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/models"
)

// Input collects the mistakes of one mutation's input, in the order they are found.
type Input struct {
	mistakes models.Invalid
}

// Add notes a mistake at a field.
func (in *Input) Add(code models.UserErrorCode, field, message string, entityIDs ...string) {
	in.mistakes = append(in.mistakes, models.NewUserError(code, field, message, entityIDs...))
}

// AddAt notes a mistake deeper in a field, e.g. at codes[2].
func (in *Input) AddAt(code models.UserErrorCode, path []string, message string) {
	mistake := models.NewUserError(code, "", message)
	mistake.Field = path
	in.mistakes = append(in.mistakes, mistake)
}

// Within notes the mistakes of a part of the input, which stands at a path.
func (in *Input) Within(path []string, part *Input) {
	for _, mistake := range part.mistakes {
		mistake.Field = append(slices.Clip(path), mistake.Field...)
		in.mistakes = append(in.mistakes, mistake)
	}
}

// Err is nil where there was no mistake, and models.Invalid otherwise.
func (in *Input) Err() error {
	if len(in.mistakes) == 0 {
		return nil
	}
	return in.mistakes
}

// ID reads a global id of a kind; a malformed one is INVALID.
func (in *Input) ID(field string, kind models.Kind, global string) uuid.UUID {
	id, err := kind.Parse(global)
	if err != nil {
		in.Add(models.UserErrorCodeInvalid, field, fmt.Sprintf("this is no id of a %s", kind.Words()))
	}
	return id
}

// RequiredText reads a text of one line that must hold something, of at most so many
// characters.
func (in *Input) RequiredText(field, text string, longest int) string {
	return in.required(field, Line(text), longest)
}

// OptionalText reads a text of one line that may be absent; an empty one counts as
// absent.
func (in *Input) OptionalText(field string, text *string, longest int) *string {
	if text == nil {
		return nil
	}
	return in.optional(field, Line(*text), longest)
}

// RequiredLines is RequiredText for a text of several lines.
func (in *Input) RequiredLines(field, text string, longest int) string {
	return in.required(field, Lines(text), longest)
}

// OptionalLines is OptionalText for a text of several lines.
func (in *Input) OptionalLines(field string, text *string, longest int) *string {
	if text == nil {
		return nil
	}
	return in.optional(field, Lines(*text), longest)
}

func (in *Input) required(field, text string, longest int) string {
	if text == "" {
		in.Add(models.UserErrorCodeRequired, field, "this must not be empty")
		return ""
	}
	in.text(field, text, longest)
	return text
}

func (in *Input) optional(field, text string, longest int) *string {
	if text == "" {
		return nil
	}
	in.text(field, text, longest)
	return &text
}

func (in *Input) text(field, text string, longest int) {
	switch {
	case !Printable(text):
		in.Add(models.UserErrorCodeInvalid, field, "this holds a control character that no text can have")
	case utf8.RuneCountInString(text) > longest:
		in.Add(models.UserErrorCodeTooLong, field, fmt.Sprintf("this may have %d characters at most", longest))
	}
}
