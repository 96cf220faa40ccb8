// Package compose writes random GraphQL queries over a schema and judges their
// answers: what a composed query (aliases, fragments, directives, variables) is
// answered must be what plain queries, each with one leaf alone, are answered.
// It knows the schema and HTTP's answers, and nothing of how they come about.
package compose

import (
	"encoding/json"
	"fmt"
)

// Question is an operation as a client sends it.
type Question struct {
	Text      string
	Variables map[string]any
}

// String is the question for a person to send again.
func (q Question) String() string {
	variables, err := json.Marshal(q.Variables)
	if err != nil {
		variables = []byte(err.Error())
	}
	return fmt.Sprintf("%s\nvariables: %s", q.Text, variables)
}

// Error is an error of an answer.
type Error struct {
	Message string
	// Path has the response's keys, and its lists' indices as float64.
	Path []any
	Code string
}

// Answer is what a question was answered.
type Answer struct {
	Data   json.RawMessage
	Errors []Error
}

// Ask sends a question.
type Ask func(Question) Answer
