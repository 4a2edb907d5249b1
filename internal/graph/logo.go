package graph

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// maxLogo is how large a logo can be, in bytes. It is kept with the application.
const maxLogo = 32 << 10

const logoPath = "logo"

// logoType is the type of a picture that browsers show and that holds no script, by its
// beginning.
func logoType(picture []byte) string {
	switch {
	case bytes.HasPrefix(picture, []byte("\x89PNG\r\n\x1a\n")):
		return "image/png"
	case bytes.HasPrefix(picture, []byte("\xff\xd8\xff")):
		return "image/jpeg"
	case bytes.HasPrefix(picture, []byte("GIF8")):
		return "image/gif"
	}
	return ""
}

// logoURL is where the logo of an application is, null if it has none.
func logoURL(home string, id directory.ObjectID, s settings) any {
	if s.text(logoPath) == "" {
		return nil
	}
	return home + "/" + version1 + "/applications/" + string(id) + "/logo"
}

func putLogo(c *call) (answer, error) {
	picture, err := io.ReadAll(io.LimitReader(c.request.Body, maxLogo+1))
	if err != nil {
		return answer{}, invalid("", "The body could not be read whole.")
	}
	if len(picture) > maxLogo {
		return answer{}, &problem{status: http.StatusRequestEntityTooLarge, code: codeTooLarge, message: fmt.Sprintf("The logo is larger than %d bytes.", maxLogo)}
	}
	if logoType(picture) == "" {
		return answer{}, invalid("logo", saysInvalid+" The logo must be a picture in PNG, JPEG or GIF.")
	}
	return done(), c.changeApplication(func(e *directory.Editor, app *directory.Application) error {
		_, err := e.Applications().Edit(c.tenant(), app.ID, func(next *directory.Application) error {
			draft := c.draft(next)
			if err := draft.settings.set(logoPath, base64.StdEncoding.EncodeToString(picture)); err != nil {
				return err
			}
			return draft.finish()
		})
		return err
	})
}

func getLogo(c *call) (answer, error) {
	app, err := c.application(c.view())
	if err != nil {
		return answer{}, err
	}
	picture, err := base64.StdEncoding.DecodeString(readSettings(app.Settings).text(logoPath))
	if err != nil || len(picture) == 0 {
		return answer{}, notThere(logoPath)
	}
	return answer{status: http.StatusOK, body: &raw{logoType(picture), picture}}, nil
}
