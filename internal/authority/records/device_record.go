package records

import (
	"context"
	"crypto/rand"
	"math/big"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// The states of a device's request: what the user has made of it.
const (
	DevicePending  = ""
	DeviceApproved = "approved"
	DeviceDeclined = "declined"
)

// DevicePage is the path of the page where a user types the code that a device shows.
const DevicePage = "/devicelogin"

// A DeviceRecord is what a device code stands for. It is kept for longer than the code is
// good, so that a client that comes too late is told so.
type DeviceRecord struct {
	GrantRecord
	Version int                `json:"version"` // of the endpoint
	Ends    int64              `json:"ends"`    // Unix seconds
	State   string             `json:"state,omitempty"`
	Home    directory.TenantID `json:"home,omitempty"`   // of the user who approved
	Source  string             `json:"source,omitempty"` // who asked for it, as the throttle knows them
}

// IsOver reports whether the code has expired.
func (d *DeviceRecord) IsOver(now time.Time) bool { return now.Unix() >= d.Ends }

// A userCodeRecord is what a user code stands for: the record of the device.
type userCodeRecord struct {
	Device string `json:"device"` // id of the record
	Ends   int64  `json:"ends"`
}

// PutDevice starts a device's request and returns its two codes: the device keeps one and
// shows the other to its user. The holder is the client, or nobody where the user may be of
// another tenant than the one that keeps the record.
func (s *Records) PutDevice(ctx context.Context, tenant directory.TenantID, holder directory.ObjectID, device DeviceRecord) (code, userCode string, err error) {
	t := NewOpaqueToken(KindDevice, tenant)
	device.Ends = s.now().Add(DeviceLife).Unix()
	if err := s.Put(ctx, t, holder, "", 2*DeviceLife, device); err != nil {
		return "", "", err
	}
	userCode = newUserCode()
	record, err := s.newRecord(t, holder, "", DeviceLife, userCodeRecord{Device: s.ID(t.kind, t.String()), Ends: device.Ends})
	if err != nil {
		return "", "", err
	}
	record.Kind, record.ID = kindUserCode, s.ID(kindUserCode, userCode)
	return t.String(), userCode, s.directory.PutTokenRecord(ctx, record)
}

// Device returns the record of a device's request by its id, or nil when there is none.
func (s *Records) Device(ctx context.Context, tenant directory.TenantID, id string) (*DeviceRecord, *directory.TokenRecord, error) {
	device := new(DeviceRecord)
	record, err := s.FindID(ctx, tenant, KindDevice, id, device)
	return device, record, err
}

// PendingDevice returns the id of the device's request that a user code leads to in a
// tenant, or nothing.
func (s *Records) PendingDevice(ctx context.Context, tenant directory.TenantID, userCode string) (id string, err error) {
	var found userCodeRecord
	record, err := s.FindID(ctx, tenant, kindUserCode, s.ID(kindUserCode, userCode), &found)
	if err != nil || record == nil || s.now().Unix() >= found.Ends {
		return "", err
	}
	device, record, err := s.Device(ctx, tenant, found.Device)
	if err != nil || record == nil || device.State != DevicePending {
		return "", err
	}
	return found.Device, nil
}

// The alphabet of user codes leaves out vowels, which make words, and characters that look
// like others.
const (
	userCodeAlphabet = "BCDFGHJKLMNPQRSTVWXZ23456789"
	userCodeLength   = 9
)

func newUserCode() string {
	var b strings.Builder
	limit := big.NewInt(int64(len(userCodeAlphabet)))
	for range userCodeLength {
		n, err := rand.Int(rand.Reader, limit)
		if err != nil {
			panic("authority: no randomness: " + err.Error()) // crypto/rand never fails
		}
		b.WriteByte(userCodeAlphabet[n.Int64()])
	}
	return b.String()
}

// ReadUserCode returns the user code that a person meant by what they typed; ok is false
// when it cannot be one.
func ReadUserCode(typed string) (code string, ok bool) {
	code = strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' {
			return -1
		}
		return r
	}, strings.ToUpper(typed))
	return code, len(code) == userCodeLength
}
