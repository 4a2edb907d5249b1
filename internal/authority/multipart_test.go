package authority

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"testing"
)

// Some programs send the form of a token request as multipart/form-data.
func TestMultipartForms(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	asMultipart := func(v values, twice ...string) func(*http.Request) {
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		for name, value := range v {
			w.must(form.WriteField(name, value))
		}
		for _, name := range twice {
			w.must(form.WriteField(name, v[name]))
		}
		w.must(form.Close())
		return func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(&body), int64(body.Len())
			r.Header.Set("Content-Type", form.FormDataContentType())
		}
	}
	password := values{"grant_type": "password", "client_id": publicApp, "username": testUser, "password": testPassword, "scope": "api://orders/.default"}
	w.judge(w.post(pathV2, nil, asMultipart(w.good())).token(), keysV2Path)
	w.judge(w.post(pathV1, nil, asMultipart(w.goodV1())).token(), keysV2Path)
	w.judge(w.post(pathV2, nil, asMultipart(password)).token(), keysV2Path)
	w.post(pathV2, nil, asMultipart(w.good().without("grant_type"))).refused(400, "invalid_request", 900144)
	w.post(pathV2, nil, asMultipart(w.good().set("client_secret", "wrong"))).refused(401, "invalid_client", 7000215)
	w.post(pathV2, nil, asMultipart(w.good(), "client_id")).refused(400, "invalid_request", 9002313)
	w.post(deviceV2Path, nil, asMultipart(values{"client_id": publicApp, "scope": "openid"})).refused(400, "invalid_request", 900144)
}
