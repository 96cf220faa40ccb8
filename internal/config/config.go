// Package config reads a server's configuration from the environment and
// reports every fault in it at once.
package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// Config is all that `taskmed serve` can be told. The tags are its
// documentation: `taskmed serve --help` prints them.
type Config struct {
	DatabaseURL      string        `env:"DATABASE_URL" help:"Postgres, as the application's role (required)"`
	DatabaseListen   string        `env:"DATABASE_LISTEN_URL" help:"Postgres without a pooler in between, which LISTEN needs; DATABASE_URL if empty"`
	DatabaseMaxConns int32         `env:"TASKMED_DATABASE_MAX_CONNS" envDefault:"20" help:"connections to Postgres, at most"`
	AcquireTimeout   time.Duration `env:"TASKMED_DATABASE_ACQUIRE_TIMEOUT" envDefault:"1s" help:"how long a request waits for a connection"`
	StatementTimeout time.Duration `env:"TASKMED_DATABASE_STATEMENT_TIMEOUT" envDefault:"10s" help:"how long one statement may run"`

	RedisURL     string        `env:"REDIS_URL" help:"Redis, redis://user:password@host:port/database; without it each instance keeps what it knows to itself, so run one alone"`
	RedisTimeout time.Duration `env:"TASKMED_REDIS_TIMEOUT" envDefault:"100ms" help:"how long a request waits for Redis before it goes on without"`
	Cache        Switch        `env:"TASKMED_CACHE" help:"whether answers are kept: on or off; if unset, on where there is a REDIS_URL. On without Redis is for one instance alone"`
	CacheBytes   uint64        `env:"TASKMED_CACHE_BYTES" envDefault:"134217728" help:"what the answers kept in the process may take"`
	Operations   Operations    `env:"TASKMED_OPERATIONS" envDefault:"any" help:"which operations run: any, or those that were published with taskmed operations publish (registered)"`

	Addr      string `env:"TASKMED_ADDR" envDefault:"127.0.0.1:8080" help:"where the API and the playground listen"`
	AdminAddr string `env:"TASKMED_ADMIN_ADDR" envDefault:"127.0.0.1:9090" help:"where metrics, health and pprof listen"`

	PublicURL string `env:"TASKMED_PUBLIC_URL" help:"where clients reach the server, as https://api.example.com: what addresses that are given out begin with; http:// and TASKMED_ADDR if empty"`

	JWKSURL     string `env:"TASKMED_JWKS_URL" help:"the identity provider's keys (RFC 7517)"`
	JWTIssuer   string `env:"TASKMED_JWT_ISSUER" help:"the issuer that tokens must name"`
	JWTAudience string `env:"TASKMED_JWT_AUDIENCE" help:"the audience that tokens must name"`

	Secret string `env:"TASKMED_SECRET" help:"64 or more hexadecimal digits that all instances share; seals cursors, ETags and what is kept in Redis (required)"`

	AllowedOrigins []string `env:"TASKMED_ALLOWED_ORIGINS" help:"origins whose pages may call the API, separated by commas"`
	Introspection  bool     `env:"TASKMED_INTROSPECTION" envDefault:"true" help:"whether clients may read the schema"`
	Playground     bool     `env:"TASKMED_PLAYGROUND" envDefault:"true" help:"whether a browser gets the playground at /"`

	BodyBytes      int64         `env:"TASKMED_BODY_BYTES" envDefault:"5242880" help:"a request's body, at most"`
	MaxConnections int           `env:"TASKMED_MAX_CONNECTIONS" envDefault:"10000" help:"open connections of clients, at most"`
	RequestTimeout time.Duration `env:"TASKMED_REQUEST_TIMEOUT" envDefault:"15s" help:"how long one request may take"`
	StopTimeout    time.Duration `env:"TASKMED_STOP_TIMEOUT" envDefault:"20s" help:"how long a stop waits for requests under way"`
	CostLimit      int           `env:"TASKMED_COST_LIMIT" envDefault:"20000" help:"an operation's cost, at most"`
	DepthLimit     int           `env:"TASKMED_DEPTH_LIMIT" envDefault:"15" help:"an operation's depth, at most"`
	TokenLimit     int           `env:"TASKMED_TOKEN_LIMIT" envDefault:"2000" help:"an operation's tokens, at most"`

	Maintain    Daily  `env:"TASKMED_MAINTAIN" envDefault:"03:00" help:"when what is due daily is done, by one instance at a time: a time of the day in the server's zone (TZ), or off"`
	MaintainURL string `env:"TASKMED_MAINTAIN_URL" help:"Postgres as the owner's role, for the part of it that takes the owner's rights; without it that part is left to taskmed maintain, and the log says so"`

	Waitlist Switch `env:"TASKMED_WAITLIST" envDefault:"on" help:"whether this server makes offers to who waits for a time: on or off; one of all servers has to"`

	Outbox Switch `env:"TASKMED_OUTBOX" envDefault:"on" help:"whether this instance may be the one that gives events their positions, by which changes and webhooks go on: on or off. One instance at a time does, and one must"`

	LiveConnections int `env:"TASKMED_LIVE_CONNECTIONS" envDefault:"5000" help:"connections that stay (WebSockets and Server-Sent Events), at most; fewer than TASKMED_MAX_CONNECTIONS, so that requests get through"`
	LiveClinic      int `env:"TASKMED_LIVE_CLINIC_CONNECTIONS" envDefault:"1000" help:"those of one clinic, at most"`
	LiveOperations  int `env:"TASKMED_LIVE_OPERATIONS" envDefault:"50" help:"operations of one WebSocket at once, at most"`

	WhatsAppURL string `env:"TASKMED_WHATSAPP_URL" envDefault:"https://graph.facebook.com/v23.0" help:"where WhatsApp's Cloud API is, with its version"`
	PrivateMail Switch `env:"TASKMED_PRIVATE_MAIL" envDefault:"off" help:"whether clinics' mail servers may be at private addresses, at any port, and without TLS: on or off"`

	Attachments     Attachments
	PrivateWebhooks Switch `env:"TASKMED_PRIVATE_WEBHOOKS" envDefault:"off" help:"whether clinics' webhook endpoints may be at this machine itself, and without TLS, which is for development: on or off"`

	LogLevel string `env:"TASKMED_LOG_LEVEL" envDefault:"info" help:"debug, info, warn or error"`

	Metrics      Switch  `env:"TASKMED_METRICS" envDefault:"on" help:"whether metrics, the dashboard, alerts and traces are made: on or off"`
	AlertWebhook string  `env:"TASKMED_ALERT_WEBHOOK" help:"where alerts that begin or end are posted as JSON"`
	OTLPEndpoint string  `env:"OTEL_EXPORTER_OTLP_ENDPOINT" help:"the collector that traces are sent to, over HTTP, as http://host:4318; none are made without"`
	TraceRatio   float64 `env:"OTEL_TRACES_SAMPLER_ARG" envDefault:"0.1" help:"the share of requests that are traced, from 0 to 1"`
}

// FromEnv reads the environment. Its error names every variable that is wrong.
func FromEnv(environ map[string]string) (Config, error) {
	var c Config
	if err := env.ParseWithOptions(&c, env.Options{Environment: environ}); err != nil {
		return Config{}, errors.Join(faults(err)...)
	}
	c.cacheUnlessSaid(environ)
	return c, c.check()
}

// cacheUnlessSaid switches the cache on with Redis. Without, several instances
// would keep answers and know nothing of each other's writes: whoever runs one
// alone says so.
func (c *Config) cacheUnlessSaid(environ map[string]string) {
	if environ["TASKMED_CACHE"] == "" {
		c.Cache = Switch(c.RedisURL != "")
	}
}

// Development is a configuration for one machine: what the environment says,
// but for the database and the secret, which are given, and the identity
// provider, in whose place a development key signs the tokens.
func Development(environ map[string]string, databaseURL, secret string) (Config, error) {
	own := maps.Clone(environ)
	if own == nil {
		own = map[string]string{}
	}
	for _, variable := range []string{"TASKMED_JWKS_URL", "TASKMED_JWT_ISSUER", "TASKMED_JWT_AUDIENCE"} {
		delete(own, variable)
	}
	own["DATABASE_URL"], own["TASKMED_SECRET"] = databaseURL, secret
	var c Config
	if err := env.ParseWithOptions(&c, env.Options{Environment: own}); err != nil {
		return Config{}, errors.Join(faults(err)...)
	}
	c.cacheUnlessSaid(own)
	return c, errors.Join(c.checkBounds()...)
}

func faults(err error) []error {
	if all, several := errors.AsType[env.AggregateError](err); several {
		return all.Errors
	}
	return []error{err}
}

func (c Config) check() error {
	var wrong []error
	fault := func(variable, why string) { wrong = append(wrong, fmt.Errorf("%s %s", variable, why)) }
	if c.DatabaseURL == "" {
		fault("DATABASE_URL", "is missing: postgres://taskmed_app:password@host:5432/taskmed")
	}
	if _, err := c.SecretBytes(); err != nil {
		fault("TASKMED_SECRET", err.Error())
	}
	for variable, address := range map[string]string{"TASKMED_ADDR": c.Addr, "TASKMED_ADMIN_ADDR": c.AdminAddr} {
		if _, _, err := net.SplitHostPort(address); err != nil {
			fault(variable, "is no address of the form host:port")
		}
	}
	if c.JWKSURL == "" {
		fault("TASKMED_JWKS_URL", "is missing: nobody could sign in")
	} else {
		if parsed, err := url.Parse(c.JWKSURL); err != nil || parsed.Host == "" {
			fault("TASKMED_JWKS_URL", "is no URL")
		}
		if c.JWTIssuer == "" {
			fault("TASKMED_JWT_ISSUER", "is missing")
		}
		if c.JWTAudience == "" {
			fault("TASKMED_JWT_AUDIENCE", "is missing")
		}
	}
	if parsed, err := url.Parse(c.PublicURL); c.PublicURL != "" && (err != nil || parsed.Host == "" || parsed.Scheme != "https" && parsed.Scheme != "http") {
		fault("TASKMED_PUBLIC_URL", "is no URL of the form https://api.example.com")
	}
	return errors.Join(append(wrong, c.checkBounds()...)...)
}

// URL is where clients reach the server, without a slash at its end.
func (c Config) URL() string {
	if c.PublicURL != "" {
		return strings.TrimRight(c.PublicURL, "/")
	}
	host, port, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return "http://" + c.Addr
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // listens everywhere
	}
	return "http://" + net.JoinHostPort(host, port)
}

// checkBounds finds bounds that would let nothing through.
func (c Config) checkBounds() []error {
	wrong := c.Attachments.check()
	const leastCache = 1 << 20
	if c.CacheBytes < leastCache {
		wrong = append(wrong, fmt.Errorf("TASKMED_CACHE_BYTES must be %d or more", leastCache))
	}
	for variable, number := range map[string]int64{
		"TASKMED_DATABASE_MAX_CONNS": int64(c.DatabaseMaxConns), "TASKMED_BODY_BYTES": c.BodyBytes,
		"TASKMED_MAX_CONNECTIONS": int64(c.MaxConnections), "TASKMED_COST_LIMIT": int64(c.CostLimit),
		"TASKMED_DEPTH_LIMIT": int64(c.DepthLimit), "TASKMED_TOKEN_LIMIT": int64(c.TokenLimit),
		"TASKMED_REQUEST_TIMEOUT": int64(c.RequestTimeout), "TASKMED_STOP_TIMEOUT": int64(c.StopTimeout),
		"TASKMED_ATTACHMENTS_BYTES": int64(c.Attachments.Bytes),
		"TASKMED_REDIS_TIMEOUT":     int64(c.RedisTimeout),
		"TASKMED_LIVE_CONNECTIONS":  int64(c.LiveConnections), "TASKMED_LIVE_CLINIC_CONNECTIONS": int64(c.LiveClinic),
		"TASKMED_LIVE_OPERATIONS": int64(c.LiveOperations),
	} {
		if number < 1 {
			wrong = append(wrong, fmt.Errorf("%s must be more than zero", variable))
		}
	}
	return wrong
}

// ListenURL reaches Postgres for LISTEN.
func (c Config) ListenURL() string {
	if c.DatabaseListen != "" {
		return c.DatabaseListen
	}
	return c.DatabaseURL
}

// SecretBytes is the secret that Secret spells.
func (c Config) SecretBytes() ([]byte, error) {
	secret, err := hex.DecodeString(c.Secret)
	if err != nil || len(secret) < 32 {
		return nil, errors.New("must be 64 or more hexadecimal digits: make one with openssl rand -hex 32")
	}
	return secret, nil
}

// Help lists every variable with its default and meaning, one per line.
func Help() string {
	var text strings.Builder
	fields := slices.Collect(reflect.TypeFor[Config]().Fields())
	for at := 0; at < len(fields); at++ {
		if fields[at].Type.Kind() == reflect.Struct && fields[at].Tag.Get("env") == "" {
			fields = slices.Insert(fields, at+1, slices.Collect(fields[at].Type.Fields())...)
			continue
		}
		tag := fields[at].Tag
		fmt.Fprintf(&text, "  %-36s %s", tag.Get("env"), tag.Get("help"))
		if value := tag.Get("envDefault"); value != "" {
			fmt.Fprintf(&text, " [%s]", value)
		}
		text.WriteByte('\n')
	}
	return text.String()
}
