package config

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/caarlos0/env/v11"
)

// Attachments say where the files of medical records are kept.
type Attachments struct {
	Dir        string `env:"TASKMED_ATTACHMENTS_DIR" help:"the folder that the files of medical records are kept in, which all instances share; without it and the next none are taken"`
	S3Endpoint string `env:"TASKMED_ATTACHMENTS_S3_ENDPOINT" help:"the S3-compatible store that they are kept in instead, as https://s3.example.com"`
	S3Bucket   string `env:"TASKMED_ATTACHMENTS_S3_BUCKET" help:"its bucket, which must be there, private, and encrypted by the store"`
	S3Region   string `env:"TASKMED_ATTACHMENTS_S3_REGION" help:"its region, if it has one"`
	S3Key      string `env:"TASKMED_ATTACHMENTS_S3_KEY" help:"the access key's id"`
	S3Secret   string `env:"TASKMED_ATTACHMENTS_S3_SECRET" help:"the access key's secret"`
	// S3SecretFile is read when the server starts.
	S3SecretFile string `env:"TASKMED_ATTACHMENTS_S3_SECRET_FILE" help:"a file that holds the access key's secret, in the place of the variable"`
	Bytes        int    `env:"TASKMED_ATTACHMENTS_BYTES" envDefault:"52428800" help:"the size of one file, at most"`
}

// AttachmentsFromEnv reads these alone, for commands that need nothing else. Its error
// names every variable that is wrong.
func AttachmentsFromEnv(environ map[string]string) (Attachments, error) {
	var a Attachments
	if err := env.ParseWithOptions(&a, env.Options{Environment: environ}); err != nil {
		return Attachments{}, errors.Join(faults(err)...)
	}
	return a, errors.Join(a.check()...)
}

// mostAttachment is what a size in the database can say.
const mostAttachment = 1 << 30

func (a Attachments) check() (wrong []error) {
	if a.Dir != "" && a.S3Endpoint != "" {
		wrong = append(wrong, errors.New("TASKMED_ATTACHMENTS_DIR and TASKMED_ATTACHMENTS_S3_ENDPOINT are both set: files are kept in one place"))
	}
	if a.Bytes > mostAttachment {
		wrong = append(wrong, fmt.Errorf("TASKMED_ATTACHMENTS_BYTES must be %d or less", mostAttachment))
	}
	if a.S3Endpoint == "" {
		return wrong
	}
	if at, err := url.Parse(a.S3Endpoint); err != nil || at.Host == "" || at.Scheme != "https" && at.Scheme != "http" {
		wrong = append(wrong, errors.New("TASKMED_ATTACHMENTS_S3_ENDPOINT is no URL of the form https://s3.example.com"))
	}
	for variable, value := range map[string]string{"BUCKET": a.S3Bucket, "KEY": a.S3Key, "SECRET": a.S3Secret + a.S3SecretFile} {
		if value == "" {
			wrong = append(wrong, fmt.Errorf("TASKMED_ATTACHMENTS_S3_%s is missing", variable))
		}
	}
	return wrong
}

// Secret is the access key's.
func (a Attachments) Secret() (string, error) {
	if a.S3SecretFile == "" {
		return a.S3Secret, nil
	}
	text, err := os.ReadFile(a.S3SecretFile)
	if err != nil {
		return "", fmt.Errorf("TASKMED_ATTACHMENTS_S3_SECRET_FILE cannot be read: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
