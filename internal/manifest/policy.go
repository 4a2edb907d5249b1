package manifest

import "github.com/rolecall-auth/rolecall/internal/directory"

// applyPolicy brings a policy that the tenant has to the file's state, so that it counts for what
// the file adds.
func (w *work) applyPolicy() error {
	present, err := w.editor.View().AppManagementPolicy(w.tenant.ID)
	if err != nil {
		return err
	}
	w.unruled = present.Version == 0
	if w.unruled {
		return nil
	}
	return w.setPolicy()
}

// applyFirstPolicy gives the tenant a policy where it had none, after the credentials of the file
// are there: what was there before a policy stays, and a file that was exported has both.
func (w *work) applyFirstPolicy() error {
	if !w.unruled {
		return nil
	}
	return w.setPolicy()
}

func (w *work) setPolicy() error {
	wanted := w.file.policy
	if wanted == nil {
		if !w.prune || w.unruled {
			return nil
		}
		wanted = &policy{}
	}
	_, err := w.editor.EditAppManagementPolicy(w.tenant.ID, func(next *directory.AppManagementPolicy) error {
		if w.says(wanted.place, "enabled", false) {
			next.Enabled = wanted.enabled
		}
		if w.says(wanted.place, "secretsForbidden", false) {
			next.SecretsForbidden = wanted.secretsForbidden
		}
		if w.says(wanted.place, "maxSecretLifetime", false) {
			next.MaxSecretLife = wanted.secretLife
		}
		if w.says(wanted.place, "maxCertificateLifetime", false) {
			next.MaxCertificateLife = wanted.certificateLife
		}
		if w.says(wanted.place, "settings", false) {
			setSettings(&next.Settings, wanted.settings)
		}
		return nil
	})
	return w.ruled(err, func(field string) position {
		if field == "maxLifetime" {
			field = "maxSecretLifetime"
		}
		return wanted.of(field)
	})
}
