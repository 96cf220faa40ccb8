package models

import (
	"database/sql/driver"
	"fmt"
)

// The clinics' words, as they stand in the database, for the contract's enums.

func contactStatusWord(s ContactStatus) string {
	switch s {
	case ContactStatusActive:
		return "ativo"
	case ContactStatusInactive:
		return "inativo"
	case ContactStatusLead:
		return "lead"
	case ContactStatusArchived:
		return "arquivado"
	}
	return ""
}

func administrativeSexWord(s AdministrativeSex) string {
	switch s {
	case AdministrativeSexFemale:
		return "female"
	case AdministrativeSexMale:
		return "male"
	case AdministrativeSexOther:
		return "other"
	case AdministrativeSexUnknown:
		return "unknown"
	}
	return ""
}

func appointmentStatusWord(s AppointmentStatus) string {
	switch s {
	case AppointmentStatusScheduled:
		return "agendado"
	case AppointmentStatusConfirmed:
		return "confirmado"
	case AppointmentStatusCheckedIn:
		return "recepcionado"
	case AppointmentStatusInProgress:
		return "em_atendimento"
	case AppointmentStatusCompleted:
		return "concluido"
	case AppointmentStatusCancelled:
		return "cancelado"
	case AppointmentStatusNoShow:
		return "faltou"
	}
	return ""
}

func appointmentStepWord(s AppointmentStep) string {
	switch s {
	case AppointmentStepConfirm:
		return "confirm"
	case AppointmentStepCheckIn:
		return "check_in"
	case AppointmentStepStart:
		return "start"
	case AppointmentStepComplete:
		return "complete"
	case AppointmentStepNoShow:
		return "no_show"
	case AppointmentStepCancel:
		return "cancel"
	case AppointmentStepUndo:
		return "undo"
	case AppointmentStepReschedule:
		return "reschedule"
	}
	return ""
}

func recordKindWord(k RecordKind) string {
	switch k {
	case RecordKindEvolution:
		return "evolution"
	case RecordKindAnamnesis:
		return "anamnesis"
	case RecordKindPrescription:
		return "prescription"
	case RecordKindExamRequest:
		return "exam_request"
	case RecordKindExamResult:
		return "exam_result"
	case RecordKindCertificate:
		return "certificate"
	case RecordKindReferral:
		return "referral"
	}
	return ""
}

func roleWord(r Role) string {
	switch r {
	case RoleOwner:
		return "owner"
	case RoleAdmin:
		return "admin"
	case RolePractitioner:
		return "practitioner"
	case RoleReceptionist:
		return "receptionist"
	case RoleFinance:
		return "finance"
	case RolePartner:
		return "partner"
	}
	return ""
}

// value is an enum's word for the database; a value outside the enum is an error.
func value[E ~string](enum E, word func(E) string) (driver.Value, error) {
	if stored := word(enum); stored != "" {
		return stored, nil
	}
	return nil, fmt.Errorf("no stored word for %T %q", enum, string(enum))
}

// scan finds the enum that a word of the database stands for. Its error does not tell the
// word: errors are logged, and what stands in rows is not.
func scan[E ~string](target *E, source any, all []E, word func(E) string) error {
	var stored string
	switch text := source.(type) {
	case string:
		stored = text
	case []byte:
		stored = string(text)
	default:
		return fmt.Errorf("%T cannot be read from %T", *target, source)
	}
	for _, enum := range all {
		if word(enum) == stored {
			*target = enum
			return nil
		}
	}
	return fmt.Errorf("a word of the database stands for no %T", *target)
}

// Scan implements sql.Scanner.
func (s *ContactStatus) Scan(source any) error {
	return scan(s, source, AllContactStatus, contactStatusWord)
}

// Value implements driver.Valuer.
func (s ContactStatus) Value() (driver.Value, error) { return value(s, contactStatusWord) }

// Scan implements sql.Scanner.
func (s *AdministrativeSex) Scan(source any) error {
	return scan(s, source, AllAdministrativeSex, administrativeSexWord)
}

// Value implements driver.Valuer.
func (s AdministrativeSex) Value() (driver.Value, error) { return value(s, administrativeSexWord) }

// Scan implements sql.Scanner.
func (s *AppointmentStatus) Scan(source any) error {
	return scan(s, source, AllAppointmentStatus, appointmentStatusWord)
}

// Value implements driver.Valuer.
func (s AppointmentStatus) Value() (driver.Value, error) { return value(s, appointmentStatusWord) }

// Scan implements sql.Scanner.
func (s *AppointmentStep) Scan(source any) error {
	return scan(s, source, AllAppointmentStep, appointmentStepWord)
}

// Value implements driver.Valuer.
func (s AppointmentStep) Value() (driver.Value, error) { return value(s, appointmentStepWord) }

// Scan implements sql.Scanner.
func (k *RecordKind) Scan(source any) error { return scan(k, source, AllRecordKind, recordKindWord) }

// Value implements driver.Valuer.
func (k RecordKind) Value() (driver.Value, error) { return value(k, recordKindWord) }

// Scan implements sql.Scanner.
func (r *Role) Scan(source any) error { return scan(r, source, AllRole, roleWord) }

// Value implements driver.Valuer.
func (r Role) Value() (driver.Value, error) { return value(r, roleWord) }

// StoredWords are the words of several enums, for a comparison with = ANY.
func StoredWords[E driver.Valuer](enums []E) ([]string, error) {
	words := make([]string, len(enums))
	for i, enum := range enums {
		stored, err := enum.Value()
		if err != nil {
			return nil, err
		}
		words[i] = fmt.Sprint(stored)
	}
	return words, nil
}

// list turns an array column into a list that is never null.
func list(stored []string) []string {
	if stored == nil {
		return []string{}
	}
	return stored
}
