// Package models holds the clinic's nouns: their fields, the rules that need
// nothing but the noun itself, and the errors that every layer speaks in.
package models
