package authority

import (
	"bytes"
	"context"
	"html/template"
	"net/http"
	"strconv"
)

const errorPageText = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{if .Rows}}AADSTS{{.Code}}{{else}}Unknown code{{end}} – Rolecall</title>
<main>
{{- if .Rows}}
<h1>AADSTS{{.Code}}</h1>
{{- range .Rows}}
<section>
<p><code>{{.OAuth}}</code>, HTTP {{.Status}}</p>
<p>{{.What}}</p>
<p><strong>What to do:</strong> {{.Fix}}</p>
</section>
{{- end}}
{{- else}}
<h1>Unknown code</h1>
<p>This authority has no refusal with that number. The number stands after AADSTS in an error's description.</p>
{{- end}}
</main>
</html>
`

// errorPage explains a code to a person: where error_uri points.
func (a *Authority) errorPage(_ context.Context, x *exchange) (answer, error) {
	page := struct {
		Code int
		Rows []ProblemRow
	}{}
	page.Code, _ = strconv.Atoi(x.http.URL.Query().Get("code"))
	for _, row := range Problems() {
		if page.Code != 0 && row.Code == page.Code {
			page.Rows = append(page.Rows, row)
		}
	}
	text, err := template.New("error").Parse(errorPageText)
	if err != nil {
		return answer{}, problemInternal(err)
	}
	var body bytes.Buffer
	if err := text.Execute(&body, page); err != nil {
		return answer{}, problemInternal(err)
	}
	response := answer{body: body.Bytes(), contentType: typeHTML, status: http.StatusOK}
	if page.Rows == nil {
		response.status = http.StatusNotFound
	}
	return response, nil
}
