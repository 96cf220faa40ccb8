package inspector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/taskmed/taskmed/models"
)

// longestAnswer is read of an answer of the API's.
const longestAnswer = 1 << 20

// Register has each clinic tell this receiver everything, by the API at url/graphql. An
// endpoint that a former start made is taken on, with another secret, so that none is
// kept anywhere. What fails for one clinic does not keep the others from it.
func (i *Inspector) Register(ctx context.Context, url string) error {
	var failed []error
	for _, clinic := range i.order {
		ctx, done := context.WithTimeout(ctx, longestCall)
		if err := i.register(ctx, api{url + "/graphql", clinic}); err != nil {
			failed = append(failed, fmt.Errorf("the webhooks of %s: %w", clinic.Slug, err))
		}
		done()
	}
	return errors.Join(failed...)
}

func (i *Inspector) register(ctx context.Context, api api) error {
	var list struct {
		WebhookEndpoints []struct{ ID, URL string }
	}
	if err := api.ask(ctx, `{ webhookEndpoints { id url } }`, nil, &list); err != nil {
		return err
	}
	here := map[string]any{"url": i.URL(api.clinic.ID), "events": models.AllWebhookEvent}
	for _, endpoint := range list.WebhookEndpoints {
		if !former(endpoint.URL, api.clinic.ID) {
			continue
		}
		// The keys first: what waited since the last run comes as soon as the URL is right.
		if err := i.make(ctx, api, "rotateWebhookSecret", "RotateWebhookSecretInput", map[string]any{"id": endpoint.ID}); err != nil {
			return err
		}
		here["id"], here["active"] = endpoint.ID, true
		var changed struct{ UpdateWebhookEndpoint payload }
		err := api.ask(ctx, `mutation($input: UpdateWebhookEndpointInput!) { updateWebhookEndpoint(input: $input) { userErrors { message } } }`, here, &changed)
		return errors.Join(err, changed.UpdateWebhookEndpoint.err())
	}
	return i.make(ctx, api, "createWebhookEndpoint", "CreateWebhookEndpointInput", here)
}

// make runs a mutation that gives keys, and takes them.
func (i *Inspector) make(ctx context.Context, api api, mutation, kind string, input map[string]any) error {
	var answer struct{ Made payload }
	query := `mutation($input: ` + kind + `!) { made: ` + mutation + `(input: $input) { webhookEndpoint { publicKey } secret userErrors { message } } }`
	if err := api.ask(ctx, query, input, &answer); err != nil {
		return err
	}
	if err := answer.Made.err(); err != nil {
		return err
	}
	held, err := keysOf(answer.Made.Secret, answer.Made.WebhookEndpoint.PublicKey)
	if err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys[api.clinic.ID] = held
	return nil
}

// former is whether an endpoint is one that a start of this receiver made.
func former(endpoint, clinic string) bool {
	at, err := url.Parse(endpoint)
	return err == nil && at.Hostname() == "127.0.0.1" && at.Path == prefix+clinic
}

type payload struct {
	WebhookEndpoint struct{ PublicKey string }
	Secret          string
	UserErrors      []struct{ Message string }
}

func (p payload) err() error {
	if len(p.UserErrors) == 0 {
		return nil
	}
	return errors.New(p.UserErrors[0].Message)
}

// api is TaskMed's, as one clinic's.
type api struct {
	url    string
	clinic Clinic
}

// ask runs an operation, whose one variable is input where there is any.
func (a api) ask(ctx context.Context, query string, input map[string]any, into any) error {
	operation := map[string]any{"query": query}
	if input != nil {
		operation["variables"] = map[string]any{"input": input}
	}
	text, err := json.Marshal(operation)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url, bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+a.clinic.Token)
	request.Header.Set("X-Clinic-Id", a.clinic.ID)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Cache-Control", "no-cache")
	// This machine's own server: no proxy of the environment is to see the token.
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // read already
	var answer struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, longestAnswer)).Decode(&answer); err != nil {
		return fmt.Errorf("the API's answer of status %d: %w", response.StatusCode, err)
	}
	if len(answer.Errors) > 0 {
		return errors.New(strings.TrimSpace(answer.Errors[0].Message))
	}
	return json.Unmarshal(answer.Data, into)
}
