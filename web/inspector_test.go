package web

import (
	"net/http"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
)

func TestInspector_IsThereForThisMachineAlone(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{"webhooks.html": {Data: []byte("<!doctype html><title>TaskMed webhooks</title>")}, "icon.svg": {Data: []byte("<svg/>")}}
	page := newInspector(func(after int64) []int64 { return []int64{after + 1} }, files)
	h := newHandler(Config{Inspector: page}, built(t))
	const here, neighbour = "http://127.0.0.1:8080", "http://192.168.0.7:8080"

	shown := get(t, h, here+"/webhooks", nil)
	assert.Equal(t, http.StatusOK, shown.StatusCode)
	assert.Equal(t, contentSecurityPolicy, shown.Header.Get("Content-Security-Policy"))
	assert.Contains(t, body(t, shown), "TaskMed webhooks")
	assert.Equal(t, http.StatusMovedPermanently, get(t, h, here+"/webhooks/", nil).StatusCode)
	assert.Equal(t, http.StatusOK, get(t, h, here+"/webhooks/icon.svg", nil).StatusCode)

	came := get(t, h, here+"/webhooks/received.json?after=41", nil)
	assert.Equal(t, "no-store", came.Header.Get("Cache-Control"))
	assert.JSONEq(t, "[42]", body(t, came))
	for _, after := range []string{"", "?after=", "?after=-1", "?after=x"} {
		assert.Equal(t, http.StatusBadRequest, get(t, h, here+"/webhooks/received.json"+after, nil).StatusCode, after)
	}
	assert.Contains(t, body(t, get(t, h, here+"/playground/config.json", nil)), `"webhooks":"/webhooks"`)

	for _, path := range []string{"/webhooks", "/webhooks/", "/webhooks/icon.svg", "/webhooks/received.json?after=0"} {
		assert.Equal(t, http.StatusNotFound, get(t, h, neighbour+path, nil).StatusCode, path)
		assert.Equal(t, http.StatusNotFound, get(t, newHandler(Config{}, built(t)), here+path, nil).StatusCode, "there is none but under taskmed dev: "+path)
	}
	assert.Contains(t, body(t, get(t, h, neighbour+"/playground/config.json", nil)), `"webhooks":""`)
}
