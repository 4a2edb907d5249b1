//go:build unix

package managedidentity

import "io/fs"

// private reports whether only the folder's owner can create files in it.
func private(folder fs.FileInfo) bool { return folder.Mode().Perm()&0o022 == 0 }
