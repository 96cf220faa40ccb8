package chaos_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// refused is an answer without data.
type refused struct{ Code, Message string }

// Error implements error.
func (r refused) Error() string { return r.Code + ": " + r.Message }

// call sends an operation to a server and reads its data.
func call(ctx context.Context, url, clinic, token, query string, variables map[string]any, data any) error {
	return callOnce(ctx, url, clinic, token, "", query, variables, data)
}

// callOnce does so with an idempotency key, unless that is "".
func callOnce(ctx context.Context, url, clinic, token, key, query string, variables map[string]any, data any) error {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/graphql", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("X-Clinic-Id", clinic)
	if key != "" {
		request.Header.Set("Idempotency-Key", `"`+key+`"`)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Data   json.RawMessage
		Errors []struct {
			Message    string
			Extensions struct{ Code string }
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("status %d: %w", response.StatusCode, err)
	}
	if len(answer.Errors) > 0 {
		return refused{answer.Errors[0].Extensions.Code, answer.Errors[0].Message}
	}
	return json.Unmarshal(answer.Data, data)
}
