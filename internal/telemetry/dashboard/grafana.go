package dashboard

import "encoding/json"

// panel is a chart of Grafana's.
type panel struct {
	title, unit string
	// queries are PromQL by their legend.
	queries [][2]string
}

func panels() []panel {
	quantile := func(share, metric, by string) string {
		return "histogram_quantile(" + share + ", sum by (le" + by + ") (rate(" + metric + "_bucket[$__rate_interval])))"
	}
	const duration = "taskmed_request_duration_seconds"
	return []panel{
		{"Requests", "reqps", [][2]string{{"{{outcome}}", "sum by (outcome) (rate(taskmed_requests_total[$__rate_interval]))"}}},
		{"Response time", "s", [][2]string{
			{"p50", quantile("0.5", duration, "")}, {"p95", quantile("0.95", duration, "")}, {"p99", quantile("0.99", duration, "")},
		}},
		{"Failed of all", "percentunit", [][2]string{
			{"now", `sum(rate(taskmed_requests_total{outcome="failed"}[$__rate_interval])) / sum(rate(taskmed_requests_total{outcome!="canceled"}[$__rate_interval]))`},
			{"an hour", "taskmed:request_failures:ratio_rate1h"},
		}},
		{"Refused and failed, by kind", "reqps", [][2]string{{"{{kind}}", "sum by (kind) (rate(taskmed_refusals_total[$__rate_interval])) > 0"}}},
		{"Cache hits of reads that may be cached", "percentunit", [][2]string{
			{"hits", `sum(rate(taskmed_cache_answers_total{outcome="hit"}[$__rate_interval])) / sum(rate(taskmed_cache_answers_total{outcome=~"hit|miss"}[$__rate_interval]))`},
		}},
		{"Why not from the cache", "reqps", [][2]string{{"{{reason}}", `sum by (reason) (rate(taskmed_cache_answers_total{outcome!="hit"}[$__rate_interval]))`}}},
		{"Slowest operations, p95", "s", [][2]string{{"{{operation}}", "topk(10, " + quantile("0.95", "taskmed_operation_duration_seconds", ", operation") + ")"}}},
		{"Slowest fields, p95", "s", [][2]string{{"{{field}}", "topk(10, " + quantile("0.95", "taskmed_field_duration_seconds", ", field") + ")"}}},
		{"Slowest SQL, p95", "s", [][2]string{{"{{family}}", "topk(10, " + quantile("0.95", "taskmed_statement_duration_seconds", ", family") + ")"}}},
		{"SQL by time spent", "s", [][2]string{{"{{family}}", "topk(10, sum by (family) (rate(taskmed_statement_duration_seconds_sum[$__rate_interval])))"}}},
		{"Keys per loader's fetch, mean", "short", [][2]string{{"{{loader}}", "sum by (loader) (rate(taskmed_loader_batch_size_keys_sum[$__rate_interval])) / sum by (loader) (rate(taskmed_loader_batch_size_keys_count[$__rate_interval]))"}}},
		{"Busiest clinics", "reqps", [][2]string{{"{{clinic}}", "topk(10, sum by (clinic) (rate(taskmed_clinic_requests_total[$__rate_interval])))"}}},
		{"Clinics that wait over 100 ms", "reqps", [][2]string{{"{{clinic}}", `topk(10, sum by (clinic) (rate(taskmed_clinic_latency_total{class=~"slow|stuck"}[$__rate_interval])) > 0)`}}},
		{"Connections to Postgres", "short", [][2]string{
			{"in use {{instance}}", "taskmed_pool_connections_in_use"},
			{"most {{instance}}", "taskmed_pool_connections_max"},
			{"waits/s {{instance}}", "rate(taskmed_pool_waits_total[$__rate_interval])"},
		}},
		{"Processor and memory", "percentunit", [][2]string{
			{"processor {{instance}}", "taskmed_cpu_utilization_ratio"}, {"memory {{instance}}", "taskmed_memory_utilization_ratio"},
		}},
		{"Alerts that instances raise by themselves", "short", [][2]string{{"{{alert}} {{instance}}", "taskmed_alert_active > 0"}}},
		{"Up", "short", [][2]string{{"Postgres {{instance}}", "taskmed_postgres_up"}, {"Redis {{instance}}", "taskmed_redis_up"}}},
	}
}

// Grafana is deploy/grafana/dashboards/taskmed.json, which shows what
// the metrics have; its data source is chosen in Grafana.
func Grafana() ([]byte, error) { return dashboardOf("taskmed", "TaskMed", panels()) }

// GrafanaParts is deploy/grafana/dashboards/taskmed-parts.json: how the parts do
// that requests do not show, the cache's coherence before all.
func GrafanaParts() ([]byte, error) {
	return dashboardOf("taskmed-parts", "TaskMed: cache, maintenance, runtime", partsPanels())
}

func partsPanels() []panel {
	rate := func(metric, by string) string { return "sum by (" + by + ") (rate(" + metric + "[$__rate_interval]))" }
	return []panel{
		{"Look-ups by where the answer was", "reqps", [][2]string{{"{{outcome}}", rate("taskmed_respcache_lookups_total", "outcome")}}},
		{"The cache is trusted", "short", [][2]string{
			{"trusted {{instance}}", "taskmed_respcache_trusted"},
			{"given up, times in an hour {{instance}}", "increase(taskmed_respcache_distrusted_total[1h])"},
		}},
		{"Stored, or why not", "reqps", [][2]string{{"{{verdict}}", rate("taskmed_respcache_stores_total", "verdict")}}},
		{"Kept in the process", "bytes", [][2]string{{"{{instance}}", "taskmed_respcache_process_bytes"}}},
		{"Given way", "reqps", [][2]string{
			{"evicted", "sum(rate(taskmed_respcache_evictions_total[$__rate_interval]))"},
		}},
		{"What a write waits for the cache, p99", "s", [][2]string{
			{"{{outcome}}", "histogram_quantile(0.99, sum by (le, outcome) (rate(taskmed_respcache_raise_seconds_bucket[$__rate_interval])))"},
		}},
		{"Values in Redis that do not belong there", "short", [][2]string{{"in an hour", "sum(increase(taskmed_respcache_bad_values_total[1h]))"}}},
		{"Persisted queries", "reqps", [][2]string{{"{{outcome}}", rate("taskmed_persisted_queries_total", "outcome")}}},
		{"Maintenance: hours since it was done", "h", [][2]string{
			{"all instances", "(time() - max(taskmed_maintenance_last_success_timestamp_seconds > 0)) / 3600"},
		}},
		{"Maintenance: attempts, and what is left to the owner", "short", [][2]string{
			{"{{outcome}}, in a day", "sum by (outcome) (increase(taskmed_maintenance_runs_total[1d]))"},
			{"left", "max(taskmed_maintenance_left_tasks)"},
		}},
		{"Goroutines", "short", [][2]string{{"{{instance}}", "go_goroutines{job=\"taskmed\"}"}}},
		{"Memory", "bytes", [][2]string{
			{"resident {{instance}}", "process_resident_memory_bytes{job=\"taskmed\"}"},
			{"heap {{instance}}", "go_memstats_heap_inuse_bytes{job=\"taskmed\"}"},
		}},
		{"Collections, the longest", "s", [][2]string{{"{{instance}}", "max by (instance) (go_gc_duration_seconds{job=\"taskmed\"})"}}},
		{"Open descriptors", "short", [][2]string{{"{{instance}}", "process_open_fds{job=\"taskmed\"}"}}},
	}
}

func dashboardOf(uid, title string, panels []panel) ([]byte, error) {
	const wide, high = 12, 8
	shown := make([]any, 0, len(panels))
	for i, p := range panels {
		targets := make([]any, len(p.queries))
		for j, query := range p.queries {
			targets[j] = map[string]any{"refId": string(rune('A' + j)), "legendFormat": query[0], "expr": query[1], "exemplar": true}
		}
		shown = append(shown, map[string]any{
			"id": i + 1, "type": "timeseries", "title": p.title, "targets": targets,
			"datasource":  map[string]string{"type": "prometheus", "uid": "${datasource}"},
			"gridPos":     map[string]int{"h": high, "w": wide, "x": i % 2 * wide, "y": i / 2 * high},
			"fieldConfig": map[string]any{"defaults": map[string]any{"unit": p.unit, "min": 0}, "overrides": []any{}},
		})
	}
	text, err := json.MarshalIndent(map[string]any{
		"uid": uid, "title": title, "tags": []string{"taskmed"}, "schemaVersion": 39, "refresh": "10s",
		"time":       map[string]string{"from": "now-1h", "to": "now"},
		"templating": map[string]any{"list": []any{map[string]any{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}}},
		"panels":     shown,
	}, "", "  ")
	return append(text, '\n'), err
}
